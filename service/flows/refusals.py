"""What a refusal means for others than the one text: the number, the sender, the account, the consent, the staff.

One rule for both moments at which a provider refuses: at once, and later by receipt.
"""

from datetime import datetime
from logging import ERROR, INFO
from typing import assert_never

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.domain.sms import Blame, Failure, Refused
from service.flows.consent import withdraw
from service.store import running, tasks
from service.store.tables import Message, PhoneNumber

log = structlog.get_logger()


def draw_consequences(db: Session, message: Message, refusal: Refused | Failure, *, now: datetime) -> None:
    """Stop whatever the refusal shows to be no use, and say so to staff. A refusal to be tried again has none."""
    if _stop(db, message, refusal, now):
        _tell(db, message, refusal, now)


def _stop(db: Session, message: Message, refusal: Refused | Failure, now: datetime) -> bool:
    """Whether that is news to staff: of all texts that were on their way when a sender was stopped, the first is."""
    match refusal.blame:
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
        case Blame.SENDER:
            return running.pause_sender(db, message.sender_id, at=now, reason=refusal.because)
        case Blame.ACCOUNT:
            return running.pause_all(db, at=now, reason=refusal.because)
        case _:
            assert_never(refusal.blame)


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


def _tell(db: Session, message: Message, refusal: Refused | Failure, now: datetime) -> None:
    whose = message.patient_id or f"message {message.id}"
    about: dict[Blame, tuple[str, str]] = {
        Blame.RECIPIENT: (f"number_refused:{whose}:{refusal.code}:{now.date()}", "number_refused"),
        Blame.OPTED_OUT: (f"opted_out_at_provider:{message.id}", "opted_out_at_provider"),
        Blame.SENDER: (f"sender_paused:{message.sender_id}:{now.isoformat()}", "sender_paused"),
        Blame.ACCOUNT: (f"all_paused:{now.isoformat()}", "all_paused"),
        Blame.MESSAGE: (f"text_refused:{message.id}", "text_refused"),
    }
    identity, kind = about[refusal.blame]
    wide = refusal.blame in (Blame.SENDER, Blame.ACCOUNT)
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
