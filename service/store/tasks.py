"""What people have to do: opened once, listed by urgency, closed with an outcome."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, case, literal_column, select, update
from sqlalchemy.orm import Session

from service.store.inserts import insert_new
from service.store.tables import Message, Task

# Spelled out and not bound, so that both databases see that the partial index holds all that is asked for.
PLANNED = Task.state == literal_column("'planned'")

URGENCY = case({"red": 0, "amber_urgent": 1, "amber": 2}, value=Task.level, else_=3)


def open_task(
    db: Session,
    *,
    identity: str,
    kind: str,
    clinic_id: int,
    now: datetime,
    level: str = "routine",
    patient_id: int | None = None,
    session_id: int | None = None,
    message_id: int | None = None,
    inbound_id: int | None = None,
    reason: str,
    next_action: str,
    due_at: datetime | None = None,
    step: str | None = None,
) -> bool:
    """Put a task before staff, due now unless said otherwise. False if ``identity`` was there before, whatever became of it."""
    written = insert_new(
        db,
        Task,
        identity=identity,
        kind=kind,
        clinic_id=clinic_id,
        level=level,
        patient_id=patient_id,
        session_id=session_id,
        message_id=message_id,
        inbound_id=inbound_id,
        reason=reason,
        next_action=next_action,
        step=step,
        due_at=due_at or now,
        opened_at=now,
        state="open",
    )
    return written is not None


def open_about(
    db: Session, message: Message, *, identity: str, kind: str, level: str, now: datetime, reason: str, next_action: str
) -> bool:
    """As :func:`open_task` does, about a text: it goes to the clinic of the text, with the patient and the session."""
    return open_task(
        db,
        identity=identity,
        kind=kind,
        clinic_id=message.clinic_id,
        patient_id=message.patient_id,
        session_id=message.session_id,
        message_id=message.id,
        level=level,
        now=now,
        reason=reason,
        next_action=next_action,
    )


def listed(
    db: Session, *, state: str | None = "open", clinic_id: int | None = None, patient_id: int | None = None
) -> list[Task]:
    """Tasks, the most urgent first, then by the time they are due. None leaves a filter out."""
    tasks: Select[Task] = select(Task).order_by(URGENCY, Task.due_at, Task.id)
    for column, wanted in ((Task.state, state), (Task.clinic_id, clinic_id), (Task.patient_id, patient_id)):
        if wanted is not None:
            tasks = tasks.where(column == wanted)
    return list(db.scalars(tasks))


def close(db: Session, task_id: int, *, outcome: str, now: datetime) -> bool:
    """Close a task, which a person may do before it is shown. False if it was closed or withdrawn already, or never was."""
    closing = (
        update(Task)
        .where(Task.id == task_id, Task.state.in_(("planned", "open")))
        .values(state="closed", outcome=outcome, closed_at=now)
        .returning(Task.id)
    )
    return db.scalar(closing) is not None


def end_kind(
    db: Session, kind: str, *, state: str, outcome: str, now: datetime, patient_ids: Collection[int] | None = None
) -> int:
    """Close or withdraw every open task of a kind, of these patients only where they are given; returns how many."""
    ending = update(Task).where(Task.kind == kind, Task.state == "open")
    if patient_ids is not None:
        ending = ending.where(Task.patient_id.in_(patient_ids))
    ended = ending.values(state=state, outcome=outcome, closed_at=now).returning(Task.id)
    return len(db.scalars(ended.execution_options(synchronize_session=False)).all())


def due_planned(db: Session, *, now: datetime, limit: int) -> list[Task]:
    """Planned tasks whose time has come, locked; those that another worker holds are left to it."""
    due = select(Task).where(PLANNED, Task.due_at <= now).order_by(Task.due_at, Task.id).limit(limit)
    return list(db.scalars(due.with_for_update(skip_locked=True)))
