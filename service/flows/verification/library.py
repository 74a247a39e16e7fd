"""What many texts have in common, read once and kept while they are gone through: plans, wordings, hours of clinics."""

import json
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from service.domain.careplan import CarePlan
from service.domain.errors import AftercareError
from service.domain.plan_file import read_plan, window
from service.domain.windows import Window
from service.store import evidence_content
from service.store.evidence_content import Hours, Wording

UNUSABLE = (AftercareError, AttributeError, LookupError, TypeError, ValueError, OSError)
"""What reading a plan, a zone or hours raises that nobody could keep."""


@dataclass(frozen=True, slots=True)
class Place:
    """On whose clock, and in which hours of the clinic, texts to a patient are judged."""

    clinic_id: int
    zone: ZoneInfo
    window: Window
    own_zone: ZoneInfo | None = None


class Library:
    """Each thing is None where nobody could use it: then nothing that rests on it is judged."""

    def __init__(self, db: Session) -> None:
        self._db = db
        self._hours = evidence_content.hours(db)
        self._versions = evidence_content.plan_versions(db)
        self._plans: dict[int, CarePlan | None] = {}
        self._same: dict[str, CarePlan | None] = {}
        self._wordings: dict[int, Wording | None] = {}
        self._places: dict[tuple[int, str | None], Place | None] = {}

    def plan(self, version_id: int | None) -> CarePlan | None:
        """The plan of a version."""
        if version_id is None:
            return None
        if version_id not in self._plans:
            self._plans[version_id] = self._read(version_id)
        return self._plans[version_id]

    def _read(self, version_id: int) -> CarePlan | None:
        """Most clinics follow the same words, which are read and kept once."""
        document = evidence_content.plan_document(self._db, version_id)
        words = json.dumps(document, sort_keys=True)
        if words not in self._same:
            try:
                self._same[words] = read_plan(document or {})
            except UNUSABLE:
                self._same[words] = None
        return self._same[words]

    def version_at(self, clinic_id: int, at: datetime) -> int | None:
        """The newest version of the clinic's plan that had been written at a moment, else its first."""
        versions = self._versions[clinic_id]
        n = bisect_right(versions, at, key=lambda version: version[0])
        return versions[max(n - 1, 0)][1] if versions else None

    def fetch_wordings(self, ids: set[int]) -> None:
        """Read those of these versions of texts that are not known yet."""
        if missing := ids - self._wordings.keys():
            found = evidence_content.wordings(self._db, missing)
            self._wordings |= {key: found.get(key) for key in missing}

    def wording(self, version_id: int | None) -> Wording | None:
        """A version of a text that was fetched."""
        return self._wordings.get(version_id or 0)

    def place(self, clinic_id: int, own_zone: str | None) -> Place | None:
        """The clinic's clock and hours, and the patient's own clock, as they stand today."""
        key = clinic_id, own_zone
        if key not in self._places:
            self._places[key] = _place(self._hours[clinic_id], own_zone)
        return self._places[key]


def _place(hours: Hours, own_zone: str | None) -> Place | None:
    try:
        return Place(
            clinic_id=hours.id,
            zone=ZoneInfo(hours.time_zone),
            window=window(hours.window_opens, hours.window_closes),
            own_zone=ZoneInfo(own_zone) if own_zone else None,
        )
    except UNUSABLE:
        return None
