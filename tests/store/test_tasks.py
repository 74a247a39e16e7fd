"""Staff tasks: opened once, the most urgent first, closed once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.store import tasks
from service.store.tables import Task
from tests.store import factories
from tests.store.factories import NOW

HOUR = timedelta(hours=1)


def test_a_task_is_opened_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        treatment, message, text = (
            factories.session(db, patient),
            factories.message(db, patient),
            factories.inbound(db),
        )
        given: dict[str, Any] = {
            "identity": "inbound:1:red_flag",
            "kind": "red_flag",
            "clinic_id": patient.clinic_id,
            "level": "red",
            "patient_id": patient.id,
            "session_id": treatment.id,
            "message_id": message.id,
            "inbound_id": text.id,
            "reason": "The patient writes of trouble swallowing.",
            "next_action": "Phone the patient now.",
            "due_at": NOW + HOUR,
            "step": "day_one",
        }
        assert tasks.open_task(db, **given, now=NOW)
        assert not tasks.open_task(db, **given | {"reason": "again"}, now=NOW + HOUR)
        task = db.scalars(select(Task)).one()
        assert {name: getattr(task, name) for name in given} == given
        assert (task.state, task.opened_at) == ("open", NOW)


def test_a_task_is_routine_and_due_now_unless_said_otherwise(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic_id = factories.clinic(db).id
        tasks.open_task(db, identity="x", kind="call", clinic_id=clinic_id, now=NOW, reason="", next_action="")
        task = db.scalars(select(Task)).one()
        assert (task.level, task.due_at) == ("routine", NOW)


def test_the_list_begins_with_the_most_urgent(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic, another = factories.clinic(db), factories.clinic(db)
        patient = factories.patient(db, clinic)
        routine, amber, urgent, red = (
            factories.task(db, clinic, level=level) for level in ("routine", "amber", "amber_urgent", "red")
        )
        late = factories.task(db, clinic, level="amber", due_at=NOW - HOUR, patient_id=patient.id)
        elsewhere = factories.task(db, another, due_at=NOW + HOUR)
        closed = factories.task(db, clinic, state="closed", level="red")
        assert tasks.listed(db) == [red, urgent, late, amber, routine, elsewhere]
        assert tasks.listed(db, clinic_id=another.id) == [elsewhere]
        assert tasks.listed(db, patient_id=patient.id) == [late]
        assert tasks.listed(db, state="closed") == [closed]
        assert tasks.listed(db, state=None, clinic_id=clinic.id) == [red, closed, urgent, late, amber, routine]


@pytest.mark.parametrize(
    ("state", "closes"), [("open", True), ("planned", True), ("closed", False), ("withdrawn", False)]
)
def test_a_task_is_closed_once(sqlite_sessions: sessionmaker[Session], state: str, closes: bool) -> None:
    with sqlite_sessions.begin() as db:
        task = factories.task(db, factories.clinic(db), state=state, outcome="before")
        assert tasks.close(db, task.id, outcome="phoned", now=NOW) is closes
        db.refresh(task)
        assert (task.state, task.outcome) == (("closed", "phoned") if closes else (state, "before"))
        assert task.closed_at == (NOW if closes else None)
        assert not tasks.close(db, task.id + 1, outcome="phoned", now=NOW)


def test_planned_tasks_whose_time_has_come(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        now, earlier, later = (
            factories.task(db, clinic, state="planned", due_at=NOW + away) for away in (0 * HOUR, -HOUR, HOUR)
        )
        factories.task(db, clinic, due_at=NOW - HOUR)
        assert tasks.due_planned(db, now=NOW, limit=9) == [earlier, now]
        assert tasks.due_planned(db, now=NOW, limit=1) == [earlier]
        assert tasks.due_planned(db, now=NOW + HOUR, limit=9) == [earlier, now, later]
