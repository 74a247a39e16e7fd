"""The last look: what may have changed between planning and sending, and everything that holds a text back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.eligibility import HELD_FOR, REPLAN_FOR
from service.flows import looking
from service.flows.casework import Cases, load_cases
from service.flows.holding import release
from service.flows.policy import SendingPolicy
from service.flows.receipts import poll_receipts
from service.flows.staffing import skip_message
from service.gateways.simulated_network import DEFAULT
from service.store import messages, running
from service.store.tables import Installation, Message, Patient, PhoneNumber, SendAttempt, Sender, TemplateVersion
from tests.domain.cases import DAY, HOUR, Book, on_both_plans, shipped
from tests.flows.clinic_life import ClinicLife, at
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
START = "2026-03-16 10:00"
DUE = "2026-03-15 10:00"
"""When the text of the day before is due."""


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


@pytest.fixture
def quick(sqlite_sessions: Sessions) -> ClinicLife:
    """Where the engine does not matter."""
    return ClinicLife(sqlite_sessions)


def day_before(life: ClinicLife, **over: Any) -> Message:
    """A text of the day before, due in a minute, planned long ago."""
    session = life.booked(START, of=life.patient(**over), imported=True)
    life.plan()
    life.now = at(DUE) - MINUTE
    with life.sessions.begin() as db:
        db.execute(
            update(Message).where(Message.step.in_(["baseline", "pre_7d"])).values(state="cancelled", reason="x")
        )
    return life.planned("pre_1d", session)


def aftercare(life: ClinicLife, **over: Any) -> Message:
    """Part one of the aftercare, due in a minute."""
    life.completed(life.now - 9 * MINUTE, of=life.patient(**over))
    life.plan()
    return life.planned("aftercare_1")


def held(life: ClinicLife, message: Message) -> tuple[str, str | None]:
    row = life.fresh(message)
    return row.state, row.held_reason


def ended(life: ClinicLife, message: Message) -> tuple[str, str | None]:
    row = life.fresh(message)
    return row.state, row.reason


# what changed after planning


CHANGES = {
    "moved": "UPDATE treatment_session SET scheduled_start = '2026-03-30 15:00:00.000000+00:00'",
    "cancelled": "UPDATE treatment_session SET status = 'cancelled'",
    "inactive": "UPDATE patient SET status = 'inactive'",
    "deceased": "UPDATE patient SET status = 'deceased'",
    "another number": "UPDATE patient SET phone = '+12025559876'",
    "another language": "UPDATE patient SET language = 'es'",
    "opted out": "INSERT INTO consent (clinic_id, number, kind, at) SELECT clinic_id, phone, 'revoked',"
    " '2026-03-15 14:59:00.000000+00:00' FROM patient",
    "the clinic moved": "UPDATE clinic SET time_zone = 'Asia/Tokyo'",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_leaves_on_facts_that_have_changed_since_planning(life: ClinicLife, statement: str) -> None:
    """Planning is behind: the text waits for it, and is no news to anybody."""
    text = day_before(life)
    life.now += MINUTE
    life.sql(statement)
    life.dispatch()
    assert held(life, text) == ("planned", "replanning")
    assert life.fresh(text).attempt_at == life.now + REPLAN_FOR
    assert (life.left(), life.story(text)) == ([], [])


def test_what_was_replanned_leaves_at_once(life: ClinicLife) -> None:
    text = day_before(life)
    life.now += MINUTE
    life.sql("UPDATE patient SET language = 'es'")
    life.dispatch()
    life.plan()
    life.now += REPLAN_FOR
    life.dispatch()
    assert life.fresh(text).state == "sent"
    assert life.left()[0].body.startswith("Lakeside Clinic: su sesion es")


def test_a_patient_whom_planning_does_not_get_to_is_asked_about_less_often(quick: ClinicLife) -> None:
    text = day_before(quick)
    quick.now += MINUTE
    quick.sql("UPDATE patient SET marked = true")
    waits = []
    for _ in range(3):
        quick.dispatch()
        waits.append((quick.fresh(text).attempt_at - quick.now).seconds)
        quick.now = quick.fresh(text).attempt_at
    assert waits == [2, 30, 30]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_change_that_comes_while_the_facts_are_read_is_seen(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is read last: whoever changed a fact that was just read has set it by then."""
    life = ClinicLife(sessions)
    text = day_before(life)
    life.now += MINUTE

    def read_and_change(db: Session, *args: Any, **options: Any) -> Cases:
        db.execute(select(Patient.marked))
        life.sql(CHANGES["moved"])
        return load_cases(db, *args, **options)

    monkeypatch.setattr(looking, "load_cases", read_and_change)
    life.dispatch()
    assert held(life, text) == ("planned", "replanning")
    assert life.left() == []


@dataclass(frozen=True, slots=True)
class Unplanned:
    """Facts that changed without a mark, as after a restore: the last look still sees them."""

    statement: str
    state: str
    reason: str


UNPLANNED = {
    "cancelled": Unplanned("UPDATE treatment_session SET status = 'cancelled'", "cancelled", "session_cancelled"),
    "deceased": Unplanned("UPDATE patient SET status = 'deceased'", "cancelled", "patient_deceased"),
    "no number": Unplanned("UPDATE patient SET phone = NULL", "cancelled", "no_number"),
    "no consent": Unplanned("UPDATE patient SET phone = '+12025559876'", "cancelled", "no_consent"),
    "opted out": Unplanned(CHANGES["opted out"], "cancelled", "opted_out"),
    "told just now": Unplanned(
        "UPDATE message SET state = 'sent', told_start = '2026-03-16 15:00:00.000000+00:00',"
        " sent_at = '2026-03-15 13:00:00.000000+00:00' WHERE step = 'booked'",
        "cancelled",
        "condition:not_just_told",
    ),
    "step gone": Unplanned("UPDATE message SET step = 'gone' WHERE step = 'pre_1d'", "cancelled", "plan_changed"),
    "outside the hours": Unplanned(
        "UPDATE clinic SET window_opens = '20:00', window_closes = '21:00'", "cancelled", "window"
    ),
}


@pytest.mark.parametrize("case", UNPLANNED.values(), ids=UNPLANNED.keys())
def test_the_last_look_judges_for_itself(life: ClinicLife, case: Unplanned) -> None:
    text = day_before(life)
    life.now += MINUTE
    life.sql(case.statement)
    life.sql("UPDATE patient SET marked = false")
    life.dispatch()
    row = life.fresh(text)
    assert (row.state, row.reason, row.settled_at, row.attempts) == (case.state, case.reason, life.now, 0)
    assert life.story(text) == [("skipped", case.reason)]
    assert life.left() == []


def test_who_can_not_be_texted_is_a_matter_for_staff(quick: ClinicLife) -> None:
    text = day_before(quick)
    quick.now += MINUTE
    quick.sql("UPDATE patient SET phone = NULL")
    quick.sql("UPDATE patient SET marked = false")
    quick.dispatch()
    (task,) = quick.tasks("no_number")
    assert (task.message_id, task.level) == (text.id, "routine")
    assert task.next_action == "Enter the patient's mobile number, or phone."


def test_a_session_that_changes_between_the_claim_and_the_network_has_lost_the_race(life: ClinicLife) -> None:
    """The look was right when it was taken; what comes now makes a correction."""
    text = day_before(life)
    life.until(DUE)
    assert life.fresh(text).state == "sent"
    life.sql(CHANGES["moved"])
    life.wait(hours=1)
    assert life.steps_left() == ["pre_1d", "moved"]


# numbers and languages that change between two tries


def test_a_second_try_goes_to_the_number_and_in_the_language_of_now(life: ClinicLife) -> None:
    patient = life.patient()
    life.completed(NOW - 10 * MINUTE, of=patient)
    life.network.config = replace(DEFAULT, busy=1.0, retry_after_seconds=60)
    life.tick()
    assert held(life, life.planned("aftercare_1")) == ("planned", "retry")
    life.network.config = DEFAULT
    with life.sessions.begin() as db:
        db.execute(update(Patient).values(phone="+12025559876", language="es"))
        factories.grant(db, db.get_one(Patient, patient.id))
    life.wait(minutes=2)
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]
    assert {text.to for text in life.left()} == {"+12025559876"}
    assert "sesion" in life.left()[0].body


@pytest.mark.parametrize("step", ["pre_1d", "count_w4"])
def test_a_text_is_not_held_against_itself_when_it_is_tried_again(life: ClinicLife, step: str) -> None:
    """Neither as news that the patient had just now, nor as a question that was asked already."""
    life.now = at("2026-03-02 10:01")
    life.completed("2026-03-02 10:00")
    life.booked("2026-05-06 10:00", imported=True)
    life.plan()
    row = life.planned(step, state="planned")
    assert row.due_at is not None
    life.now = row.due_at
    life.network.config = replace(DEFAULT, busy=1.0)
    life.dispatch()
    assert held(life, row) == ("planned", "retry")
    life.change(row, told_start=at("2026-05-06 10:00"), sent_at=life.now)
    life.network.config = DEFAULT
    life.wait(minutes=1)
    assert life.fresh(row).state == "sent"


# hours


def test_outside_its_hours_a_text_waits_for_the_next_opening(life: ClinicLife) -> None:
    text = life.message(life.patient(), expires_at=NOW + 3 * DAY)
    life.now = at("2026-03-02 20:00")
    life.tick()
    assert held(life, text) == ("planned", "window")
    assert life.fresh(text).attempt_at == at("2026-03-03 09:00")
    assert life.story(text) == []
    life.until("2026-03-03 09:00")
    assert life.fresh(text).state == "sent"


def test_what_held_a_text_by_day_is_not_forgotten_at_night(life: ClinicLife) -> None:
    text = day_before(life)
    life.change(life.clinic, paused_at=life.now)
    life.until("2026-03-15 18:50")
    assert held(life, text) == ("planned", "clinic_paused")
    life.change(life.clinic, paused_at=None)
    life.now = at("2026-03-15 19:00")
    life.dispatch()
    row = life.fresh(text)
    assert (row.held_reason, row.attempt_at) == ("clinic_paused", at("2026-03-16 09:00"))
    life.until("2026-03-16 08:00")
    assert ended(life, text) == ("missed", "clinic_paused")


def test_a_queue_that_is_late_texts_nobody_at_night(life: ClinicLife) -> None:
    """Planned for the afternoon, the network was out until eleven at night."""
    life.booked("2026-03-04 10:00")
    life.plan()
    life.now = at("2026-03-02 23:00")
    life.tick()
    assert life.left() == []
    life.until("2026-03-03 12:00")
    assert all(9 <= text.at.astimezone(at(START).tzinfo).hour - 6 < 19 for text in life.left())


# caps


def gets(life: ClinicLife, patient: Patient, n: int, *, ago: timedelta) -> None:
    """So many texts left to the patient, each a second apart."""
    for i in range(n):
        moment = life.now - ago - i * SECOND
        sent = life.message(patient, state="sent", sent_at=moment)
        with life.sessions.begin() as db:
            values = {"patient_id": patient.id, "number": patient.phone, "body_hash": f"{i:064}", "started_at": moment}
            factories.attempt(db, sent, **values)


@pytest.mark.parametrize(
    ("n", "ago", "state"),
    [(5, HOUR, "sent"), (6, HOUR, "planned"), (6, 25 * HOUR, "sent"), (12, 2 * DAY, "planned"), (12, 8 * DAY, "sent")],
    ids=["five today", "six today", "six yesterday", "twelve this week", "twelve last week"],
)
def test_a_patient_gets_so_many_texts_and_no_more(life: ClinicLife, n: int, ago: timedelta, state: str) -> None:
    patient = life.patient()
    life.plan()
    gets(life, patient, n, ago=ago)
    text = life.message(patient)
    life.dispatch()
    assert held(life, text) == (state, "cap" if state == "planned" else None)


def test_texts_that_leave_together_are_counted_together(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=1000))
    texts = [life.message(patient, text=f"Text {n}.") for n in range(9)]
    life.dispatch()
    assert [life.fresh(text).state for text in texts] == ["sent"] * 6 + ["planned"] * 3


def test_the_cap_never_holds_back_aftercare(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    gets(life, patient, 12, ago=HOUR)
    life.completed(NOW - 10 * MINUTE, of=patient)
    life.wait(minutes=5)
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]


def test_a_text_that_never_found_room_under_the_cap_says_so(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    gets(life, patient, 6, ago=MINUTE)
    text = life.message(patient, expires_at=NOW + HOUR)
    life.wait(hours=1)
    assert ended(life, text) == ("missed", "cap")
    assert life.story(text) == [("held", "cap"), ("missed", "cap")]


def test_what_the_cap_held_leaves_when_there_is_room(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    gets(life, patient, 6, ago=23 * HOUR)
    text = life.message(patient)
    life.wait(hours=2)
    assert life.fresh(text).state == "sent"
    assert NOW + HOUR <= life.fresh(text).sent_at <= NOW + HOUR + HELD_FOR


# pauses


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that holds texts, how it shows, and its end."""

    begin: Callable[[ClinicLife], None]
    reason: str
    end: Callable[[ClinicLife], None]


def set_all(table: Any, **values: Any) -> Callable[[ClinicLife], None]:
    def act(life: ClinicLife) -> None:
        with life.sessions.begin() as db:
            db.execute(update(table).values(values))

    return act


def clinic_pause(moment: Any) -> Callable[[ClinicLife], None]:
    return lambda life: life.change(life.clinic, paused_at=moment)


PAUSES = {
    "everything": Pause(set_all(Installation, paused_at=NOW), "paused", lambda life: _in(life, running.resume_all)),
    "a sender": Pause(set_all(Sender, paused_at=NOW), "sender_paused", set_all(Sender, paused_at=None)),
    "a clinic": Pause(clinic_pause(NOW), "clinic_paused", clinic_pause(None)),
    "a patient": Pause(
        set_all(Patient, paused_until=NOW + 300 * DAY), "patient_paused", set_all(Patient, paused_until=None)
    ),
}


def _in(life: ClinicLife, act: Callable[[Session], object]) -> None:
    with life.sessions.begin() as db:
        act(db)


@pytest.mark.parametrize("pause", PAUSES.values(), ids=PAUSES.keys())
def test_a_pause_shows_on_what_it_holds_and_its_end_lets_go(life: ClinicLife, pause: Pause) -> None:
    text = day_before(life)
    pause.begin(life)
    life.plan()
    life.now += MINUTE
    life.dispatch()
    assert held(life, text) == ("planned", pause.reason)
    assert life.fresh(text).attempt_at == life.now + HELD_FOR
    life.now += HELD_FOR
    life.tick()
    assert life.story(text) == [("held", pause.reason)]
    assert life.left() == []
    pause.end(life)
    _in(life, lambda db: release(db, pause.reason, now=life.now))
    life.tick()
    assert life.fresh(text).state == "sent"


@pytest.mark.parametrize("pause", PAUSES.values(), ids=PAUSES.keys())
def test_a_pause_that_outlasts_a_text_is_why_it_was_missed(life: ClinicLife, pause: Pause) -> None:
    text = day_before(life)
    pause.begin(life)
    life.until("2026-03-16 07:00")
    assert ended(life, text) == ("missed", pause.reason)
    (task,) = life.tasks("missed_text")
    assert task.reason == f"Day before: the text was not sent ({pause.reason})."


def test_a_patients_pause_ends_by_itself(life: ClinicLife) -> None:
    text = day_before(life)
    life.change(life._all(select(Patient), Patient, {})[0], paused_until=at("2026-03-15 10:20"))
    life.until("2026-03-15 10:30")
    assert life.fresh(text).state == "sent"
    assert life.fresh(text).sent_at >= at("2026-03-15 10:20")


def test_many_texts_that_a_pause_holds_are_looked_at_in_one_go(life: ClinicLife) -> None:
    life.plan()
    texts = [life.message(life.patient()) for _ in range(20)]
    life.plan()
    set_all(Installation, paused_at=NOW)(life)
    assert life.dispatch() == 20
    assert {held(life, text) for text in texts} == {("planned", "paused")}


# part two after part one


@on_both_plans
def test_part_two_leaves_two_minutes_after_part_one(sessions: Sessions, book: Book) -> None:
    life = ClinicLife(sessions, book=book)
    life.completed(NOW - 20 * MINUTE)
    life.wait(minutes=10)
    assert [(text.step, text.at) for text in life.left()] == [
        ("aftercare_1", NOW),
        ("aftercare_2", NOW + 2 * MINUTE),
    ]


def test_part_two_waits_while_part_one_waits(life: ClinicLife) -> None:
    life.network.config = replace(DEFAULT, busy=1.0, retry_after_seconds=240)
    life.completed(NOW - 10 * MINUTE)
    life.tick()
    life.network.config = DEFAULT
    life.wait(minutes=3)
    assert held(life, life.planned("aftercare_2")) == ("planned", "after_step")
    assert life.story(life.planned("aftercare_2")) == []
    life.wait(minutes=4)
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]


def test_part_two_does_not_wait_for_a_part_one_that_a_person_has_to_mend(life: ClinicLife) -> None:
    aftercare(life)
    hole = {"text": "{{ clinic }} {{ count }}"}
    with life.sessions.begin() as db:
        db.execute(update(TemplateVersion).where(TemplateVersion.key == "aftercare_1").values(hole))
    life.wait(minutes=5)
    assert held(life, life.planned("aftercare_1")) == ("planned", "not_writable")
    assert life.steps_left() == ["aftercare_2"]


def test_part_two_leaves_alone_where_there_is_no_part_one(life: ClinicLife) -> None:
    part = aftercare(life)
    with life.sessions.begin() as db:
        skip_message(db, part.id, reason="told in person", by="nurse", now=life.now)
    life.wait(minutes=5)
    assert life.steps_left() == ["aftercare_2"]


def test_part_two_follows_a_part_one_that_may_have_arrived(life: ClinicLife) -> None:
    aftercare(life)
    life.network.config = replace(DEFAULT, fails_after=1.0)
    life.wait(minutes=1)
    life.network.config = DEFAULT
    life.wait(minutes=5)
    assert life.fresh(life.planned("aftercare_1")).state == "unconfirmed"
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]


# texts with a hole


@pytest.mark.parametrize("missing", ["emergency", "phone"])
def test_a_text_with_a_hole_waits_for_staff_and_leaves_when_it_is_mended(life: ClinicLife, missing: str) -> None:
    life.completed(NOW - 13 * MINUTE)
    life.change(life.clinic, **{missing: ""})
    life.wait(minutes=5)
    part = life.planned("aftercare_2" if missing == "phone" else "aftercare_1")
    assert held(life, part) == ("planned", "not_writable")
    (task,) = life.tasks("not_writable", message_id=part.id)
    assert (task.level, task.reason) == (
        "amber",
        f"Not sent: there is no value for {missing}. Fill it in, or take it out of the template.",
    )
    assert all("{{" not in text.body for text in life.left())
    life.change(life.clinic, **{missing: "+13125550100" if missing == "phone" else "911"})
    life.wait(minutes=20)
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]
    assert life.story(part) == [("held", "not_writable"), ("sent", None)]


def test_an_answer_to_an_alarm_that_can_not_be_written_is_red(life: ClinicLife) -> None:
    life.change(life.clinic, emergency="")
    life.message(
        life.patient(), kind="reply", urgency="safety", priority=0, template="red_flag", to_number="+12025550123"
    )
    life.dispatch()
    assert [task.level for task in life.tasks("not_writable")] == ["red"]


def test_facts_with_which_nothing_can_be_computed_hold_their_own_texts_and_no_others(life: ClinicLife) -> None:
    """The staffed hours are in no plan, so nothing was marked when they became nonsense."""
    text = day_before(life)
    other = life.message(life.patient(of=life.another_clinic()), due_at=at(DUE))
    free = life.message(life.patient(), due_at=at(DUE))
    life.plan()
    life.change(life.clinic, hours="whenever")
    life.until(DUE)
    assert held(life, text) == held(life, free) == ("planned", "not_writable")
    assert life.fresh(other).state == "sent"
    (task, _) = life.tasks("not_writable")
    assert f"The data of clinic {life.clinic.id} can not be used" in task.reason
    life.change(life.clinic, hours="Mon-Fri 08:00-17:00")
    life.now += HELD_FOR
    life.dispatch()
    assert life.fresh(text).state == "sent"


def test_texts_end_and_tell_even_where_nothing_can_be_computed(life: ClinicLife) -> None:
    text = day_before(life)
    life.change(life.clinic, hours="whenever")
    life.now = at(START)
    life.dispatch()
    assert ended(life, text) == ("missed", "expired")


# where nothing may go


@pytest.mark.parametrize(
    ("policy", "reason", "task"),
    [
        (SendingPolicy(allowed_recipients=frozenset()), "not_an_allowed_recipient", False),
        (SendingPolicy(allowed_recipients=frozenset({"+12025550000"})), "not_an_allowed_recipient", False),
        (SendingPolicy(allowed_countries=frozenset({"TR", "MX"})), "country_not_allowed", True),
    ],
    ids=["nobody may be texted here", "only a tester may", "this country may not"],
)
def test_nothing_goes_where_it_may_not(life: ClinicLife, policy: SendingPolicy, reason: str, task: bool) -> None:
    text = day_before(life)
    life.policy = policy
    life.until(DUE)
    assert ended(life, text) == ("cancelled", reason)
    assert bool(life.tasks(reason)) is task
    assert life.left() == []


@pytest.mark.parametrize(
    ("policy", "phone", "state"),
    [
        (SendingPolicy(allowed_recipients=frozenset({"+12025550123"})), "+12025550123", "sent"),
        (SendingPolicy(), "+905321234567", "cancelled"),
        (SendingPolicy(allowed_countries=frozenset({"US", "TR"})), "+905321234567", "sent"),
    ],
    ids=["a tester", "abroad", "abroad, where that is allowed"],
)
def test_what_goes_where_it_may(life: ClinicLife, policy: SendingPolicy, phone: str, state: str) -> None:
    text = day_before(life, phone=phone)
    life.policy = policy
    life.until(DUE)
    assert life.fresh(text).state == state


def test_a_number_that_takes_no_texts_is_not_tried(life: ClinicLife) -> None:
    text = day_before(life, phone="+12025550123")
    with life.sessions.begin() as db:
        db.add(PhoneNumber(number="+12025550123", blocked_at=NOW))
    life.until(DUE)
    assert ended(life, text) == ("cancelled", "number_blocked")
    (task,) = life.tasks("number_blocked")
    assert (task.patient_id, task.message_id) == (text.patient_id, text.id)


def test_part_two_does_not_wait_for_the_second_try_of_part_one(life: ClinicLife) -> None:
    """The provider took part one; that the carrier failed is no reason to keep part two for hours."""
    life.network.config = replace(DEFAULT, undelivered=1.0)
    life.completed(NOW - 10 * MINUTE)
    life.tick()
    life.wait(minutes=1)
    poll_receipts(life.sessions, life.gateway, life.clock, after=timedelta())
    assert held(life, life.planned("aftercare_1")) == ("planned", "retry")
    life.wait(minutes=2)
    assert life.steps_left() == ["aftercare_1", "aftercare_2"]


# one planned text a day


@pytest.mark.parametrize(
    ("second", "left"),
    [
        pytest.param("pre_7d", ["booked"], id="a text that may move waits for its time tomorrow"),
        pytest.param("pre_1d", ["pre_1d"], id="where the other one stands fixed, the first waits"),
    ],
)
def test_a_text_that_was_held_up_over_the_night_does_not_share_the_day(
    life: ClinicLife, second: str, left: list[str]
) -> None:
    """Booked on the day before the other is due, and the sender is paused until both could go."""
    patient, other = life.patient(), {"pre_7d": "2026-03-10 15:00", "pre_1d": "2026-03-04 15:00"}[second]
    life.now = at("2026-03-02 16:00")
    life.booked(other, of=patient)
    life.tick()
    set_all(Sender, paused_at=life.now)(life)
    life.until("2026-03-03 09:50")
    set_all(Sender, paused_at=None)(life)
    life.until("2026-03-03 18:30")
    assert life.steps_left(patient) == left
    life.until("2026-03-04 12:00")
    assert len({text.at.date() for text in life.left(patient)}) == len(life.left(patient))


# the same words


def again(offset: int) -> Book:
    """A plan that says part two of the aftercare once more, so many minutes after the session."""
    steps = [*shipped().document["steps"]]
    twice = next(step for step in steps if step["key"] == "aftercare_2")
    more = twice | {"key": "aftercare_again", "offset": {"minutes": offset}, "after_step": []}
    return replace(shipped(), document={**shipped().document, "steps": [*steps, more]})


@pytest.mark.parametrize(
    ("offset", "state"),
    [(12, "cancelled"), (30, "cancelled"), (731, "cancelled"), (733, "sent")],
    ids=["at once", "soon after", "within twelve hours", "after twelve hours"],
)
def test_nobody_hears_the_same_words_twice_within_twelve_hours(life: ClinicLife, offset: int, state: str) -> None:
    life.now = at("2026-03-02 08:00")
    life.follow(life.clinic, again(offset))
    life.completed("2026-03-02 07:55")
    life.until("2026-03-02 20:45")
    (row,) = life.messages(step="aftercare_again")
    assert (row.state, row.reason) == (state, "same_text" if state == "cancelled" else None)
    assert life.planned("aftercare_2").state == "sent"


def test_moved_there_and_back_and_there_again_is_news_each_time(life: ClinicLife) -> None:
    life.now = at("2026-03-02 09:30")
    session = life.booked("2026-03-20 10:00")
    life.wait(minutes=30)
    for start in ("2026-03-21 10:00", "2026-03-22 10:00", "2026-03-21 10:00"):
        life.change(session, scheduled_start=at(start))
        life.wait(minutes=30)
    assert life.steps_left() == ["booked", "moved", "moved", "moved"]


def test_staff_may_say_the_same_twice(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    texts = [life.message(patient) for _ in range(2)]
    life.dispatch()
    assert [life.fresh(text).state for text in texts] == ["sent", "sent"]


# questions


def test_a_number_is_asked_for_consent_once_whoever_has_it(life: ClinicLife) -> None:
    phone = "+12025550123"
    first = life.patient(agreed=False, may_ask=True, phone=phone, added_at=None)
    life.tick()
    second = life.patient(agreed=False, may_ask=True, phone=phone, added_at=None)
    life.wait(days=1)
    assert life.steps_left() == ["optin"]
    assert life.planned("optin", patient_id=first.id).state == "sent"
    assert ended(life, life.planned("optin", patient_id=second.id)) == ("cancelled", "condition:no_consent")


def test_headache_days_are_not_asked_for_twice_in_three_weeks(life: ClinicLife) -> None:
    """Booked early: the count before the session comes 11 days after that of week four."""
    life.now = at("2026-03-02 10:01")
    patient = life.patient()
    life.completed("2026-03-02 10:00", of=patient)
    life.booked("2026-04-14 10:00", of=patient)
    life.until("2026-04-10 12:00")
    assert "count_w4" in life.steps_left()
    assert ended(life, life.planned("count_before")) == ("cancelled", "condition:no_recent_count")


def test_a_question_is_not_repeated_while_answers_can_not_be_told(life: ClinicLife) -> None:
    life.completed(NOW)
    life.until("2026-04-02 12:00")
    assert ended(life, life.planned("count_w4_nudge")) == ("cancelled", "condition:not_answered")


# answers, texts of staff, pages


@dataclass(frozen=True, slots=True)
class Direct:
    """A text that keeps no plan, and whether it leaves."""

    row: dict[str, Any]
    leaves: str | None
    agreed: bool | None = True


REPLY = {"kind": "reply", "urgency": "reply", "priority": 0, "to_number": "+12025550123", "text": None}
NIGHT = "2026-03-02 23:30"
DIRECTS = {
    "an answer, at night": Direct({**REPLY, "template": "ack_fine"}, None),
    "an answer to who has opted out": Direct({**REPLY, "template": "ack_fine"}, "opted_out", agreed=False),
    "an answer to who never agreed": Direct({**REPLY, "template": "ack_fine"}, "no_consent", agreed=None),
    "the confirmation of an opt-out": Direct({**REPLY, "template": "stop_confirm"}, None, agreed=False),
    "help for anybody": Direct({**REPLY, "template": "help"}, None, agreed=None),
    "an answer to an alarm": Direct({**REPLY, "template": "red_flag", "urgency": "safety"}, None, agreed=False),
    "an answer without a number": Direct({**REPLY, "template": "help", "to_number": None}, "no_number"),
    "a page to staff": Direct(
        {"kind": "page", "urgency": "safety", "priority": 0, "to_number": "+12025550123", "patient_id": None},
        None,
        None,
    ),
    "a test to staff": Direct({"patient_id": None, "to_number": "+12025550123"}, None, agreed=None),
}


@pytest.mark.parametrize("case", DIRECTS.values(), ids=DIRECTS.keys())
def test_who_gets_an_answer(life: ClinicLife, case: Direct) -> None:
    patient = life.patient(phone="+12025550123", agreed=case.agreed is True)
    if case.agreed is False:
        with life.sessions.begin() as db:
            factories.grant(db, patient, granted=False)
    life.now = at(NIGHT)
    text = life.message(patient, **case.row)
    life.tick()
    assert ended(life, text) == (("sent", None) if case.leaves is None else ("cancelled", case.leaves))


def test_what_staff_write_to_a_patient_keeps_hours_and_consent(life: ClinicLife) -> None:
    life.now = at(NIGHT)
    late, gone = life.patient(), life.patient()
    waits = life.message(late, expires_at=NOW + 3 * DAY)
    with life.sessions.begin() as db:
        factories.grant(db, gone, granted=False)
    never = life.message(gone)
    life.tick()
    assert held(life, waits) == ("planned", "window")
    assert ended(life, never) == ("cancelled", "opted_out")


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"expires_at": NOW + 59 * SECOND}, "expired"),
        ({"expires_at": NOW + 59 * SECOND, "held_reason": "paused"}, "paused"),
    ],
)
def test_an_answer_that_comes_too_late_is_not_given(quick: ClinicLife, over: dict[str, Any], reason: str) -> None:
    text = quick.message(quick.patient(phone="+12025550123"), **REPLY, template="help", **over)
    quick.dispatch()
    assert ended(quick, text) == ("missed", reason)


def test_an_answer_keeps_the_pauses(life: ClinicLife) -> None:
    text = life.message(life.patient(phone="+12025550123"), **REPLY, template="help")
    set_all(Installation, paused_at=NOW)(life)
    life.dispatch()
    assert held(life, text) == ("planned", "paused")


def test_a_phone_that_texts_gets_its_answer_whatever_was_known_of_the_number(life: ClinicLife) -> None:
    text = life.message(life.patient(phone="+12025550123"), **REPLY, template="help")
    test = life.message(life.patient(), patient_id=None, to_number="+12025550123")
    with life.sessions.begin() as db:
        db.add(PhoneNumber(number="+12025550123", blocked_at=NOW))
    life.dispatch()
    assert life.fresh(text).state == "sent"
    assert ended(life, test) == ("cancelled", "number_blocked")


def test_two_answers_may_be_the_same_and_count_for_no_cap(life: ClinicLife) -> None:
    patient = life.patient(phone="+12025550123")
    life.plan()
    gets(life, patient, 6, ago=HOUR)
    texts = [life.message(patient, **REPLY, template="help") for _ in range(2)]
    life.dispatch()
    assert [life.fresh(text).state for text in texts] == ["sent", "sent"]
    with life.sessions() as db:
        counted = db.scalars(select(SendAttempt.counts).where(SendAttempt.message_id.in_([t.id for t in texts])))
        assert set(counted) == {False}
        assert messages.sent_counts(db, [patient.id], now=life.now)[patient.id] == (6, 6)


# what is pinned


def test_what_left_follows_the_plan_that_was_live_then(life: ClinicLife) -> None:
    text = day_before(life)
    before = life.fresh(text).plan_version_id
    life.follow(life.clinic, shipped())
    life.until(DUE)
    assert life.fresh(text).plan_version_id > before


def test_edited_words_reach_what_is_planned_already(life: ClinicLife) -> None:
    day_before(life)
    with life.sessions.begin() as db:
        live = (TemplateVersion.key == "pre_1d", TemplateVersion.language == "en")
        db.execute(update(TemplateVersion).where(*live).values(state="retired"))
        row = {"clinic_id": life.clinic.id, "key": "pre_1d", "language": "en", "version": 2, "state": "live"}
        words = {"text": "{{ clinic }}: see you at {{ time }}.", "created_at": NOW, "created_by": "test"}
        db.execute(insert(TemplateVersion).values(**row, **words))
    life.until(DUE)
    assert life.left()[0].body == "Lakeside Clinic: see you at 10:00 AM."
