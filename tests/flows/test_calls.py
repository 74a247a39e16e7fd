"""Whom to call: everybody whom a text did not reach, once, the most urgent first; nobody whom it would be wrong to call."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows.calls import NOBODY_KNOWS, Call, whom_to_call
from service.flows.doubts import decide_not_sent, decide_sent
from service.flows.recovery import recover
from service.flows.staffing import close_task
from service.gateways.simulated_network import DEFAULT, Span
from service.store.tables import Clinic, Message, Patient, TreatmentSession
from tests.flows.clinic_life import ClinicLife
from tests.store import factories
from tests.store.factories import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def life(sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sessions)


@pytest.fixture
def patient(life: ClinicLife) -> Patient:
    return life.patient()


@pytest.fixture
def session(life: ClinicLife, patient: Patient) -> TreatmentSession:
    return life.booked(NOW + DAY, of=patient)


def in_vain(life: ClinicLife, of: Patient, session: TreatmentSession | None = None, **over: Any) -> Message:
    """A text of the plan that was missed an hour ago, unless said otherwise."""
    about = {"kind": "plan", "step": life.book.keys["pre_1d"], "session_id": session.id if session else None}
    ended = {"state": "missed", "due_at": NOW - 3 * HOUR, "settled_at": NOW - HOUR, "reason": "provider_down"}
    return life.message(of, **about | ended | over)


def calls(life: ClinicLife, *, clinic: Clinic | None = None) -> list[Call]:
    with life.sessions() as db:
        return whom_to_call(
            db,
            since=life.now - DAY,
            doubtful_until=life.now - 3 * MINUTE,
            now=life.now,
            clinic_id=clinic.id if clinic else None,
        )


def test_a_call_says_whom_about_what_and_why(life: ClinicLife, patient: Patient, session: TreatmentSession) -> None:
    message = in_vain(life, patient, session)
    assert calls(life) == [
        Call(
            clinic_id=life.clinic.id,
            patient_id=patient.id,
            external_id=patient.external_id,
            phone=patient.phone,
            message_id=message.id,
            step=message.step,
            title="Day before",
            urgency="routine",
            session_id=session.id,
            session_start=NOW + DAY,
            state="missed",
            why="provider_down",
            at=NOW - HOUR,
            task_id=None,
        )
    ]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        pytest.param({}, "provider_down", id="missed"),
        pytest.param({"state": "failed", "reason": "A landline. (30006)"}, "A landline. (30006)", id="failed"),
        pytest.param({"state": "undelivered", "reason": None}, "undelivered", id="not delivered, and nobody says why"),
        pytest.param(
            {"state": "unconfirmed", "settled_at": None, "sent_at": NOW - HOUR, "reason": "No answer."},
            "nobody knows whether it left",
            id="in doubt for an hour",
        ),
        pytest.param(
            {"state": "unconfirmed", "settled_at": None, "sent_at": NOW - MINUTE}, None, id="in doubt for a minute"
        ),
        pytest.param({"state": "sent", "sent_at": NOW - HOUR}, None, id="sent"),
        pytest.param(
            {"state": "planned", "settled_at": None, "held_reason": "provider_down"}, None, id="it still waits"
        ),
        pytest.param({"state": "cancelled", "reason": "opted_out"}, None, id="not wanted"),
        pytest.param({"settled_at": NOW - DAY}, "provider_down", id="a day ago"),
        pytest.param({"settled_at": NOW - DAY - MINUTE}, None, id="longer ago than was asked for"),
        pytest.param({"kind": "page"}, None, id="a page to staff"),
        pytest.param({"due_at": None, "reason": "expired"}, None, id="too late before anybody knew of the session"),
    ],
)
def test_what_makes_a_call(
    life: ClinicLife, patient: Patient, session: TreatmentSession, values: dict[str, Any], why: str | None
) -> None:
    in_vain(life, patient, session, **values)
    assert [call.why for call in calls(life)] == ([why] if why else [])


@pytest.mark.parametrize("status", ["inactive", "deceased"])
def test_nobody_is_called_about_a_patient_at_rest(life: ClinicLife, status: str) -> None:
    in_vain(life, life.patient(status=status))
    assert calls(life) == []


def test_the_most_urgent_first_then_the_session_that_is_nearest(life: ClinicLife, patient: Patient) -> None:
    far, near = (life.booked(NOW + days * DAY, of=patient) for days in (9, 2))
    routine_far, routine_near = in_vain(life, patient, far), in_vain(life, patient, near)
    care = in_vain(life, patient, far, priority=1, urgency="care")
    answer = in_vain(life, patient, kind="reply", step=None, template="help", priority=0, urgency="reply")
    assert [call.message_id for call in calls(life)] == [answer.id, care.id, routine_near.id, routine_far.id]


@pytest.mark.parametrize(
    ("later", "called"),
    [
        pytest.param({}, False, id="the same text of the same session, sent"),
        pytest.param({"state": "delivered"}, False, id="and delivered"),
        pytest.param({"state": "unconfirmed"}, True, id="of which nobody knows either"),
        pytest.param({"state": "planned", "sent_at": None}, True, id="still to be sent"),
        pytest.param({"step": "another"}, True, id="another text"),
        pytest.param({"session_id": None}, True, id="about another session"),
        pytest.param({"sent_at": NOW - 4 * HOUR}, True, id="sent before this one was due"),
    ],
)
def test_what_a_later_text_has_said_needs_no_call(
    life: ClinicLife, patient: Patient, session: TreatmentSession, later: dict[str, Any], called: bool
) -> None:
    first = in_vain(life, patient, session)
    said = {"state": "sent", "sent_at": NOW - 2 * MINUTE, "settled_at": None, "reason": None}
    in_vain(life, patient, session, **said | later)
    assert (first.id in [call.message_id for call in calls(life)]) is called


def test_another_patients_text_says_nothing_to_this_one(life: ClinicLife, patient: Patient) -> None:
    in_vain(life, patient)
    in_vain(life, life.patient(), state="sent", sent_at=NOW - MINUTE)
    assert [call.patient_id for call in calls(life)] == [patient.id]


def test_an_open_task_is_named_and_a_closed_one_ends_the_matter(
    life: ClinicLife, patient: Patient, session: TreatmentSession
) -> None:
    missed = in_vain(life, patient, session)
    refused = in_vain(life, patient, session, state="failed", due_at=None)
    with life.sessions.begin() as db:
        about_missed = factories.task(db, life.clinic, identity=f"missed:{missed.identity}").id
        about_refused = factories.task(db, life.clinic, message_id=refused.id).id
    assert {call.message_id: call.task_id for call in calls(life)} == {
        missed.id: about_missed,
        refused.id: about_refused,
    }
    with life.sessions.begin() as db:
        close_task(db, about_missed, outcome="phoned, she knows", by="nurse", now=NOW)
    assert [call.message_id for call in calls(life)] == [refused.id]


# a doubt that is over

WAIT = timedelta(seconds=90)
LOOK = timedelta(minutes=5)


def put_before_staff(life: ClinicLife, patient: Patient) -> Message:
    """A text whose answer an outage swallowed, and of which no list tells anything either: somebody is to phone."""
    life.network.config = replace(DEFAULT, outages=[Span(NOW, NOW + HOUR)])
    text = life.message(patient)
    life.tick()
    life.now += LOOK
    recover(life.sessions, life.gateway, life.clock, wait=WAIT)
    assert [(task.kind, task.state) for task in life.tasks()] == [("unconfirmed", "open")]
    assert [(call.message_id, call.why) for call in calls(life)] == [(text.id, NOBODY_KNOWS)]
    return text


def proven_not_sent(life: ClinicLife, _: Message) -> None:
    """The lists are there again."""
    life.now = NOW + HOUR
    assert recover(life.sessions, life.gateway, life.clock, wait=WAIT) == 1


def decided_as_not_sent(life: ClinicLife, text: Message) -> None:
    with life.sessions.begin() as db:
        decide_not_sent(db, text.id, reason="She has nothing.", by="nurse", now=life.now, wait=WAIT)


def decided_as_sent(life: ClinicLife, text: Message) -> None:
    with life.sessions.begin() as db:
        decide_sent(db, text.id, reason="She has read it to me.", by="nurse", now=life.now, wait=WAIT)


def phoned(life: ClinicLife, _: Message) -> None:
    (task,) = life.tasks("unconfirmed")
    with life.sessions.begin() as db:
        close_task(db, task.id, outcome="phoned, she knows", by="nurse", now=life.now)


@pytest.mark.parametrize(
    ("end", "state", "called"),
    [
        pytest.param(proven_not_sent, "missed", True, id="proven not sent: the task closed by itself"),
        pytest.param(decided_as_not_sent, "missed", True, id="a person found that it had not left"),
        pytest.param(decided_as_sent, "sent", False, id="a person found that it had left"),
        pytest.param(phoned, "unconfirmed", False, id="a person phoned, and nobody knows to this day"),
    ],
)
def test_what_came_of_a_doubt_is_not_taken_for_a_call(
    life: ClinicLife,
    patient: Patient,
    end: Callable[[ClinicLife, Message], None],
    state: str,
    called: bool,
) -> None:
    text = put_before_staff(life, patient)
    end(life, text)
    assert [task.state for task in life.tasks("unconfirmed")] == ["closed"]
    life.now = NOW + 9 * HOUR
    life.dispatch()
    assert life.fresh(text).state == state
    assert [(call.message_id, call.task_id) for call in calls(life)] == [(text.id, None)] * called


def test_each_clinic_has_its_own_list(life: ClinicLife, patient: Patient) -> None:
    other = life.another_clinic()
    in_vain(life, patient)
    in_vain(life, life.patient(of=other))
    assert [call.clinic_id for call in calls(life)] == [life.clinic.id, other.id]
    assert [call.clinic_id for call in calls(life, clinic=other)] == [other.id]


def test_a_plan_that_can_not_be_read_hides_nobody(life: ClinicLife, patient: Patient) -> None:
    step = in_vain(life, patient, template="pre_1d").step
    in_vain(life, patient, kind="staff", step=None)
    life.sql("UPDATE plan_version SET document = '{}'")
    assert [(call.step, call.title) for call in calls(life)] == [(step, "pre_1d"), (None, "staff")]
