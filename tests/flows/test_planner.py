"""Planning: the table follows the facts, whoever changes them, and nothing is written where nothing changed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.flows import planner
from service.flows.policy import SendingPolicy
from service.flows.staffing import skip_message
from service.store import tasks
from service.store.tables import Clinic, Patient, Sender, TreatmentSession
from tests.domain.cases import DAY, HOUR, Book, on_both_plans, renamed, shipped
from tests.flows.clinic_life import ClinicLife, at, standing, writes
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
MINUTE = timedelta(minutes=1)
START = "2026-03-16 10:00"
"""Two weeks after the tests begin, a Monday."""


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


@pytest.fixture
def quick(sqlite_sessions: Sessions) -> ClinicLife:
    """Where the engine does not matter."""
    return ClinicLife(sqlite_sessions)


# a whole cycle


@on_both_plans
def test_a_cycle_from_booking_to_the_overdue_list(sessions: Sessions, book: Book) -> None:
    life = ClinicLife(sessions, book=book)
    session = life.booked(START)
    life.until("2026-03-16 10:20")
    life.change(session, status="completed", completed_at=life.now)
    life.until("2026-07-20 10:00")
    assert [step for step in life.steps_left() if step != "one_more"] == [
        *("booked", "baseline", "pre_7d", "pre_1d", "aftercare_1", "aftercare_2", "evening", "allclear", "d3", "onset"),
        *("count_w4", "count_w8", "wearing_off", "repeat_due", "count_w12", "repeat_overdue"),
    ]
    shown = {task.kind for task in life.tasks(state="open")}
    assert shown == {book.keys[k] for k in ("due_not_booked", "overdue_list")}
    over = {task.kind: task.outcome for task in life.tasks(state="withdrawn") if task.opened_at}
    assert over == {book.keys[k]: "session_completed" for k in ("not_confirmed", "baseline_missing")}


def test_every_text_leaves_at_its_own_time(life: ClinicLife) -> None:
    life.completed("2026-03-02 10:00")
    life.now = at("2026-03-02 10:01")
    life.until("2026-03-16 12:00")
    assert [(text.step, text.at) for text in life.left()] == [
        ("aftercare_1", at("2026-03-02 10:10")),
        ("aftercare_2", at("2026-03-02 10:12")),
        ("evening", at("2026-03-02 20:00")),
        ("allclear", at("2026-03-03 10:00")),
        ("d3", at("2026-03-05 11:00")),
        ("onset", at("2026-03-16 11:00")),
    ]


def test_a_planned_row_says_what_it_is(life: ClinicLife) -> None:
    patient = life.patient(privacy="explicit")
    session = life.booked(START, of=patient)
    life.plan()
    row = life.planned("pre_7d")
    assert (row.identity, row.kind, row.state) == (f"plan:{session.id}:pre_7d:0", "plan", "planned")
    assert (row.clinic_id, row.patient_id, row.session_id) == (patient.clinic_id, patient.id, session.id)
    assert (row.template, row.urgency, row.priority, row.sender_id) == ("pre_7d_explicit", "routine", 2, 1)
    assert row.nominal_at == row.due_at == row.attempt_at == at("2026-03-09 10:00")
    assert row.expires_at == at("2026-03-13 19:00")


def test_a_skipped_step_is_a_row_with_its_reason(life: ClinicLife) -> None:
    life.booked(START)
    life.plan()
    row = life.planned("count_before")
    assert (row.state, row.reason, row.due_at) == ("cancelled", "condition:repeat_session", None)
    assert (row.settled_at, row.attempt_at) == (NOW, None)


def test_steps_that_ask_for_numbers_are_visibly_off_until_answers_are_understood(sessions: Sessions) -> None:
    life = ClinicLife(sessions, policy=SendingPolicy(answers_understood=False))
    life.completed(NOW - HOUR)
    life.until(NOW + 90 * DAY)
    off = {m.step for m in life.messages(state="cancelled", reason="off")}
    assert off >= {"d3", "onset", "count_w4", "count_w8", "wearing_off", "count_w12"}
    assert not off & set(life.steps_left())
    assert {"aftercare_1", "repeat_due"} <= set(life.steps_left())


# planning again


@pytest.mark.parametrize("twist", ["as planned", "half sent", "moved", "cancelled", "two sessions"])
def test_planning_again_writes_nothing_but_the_mark(life: ClinicLife, twist: str) -> None:
    patient = life.patient()
    session = life.booked(START, of=patient)
    life.completed("2026-01-05 10:00", of=patient)
    if twist == "half sent":
        life.until("2026-03-12 12:00")
    else:
        life.tick()
    if twist == "moved":
        life.change(session, scheduled_start=at("2026-03-18 10:00"))
    if twist == "cancelled":
        life.change(session, status="cancelled")
    if twist == "two sessions":
        life.booked("2026-03-16 11:00", of=patient)
    life.wait(minutes=1)
    before = [vars(row) for row in (*life.messages(), *life.tasks())]
    life.sql("UPDATE patient SET marked = true")
    with writes(life.sessions) as written:
        assert life.plan() == 1
    only_once = [words for words in written if not words.startswith(("INSERT INTO task", "UPDATE patient SET marked"))]
    assert only_once == []
    after = [vars(row) for row in (*life.messages(), *life.tasks())]
    assert [{k: v for k, v in row.items() if k[0] != "_"} for row in after] == [
        {k: v for k, v in row.items() if k[0] != "_"} for row in before
    ]


def test_unmarked_patients_are_not_looked_at(life: ClinicLife) -> None:
    life.booked(START)
    assert (life.plan(), life.plan()) == (1, 0)


def test_all_marked_patients_are_planned_batch_by_batch(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "BATCH", 3)
    sessions = [quick.booked(START) for _ in range(7)]
    assert quick.plan() == 7
    assert {m.session_id for m in quick.messages(step="pre_1d")} == {s.id for s in sessions}


def test_who_is_seen_these_days_is_planned_first(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "BATCH", 2)
    monkeypatch.setattr(planner, "ROUND", 1)
    far = [quick.booked(START).patient_id for _ in range(3)]
    soon, just_was = quick.booked(NOW + DAY).patient_id, quick.completed(NOW - HOUR).patient_id
    late = quick.completed(NOW - HOUR, scheduled_start=NOW - 3 * DAY).patient_id
    planned: list[int] = []
    plan_batch = planner._plan_batch

    def watched(sessions: Sessions, ids: list[int], *args: Any, **options: Any) -> int:
        planned.extend(ids)
        return plan_batch(sessions, ids, *args, **options)

    monkeypatch.setattr(planner, "_plan_batch", watched)
    assert quick.plan() == 6
    assert planned == [soon, just_was, late, *far]


def test_a_session_completed_during_a_long_run_does_not_wait_for_its_end(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "BATCH", 1)
    monkeypatch.setattr(planner, "ROUND", 2)
    sessions = [quick.booked(START) for _ in range(6)]
    planned: list[int] = []
    plan_batch = planner._plan_batch

    def watched(of: Sessions, ids: list[int], *args: Any, **options: Any) -> int:
        if not planned:
            quick.change(sessions[5], status="completed", completed_at=NOW)
        planned.extend(ids)
        return plan_batch(of, ids, *args, **options)

    monkeypatch.setattr(planner, "_plan_batch", watched)
    assert quick.plan() == 6
    assert planned == [sessions[n].patient_id for n in (0, 1, 5, 2, 3, 4)]


@pytest.mark.parametrize(("batches", "planned"), [(0, 0), (1, 2), (2, 4), (9, 5)])
def test_planning_ends_early_when_the_service_stops(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch, batches: int, planned: int
) -> None:
    monkeypatch.setattr(planner, "BATCH", 2)
    for _ in range(5):
        quick.booked(START)
    asked = iter([*[True] * batches, *[False] * 9])
    done = planner.plan_pending(quick.sessions, quick.clock, answers_understood=True, go_on=lambda: next(asked))
    assert done == planned
    assert quick.plan() == 5 - planned


def test_a_clinic_that_another_program_wrote_gets_plan_and_texts_before_anybody_is_locked(
    life: ClinicLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    with life.sessions.begin() as db:
        clinic = factories.clinic(db)
    life.booked(START, of=life.patient(of=clinic))
    with monkeypatch.context() as patch:
        patch.setattr(planner, "_seed", lambda *_: None)
        assert life.plan() == 0  # one that appears while planning is under way waits for the next run
    assert life.plan() == 1
    assert life.planned("pre_1d").clinic_id == clinic.id


def test_planners_side_by_side_write_each_row_once(life: ClinicLife) -> None:
    for _ in range(12):
        life.booked(START)
    with ThreadPoolExecutor(4) as pool:
        planned = list(pool.map(lambda _: life.plan(), range(4)))
    assert sum(planned) == 12
    assert len(life.messages(step="pre_1d", state="planned")) == 12
    assert not any(life.fresh(row).marked for row in life._all(select(Patient), Patient, {}))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_patient_whose_session_another_program_is_changing_is_planned_the_next_time(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    busy, free = life.booked(START), life.booked(START)
    with sessions.begin() as other:
        other.execute(select(TreatmentSession).where(TreatmentSession.id == busy.id).with_for_update())
        assert life.plan() == 1
        assert {m.session_id for m in life.messages(step="pre_1d")} == {free.id}
    assert life.plan() == 1
    assert {m.session_id for m in life.messages(step="pre_1d")} == {free.id, busy.id}


# what other programs change


@dataclass(frozen=True, slots=True)
class Change:
    """What another program does to a booked session's patient, and what becomes of the day-before text."""

    statement: str
    state: str
    reason: str | None
    values: dict[str, Any]


CHANGES = {
    "nothing": Change("SELECT 1", "planned", None, {}),
    "cancelled": Change("UPDATE treatment_session SET status = 'cancelled'", "cancelled", "session_cancelled", {}),
    "not done": Change("UPDATE treatment_session SET status = 'not_done'", "cancelled", "session_not_done", {}),
    "entered in error": Change(
        "UPDATE treatment_session SET status = 'entered_in_error'", "cancelled", "session_entered_in_error", {}
    ),
    "no show": Change("UPDATE treatment_session SET status = 'no_show'", "cancelled", "session_no_show", {}),
    "deceased": Change("UPDATE patient SET status = 'deceased'", "cancelled", "patient_deceased", {}),
    "inactive": Change("UPDATE patient SET status = 'inactive'", "cancelled", "patient_inactive", {}),
    "another number": Change("UPDATE patient SET phone = '+12025559876'", "cancelled", "no_consent", {}),
    "no number": Change("UPDATE patient SET phone = NULL", "cancelled", "no_number", {}),
    "consent withdrawn": Change(
        "INSERT INTO consent (clinic_id, number, kind, at) SELECT clinic_id, phone, 'revoked', :at FROM patient",
        "cancelled",
        "opted_out",
        {"at": "2026-03-02 15:00:00.000000+00:00"},
    ),
    "the lite plan": Change("UPDATE clinic SET plan = 'lite'", "planned", None, {}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_by_any_program_reaches_the_plan(life: ClinicLife, change: Change) -> None:
    session = life.booked(START)
    life.plan()
    life.sql(change.statement, **change.values)
    life.plan()
    row = life.planned("pre_1d", session)
    assert (row.state, row.reason) == (change.state, change.reason)
    if change.state == "cancelled":
        assert (row.settled_at, row.attempts) == (NOW, 0)
        assert life.story(row) == [("withdrawn", change.reason)]


@pytest.mark.parametrize(
    ("statement", "due"),
    [
        ("UPDATE treatment_session SET scheduled_start = '2026-03-19 20:00:00.000000+00:00'", "2026-03-18 10:00"),
        ("UPDATE clinic SET time_zone = 'America/Denver'", "2026-03-15 11:00"),
        ("UPDATE clinic SET window_opens = '11:30'", "2026-03-15 11:30"),
        ("UPDATE patient SET time_zone = 'America/Los_Angeles'", "2026-03-15 11:00"),
    ],
    ids=["moved", "the clinic's clock", "the clinic's hours", "the patient's clock"],
)
def test_a_text_that_waits_goes_along_with_the_facts(life: ClinicLife, statement: str, due: str) -> None:
    life.booked(START)
    life.plan()
    life.sql(statement)
    life.plan()
    (row,) = life.messages(step="pre_1d", state="planned")
    assert row.due_at == row.attempt_at == at(due)


def test_a_moved_row_tells_its_story(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    life.change(session, scheduled_start=at("2026-03-18 10:00"))
    life.plan()
    row = life.planned("pre_7d")
    assert life.story(row) == [("moved", None)]
    assert life.planned("pre_1d", session, state="cancelled").reason == "moved"
    assert life.planned("pre_1d", session, state="planned").identity == f"plan:{session.id}:pre_1d:1"


def test_what_was_held_before_a_move_is_not_held_at_its_new_time(quick: ClinicLife) -> None:
    patient = quick.patient(paused_until=NOW + 30 * DAY)
    quick.now = at("2026-03-09 09:50")
    quick.completed("2025-09-01 10:00", of=patient)
    session = quick.booked(START, of=patient, imported=True)
    quick.wait(minutes=20)
    assert quick.planned("pre_7d").held_reason == "patient_paused"
    quick.change(session, scheduled_start=at("2026-04-20 10:00"))
    quick.plan()
    row = quick.planned("pre_7d")
    assert (row.held_reason, row.attempt_at) == (None, at("2026-04-13 10:00"))


@pytest.mark.parametrize(
    ("table", "values", "column", "carried"),
    [
        (Patient, {"privacy": "explicit"}, "template", "pre_7d_explicit"),
        (Clinic, {"sender_id": 2}, "sender_id", 2),
    ],
    ids=["how plainly texts may speak", "from where the clinic sends"],
)
def test_a_planned_row_follows_what_is_decided_later(
    life: ClinicLife, table: type[Patient | Clinic], values: dict[str, Any], column: str, carried: Any
) -> None:
    patient = life.patient()
    life.booked(START, of=patient)
    life.plan()
    with life.sessions.begin() as db:
        db.add(Sender(id=2, key="second", number="+13125550111"))
    life.change(patient if table is Patient else life.clinic, **values)
    life.plan()
    row = life.planned("pre_7d")
    assert getattr(row, column) == carried
    assert life.story(row) == []


def test_a_row_that_left_keeps_what_it_left_with(life: ClinicLife) -> None:
    patient = life.patient()
    life.booked(START, of=patient)
    life.until("2026-03-09 12:00")
    life.change(patient, privacy="explicit")
    life.plan()
    assert life.planned("pre_7d").template == "pre_7d"


def test_a_session_booked_for_the_wrong_patient_takes_its_texts_to_the_right_one(life: ClinicLife) -> None:
    wrong, right = life.patient(), life.patient()
    session = life.booked(START, of=wrong)
    life.plan()
    life.change(session, patient_id=right.id)
    life.until("2026-03-16 12:00")
    life.change(session, status="completed", completed_at=life.now)
    life.wait(days=1)
    assert life.left(wrong) == []
    assert life.steps_left(right) == [
        *("booked", "baseline", "pre_7d", "pre_1d", "aftercare_1", "aftercare_2", "evening"),
        "allclear",
    ]
    assert {task.patient_id for task in life.tasks()} == {right.id}


def test_the_right_patient_gets_the_texts_when_planned_later_than_the_wrong_one(life: ClinicLife) -> None:
    wrong, right = life.patient(), life.patient()
    session = life.booked(START, of=wrong)
    life.plan()
    life.change(session, patient_id=right.id)
    for patient in (wrong, right):
        with life.sessions.begin() as db:
            planner.plan_patients(db, [patient.id], now=life.now, answers_understood=True)
    assert {m.patient_id for m in life.messages(session_id=session.id, state="planned")} == {right.id}
    assert {task.patient_id for task in life.tasks(state="planned")} == {right.id}


# moved, cancelled, on again


@on_both_plans
def test_a_patient_who_was_told_the_old_time_is_told_the_new_one(sessions: Sessions, book: Book) -> None:
    life = ClinicLife(sessions, book=book)
    session = life.booked(START)
    life.until("2026-03-04 12:00")
    life.change(session, scheduled_start=at("2026-03-18 10:00"))
    life.wait(hours=1)
    assert life.steps_left()[-1] == "moved"
    assert "Wed 18 Mar at 10:00 AM" in life.left()[-1].body


def test_a_session_moved_before_anybody_was_told_needs_no_correction(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    life.change(session, scheduled_start=at("2026-03-18 10:00"))
    life.wait(hours=1)
    (text,) = life.left()
    assert text.step == "booked"
    assert "Wed 18 Mar" in text.body
    assert life.planned("moved").reason == "condition:time_changed"


def test_a_session_moved_and_moved_back_needs_no_correction(life: ClinicLife) -> None:
    session = life.booked(START)
    life.until("2026-03-04 12:00")
    for start in ("2026-03-18 10:00", START):
        life.change(session, scheduled_start=at(start))
        life.plan()
    life.wait(hours=2)
    assert life.steps_left() == ["booked", "baseline"]
    moved = life.messages(step="moved")
    assert [(m.identity[-1], m.state, m.reason) for m in moved] == [
        ("1", "cancelled", "moved"),
        ("2", "cancelled", "condition:time_changed"),
    ]


def test_a_cancellation_is_told_once_and_only_where_the_time_was_told(life: ClinicLife) -> None:
    told, untold = life.booked(START), life.booked(START, imported=True)
    life.until("2026-03-04 12:00")
    for session in (told, untold):
        life.change(session, status="cancelled")
    life.wait(days=20)
    assert [text.step for text in life.left() if text.step == "cancelled"] == ["cancelled"]
    assert life.planned("cancelled", untold).reason == "condition:told"
    assert life.planned("cancelled", told).state == "sent"


def test_a_cancellation_that_is_undone_brings_everything_back_and_says_so(life: ClinicLife) -> None:
    session = life.booked(START)
    life.until("2026-03-04 12:00")
    life.change(session, status="cancelled")
    life.wait(hours=1)
    life.change(session, status="booked")
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["booked", "baseline", "cancelled", "moved", "pre_7d", "pre_1d"]


def test_a_cancellation_undone_before_it_was_told_is_never_spoken_of(life: ClinicLife) -> None:
    session = life.booked(START)
    life.until("2026-03-04 12:00")
    life.change(session, status="cancelled")
    life.plan()
    life.wait(minutes=1)
    life.change(session, status="booked")
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["booked", "baseline", "pre_7d", "pre_1d"]


def test_a_session_cancelled_twice_is_called_off_twice(life: ClinicLife) -> None:
    session = life.booked(START)
    life.until("2026-03-04 12:00")
    for status in ("cancelled", "booked", "cancelled"):
        life.change(session, status=status)
        life.wait(days=1)
    assert life.steps_left()[-3:] == ["cancelled", "moved", "cancelled"]
    assert [m.identity for m in life.messages(step="cancelled")] == [
        f"plan:{session.id}:cancelled:1",
        f"plan:{session.id}:cancelled:2",
    ]


# cycles


def test_a_new_completion_closes_the_older_cycle(life: ClinicLife) -> None:
    patient = life.patient()
    first = life.completed("2026-03-02 08:00", of=patient)
    life.tick()
    life.wait(days=40)
    life.completed(life.now - HOUR, of=patient)
    life.plan()
    reasons = {m.reason for m in life.messages(session_id=first.id, state="cancelled") if m.settled_at == life.now}
    assert reasons == {"newer_session"}
    assert not life.messages(session_id=first.id, state="planned")


@pytest.mark.parametrize("status", ["not_done", "entered_in_error"])
def test_the_older_due_date_holds_again_when_the_newer_session_never_was(life: ClinicLife, status: str) -> None:
    patient = life.patient()
    first = life.completed("2026-03-02 08:00", of=patient)
    life.tick()
    life.wait(days=60)
    second = life.completed(life.now - HOUR, of=patient)
    life.plan()
    assert life.planned("repeat_due", first).reason == "newer_session"
    life.wait(days=1)
    life.change(second, status=status)
    life.plan()
    assert life.planned("repeat_due", first).state == "planned"
    assert not life.messages(session_id=second.id, state="planned")
    life.until("2026-05-12 12:00")
    assert life.steps_left().count("repeat_due") == 1
    assert "Mon 25 May" in life.left()[-1].body


def test_a_later_booking_makes_the_repeat_reminder_needless_until_it_is_off_again(life: ClinicLife) -> None:
    patient = life.patient()
    first = life.completed("2026-03-02 08:00", of=patient)
    life.tick()
    life.wait(days=30)
    second = life.booked("2026-05-25 10:00", of=patient)
    life.plan()
    assert life.planned("repeat_due", first).reason == "condition:not_rebooked"
    life.wait(days=2)
    life.change(second, status="cancelled")
    life.plan()
    assert life.planned("repeat_due", first).state == "planned"


def test_a_completion_that_is_corrected_moves_only_what_has_not_left(life: ClinicLife) -> None:
    session = life.completed("2026-03-02 08:00")
    life.now = at("2026-03-02 08:01")
    life.until("2026-03-02 09:00")
    life.change(session, completed_at=at("2026-03-02 08:30"))
    life.wait(days=2)
    left = {text.step: text.at for text in life.left()}
    assert left["aftercare_1"] == at("2026-03-02 08:10")
    assert left["allclear"] == at("2026-03-03 09:00")
    assert life.planned("allclear").nominal_at == at("2026-03-03 08:30")


def test_two_sessions_that_stand_too_close_wait_for_a_person(life: ClinicLife) -> None:
    patient = life.patient()
    first, second = life.booked(START, of=patient), life.booked("2026-03-16 15:00", of=patient)
    life.until("2026-03-03 09:05")
    (task,) = life.tasks("two_sessions")
    assert (task.session_id, task.state, task.level) == (second.id, "open", "amber")
    assert {m.session_id for m in life.messages(state="sent")} == {first.id}
    assert life.planned("booked", second).held_reason == "two_sessions"
    life.change(first, status="cancelled")
    life.wait(days=1)
    assert life.planned("booked", second).state == "sent"


def test_staff_hear_of_a_session_that_was_told_and_never_meant(life: ClinicLife) -> None:
    told, untold, called_off = life.booked(START), life.booked(START, imported=True), life.booked(START)
    life.until("2026-03-04 12:00")
    life.change(called_off, status="cancelled")
    life.wait(hours=1)
    for session in (told, untold, called_off):
        life.change(session, status="entered_in_error")
    life.plan()
    asked_about = life.tasks("wrongly_told")
    assert ({task.session_id for task in asked_about}, len(asked_about)) == ({told.id, called_off.id}, 2)


# who may be texted


def test_nothing_is_planned_for_a_patient_nobody_may_text_but_the_question_for_consent(life: ClinicLife) -> None:
    life.booked(START, of=life.patient(agreed=False, may_ask=True, added_at=None))
    life.plan()
    planned = standing(life.messages(state="planned"))
    assert set(planned) == {"optin"}
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["optin"]


def test_who_agrees_gets_what_is_still_to_come_and_nothing_of_before(life: ClinicLife) -> None:
    patient = life.patient(agreed=False)
    life.booked(START, of=patient)
    life.until("2026-03-10 12:00")
    assert life.left() == []
    with life.sessions.begin() as db:
        factories.grant(db, patient, at=life.now)
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["welcome", "baseline", "pre_7d", "pre_1d"]
    assert {text.at.date() for text in life.left()} == {date(2026, 3, day) for day in (10, 11, 12, 15)}
    assert life.planned("booked").reason == "no_consent"


def test_who_opts_out_and_in_again_is_texted_from_then_on(life: ClinicLife) -> None:
    patient = life.patient()
    life.booked(START, of=patient)
    life.plan()
    for day, granted in (("2026-03-03", False), ("2026-03-14", True)):
        life.until(f"{day} 12:00")
        with life.sessions.begin() as db:
            factories.grant(db, patient, at=life.now, granted=granted)
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["booked", "pre_1d"]
    assert {life.planned(step).reason for step in ("baseline", "pre_7d")} == {"opted_out"}


def test_consent_noted_on_a_clock_ahead_of_ours_is_not_overlooked(life: ClinicLife) -> None:
    patient = life.patient(agreed=False)
    life.booked(START, of=patient)
    with life.sessions.begin() as db:
        factories.grant(db, patient, at=NOW + timedelta(minutes=23))
    life.plan()
    assert (life.planned("pre_7d").state, life.fresh(patient).marked) == ("planned", False)
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["welcome", "baseline", "pre_7d", "pre_1d"]


def test_a_text_that_staff_stopped_never_comes_back(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    with life.sessions.begin() as db:
        skip_message(db, life.planned("pre_7d").id, reason="phoned", by="nurse", now=life.now)
    life.change(session, scheduled_start=at("2026-03-18 10:00"))
    life.until("2026-03-18 09:00")
    assert "pre_7d" not in life.steps_left()
    assert life.planned("pre_7d").reason == "staff: phoned"


# the beginning of a clinic


def test_the_first_import_neither_greets_nor_confirms(life: ClinicLife) -> None:
    patient = life.patient(agreed=False, may_ask=True, imported=True)
    life.booked(START, of=patient, imported=True)
    other = life.patient(imported=True)
    life.booked(START, of=other, imported=True)
    life.until("2026-03-03 12:00")
    assert life.left() == []
    assert {life.planned("optin", patient_id=p.id).reason for p in (patient, other)} == {"imported"}
    life.until("2026-03-16 09:00")
    assert life.steps_left(other) == ["baseline", "pre_7d", "pre_1d"]


def test_what_lies_before_the_clinic_went_live_is_never_sent(sessions: Sessions) -> None:
    life = ClinicLife(sessions)
    clinic = life.another_clinic(live_from=NOW)
    life.completed("2026-01-20 10:00", of=life.patient(of=clinic))
    life.until(NOW + 30 * DAY)
    assert life.steps_left() == ["count_w8", "wearing_off", "repeat_due"]
    past = {m.step for m in life.messages(state="cancelled", reason="past")}
    assert past >= {"aftercare_1", "aftercare_2", "evening", "allclear", "d3", "onset", "count_w4"}
    assert life.tasks("missed_text") == []


@pytest.mark.parametrize(("known", "missed"), [("2026-03-02 18:00", False), ("2026-03-03 06:30", True)])
def test_staff_hear_of_aftercare_that_came_too_late(life: ClinicLife, known: str, missed: bool) -> None:
    life.completed("2026-03-02 10:00")
    life.now = at(known)
    life.until("2026-03-03 12:00")
    tasks = {task.reason for task in life.tasks("missed_text")}
    if missed:
        assert tasks == {
            "Aftercare, recorded late: the text was not sent (its useful time passed).",
            "Aftercare, part two: the text was not sent (its useful time passed).",
        }
        assert not {"aftercare_1", "aftercare_late", "aftercare_2"} & set(life.steps_left())
    else:
        assert tasks == set()
        assert {"aftercare_1", "aftercare_2"} <= set(life.steps_left())


# other plans


def test_another_plan_sends_nothing_of_what_it_would_have_sent_before(life: ClinicLife) -> None:
    clinic = life.another_clinic(plan="lite")
    session = life.booked(START, of=life.patient(of=clinic))
    life.until("2026-03-05 12:00")
    assert life.left() == []
    life.change(clinic, plan="standard")
    life.until("2026-03-05 18:00")
    assert life.planned("booked", session).reason == "late"
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["baseline", "pre_7d", "pre_1d"]


def test_what_another_plan_leaves_out_is_withdrawn(life: ClinicLife) -> None:
    life.booked(START)
    life.plan()
    life.change(life.clinic, plan="lite")
    life.plan()
    assert standing(life.messages())["pre_7d"] == ("cancelled", "plan_changed")
    life.until("2026-03-16 09:00")
    assert life.steps_left() == ["pre_1d"]


def test_a_plan_that_knows_none_of_the_old_steps_takes_over(life: ClinicLife) -> None:
    session = life.booked(START)
    life.plan()
    life.follow(life.clinic, renamed())
    life.until("2026-03-16 09:00")
    assert {m.reason for m in life.messages(step="pre_1d")} == {"plan_changed"}
    assert life.planned("pre_1d", session).state == "sent"
    assert life.steps_left() == ["booked", "baseline", "pre_7d", "pre_1d"]


def test_a_plan_with_new_steps_asks_nobody_to_phone_about_old_sessions(life: ClinicLife) -> None:
    life.now = at("2026-01-31 10:01")
    life.completed("2026-01-31 10:00")
    life.wait(hours=1)
    life.now = NOW
    steps = [*shipped().document["steps"]]
    other = next(step for step in steps if step["key"] == "aftercare_2") | {"key": "aftercare_3"}
    life.follow(life.clinic, replace(shipped(), document={**shipped().document, "steps": [*steps, other]}))
    life.wait(hours=1)
    (row,) = life.messages(step="aftercare_3")
    assert (row.state, row.reason) == ("cancelled", "late")
    assert life.tasks("missed_text") == []


# facts that nobody can compute with


@dataclass(frozen=True, slots=True)
class Spoiled:
    spoil: str
    mend: str
    whose: str


SPOILED = {
    "a patient's zone": Spoiled(
        "UPDATE patient SET time_zone = 'Mars/Olympus' WHERE id = :patient",
        "UPDATE patient SET time_zone = NULL WHERE id = :patient",
        "patient",
    ),
    "a clinic's zone": Spoiled(
        "UPDATE clinic SET time_zone = 'Mars/Olympus' WHERE id = :clinic",
        "UPDATE clinic SET time_zone = 'America/Chicago' WHERE id = :clinic",
        "clinic",
    ),
    "a number of another form": Spoiled(
        "UPDATE patient SET phone = '2025559876' WHERE id = :patient",
        "UPDATE patient SET phone = (SELECT number FROM consent WHERE consent.id = patient.id) WHERE id = :patient",
        "patient",
    ),
    "a time at the end of all days": Spoiled(
        "UPDATE treatment_session SET status = 'completed', completed_at = '9999-12-31 15:00:00.000000' WHERE id = :session",
        "UPDATE treatment_session SET status = 'booked', completed_at = NULL WHERE id = :session",
        "patient",
    ),
}


@pytest.mark.parametrize("case", SPOILED.values(), ids=SPOILED.keys())
def test_facts_that_nobody_can_compute_with_stop_nobody_else(life: ClinicLife, case: Spoiled) -> None:
    other = life.booked(START, of=life.patient(of=life.another_clinic()))
    session = life.booked(START)
    row = life.fresh(session)
    ids = {"patient": row.patient_id, "clinic": row.clinic_id, "session": row.id}
    life.plan()
    life.sql(case.spoil, **{name: key for name, key in ids.items() if f":{name}" in case.spoil})
    more = life.booked(START, of=life.patient(of=life.another_clinic()))
    life.until("2026-03-02 09:12")
    assert {m.session_id for m in life.messages(state="sent")} == {other.id, more.id}
    (task,) = life.tasks("planning_failed")
    assert (task.level, task.state) == ("amber", "open")
    assert f"The texts of {case.whose} {ids[case.whose]} can not be planned" in task.reason
    assert task.patient_id == (ids["patient"] if case.whose == "patient" else None)
    life.sql(case.mend, **{name: key for name, key in ids.items() if f":{name}" in case.mend})
    life.until("2026-03-16 09:00")
    assert life.steps_left(life.fresh(life._all(select(Patient), Patient, {"id": ids["patient"]})[0]))[-1] == "pre_1d"


def test_staff_hear_once_of_a_patient_who_can_not_be_planned(quick: ClinicLife) -> None:
    quick.booked(START, of=quick.patient(time_zone="Mars/Olympus"))
    for _ in range(3):
        quick.plan()
        quick.now += 12 * HOUR
    (task,) = quick.tasks("planning_failed")
    assert (task.state, task.opened_at) == ("open", NOW)


@pytest.mark.parametrize(
    ("later", "zone", "state"),
    [(HOUR, "Mars/Olympus", "closed"), (DAY, "Mars/Olympus", "open"), (HOUR, "Mars/Utopia", "open")],
    ids=["closed just now", "closed a day ago", "something else is wrong"],
)
def test_what_staff_closed_and_nobody_mended_is_put_before_them_again(
    quick: ClinicLife, later: timedelta, zone: str, state: str
) -> None:
    patient = quick.patient(time_zone="Mars/Olympus")
    quick.plan()
    (task,) = quick.tasks("planning_failed")
    with quick.sessions.begin() as db:
        tasks.close(db, task.id, outcome="mended", now=quick.now)
    quick.change(patient, time_zone=zone)
    quick.now += later
    quick.plan()
    (task,) = quick.tasks("planning_failed")
    assert (task.state, task.outcome) == (state, None if state == "open" else "mended")
    assert (zone in task.reason, task.opened_at) == (True, quick.now if state == "open" else NOW)


def test_a_clinic_nobody_can_compute_with_costs_one_batch_a_run(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "BATCH", 2)
    broken, ids = quick.another_clinic(time_zone="Mars/Olympus"), list[int]()
    for _ in range(5):
        quick.patient(of=broken)
    well = quick.booked(START, of=quick.patient(of=quick.another_clinic()))
    lock = planner._lock

    def watched(db: Session, some: list[int]) -> list[int]:
        ids.extend(some)
        return lock(db, some)

    monkeypatch.setattr(planner, "_lock", watched)
    assert quick.plan() == 1
    assert len(ids) == 3
    assert quick.planned("pre_1d").session_id == well.id
    assert len(quick.tasks("planning_failed")) == 1


def test_rows_that_can_not_be_read_stop_nobody_else(life: ClinicLife) -> None:
    bad, sessions = "next Tuesday", [life.booked(START) for _ in range(5)]
    if life.sessions.kw["bind"].dialect.name == "postgresql":
        bad = "infinity"
    life.sql("UPDATE treatment_session SET scheduled_start = :bad WHERE id = :id", bad=bad, id=sessions[1].id)
    life.sql("UPDATE patient SET added_at = :bad WHERE id = :id", bad=bad, id=sessions[3].patient_id)
    assert life.plan() == 3
    assert {m.session_id for m in life.messages(step="pre_1d")} == {sessions[n].id for n in (0, 2, 4)}
    assert {task.patient_id for task in life.tasks("planning_failed")} == {sessions[n].patient_id for n in (1, 3)}


def test_what_a_database_says_stays_out_of_what_staff_read(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors repeat the row, with names and numbers."""
    patient = quick.patient()

    def clash(db: Session, *_: Any, **__: Any) -> None:
        db.add(Patient(clinic_id=patient.clinic_id, external_id=patient.external_id, phone=patient.phone))
        db.flush()

    monkeypatch.setattr(planner, "_notice", clash)
    assert quick.plan() == 0
    (task,) = quick.tasks("planning_failed")
    assert task.reason == f"The texts of patient {patient.id} can not be planned, so none is sent. IntegrityError"


def test_trouble_of_the_database_is_nobodys_fault(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    session = quick.booked(START)
    quick.booked(START)

    def fail(db: Session, *_: Any) -> None:
        db.execute(text("SELECT nothing FROM nowhere"))

    with monkeypatch.context() as patch:
        patch.setattr(planner, "_lock", fail)
        with pytest.raises(OperationalError):
            quick.plan()
    assert quick.tasks() == []
    assert quick.plan() == 2
    assert quick.planned("pre_1d", session).state == "planned"
