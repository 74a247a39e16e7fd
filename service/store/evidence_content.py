"""What was to be said, and when it might be: versions of plans and texts, clinics' hours. For those who prove; read-only."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.evidence import columns_of
from service.store.tables import Clinic, PlanVersion, TemplateVersion


@dataclass(frozen=True, slots=True)
class Wording:
    """A version of a text."""

    id: int
    clinic_id: int
    key: str
    text: str
    state: str
    created_at: datetime
    approved_by: str | None
    approved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hours:
    """A clinic's clock and hours, as its row writes them."""

    id: int
    time_zone: str
    window_opens: str
    window_closes: str


def wordings(db: Session, ids: Collection[int]) -> dict[int, Wording]:
    """Versions of texts, by id."""
    rows = db.execute(select(*columns_of(TemplateVersion, Wording)).where(TemplateVersion.id.in_(ids)))
    return {row[0]: Wording(*row) for row in rows}


def plan_document(db: Session, version_id: int) -> dict[str, Any] | None:
    """The plan file of a version."""
    return db.scalar(select(PlanVersion.document).where(PlanVersion.id == version_id))


def plan_versions(db: Session) -> defaultdict[int, list[tuple[datetime, int]]]:
    """When each version of each clinic's plan was written, and its id; the oldest first."""
    found: defaultdict[int, list[tuple[datetime, int]]] = defaultdict(list)
    columns = PlanVersion.clinic_id, PlanVersion.created_at, PlanVersion.id
    for clinic_id, at, version_id in db.execute(select(*columns).order_by(PlanVersion.version)):
        found[clinic_id].append((at, version_id))
    return found


def hours(db: Session) -> dict[int, Hours]:
    """Every clinic's clock and hours."""
    return {row[0]: Hours(*row) for row in db.execute(select(*columns_of(Clinic, Hours)))}
