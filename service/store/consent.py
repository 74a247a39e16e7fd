"""The ledger of what was agreed and withdrawn, by number. Lines are added, never changed."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.domain.consent import ConsentEntry
from service.store.tables import Consent


def append(
    db: Session,
    *,
    clinic_id: int,
    number: str,
    sender_id: int | None,
    granted: bool,
    at: datetime,
    method: str,
    wording_version: str | None = None,
    evidence: str | None = None,
) -> None:
    """Add a line. ``sender_id`` names the sender that it was said to; None where it was said to the clinic itself."""
    db.execute(
        insert(Consent).values(
            clinic_id=clinic_id,
            number=number,
            sender_id=sender_id,
            kind="granted" if granted else "revoked",
            at=at,
            method=method,
            wording_version=wording_version,
            evidence=evidence,
        )
    )


def entries_for(db: Session, numbers: Collection[str]) -> dict[str, list[ConsentEntry]]:
    """The lines of each number, of every clinic, oldest first; a number without lines has an empty list."""
    found: dict[str, list[ConsentEntry]] = {number: [] for number in numbers}
    lines = select(Consent.number, Consent.clinic_id, Consent.sender_id, Consent.kind, Consent.at, Consent.method)
    of_numbers = lines.where(Consent.number.in_(found)).order_by(Consent.at, Consent.id)
    for number, clinic_id, sender_id, kind, at, method in db.execute(of_numbers):
        entry = ConsentEntry(clinic_id, sender_id, granted=kind == "granted", at=at, by_text=method == "text")
        found[number].append(entry)
    return found
