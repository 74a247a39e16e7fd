"""The patients of a feed: what it says of them, what they agreed to for the number it gives, and what staff must ask."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from service.domain.consent import ConsentEntry, Standing, standing
from service.domain.session_record import Agreement, SessionRecord
from service.store import consent, feeds, tasks
from service.store.feeds import Values
from service.store.tables import Clinic, Patient

FACTS = ("first_name", "last_name", "phone", "language")
NEW: Values = {"first_name": "", "last_name": "", "phone": None, "language": None, "may_ask": False}


@dataclass(slots=True)
class Person:
    """A patient while entries are gone through; ``stored`` is None for one who is new. Entries add to ``facts``."""

    external_id: str
    stored: Mapping[str, Any] | None
    facts: Values = field(default_factory=dict)
    agreement: Agreement | None = None
    id: int | None = None

    def hear(self, entry: SessionRecord) -> bool:
        """Take what an entry says of the patient; whether any of that is news."""
        before = self.now
        self.facts |= {name: value for name in FACTS if (value := getattr(entry, name)) is not None}
        self.agreement = entry.consent or self.agreement
        return self.stored is None or self.now != before

    @property
    def now(self) -> Values:
        """What holds of the patient after all that was heard."""
        return {**NEW, **(self.stored or {}), **self.facts}

    @property
    def changed_number(self) -> bool:
        """Whether the patient had another number before, which may have been the one that consent was given for."""
        old = self.stored["phone"] if self.stored else None
        return old is not None and old != self.now["phone"]


@dataclass(frozen=True, slots=True)
class Question:
    """Something about a patient's number that only staff can settle."""

    person: Person
    kind: str
    reason: str
    next_action: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows for consent: numbers that may be texted from now on, and what staff must ask."""

    granted: Collection[str]
    questions: list[Question]


def settle(db: Session, people: Iterable[Person], *, clinic: Clinic, now: datetime) -> Settled:
    """Decide on consent by what the ledger holds: an import speaks only of numbers that the clinic knows nothing of yet."""
    concerned = [p for p in people if p.now["phone"] and (p.agreement or p.changed_number)]
    ledger = consent.entries_for(db, {p.now["phone"] for p in concerned})
    granted: dict[str, None] = {}
    questions: list[Question] = []
    for person in concerned:
        number = person.now["phone"]
        stands = standing(ledger[number], clinic_id=clinic.id, sender_id=clinic.sender_id, now=now)
        agreement = None if _spoken_of(ledger[number], clinic.id) else person.agreement
        if agreement is Agreement.GRANTED:
            granted[number] = None
        if person.changed_number or agreement is Agreement.MAY_ASK:
            person.facts["may_ask"] = agreement is Agreement.MAY_ASK
        questions.extend(_questions(person, stands, agreement))
    return Settled(granted.keys(), questions)


def _spoken_of(entries: Iterable[ConsentEntry], clinic_id: int) -> bool:
    return any(entry.clinic_id == clinic_id for entry in entries)


def _questions(person: Person, stands: Standing, agreement: Agreement | None) -> Iterator[Question]:
    may_text = stands is Standing.GRANTED
    covered = stands is Standing.NONE and agreement in {Agreement.GRANTED, Agreement.MAY_ASK}
    if person.changed_number and not may_text and not covered:
        yield Question(
            person,
            "number_changed",
            "The patient has a new number, and there is no consent to text it. Nothing is sent to either number.",
            "Ask the patient, and record the consent for the new number.",
        )
    if person.agreement is Agreement.REFUSED and may_text:
        yield Question(
            person,
            "consent_doubted",
            "The clinic's file says that the patient agreed to no texts; here the number has consent and is still texted.",
            "Ask the patient. If they want no texts, record the withdrawal; if they do, correct the file.",
        )


def write_people(db: Session, people: Collection[Person], *, clinic_id: int, imported: bool) -> None:
    """Add those who are new, change those of whom something is different, and give each its ``id``."""
    new = [p for p in people if p.stored is None]
    rows = [{"clinic_id": clinic_id, "external_id": p.external_id, "imported": imported, **p.now} for p in new]
    ids = feeds.add_patients(db, clinic_id, rows)
    feeds.change(db, Patient, [p.now for p in people if p.stored and p.now != p.stored])
    for person in people:
        person.id = person.stored["id"] if person.stored else ids[person.external_id]


def write_settled(db: Session, settled: Settled, *, clinic: Clinic, now: datetime, evidence: str) -> None:
    """Enter the consents, and put the questions before staff; each question once."""
    line = {"clinic_id": clinic.id, "kind": "granted", "at": now, "method": "import", "evidence": evidence}
    feeds.add_consents(db, [line | {"number": number} for number in settled.granted])
    for question in settled.questions:
        number = sha256(str(question.person.now["phone"]).encode()).hexdigest()[:12]
        tasks.open_task(
            db,
            identity=f"{question.kind}:{question.person.id}:{number}",
            kind=question.kind,
            clinic_id=clinic.id,
            patient_id=question.person.id,
            now=now,
            reason=question.reason,
            next_action=question.next_action,
        )
