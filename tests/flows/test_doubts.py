"""A person ends a doubt that nothing else could end: the text left, or it did not. Everybody can see who said so, and why."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Outcome, OutgoingSms
from service.flows.doubts import decide_not_sent, decide_sent
from service.flows.receipts import receive_receipt
from service.flows.recovery import recover, rescue_stale_claims
from service.flows.staffing import NotThere, TooLate
from service.flows.telling import tell_unconfirmed
from service.store.tables import JournalEntry, Message, Patient, SendAttempt
from tests.fakes.scripted_gateway import said
from tests.flows.clinic_life import CHICAGO, ClinicLife, Watched, at
from tests.store import factories
from tests.store.factories import NOW

Decide = Callable[..., None]
WAIT = timedelta(seconds=90)


@pytest.fixture
def life(sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sessions)


def doubtful(life: ClinicLife, **over: Any) -> Message:
    """In doubt for twice the wait, and put before a person."""
    patient = life.patient()
    values = {"state": "unconfirmed", "attempts": 1, "to_number": patient.phone, "sent_at": NOW - 2 * WAIT}
    message = life.message(patient, **values | over)
    with life.sessions.begin() as db:
        factories.attempt(db, message, outcome="unknown", number=patient.phone, started_at=NOW - 2 * WAIT)
        tell_unconfirmed(db, message, now=NOW)
    return message


def decided(life: ClinicLife, decide: Decide, message_id: int) -> None:
    with life.sessions.begin() as db:
        decide(db, message_id, reason="The patient has it.", by="nurse", now=life.now, wait=WAIT)


def attempt_of(life: ClinicLife, message: Message) -> SendAttempt:
    with life.sessions() as db:
        return db.scalars(select(SendAttempt).where(SendAttempt.message_id == message.id)).one()


@pytest.mark.parametrize(
    ("decide", "state", "outcome", "kind"),
    [
        pytest.param(decide_sent, "sent", "accepted", "sent", id="it left"),
        pytest.param(decide_not_sent, "planned", "refused", "not_sent", id="it did not leave"),
    ],
)
def test_what_a_person_says_ends_the_doubt(
    life: ClinicLife, decide: Decide, state: str, outcome: str, kind: str
) -> None:
    text = doubtful(life)
    decided(life, decide, text.id)
    assert (life.fresh(text).state, attempt_of(life, text).outcome) == (state, outcome)
    assert life.story(text) == [(kind, "The patient has it.")]
    with life.sessions() as db:
        assert db.scalars(select(JournalEntry.data)).all() == [{"attempt": 1, "by": "nurse"}]
    (task,) = life.tasks("unconfirmed")
    assert (task.state, task.outcome) == ("closed", "Decided by nurse: The patient has it.")


def test_what_did_not_leave_goes_out_once_in_the_normal_way(life: ClinicLife) -> None:
    text = doubtful(life)
    life.plan()
    decided(life, decide_not_sent, text.id)
    with life.sessions() as db:
        assert db.get_one(Patient, text.patient_id).marked
    life.tick()
    assert life.fresh(text).state == "sent"
    assert len(life.network.accepted) == 1


def test_what_is_no_use_any_more_is_missed(life: ClinicLife) -> None:
    text = doubtful(life, expires_at=NOW)
    decided(life, decide_not_sent, text.id)
    life.tick()
    assert life.fresh(text).state == "missed"
    assert life.network.accepted == {}


def test_what_left_is_never_sent_again_and_its_receipt_is_still_heard(life: ClinicLife) -> None:
    text = doubtful(life)
    decided(life, decide_sent, text.id)
    life.tick()
    assert life.network.accepted == {}
    receive_receipt(life.sessions, said("delivered", sid="SM1", mid=text.id), life.clock)
    assert (life.fresh(text).state, life.fresh(text).provider_sid) == ("delivered", "SM1")


@pytest.mark.parametrize("decide", [decide_sent, decide_not_sent])
@pytest.mark.parametrize(
    "state", ["planned", "sending", "sent", "delivered", "undelivered", "failed", "cancelled", "missed"]
)
def test_nobody_decides_about_what_is_not_in_doubt(life: ClinicLife, decide: Decide, state: str) -> None:
    text = life.message(life.patient(), state=state)
    with pytest.raises(TooLate, match=f"message {text.id} is {state}, and nobody doubts it"):
        decided(life, decide, text.id)
    assert life.fresh(text).state == state


@pytest.mark.parametrize("decide", [decide_sent, decide_not_sent])
def test_nobody_decides_what_is_still_being_found_out(life: ClinicLife, decide: Decide) -> None:
    text = doubtful(life, sent_at=NOW - 2 * WAIT + timedelta(seconds=30))
    with pytest.raises(TooLate, match=r"still being found out .* in 30 seconds"):
        decided(life, decide, text.id)
    assert life.fresh(text).state == "unconfirmed"
    assert [task.state for task in life.tasks("unconfirmed")] == ["open"]


@pytest.mark.parametrize("decide", [decide_sent, decide_not_sent])
def test_there_is_no_such_message(life: ClinicLife, decide: Decide) -> None:
    with pytest.raises(NotThere, match="no message 7"):
        decided(life, decide, 7)


def test_one_decision_is_final(life: ClinicLife) -> None:
    text = doubtful(life)
    decided(life, decide_sent, text.id)
    with pytest.raises(TooLate, match="is sent"):
        decided(life, decide_not_sent, text.id)


# --- When it left -------------------------------------------------------------------------------------------------


class PowerCutError(RuntimeError):
    """The machine is down."""


class CutOff(Watched):
    """The machine goes down as soon as the network has taken a text."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        if list(super().send_batch(messages)):
            raise PowerCutError
        yield from ()


def listed(life: ClinicLife, _: Message) -> None:
    recover(life.sessions, life.gateway, life.clock, wait=WAIT)


def reported(life: ClinicLife, text: Message) -> None:
    (sid,) = life.network.accepted
    receive_receipt(life.sessions, said("delivered", sid=sid, mid=text.id), life.clock)


def found_out(life: ClinicLife, text: Message) -> None:
    life.now += WAIT
    decided(life, decide_sent, text.id)


def nobody(life: ClinicLife, _: Message) -> None:
    """It is still in doubt."""


@pytest.mark.parametrize(
    ("learn", "day"),
    [
        pytest.param(listed, 3, id="the list shows it"),
        pytest.param(reported, 3, id="the provider reports it"),
        pytest.param(found_out, 3, id="a person found out"),
        pytest.param(nobody, 4, id="in doubt: it may be of today"),
    ],
)
def test_a_text_of_the_evening_before_does_not_take_the_day_of_its_rescue(
    life: ClinicLife, learn: Callable[[ClinicLife, Message], None], day: int
) -> None:
    """The worker was lost with its text on Monday; on Tuesday a reminder is due, and a day is for one text."""
    patient = life.patient()
    life.completed("2026-02-27 10:00", of=patient, imported=True)
    life.booked("2026-03-10 11:00", of=patient, imported=True)
    life.plan()
    text = life.planned("d3")
    life.change(text, attempt_at=at("2026-03-02 18:30"))
    inner = life.gateway
    life.gateway = CutOff(inner, lambda _: None)
    with pytest.raises(PowerCutError):
        life.until("2026-03-02 18:30")
    life.gateway = inner

    life.now = at("2026-03-03 08:30")
    assert rescue_stale_claims(life.sessions, life.clock) == 1
    life.now += WAIT
    learn(life, text)
    life.until("2026-03-04 20:00")
    assert [(each.step, each.at.astimezone(CHICAGO).day) for each in life.left(patient)] == [("d3", 2), ("pre_7d", day)]
    left_at = life.fresh(text).sent_at
    assert left_at == (at("2026-03-02 18:30") if day == 3 else at("2026-03-03 08:30"))
