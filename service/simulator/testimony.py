"""What the service says in the end: every message and every task it has, and what it proves of itself, in the world's names."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.flows.verification.verifying import verify
from service.simulator.labels import Label, Labels
from service.simulator.log import Log, stamped, written
from service.store.tables import Message, Task


def testify(sessions: sessionmaker[Session], labels: Labels, log: Log, *, at: datetime) -> None:
    """Rows and tasks go into the log, ordered by what they are about, and then its end."""
    with sessions() as db:
        rows = [(labels.of_row(db, message), message) for message in db.scalars(select(Message).order_by(Message.id))]
        by_id = {message.id: label for label, message in rows}
        for label, message in sorted(rows, key=lambda row: _order(row[0])):
            log.note("row", at, **_row(label, message))
        tasks = [_task(db, labels, by_id, task) for task in db.scalars(select(Task).order_by(Task.id))]
    for facts in sorted(tasks, key=written):
        log.note("task", at, **facts)
    log.note("end", at)


def prove(sessions: sessionmaker[Session], labels: Labels, *, at: datetime) -> list[dict[str, Any]]:
    """The promises that the service finds broken when it verifies itself, as the judge would write them."""
    broken = verify(sessions, lambda: at).in_order()
    return [
        {
            "rule": f"verify: {each.rule}",
            "patient": labels.of(each.message_id)["patient"] if each.message_id is not None else None,
            "session": labels.session(each.session_id),
            "step": labels.of(each.message_id)["step"] if each.message_id is not None else None,
            "at": None,
            "detail": each.detail,
        }
        for each in broken
    ]


def _order(label: Label) -> str:
    return written(label)


def _row(label: Label, message: Message) -> dict[str, Any]:
    return {
        "label": label,
        "state": message.state,
        "reason": message.reason,
        "held_reason": message.held_reason,
        "due_at": stamped(message.due_at),
        "expires_at": stamped(message.expires_at),
        "attempts": message.attempts,
        "to_number": message.to_number,
    }


def _task(db: Session, labels: Labels, by_id: dict[int, Label], task: Task) -> dict[str, Any]:
    return {
        "task_kind": task.kind,
        "level": task.level,
        "patient": labels.patient(task.patient_id),
        "session": labels.session(task.session_id),
        "step": task.step,
        "opened_at": stamped(task.opened_at),
        "state": task.state,
        "about": by_id[task.message_id] if task.message_id is not None else None,
        "answers": labels.answered(db, task.inbound_id),
    }
