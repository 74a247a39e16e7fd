"""Staff tasks that the care plan asks for: planned like texts, shown when their time has come and they are still needed."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.case import Case
from service.domain.clock import Clock
from service.domain.conditions import holds
from service.domain.expansion import Entry, circumstances
from service.domain.reconciliation import Difference, Row
from service.flows.casework import load_cases
from service.store import tasks
from service.store.inserts import insert_missing
from service.store.tables import Task

BATCH = 100


class Writer:
    """Collects what planning changes about tasks and writes it."""

    def __init__(self, db: Session, cases: Mapping[int, Case], now: datetime) -> None:
        self._now = now
        self._tasks: defaultdict[int, dict[str, Task]] = defaultdict(dict)
        self._new: list[dict[str, Any]] = []
        owners = {session.id: patient_id for patient_id, case in cases.items() for session in case.sessions}
        theirs = or_(Task.patient_id.in_(cases), Task.session_id.in_(owners))
        for task in db.scalars(select(Task).where(theirs, Task.step.is_not(None))):
            self._tasks[owners.get(task.session_id or 0) or task.patient_id or 0][task.identity] = task

    def rows(self, case: Case) -> Mapping[str, Row]:
        """The plan's tasks about a patient by identity, whatever became of them. Open ones stand as planned ones do."""
        return {identity: _row(task) for identity, task in self._tasks[case.patient.id].items()}

    def add(self, case: Case, found: Difference) -> None:
        """Take in what has to change for one patient."""
        own = self._tasks[case.patient.id]
        self._new.extend(_columns(case, entry) for entry in found.new if not entry.skipped)
        for row, entry in (*found.kept, *found.moved, *found.revived):
            task = own[row.identity]
            task.due_at = entry.due_at or task.due_at
            if task.state != "open" or task.due_at > self._now:
                task.state = "planned"
            task.outcome, task.closed_at, task.patient_id = None, None, case.patient.id
        for row, reason in found.withdrawn:
            _withdraw(own[row.identity], reason, self._now)

    def write(self, db: Session) -> None:
        """Write the new ones; changed ones are written with the transaction."""
        insert_missing(db, Task, self._new)


def open_due(
    sessions: sessionmaker[Session],
    clock: Clock,
    *,
    answers_understood: bool,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Show every planned task whose time has come, or withdraw it where its conditions no longer hold.

    Ends early, between two batches, once ``go_on`` says no.
    """
    opened = 0
    while go_on() and (batch := _open_batch(sessions, clock(), answers_understood=answers_understood)):
        opened += batch
    return opened


def _open_batch(sessions: sessionmaker[Session], now: datetime, *, answers_understood: bool) -> int:
    with sessions.begin() as db:
        due = tasks.due_planned(db, now=now, limit=BATCH)
        patient_ids = {task.patient_id for task in due if task.patient_id is not None}
        cases = load_cases(db, patient_ids, now=now, answers_understood=answers_understood)
        for task in due:
            _show_or_withdraw(task, cases.get(task.patient_id or 0), now)
        return len(due)


def _show_or_withdraw(task: Task, case: Case | None, now: datetime) -> None:
    """A task about a patient whose facts can not be used is shown: nobody can say that it is not needed."""
    reason = _failed_condition(task, case, now) if case else None
    if reason is not None:
        _withdraw(task, reason, now)
    else:
        task.state, task.opened_at = "open", now


def _failed_condition(task: Task, case: Case, now: datetime) -> str | None:
    step = case.plan.step(task.step)
    session = next((s for s in case.sessions if s.id == task.session_id), None)
    if step is None:
        return "plan_changed"
    about = circumstances(step, session, case, at=now)
    failed = (f"condition:{name}" for name in step.conditions if not holds(name, about))
    return next(failed, None)


def _withdraw(task: Task, reason: str, now: datetime) -> None:
    task.state, task.outcome, task.closed_at = "withdrawn", reason, now


def _row(task: Task) -> Row:
    """A task as the comparison sees it. One that was withdrawn after it was shown is needed again whenever the plan says so."""
    return Row(
        id=task.id,
        identity=task.identity,
        step=task.step or "",
        session_id=task.session_id,
        state="planned" if task.state == "open" else task.state,
        reason=task.outcome,
        nominal_at=task.due_at,
        due_at=task.due_at,
        expires_at=None,
        attempts=0,
        settled_at=None if task.opened_at else task.closed_at,
    )


def _columns(case: Case, entry: Entry) -> dict[str, Any]:
    return {
        "clinic_id": case.clinic.id,
        "identity": entry.identity,
        "kind": entry.step.key,
        "step": entry.step.key,
        "patient_id": case.patient.id,
        "session_id": entry.session.id if entry.session else None,
        "due_at": entry.due_at,
        "state": "planned",
        "reason": entry.step.title,
        "next_action": entry.step.note or entry.step.title,
    }
