"""Recording sessions and their patients as a source tells them. Only what is new or different is written.

What follows from it (a move, a cancellation, texts) planning sees by itself from the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from service.domain.session_record import SessionRecord
from service.flows.intake_people import Person, settle, write_people, write_settled
from service.store import feeds
from service.store.feeds import Values
from service.store.tables import Clinic, TreatmentSession

Outcome = Literal["created", "changed", "unchanged", "stale"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Which feed records come from, and the evidence for what it says was agreed (a file's name).

    ``imported``: they are a clinic's first import, so nobody has just been added or booked.
    """

    source: str
    evidence: str
    imported: bool = False


def record_session(db: Session, entry: SessionRecord, *, clinic: Clinic, now: datetime, origin: Origin) -> Outcome:
    """Record one session and its patient. An entry older than what is stored is stale, and nothing of it is taken."""
    return record_sessions(db, [entry], clinic=clinic, now=now, origin=origin)[0]


def record_sessions(
    db: Session, entries: Sequence[SessionRecord], *, clinic: Clinic, now: datetime, origin: Origin
) -> list[Outcome]:
    """The same for some hundred sessions, each id at most once, in a fixed number of statements."""
    feeds.take_turns(db, clinic.id)
    found = _compare(db, entries, clinic.id, origin.source)
    settled = settle(db, found.people, clinic=clinic, now=now)
    write_people(db, found.people, clinic_id=clinic.id, imported=origin.imported)
    _write_sessions(db, found, clinic.id, origin)
    write_settled(db, settled, clinic=clinic, now=now, evidence=origin.evidence)
    return found.outcomes


def foresee_sessions(db: Session, entries: Sequence[SessionRecord], *, clinic: Clinic, origin: Origin) -> list[Outcome]:
    """What recording these would come to. Nothing is written."""
    return _compare(db, entries, clinic.id, origin.source).outcomes


@dataclass(frozen=True, slots=True)
class _Findings:
    """What entries mean for the rows there are; ``people`` are those of whom an entry counted."""

    outcomes: list[Outcome] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    new: list[tuple[Person, Values]] = field(default_factory=list)
    changed: list[tuple[Person, Values]] = field(default_factory=list)


def _compare(db: Session, entries: Sequence[SessionRecord], clinic_id: int, source: str) -> _Findings:
    names = {entry.patient_external_id for entry in entries}
    stored = feeds.patients(db, clinic_id, external_ids=names)
    known = feeds.sessions(db, clinic_id, source=source, external_ids=[entry.external_id for entry in entries])
    people = {name: Person(name, stored.get(name)) for name in names}
    found, heard = _Findings(), {}
    for entry in entries:
        person, session = people[entry.patient_external_id], known.get(entry.external_id)
        if session and _is_older(entry.source_version, session["source_version"]):
            found.outcomes.append("stale")
            continue
        heard[person.external_id] = person
        found.outcomes.append(_compare_one(found, entry, person, session))
    found.people.extend(heard.values())
    return found


def _is_older(version: str | None, stored: str | None) -> bool:
    return version is not None and stored is not None and version < stored


def _compare_one(found: _Findings, entry: SessionRecord, person: Person, session: Values | None) -> Outcome:
    news = person.hear(entry)
    if session is None:
        found.new.append((person, _wanted(entry, {})))
        return "created"
    stored_of = person.stored["id"] if person.stored else None
    wanted = session | _wanted(entry, session) | {"patient_id": stored_of}
    different = {name for name, value in wanted.items() if value != session[name]}
    if different:
        found.changed.append((person, wanted))
    return "changed" if news or different - {"source_version"} else "unchanged"


def _wanted(entry: SessionRecord, stored: Mapping[str, Any]) -> Values:
    """The session as the entry wants it, as far as it says anything."""
    same_start = stored.get("scheduled_start") == entry.start
    completed_at, assumed = _completion(entry, stored)
    return {
        "external_id": entry.external_id,
        "scheduled_start": entry.start,
        "scheduled_end": entry.end or (stored.get("scheduled_end") if same_start else None),
        "completed_at": completed_at,
        "completed_assumed": assumed,
        "status": entry.status,
        "source_version": entry.source_version or stored.get("source_version"),
    }


def _completion(entry: SessionRecord, stored: Mapping[str, Any]) -> tuple[datetime | None, bool]:
    """When the session ended, and whether that is assumed. A time somebody noted is never given up for an assumed one."""
    if entry.status != "completed":
        return None, False
    noted, assumed = stored.get("completed_at"), stored.get("completed_assumed", False)
    if noted is not None and (entry.completed_at is None or (entry.completed_assumed and not assumed)):
        return noted, assumed
    return entry.completed_at, entry.completed_assumed


def _write_sessions(db: Session, found: _Findings, clinic_id: int, origin: Origin) -> None:
    of_feed = {"clinic_id": clinic_id, "source": origin.source, "imported": origin.imported}
    feeds.add_sessions(db, [{**wanted, **of_feed, "patient_id": person.id} for person, wanted in found.new])
    feeds.change(db, TreatmentSession, [wanted | {"patient_id": person.id} for person, wanted in found.changed])
