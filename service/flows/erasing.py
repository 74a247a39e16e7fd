"""The right to be forgotten: everything that names a person goes; counts, times and the proof of an opt-out stay."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.errors import AftercareError
from service.domain.lifecycle import State
from service.flows.patient_pauses import NoSuchPatient
from service.store import erasure, journal, messages
from service.store.seals import sealer_of
from service.store.tables import Message, Patient, TreatmentSession

REASON = erasure.ERASED
WAITING = (State.PLANNED, State.SENDING, State.UNCONFIRMED)


class NotNow(AftercareError):  # noqa: N818 -- the name says when it is possible
    """Something about the person is under way; nothing was erased."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What there was, in rows; how many texts waited; how many copies the provider has; numbers that another patient shares."""

    rows: dict[str, int]
    withdrawn: int
    copies: int
    shared_numbers: int


def look_before_erasing(db: Session, patient_id: int) -> Erased:
    """What erasing would find. Changes nothing."""
    patient = db.get(Patient, patient_id)
    if patient is None:
        raise NoSuchPatient(f"There is no patient {patient_id}.")
    who = erasure.person(db, patient)
    waiting = [m for m in _under_way(db, who) if m.state == State.PLANNED]
    return _counted(db, who, waiting, erasure.copies(db, who))


def erase(db: Session, patient_id: int, *, reason: str, by: str, now: datetime) -> Erased:
    """Erase a person in one transaction, and have the provider's copies deleted by :mod:`service.flows.forgetting`.

    Raises :class:`NotNow` where a text is in the provider's hands without an answer, or one from the person is unread; and
    an own error where no lasting key could seal the number.
    """
    # Sessions, patient, number, in that order: as other programs, planning and sending hold them.
    own = select(TreatmentSession.id).where(TreatmentSession.patient_id == patient_id).order_by(TreatmentSession.id)
    db.execute(own.with_for_update())
    patient = db.get(Patient, patient_id, with_for_update=True, populate_existing=True)
    if patient is None:
        raise NoSuchPatient(f"There is no patient {patient_id}.")
    sealer = sealer_of(db)
    who = erasure.person(db, patient)
    messages.lock_numbers(db, who.numbers)
    waiting = _free_to_go(db, who)
    sids = erasure.copies(db, who)
    found = _counted(db, who, waiting, sids)
    for message in waiting:
        messages.change_state(db, message, State.CANCELLED, reason=REASON, settled_at=now, held_reason=None)
        journal.append(db, "withdrawn", at=now, message=message, reason=REASON)
    erasure.order_forgetting(db, ((patient.clinic_id, sid) for sid in sorted(sids)), now=now)
    erasure.erase_tasks(db, who, now=now)
    erasure.erase_texts(db, who, sids)
    erasure.seal_numbers(db, who, sealer)
    erasure.erase_patient(db, who, now=now)
    erasure.forget_numbers(db, who.numbers)
    data = {**found.rows, "withdrawn": found.withdrawn, "copies": found.copies, "by": by}
    journal.append(
        db,
        erasure.ERASURE,
        at=now,
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        reason=reason,
        data=data,
    )
    return found


def _counted(db: Session, who: erasure.Person, waiting: list[Message], sids: set[str]) -> Erased:
    return Erased(erasure.count(db, who), len(waiting), len(sids), len(who.numbers - who.alone))


def _under_way(db: Session, who: erasure.Person, *, held: bool = False) -> list[Message]:
    """Texts that are not at their end; ``held``: those of them that no worker has in its hands, and nobody gets meanwhile."""
    rows = select(Message).where(who.messages, Message.state.in_(WAITING)).order_by(Message.id)
    if held:
        rows = rows.with_for_update(skip_locked=True)
    return list(db.scalars(rows, execution_options={"populate_existing": True}))


def _free_to_go(db: Session, who: erasure.Person) -> list[Message]:
    """The planned texts, locked. Raises :class:`NotNow`."""
    all_of_them = len(_under_way(db, who))
    waiting = _under_way(db, who, held=True)
    doubtful = [message for message in waiting if message.state == State.UNCONFIRMED]
    if doubtful:
        raise NotNow(
            f"Nobody knows yet whether message {doubtful[0].id} left, and its words are needed to find out. Nothing was "
            "erased. Wait until it is settled, or settle it with `aftercare message decide`."
        )
    if len(waiting) < all_of_them or any(message.state == State.SENDING for message in waiting):
        raise NotNow("A text to this person is leaving at this moment. Nothing was erased; try again in a minute.")
    if erasure.waits_to_be_read(db, who):
        raise NotNow(
            "A text has come from this person's phone that is not understood yet. Nothing was erased; it may be a cry for "
            "help. Try again in a minute."
        )
    return waiting
