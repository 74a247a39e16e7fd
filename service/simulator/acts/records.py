"""Patients and sessions reach the database by three ways, and are noted as the truth once they stand there.

The service's own intake, an imported file, and plain SQL: whichever it was, the rows must then be as the world is.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import NoResultFound, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.domain.session_record import Agreement, SessionRecord
from service.flows.intake import Origin, record_sessions
from service.simulator.acts import feeds
from service.simulator.acts.hand import Hand
from service.simulator.chaos import DiedError
from service.simulator.log import stamp
from service.simulator.people import Person, Visit
from service.store import consent, tables

DESK = "desk"
AGAIN = timedelta(seconds=1)
AGREED = {"yes": Agreement.GRANTED, "ask": Agreement.MAY_ASK}


class TruthLostError(AftercareError):
    """The service took something over otherwise than it was told."""

    def __init__(self, key: str, told: object, found: object) -> None:
        super().__init__(
            f"Of {key} the service was told {told}, and {found} stands in its database: intake has a fault."
        )


class Records:
    """Writes people and their sessions. ``mortal`` are the service's own sessions, in which an import may die."""

    def __init__(self, hand: Hand, mortal: sessionmaker[Session]) -> None:
        self._hand, self._mortal = hand, mortal
        self._noted: dict[str, dict[str, Any]] = {}
        self.people: dict[int, Person] = {}
        self.visits: dict[int, Visit] = {}

    def enter(self, person: Person) -> None:
        """A patient, or what is different about one, by SQL. What files told before is old from then on."""
        with self._hand.sessions.begin() as db:
            _write_person(db, person)
            for visit in person.visits:
                _write_visit(db, visit, version=self.version())
        self._note([person], [], by="sql")

    def tell(self, visit: Visit, *, by: str) -> None:
        """A session and its patient as they are now; ``by`` is service, import or sql."""
        match by:
            case "service":
                self._record(visit)
            case "import":
                self.import_file(feeds.write_file([visit], version=self.version()), [visit])
            case _:
                self._write(visit)

    def version(self) -> str:
        """How a feed names the state of the present moment."""
        return stamp(self._hand.clock.now)

    def import_file(self, file: str, visits: Sequence[Visit], *, complete: bool = False) -> None:
        """A file that tells of these sessions of one clinic. An import that breaks off is started again, until it is through."""
        place, clock = visits[0].person.place, self._hand.clock
        agreed = self._newly_agreed(visits)
        while True:
            try:
                feeds.deliver(self._mortal, clock.shown, file, place=place, complete=complete)
                break
            except (DiedError, OperationalError):
                if self._stand(visits):
                    self._taken_over(visits, agreed, by="import")
                    agreed = []
                clock.go_on(AGAIN)
        self._taken_over(visits, agreed, by="import")

    def _stand(self, visits: Iterable[Visit]) -> bool:
        """Whether an import that broke off had come as far as to write all of these."""
        with self._hand.sessions() as db:
            try:
                for visit in visits:
                    _read_person(db, visit.person)
                    _read_visit(db, visit)
            except (NoResultFound, TruthLostError):
                return False
        return True

    def _record(self, visit: Visit) -> None:
        agreed = self._newly_agreed([visit])
        person, now = visit.person, self._hand.clock.shown()
        entry = SessionRecord(
            external_id=visit.key,
            patient_external_id=person.key,
            start=visit.start,
            status=visit.status,
            first_name=person.first_name,
            last_name=person.last_name,
            phone=person.number,
            language=person.language,
            end=visit.end,
            completed_at=visit.completed_at,
            consent=AGREED.get(person.paper),
        )
        with self._hand.sessions.begin() as db:
            clinic = db.get_one(tables.Clinic, person.place.id)
            record_sessions(db, [entry], clinic=clinic, now=now, origin=Origin(DESK, "the desk's form"))
        self._taken_over([visit], agreed, by="service")

    def _write(self, visit: Visit) -> None:
        with self._hand.sessions.begin() as db:
            _write_person(db, visit.person)
            _write_visit(db, visit, version=self.version())
        self._note([visit.person], [visit], by="sql")

    def _newly_agreed(self, visits: Iterable[Visit]) -> list[Person]:
        """Those of whom a feed is the first to say that they agreed: where the ledger knows the number, it says nothing new."""
        found: dict[tuple[str, str], Person] = {}
        for person in (visit.person for visit in visits):
            if person.number and person.paper == "yes":
                found.setdefault((person.place.key, person.number), person)
        with self._hand.sessions() as db:
            ledger = consent.entries_for(db, [number for _, number in found])
        return [
            person
            for (_, number), person in found.items()
            if not any(line.clinic_id == person.place.id for line in ledger[number])
        ]

    def _taken_over(self, visits: Sequence[Visit], agreed: Iterable[Person], *, by: str) -> None:
        """What feeds do not speak of follows by SQL; then all must stand there as it was told."""
        people = list({visit.person.key: visit.person for visit in visits}.values())
        with self._hand.sessions.begin() as db:
            for person in people:
                _read_person(db, person)
                _write_person(db, person)
            for visit in visits:
                _read_visit(db, visit)
        for person in agreed:
            place = person.place.key
            self._hand.note("consent", number=person.number, clinic=place, what="granted", method="import")
        self._note(people, visits, by=by)

    def _note(self, people: Iterable[Person], visits: Iterable[Visit], *, by: str) -> None:
        """Log those that are different from what was noted last."""
        self.people |= {person.id: person for person in people}
        self.visits |= {visit.id: visit for visit in visits}
        for kind, whose in (("patient", people), ("session", visits)):
            for row in whose:
                document = row.document()
                if self._noted.get(row.key) != document:
                    self._noted[row.key] = document
                    self._hand.note(kind, **document, by=by)


def _write_person(db: Session, person: Person) -> None:
    values = {
        "clinic_id": person.place.id,
        "external_id": person.key,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "phone": person.number,
        "language": person.language,
        "time_zone": person.zone,
        "status": person.status,
        "interval_weeks": person.interval_weeks,
        "may_ask": person.may_ask,
    }
    person.id = _write_row(db, tables.Patient, person.id, values)


def _write_visit(db: Session, visit: Visit, *, version: str) -> None:
    values = {
        "clinic_id": visit.person.place.id,
        "patient_id": visit.person.id,
        "external_id": visit.key,
        "scheduled_start": visit.start,
        "scheduled_end": visit.end,
        "completed_at": visit.completed_at,
        "status": visit.status,
    }
    if not visit.id:
        values["source"] = visit.source
    if visit.source == feeds.SOURCE:
        values["source_version"] = version
    visit.id = _write_row(db, tables.TreatmentSession, visit.id, values)


def _write_row(
    db: Session, table: type[tables.Patient | tables.TreatmentSession], key: int, values: dict[str, Any]
) -> int:
    if key:
        db.execute(update(table).where(table.id == key).values(values))
        return key
    return int(db.scalar(insert(table).values(values).returning(table.id)) or 0)


def _read_person(db: Session, person: Person) -> None:
    """Learn the keys, and whether the feed lets the patient be asked; all else must be as it was told."""
    row = db.scalars(
        select(tables.Patient).where(
            tables.Patient.clinic_id == person.place.id, tables.Patient.external_id == person.key
        )
    ).one()
    told = (person.first_name, person.last_name, person.number)
    found = (row.first_name, row.last_name, row.phone)
    if told != found or (person.language or row.language) != row.language:
        raise TruthLostError(person.key, told, found)
    person.id, person.may_ask, person.imported = row.id, row.may_ask, row.imported


def _read_visit(db: Session, visit: Visit) -> None:
    row = db.scalars(
        select(tables.TreatmentSession).where(
            tables.TreatmentSession.clinic_id == visit.person.place.id,
            tables.TreatmentSession.external_id == visit.key,
        )
    ).one()
    told = _told(visit.person.id, visit.start, visit.status)
    found = _told(row.patient_id, row.scheduled_start, row.status)
    if told != found or visit.completed_at not in (None, row.completed_at):
        raise TruthLostError(visit.key, told, found)
    visit.id, visit.imported = row.id, row.imported


def _told(patient_id: int, start: datetime, status: str) -> tuple[int, datetime, str]:
    return patient_id, start, status
