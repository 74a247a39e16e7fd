"""What staff decide by hand: skip a text, stop and start all sending, close a task. Each decision is journalled with who took it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.breakers import PROVIDER_DOWN
from service.domain.errors import AftercareError
from service.domain.lifecycle import State
from service.domain.reconciliation import BY_STAFF
from service.flows.holding import release
from service.store import journal, messages, running, tasks
from service.store.tables import Inbound, Message, Sender, Task


class NotThere(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no message or task of that number."""


class TooLate(AftercareError):  # noqa: N818 -- the name says what happened
    """What was to be decided had been decided, or had happened, before; nothing was changed."""


def skip_message(db: Session, message_id: int, *, reason: str, by: str, now: datetime) -> None:
    """Take a planned text out for good: planning never brings it back. Raises :class:`TooLate` where sending was quicker."""
    message = db.get(Message, message_id)
    if message is None:
        raise NotThere(f"There is no message {message_id}.")
    if not _cancel(db, message, reason=f"{BY_STAFF}{reason}", now=now):
        db.refresh(message)
        raise TooLate(f"Message {message_id} was not skipped: {_won(message)}.")
    journal.append(db, "skipped", at=now, message=message, reason=reason, data={"by": by})


def _cancel(db: Session, message: Message, *, reason: str, now: datetime) -> bool:
    """False if it was not planned any more, be it that a claim was quicker by a moment."""
    if message.state != State.PLANNED:
        return False
    return messages.change_state(db, message, State.CANCELLED, reason=reason, settled_at=now, held_reason=None)


def _won(message: Message) -> str:
    match State(message.state):
        case State.SENDING:
            return "it is leaving at this moment"
        case State.CANCELLED | State.MISSED:
            return f"it had ended before as {message.state} ({message.reason})"
        case State.UNCONFIRMED:
            return "it was handed to the provider, and whether it left is being found out"
        case _:
            return f"it was handed to the provider before and is now {message.state}"


def note_revealed(db: Session, message_id: int | None, *, which: Mapping[str, object], by: str, now: datetime) -> None:
    """Journal that somebody is about to see whole numbers: of one message, or of all that fit the filters ``which``."""
    message = None if message_id is None else db.get(Message, message_id)
    journal.append(db, "revealed", at=now, message=message, data={**which, "by": by})


def reveal_reply(db: Session, task_id: int, *, by: str, now: datetime) -> Inbound | None:
    """The text from a phone that a task is about, journalled as seen; None where it is about none. Raises :class:`NotThere`."""
    task = find_task(db, task_id)
    if task.inbound_id is None:
        return None
    seen = {"task": task_id, "inbound": task.inbound_id, "by": by}
    journal.append(db, "revealed", at=now, clinic_id=task.clinic_id, patient_id=task.patient_id, data=seen)
    return db.get_one(Inbound, task.inbound_id)


def pause(db: Session, *, reason: str, by: str, now: datetime) -> bool:
    """Let nothing leave at all, until a person resumes. False if a person had decided so before; the first reason then stays."""
    paused = running.pause_all(db, at=now, reason=reason)
    if paused:
        journal.append(db, "paused", at=now, reason=reason, data={"by": by})
    return paused


def resume(db: Session, *, by: str, now: datetime) -> list[str]:
    """Let texts leave again, from every sender that was stopped for the provider's sake, too. Says which pauses ended, and why they were.

    What they held is looked at again at once.
    """
    ended: list[str] = []
    # Senders before the installation, as everywhere: so nobody waits for ever.
    stopped = db.scalars(
        select(Sender).where(Sender.paused_at.is_not(None)).order_by(Sender.id).with_for_update()
    ).all()
    reason = running.installation(db).pause_reason
    if running.resume_all(db):
        ended.append(f"all sending ({reason})")
        for shown in ("paused", PROVIDER_DOWN):
            release(db, shown, now=now)
    for sender in stopped:
        ended.append(f"sender {sender.key} ({sender.pause_reason})")
        running.resume_sender(db, sender.id)
        for shown in ("sender_paused", PROVIDER_DOWN):
            release(db, shown, now=now, sender_id=sender.id)
    if ended:
        for kind in ("all_paused", "sender_paused", PROVIDER_DOWN):
            tasks.end_kind(db, kind, state="closed", outcome=f"Resumed by {by}.", now=now)
        journal.append(db, "resumed", at=now, reason="; ".join(ended), data={"by": by})
    return ended


def close_task(db: Session, task_id: int, *, outcome: str, by: str, now: datetime) -> None:
    """Close a task with what came of it. Raises :class:`TooLate` if it was closed or withdrawn before."""
    closed = tasks.close(db, task_id, outcome=outcome, now=now)
    task = find_task(db, task_id)
    if not closed:
        raise TooLate(f"Task {task_id} was not closed: it was {task.state} before ({task.outcome}).")
    journal.append(
        db,
        "task_closed",
        at=now,
        clinic_id=task.clinic_id,
        patient_id=task.patient_id,
        session_id=task.session_id,
        reason=outcome,
        data={"task": task_id, "by": by},
    )


def find_task(db: Session, task_id: int) -> Task:
    """The task of that number. Raises :class:`NotThere`."""
    task = db.get(Task, task_id, populate_existing=True)
    if task is None:
        raise NotThere(f"There is no task {task_id}.")
    return task
