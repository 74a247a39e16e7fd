"""Ending a doubt about a text: it left, or it did not. By what the provider's list proves, or by what a person decides."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.domain.lifecycle import State
from service.domain.sms import ListedSms
from service.flows.staffing import NotThere, TooLate
from service.flows.telling import end_doubt
from service.store import doubts, journal, messages, patients
from service.store.tables import Message

IN_LIST, NOT_IN_LIST = "found_in_list", "not_in_list"


def attach(db: Session, message: Message, listed: ListedSms, *, now: datetime) -> None:
    """The provider lists the text: it left under this id."""
    doubts.finish(db, message, "accepted", provider_sid=listed.provider_sid, now=now)
    messages.change_state(db, message, State.SENT, provider_sid=listed.provider_sid, sent_at=listed.created_at)
    data = {"attempt": message.attempts, "segments": message.segments, "created_at": listed.created_at.isoformat()}
    journal.append(db, "sent", at=now, message=message, reason=IN_LIST, data=data)
    end_doubt(db, message, attempt=message.attempts, outcome="The provider lists the text: it had taken it.", now=now)


def not_listed(db: Session, message: Message, *, now: datetime) -> None:
    """The provider's list proves that it did not leave."""
    _plan_again(db, message, code=NOT_IN_LIST, detail="The provider's list does not show it.", now=now)
    journal.append(db, "not_sent", at=now, message=message, reason=NOT_IN_LIST, data={"attempt": message.attempts})
    end_doubt(
        db, message, attempt=message.attempts, outcome="The provider's list shows that it did not leave.", now=now
    )


def decide_sent(db: Session, message_id: int, *, reason: str, by: str, now: datetime, wait: timedelta) -> None:
    """A person found out that it left. Raises :class:`TooLate` where there is no doubt, or it may still end by itself."""
    message = _in_doubt(db, message_id, now=now, wait=wait)
    doubts.finish(db, message, "accepted", detail=f"Decided by {by}.", now=now)
    messages.change_state(db, message, State.SENT, sent_at=message.claimed_at or message.sent_at)
    _note_decision(db, message, "sent", reason=reason, by=by, now=now)


def decide_not_sent(db: Session, message_id: int, *, reason: str, by: str, now: datetime, wait: timedelta) -> None:
    """A person found out that it did not leave: it is sent again in the normal way, or missed if it is no use any more.

    Raises as :func:`decide_sent` does.
    """
    message = _in_doubt(db, message_id, now=now, wait=wait)
    _plan_again(db, message, code="decided", detail=f"Decided by {by}.", now=now)
    _note_decision(db, message, "not_sent", reason=reason, by=by, now=now)


def _plan_again(db: Session, message: Message, *, code: str, detail: str, now: datetime) -> None:
    """Due at once, after planning and a last look; what has become useless meanwhile is missed there."""
    doubts.finish(db, message, "refused", code=code, detail=detail, now=now)
    messages.change_state(
        db, message, State.PLANNED, attempt_at=now, sent_at=None, claimed_at=None, held_reason=None, settled_at=None
    )
    patients.mark(db, message.patient_id)


def _in_doubt(db: Session, message_id: int, *, now: datetime, wait: timedelta) -> Message:
    message = db.get(Message, message_id, with_for_update=True, populate_existing=True)
    if message is None:
        raise NotThere(f"There is no message {message_id}.")
    if message.state != State.UNCONFIRMED:
        raise TooLate(f"Nothing was decided: message {message_id} is {message.state}, and nobody doubts it.")
    ends_at = (message.sent_at or now) + 2 * wait
    if now < ends_at:
        left = (ends_at - now) / timedelta(seconds=1)
        raise TooLate(
            f"Nothing was decided: whether message {message_id} left is still being found out at the provider. If there is "
            f"still doubt in {left:.0f} seconds, a task will say so, and you can decide."
        )
    return message


def _note_decision(db: Session, message: Message, kind: str, *, reason: str, by: str, now: datetime) -> None:
    data = {"attempt": message.attempts, "by": by}
    journal.append(db, kind, at=now, message=message, reason=reason, data=data)
    end_doubt(db, message, attempt=message.attempts, outcome=f"Decided by {by}: {reason}", now=now)
