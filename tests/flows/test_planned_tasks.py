"""Tasks of staff that the plan asks for: planned, shown when their time has come, withdrawn when nobody needs them."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows import planned_tasks
from service.store import tasks
from service.store.tables import Task
from tests.domain.cases import DAY, HOUR, Book, on_both_plans, shipped
from tests.flows.clinic_life import ClinicLife, at
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
START = "2026-03-16 10:00"


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


def the(life: ClinicLife, kind: str, **where: Any) -> Task:
    (task,) = life.tasks(kind, **where)
    assert isinstance(task, Task)
    return task


@on_both_plans
def test_a_task_waits_unseen_until_its_time(sessions: Sessions, book: Book) -> None:
    life = ClinicLife(sessions, book=book)
    session = life.booked(START)
    life.plan()
    task = the(life, "not_confirmed")
    assert (task.state, task.opened_at, task.identity) == (
        "planned",
        None,
        f"plan:{session.id}:{book.keys['not_confirmed']}:0",
    )
    assert task.due_at == at("2026-03-15 16:00") + book.clock_later
    assert (task.patient_id, task.session_id, task.step) == (session.patient_id, session.id, task.kind)
    life.until(task.due_at - timedelta(seconds=1))
    assert the(life, "not_confirmed").state == "planned"
    life.wait(seconds=1)
    task = the(life, "not_confirmed")
    assert (task.state, task.opened_at) == ("open", task.due_at)


def test_a_task_says_what_happened_and_what_to_do(life: ClinicLife) -> None:
    life.booked(START)
    life.plan()
    assert the(life, "not_confirmed").reason == "Not confirmed: phone the patient"
    assert the(life, "not_confirmed").next_action == "No C to the reminder; phone before the day ends."


@pytest.mark.parametrize(
    ("columns", "state", "outcome"),
    [
        ({}, "open", None),
        ({"confirmed_start": at(START)}, "withdrawn", "condition:not_confirmed"),
        ({"confirmed_start": at("2026-03-12 10:00")}, "open", None),
        ({"status": "cancelled"}, "withdrawn", "session_cancelled"),
    ],
    ids=["not confirmed", "confirmed", "confirmed for another time", "cancelled"],
)
def test_a_task_nobody_needs_any_more_is_withdrawn_with_the_reason(
    life: ClinicLife, columns: dict[str, Any], state: str, outcome: str | None
) -> None:
    session = life.booked(START)
    life.plan()
    if columns:
        life.change(session, **columns)
    life.until("2026-03-15 17:00")
    task = the(life, "not_confirmed")
    assert (task.state, task.outcome) == (state, outcome)
    assert (task.closed_at is None) is (state == "open")


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"status": "cancelled"}, "session_cancelled"),
        ({"scheduled_start": at("2026-03-20 10:00")}, "moved"),
        ({"status": "completed"}, "session_completed"),
    ],
    ids=["cancelled", "moved", "completed"],
)
def test_a_task_that_is_shown_is_withdrawn_when_the_plan_wants_it_no_longer(
    life: ClinicLife, columns: dict[str, Any], outcome: str
) -> None:
    session = life.booked(START)
    life.until("2026-03-15 17:00")
    shown = the(life, "not_confirmed", state="open")
    life.change(session, **columns)
    life.plan()
    task = life.fresh(shown)
    assert (task.state, task.outcome, task.closed_at) == ("withdrawn", outcome, life.now)


def test_a_task_that_is_shown_stays_while_it_is_wanted(life: ClinicLife) -> None:
    session = life.booked(START)
    life.until("2026-03-15 17:00")
    shown = the(life, "not_confirmed", state="open")
    life.change(session, scheduled_end=at("2026-03-16 10:40"))
    life.plan()
    task = life.fresh(shown)
    assert (task.state, task.opened_at, task.due_at) == ("open", shown.opened_at, shown.due_at)


def test_a_task_that_was_shown_is_shown_again_when_it_is_needed_after_all(life: ClinicLife) -> None:
    patient = life.patient()
    life.completed("2026-03-02 08:00", of=patient)
    life.until("2026-05-26 09:00")
    assert the(life, "due_not_booked").state == "open"
    booking = life.booked("2026-06-25 10:00", of=patient)
    life.plan()
    assert (the(life, "due_not_booked").state, the(life, "due_not_booked").outcome) == (
        "withdrawn",
        "condition:not_rebooked",
    )
    life.now += HOUR
    life.change(booking, status="cancelled")
    life.plan()
    task = the(life, "due_not_booked")
    assert (task.state, task.outcome, task.opened_at) == ("open", None, life.now)


def test_a_task_that_is_shown_too_early_waits_again(life: ClinicLife) -> None:
    session = life.completed("2026-03-02 08:00")
    life.until("2026-05-26 09:00")
    shown = the(life, "due_not_booked", state="open")
    life.change(session, completed_at=at("2026-03-12 08:00"))
    life.plan()
    task = life.fresh(shown)
    assert (task.state, task.due_at > life.now) == ("planned", True)


def test_a_task_moves_with_its_session(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    life.change(session, scheduled_start=at("2026-03-18 10:00"))
    life.plan()
    assert [(t.state, t.outcome, t.due_at) for t in life.tasks("not_confirmed")] == [
        ("withdrawn", "moved", at("2026-03-15 16:00")),
        ("planned", None, at("2026-03-17 16:00")),
    ]


def test_a_task_of_the_due_date_moves_with_the_completion(life: ClinicLife) -> None:
    session = life.completed("2026-03-02 08:00")
    life.plan()
    life.change(session, completed_at=at("2026-03-01 08:00"))
    life.plan()
    task = the(life, "due_not_booked")
    assert (task.state, task.due_at) == ("planned", at("2026-05-24 09:00"))


def test_a_withdrawn_task_comes_back_when_it_is_needed_again(life: ClinicLife) -> None:
    patient = life.patient()
    life.completed("2026-03-02 08:00", of=patient)
    booking = life.booked("2026-05-25 10:00", of=patient)
    life.plan()
    assert life.tasks("due_not_booked") == []
    life.change(booking, status="cancelled")
    life.plan()
    task = the(life, "due_not_booked")
    assert task.state == "planned"
    life.change(booking, status="booked")
    life.plan()
    task = the(life, "due_not_booked")
    assert (task.state, task.outcome) == ("withdrawn", "condition:not_rebooked")
    life.change(booking, status="cancelled")
    life.plan()
    task = the(life, "due_not_booked")
    assert (task.state, task.outcome, task.closed_at) == ("planned", None, None)
    life.until("2026-05-25 09:00")
    assert the(life, "due_not_booked").state == "open"


def test_what_a_person_has_closed_stays_closed(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    with life.sessions.begin() as db:
        tasks.close(db, the(life, "not_confirmed").id, outcome="phoned", now=life.now)
    life.change(session, scheduled_end=at("2026-03-16 10:40"))
    life.until("2026-03-15 17:00")
    assert (the(life, "not_confirmed").state, the(life, "not_confirmed").outcome) == ("closed", "phoned")


def test_a_task_of_a_patient_who_has_died_is_withdrawn(life: ClinicLife) -> None:
    patient = life.patient()
    life.booked(START, of=patient)
    life.plan()
    life.change(patient, status="deceased")
    life.plan()
    assert {task.outcome for task in life.tasks(state="withdrawn")} == {"patient_deceased"}
    assert life.tasks(state="planned") == []


def test_tasks_are_for_patients_without_consent_too(life: ClinicLife) -> None:
    life.completed("2026-03-02 08:00", of=life.patient(agreed=False, authorisation_ends=date(2026, 6, 1)))
    life.until("2026-06-16 12:00")
    assert {task.kind for task in life.tasks(state="open")} == {"payer", "due_not_booked", "overdue_list"}
    assert life.left() == []


def test_a_step_that_has_gone_from_the_plan_shows_no_task(life: ClinicLife) -> None:
    """Even where planning is behind: the plan is asked again when the task is to be shown."""
    life.booked(START)
    life.plan()
    document = {**shipped().document, "steps": [s for s in shipped().document["steps"] if s["key"] != "not_confirmed"]}
    life.follow(life.clinic, Book("without", document, shipped().plan, shipped().keys, timedelta(0), timedelta(0)))
    life.now = at("2026-03-15 17:00")
    assert planned_tasks.open_due(life.sessions, life.clock, answers_understood=True) == 2
    assert (the(life, "not_confirmed").state, the(life, "not_confirmed").outcome) == ("withdrawn", "plan_changed")


def test_a_task_about_facts_that_make_no_sense_is_shown_all_the_same(life: ClinicLife) -> None:
    life.booked(START)
    life.plan()
    life.change(life.clinic, time_zone="Mars/Olympus")
    life.now = at("2026-03-15 17:00")
    life.plan()
    assert the(life, "not_confirmed").state == "open"


def test_tasks_are_shown_although_another_patients_rows_can_not_be_read(life: ClinicLife) -> None:
    sessions = [life.booked(START) for _ in range(3)]
    life.plan()
    bad = "infinity" if life.sessions.kw["bind"].dialect.name == "postgresql" else "next Tuesday"
    life.sql("UPDATE treatment_session SET scheduled_end = :bad WHERE id = :id", bad=bad, id=sessions[1].id)
    life.change(sessions[2], confirmed_start=at(START))
    life.now = at("2026-03-15 17:00")
    life.plan()
    assert [task.state for task in life.tasks("not_confirmed")] == ["open", "open", "withdrawn"]


def test_a_new_step_for_staff_is_not_asked_for_when_its_time_is_over(life: ClinicLife) -> None:
    life.now = NOW - 20 * DAY
    life.booked(NOW - DAY)
    life.plan()
    life.now = NOW - 20 * HOUR
    steps = [*shipped().document["steps"]]
    not_confirmed = next(step for step in steps if step["key"] == "not_confirmed")
    late = {"key": "ask_late", "late_booking": "send_now"}
    never = {"key": "ask_never", "late_booking": "skip"}
    document = {**shipped().document, "steps": [*steps, not_confirmed | late, not_confirmed | never]}
    life.follow(life.clinic, Book("more", document, shipped().plan, shipped().keys, timedelta(0), timedelta(0)))
    life.plan()
    assert the(life, "ask_late").state == "open"
    assert life.tasks("ask_never") == []


def test_many_due_tasks_are_shown_batch_by_batch(life: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned_tasks, "BATCH", 2)
    for _ in range(3):
        life.booked(START)
    life.plan()
    life.now = at("2026-03-15 17:00")
    life.plan()
    assert len(life.tasks("not_confirmed", state="open")) == 3
