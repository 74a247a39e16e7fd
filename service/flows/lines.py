"""Whom a word said by a phone may concern: the sender it was said to, the clinics behind that, their patients."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.domain.errors import AftercareError
from service.store import running
from service.store.tables import Clinic, Consent, Inbound, Patient, SendAttempt, Sender


class NoClinic(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no clinic that the text could concern."""

    def __init__(self) -> None:
        super().__init__(
            "There is no clinic yet, so nobody can act on this text. It is kept: add the clinic, then read it."
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One phone at one of our senders. ``clinic_id`` is the clinic that answers: the one that texted the phone last.

    ``clinic_ids`` are those that know the number, at least one; ``patients`` have it, those of ``clinic_id`` first.
    """

    number: str
    sender_id: int
    clinic_id: int
    clinic_ids: tuple[int, ...]
    patients: tuple[Patient, ...]


def sender_of(db: Session, inbound: Inbound) -> int:
    """The sender a text was said to; where several or none fit, the one that texted the phone last, else the first."""
    is_it = Sender.number == inbound.to_number
    if inbound.messaging_service is not None:
        is_it |= Sender.messaging_service == inbound.messaging_service
    fitting = list(db.scalars(select(Sender.id).where(is_it).order_by(Sender.id)))
    if len(fitting) == 1:
        return fitting[0]
    texted = select(SendAttempt.sender_id).where(SendAttempt.number == inbound.from_number)
    if fitting:
        texted = texted.where(SendAttempt.sender_id.in_(fitting))
    last = db.scalar(texted.order_by(SendAttempt.started_at.desc(), SendAttempt.id.desc()).limit(1))
    return last or (fitting or [running.ONE])[0]


def line_of(db: Session, number: str, *, sender_id: int) -> Line:
    """Everybody a word from ``number`` may concern. A clinic that has left the sender but texted from it is among them."""
    texted = _clinics_that_texted(db, number, sender_id)
    behind = {*texted, *db.scalars(select(Clinic.id).where(Clinic.sender_id == sender_id))}
    own = select(Patient).where(Patient.phone == number, Patient.clinic_id.in_(behind))
    patients = list(db.scalars(own.order_by(Patient.clinic_id, Patient.id)))
    said = select(Consent.clinic_id).where(Consent.number == number)
    known = {*texted, *(p.clinic_id for p in patients)}
    known.update(db.scalars(said.where(or_(Consent.clinic_id.in_(behind), Consent.sender_id == sender_id))))
    answers = next(iter([*texted, *(p.clinic_id for p in patients), *sorted(known | behind)]), None)
    if answers is None and (answers := db.scalar(select(Clinic.id).order_by(Clinic.id).limit(1))) is None:
        raise NoClinic
    patients.sort(key=lambda p: p.clinic_id != answers)
    return Line(number, sender_id, answers, tuple(sorted(known)) or (answers,), tuple(patients))


def _clinics_that_texted(db: Session, number: str, sender_id: int) -> list[int]:
    """Clinics that texted the number from the sender, the latest first."""
    attempts = select(SendAttempt.clinic_id).where(SendAttempt.number == number, SendAttempt.sender_id == sender_id)
    last = func.max(SendAttempt.started_at)
    return list(db.scalars(attempts.group_by(SendAttempt.clinic_id).order_by(last.desc(), SendAttempt.clinic_id)))
