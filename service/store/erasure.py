"""What names a person, wherever it stands, and taking it out: words and numbers go, counts, times and states stay.

A number that another patient of the clinic has, too, is that patient's as well, and stays where it is.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from service.domain.reconciliation import BY_STAFF
from service.store.columns import Table
from service.store.inserts import insert_missing
from service.store.seals import MARK, Sealer
from service.store.tables import (
    Consent,
    Inbound,
    JournalEntry,
    Message,
    Patient,
    PhoneNumber,
    ProviderCopy,
    RawReceipt,
    SendAttempt,
    Task,
    TreatmentSession,
)

ERASED = "erased"
"""Stands where a person's own words stood."""
ERASURE = "patient_erased"
"""The entry of the journal about an erasure, which is its proof."""
NAMING_A_NUMBER = ("number_changed", "consent_doubted")
"""Kinds of tasks whose identity holds a hash of the number without a key: whoever tries all numbers finds it."""


@dataclass(frozen=True, slots=True)
class Person:
    """A patient with every number they had here, and those of them that no other patient of the clinic has."""

    patient: Patient
    numbers: frozenset[str]
    alone: frozenset[str]

    @property
    def attempts(self) -> ColumnElement[bool]:
        """Handings over of texts about or to the person."""
        nobodys = and_(SendAttempt.patient_id.is_(None), SendAttempt.number.in_(self.alone))
        return and_(
            SendAttempt.clinic_id == self.patient.clinic_id, or_(SendAttempt.patient_id == self.patient.id, nobodys)
        )

    @property
    def messages(self) -> ColumnElement[bool]:
        """Texts about or to the person."""
        nobodys = and_(
            Message.clinic_id == self.patient.clinic_id,
            Message.patient_id.is_(None),
            or_(
                Message.to_number.in_(self.alone),
                Message.id.in_(select(SendAttempt.message_id).where(self.attempts)),
            ),
        )
        return or_(Message.patient_id == self.patient.id, nobodys)

    @property
    def replies(self) -> ColumnElement[bool]:
        """Texts from the person's phone; from one that several have, those of which it is known who wrote them."""
        nobodys = and_(Inbound.patient_id.is_(None), self.from_own_numbers)
        return or_(Inbound.patient_id == self.patient.id, nobodys)

    @property
    def from_own_numbers(self) -> ColumnElement[bool]:
        own_clinic = or_(Inbound.clinic_id == self.patient.clinic_id, Inbound.clinic_id.is_(None))
        return and_(Inbound.from_number.in_(self.alone), own_clinic)

    @property
    def consents(self) -> ColumnElement[bool]:
        """Lines of the ledger of the clinic about the numbers that are the person's alone."""
        return and_(Consent.clinic_id == self.patient.clinic_id, Consent.number.in_(self.alone))


def person(db: Session, patient: Patient) -> Person:
    """Where the person is to be found."""
    own_texts = Message.patient_id == patient.id, Message.kind != "page"
    tried = select(SendAttempt.number).join(Message, Message.id == SendAttempt.message_id).where(*own_texts)
    fixed = select(Message.to_number).where(*own_texts)
    wrote = select(Inbound.from_number).where(Inbound.patient_id == patient.id)
    found = {patient.phone, *db.scalars(tried), *db.scalars(fixed), *db.scalars(wrote)}
    numbers = frozenset(number for number in found if number and not number.startswith(MARK))
    others = select(Patient.phone).where(
        Patient.phone.in_(numbers), Patient.clinic_id == patient.clinic_id, Patient.id != patient.id
    )
    return Person(patient, numbers, numbers - {number for number in db.scalars(others) if number})


def waits_to_be_read(db: Session, of: Person) -> bool:
    """Whether a text from the person's phone has come that nobody has understood yet."""
    new = exists().where(Inbound.state == "new", Inbound.from_number.in_(of.numbers))
    return bool(db.scalar(select(new)))


def order_forgetting(db: Session, sids: Iterable[tuple[int, str]], *, now: datetime) -> None:
    """Have the provider's copies of these texts deleted: pairs of a clinic and the provider's id."""
    rows = [
        {"clinic_id": clinic_id, "provider_sid": sid, "wanted_at": now, "next_at": now}
        for clinic_id, sid in sids
        if sid
    ]
    insert_missing(db, ProviderCopy, rows)


def copies(db: Session, of: Person) -> set[str]:
    """The provider's ids of every text to and from the person."""
    tried = select(SendAttempt.provider_sid).where(of.attempts)
    sent = select(Message.provider_sid).where(of.messages)
    wrote = select(Inbound.provider_sid).where(of.replies)
    return {sid for each in (tried, sent, wrote) for sid in db.scalars(each) if sid}


def count(db: Session, of: Person) -> dict[str, int]:
    """What is held about the person, in numbers of rows."""
    kinds: dict[str, tuple[type[Table], ColumnElement[bool]]] = {
        "sessions": (TreatmentSession, TreatmentSession.patient_id == of.patient.id),
        "messages": (Message, of.messages),
        "attempts": (SendAttempt, of.attempts),
        "replies": (Inbound, of.replies),
        "tasks": (Task, _tasks(of)),
        "consents": (Consent, of.consents),
    }
    return {
        name: len(db.execute(select(table.__table__.c.id).where(which)).all()) for name, (table, which) in kinds.items()
    }


def erase_texts(db: Session, of: Person, sids: Collection[str]) -> None:
    """Take the words out of texts, of what the provider said of them, and of what was written back."""
    message_ids = list(db.scalars(select(Message.id).where(of.messages)))
    _write(db, update(SendAttempt).where(of.attempts), text="", body_hash="")
    _write(db, update(Message).where(Message.id.in_(message_ids)), text=None, to_number=None)
    skipped = update(Message).where(Message.id.in_(message_ids), Message.reason.startswith(BY_STAFF))
    _write(db, skipped, reason=f"{BY_STAFF}{ERASED}")
    _write(db, update(Inbound).where(of.replies), body="", fields={})
    for receipt in db.scalars(select(RawReceipt).where(RawReceipt.provider_sid.in_(sids))):
        # One that still waits is read from these fields: only what names the number goes.
        receipt.fields = {} if receipt.applied_at else _without(receipt.fields, of.numbers)
    _erase_reasons(db, of, message_ids)


def erase_tasks(db: Session, of: Person, *, now: datetime) -> None:
    """Take what staff were told out of tasks, and withdraw those still to do."""
    about = _tasks(of)
    open_ones = update(Task).where(about, Task.state.in_(("planned", "open")))
    _write(db, open_ones, state="withdrawn", outcome=ERASED, closed_at=now)
    _write(db, update(Task).where(about), reason="", next_action="")
    _write(db, update(Task).where(about, Task.outcome.is_not(None)), outcome=ERASED)
    for task in db.scalars(select(Task).where(about, Task.kind.in_(NAMING_A_NUMBER))):
        task.identity = f"{task.kind}:{task.patient_id}:{ERASED}:{task.id}"


def erase_patient(db: Session, of: Person, *, now: datetime) -> None:
    """Take the name and every id of the clinic's; the row stays for what points to it. Nothing is sent to it any more."""
    patient = of.patient
    patient.first_name = patient.last_name = ""
    patient.external_id = patient.phone = patient.pause_reason = patient.paused_until = None
    patient.authorisation_ends, patient.may_ask, patient.erased_at = None, False, now
    if patient.status == "active":
        patient.status = "inactive"
    own = update(TreatmentSession).where(TreatmentSession.patient_id == patient.id)
    _write(db, own, external_id=None, source_version=None)
    db.flush()


def seal_numbers(db: Session, of: Person, sealer: Sealer) -> None:
    """Put seals in place of the numbers that are the person's alone, and take out evidence that names the person."""
    names = of.patient.first_name, of.patient.last_name, of.patient.external_id, *of.numbers
    telling = [name.casefold() for name in names if name and len(name) > 1]
    lines = db.execute(select(Consent.id, Consent.evidence).where(of.consents)).all()
    named = [key for key, said in lines if said and any(name in said.casefold() for name in telling)]
    for number in sorted(of.alone):
        seal_number(db, of.patient.clinic_id, number, sealer, without_evidence=named)


def seal_number(
    db: Session, clinic_id: int, number: str, sealer: Sealer, *, without_evidence: Collection[int] = ()
) -> None:
    """Put the seal wherever this clinic keeps the number. ``without_evidence``: lines whose evidence goes with it."""
    seal = sealer.seal(number)
    lines = update(Consent).where(Consent.clinic_id == clinic_id, Consent.number == number)
    _write(db, lines.where(Consent.id.in_(without_evidence)), number=seal, evidence=None)
    _write(db, lines, number=seal)
    tried = update(SendAttempt).where(SendAttempt.clinic_id == clinic_id, SendAttempt.number == number)
    _write(db, tried, number=seal)
    waits_for_none = Message.clinic_id == clinic_id, Message.to_number == number, Message.state != "planned"
    _write(db, update(Message).where(*waits_for_none), to_number=None)
    own_clinic = or_(Inbound.clinic_id == clinic_id, Inbound.clinic_id.is_(None))
    _write(db, update(Inbound).where(own_clinic, Inbound.from_number == number), from_number=seal, fields={})


def forget_numbers(db: Session, numbers: Collection[str]) -> None:
    """Forget what is known of numbers as such that no patient of any clinic has."""
    had = exists().where(Patient.phone == PhoneNumber.number)
    db.execute(delete(PhoneNumber).where(PhoneNumber.number.in_(numbers), ~had))


def _tasks(of: Person) -> ColumnElement[bool]:
    replies: Select[Any] = select(Inbound.id).where(of.replies)
    messages: Select[Any] = select(Message.id).where(of.messages)
    return or_(Task.patient_id == of.patient.id, Task.inbound_id.in_(replies), Task.message_id.in_(messages))


def _erase_reasons(db: Session, of: Person, message_ids: Collection[int]) -> None:
    """Reasons that people typed, but for why somebody was erased; the service's own are stable words."""
    about = or_(JournalEntry.patient_id == of.patient.id, JournalEntry.message_id.in_(message_ids))
    typed = select(JournalEntry.id, JournalEntry.data).where(about, JournalEntry.reason.is_not(None))
    typed = typed.where(JournalEntry.kind != ERASURE)
    by_people = [key for key, data in db.execute(typed) if "by" in data]
    _write(db, update(JournalEntry).where(JournalEntry.id.in_(by_people)), reason=ERASED)


def _without(fields: dict[str, Any], numbers: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if not any(number in str(value) for number in numbers)}


def _write(db: Session, rows: Any, **values: Any) -> None:
    db.execute(rows.values(values), execution_options={"synchronize_session": False})
