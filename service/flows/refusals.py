"""What a refusal means for others than the one text: the number, the sender, the account, the consent, the staff.

One rule for both moments at which a provider refuses: at once, and later by receipt.
"""

from datetime import datetime
from logging import ERROR, INFO
from typing import assert_never

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.domain.breakers import Cause, Reach
from service.domain.sms import Blame, Failure, Refused
from service.flows.breakers import stop_for
from service.flows.consent import withdraw
from service.store import attempts, running, tasks
from service.store.tables import Message, PhoneNumber, Sender

log = structlog.get_logger()


def draw_consequences(db: Session, message: Message, refusal: Refused | Failure, *, now: datetime) -> None:
    """Stop whatever the refusal shows to be no use, and say so to staff. A refusal to be tried again has none."""
    blame = Blame.MESSAGE if _is_its_own(db, message, refusal) else refusal.blame
    if _stop(db, message, refusal, blame, now):
        _tell(db, message, refusal, blame, now)


def _is_its_own(db: Session, message: Message, refusal: Refused | Failure) -> bool:
    """A text that is turned away once more for the same reason, though others got through in between, has a fault of its own.

    Such as a number in a country that the account may not text: that is no reason to stop everybody else's texts again.
    """
    if refusal.blame not in (Blame.SENDER, Blame.ACCOUNT) or isinstance(refusal, Failure):
        return False
    sender = db.get_one(Sender, message.sender_id)
    if sender.paused_at is not None or running.installation(db).paused_at is not None:
        return False
    of = sender.id if refusal.blame is Blame.SENDER else None
    return attempts.others_got_through(db, message.id, code=refusal.code, sender_id=of)


def _stop(db: Session, message: Message, refusal: Refused | Failure, blame: Blame, now: datetime) -> bool:
    """Whether that is news to staff: of all texts that were on their way when a sender was stopped, the first is."""
    match blame:
        case Blame.RETRY:
            return False
        case Blame.MESSAGE:
            return True
        case Blame.RECIPIENT:
            _block_number(db, message, refusal, now)
            return True
        case Blame.OPTED_OUT:
            _opt_out(db, message, now)
            return True
        case Blame.SENDER | Blame.ACCOUNT:
            reach = Reach.SENDER if blame is Blame.SENDER else Reach.ALL
            # Where texts fail after they were taken, one more that is taken proves nothing: then a person looks.
            cause = Cause.REFUSED if isinstance(refusal, Refused) else None
            because = refusal.because
            return stop_for(db, reach, sender_id=message.sender_id, cause=cause, reason=because, now=now)
        case _:
            assert_never(blame)


def _block_number(db: Session, message: Message, refusal: Refused | Failure, now: datetime) -> None:
    block = update(PhoneNumber).where(PhoneNumber.number == message.to_number, PhoneNumber.blocked_at.is_(None))
    db.execute(block.values(blocked_at=now, blocked_code=refusal.code, blocked_reason=refusal.reason))


def _opt_out(db: Session, message: Message, now: datetime) -> None:
    if message.to_number is not None:
        withdraw(
            db,
            number=message.to_number,
            sender_id=message.sender_id,
            now=now,
            method="provider",
            evidence=f"message {message.id}",
        )


def _tell(db: Session, message: Message, refusal: Refused | Failure, blame: Blame, now: datetime) -> None:
    whose = message.patient_id or f"message {message.id}"
    about: dict[Blame, tuple[str, str]] = {
        Blame.RECIPIENT: (f"number_refused:{whose}:{refusal.code}:{now.date()}", "number_refused"),
        Blame.OPTED_OUT: (f"opted_out_at_provider:{message.id}", "opted_out_at_provider"),
        Blame.SENDER: (f"sender_paused:{message.sender_id}:{now.isoformat()}", "sender_paused"),
        Blame.ACCOUNT: (f"all_paused:{now.isoformat()}", "all_paused"),
        Blame.MESSAGE: (f"text_refused:{message.id}", "text_refused"),
    }
    identity, kind = about[blame]
    wide = blame in (Blame.SENDER, Blame.ACCOUNT)
    log.log(ERROR if wide else INFO, kind, message=message.id, sender=message.sender_id, code=refusal.code)
    tasks.open_task(
        db,
        identity=identity,
        kind=kind,
        clinic_id=message.clinic_id,
        patient_id=None if wide else message.patient_id,
        session_id=None if wide else message.session_id,
        message_id=message.id,
        level="red" if wide else "amber",
        now=now,
        reason=refusal.because,
        next_action=refusal.next_action,
    )
