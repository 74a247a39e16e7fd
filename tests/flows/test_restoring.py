"""After a restore: what the provider has taken is found again, what may be the same goes to a person, and nothing leaves twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.domain.sms import Accepted, OutgoingSms
from service.domain.sms import Sender as From
from service.flows import guard
from service.flows.doubts import decide_not_sent
from service.flows.inbox import poll_inbound
from service.flows.recovery import recover
from service.flows.restoring import Compared, Restoring, recover_since, release
from service.flows.verification.verifying import verify
from service.gateways.simulated import SimulatedGateway
from service.gateways.simulated_network import DEFAULT
from service.store.database import create_engine_for, session_factory
from service.store.tables import JournalEntry, Message, Patient, SendAttempt
from tests.conftest import copy_of
from tests.flows.clinic_life import SENDER, ClinicLife
from tests.store import factories
from tests.store.factories import NOW

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WAIT = timedelta(seconds=90)
PHONE = "+12025550142"


@pytest.fixture
def original(sqlite_template: Path, tmp_path: Path) -> Iterator[ClinicLife]:
    """The installation before its machine broke, at the same hour."""
    folder = tmp_path / "original"
    folder.mkdir()
    engine = create_engine_for(copy_of(sqlite_template, folder))
    yield ClinicLife(session_factory(engine))
    engine.dispose()


def restoring(life: ClinicLife) -> Restoring:
    return Restoring(life.sessions, life.gateway, life.clock, life.policy, "own")


def compare(life: ClinicLife, *, since: datetime = NOW - DAY) -> Compared:
    return recover_since(restoring(life), since)


def let_go(life: ClinicLife) -> bool:
    return release(restoring(life), by="test", account="account")


def after_the_restore(life: ClinicLife, original: ClinicLife) -> None:
    """From now on this copy has the provider of the original."""
    life.network = original.network
    life.gateway = SimulatedGateway(life.network, life.clock)


def took(life: ClinicLife, body: str, *, at: datetime = NOW, to: str = PHONE) -> str:
    """The provider took a text of ours that the copy knows nothing of; its id."""
    text = OutgoingSms(0, 1, to, body, From(SENDER, None), 3600, datetime.max.replace(tzinfo=UTC))
    outcome = life.network.submit(text, at)
    assert isinstance(outcome, Accepted)
    return outcome.provider_sid


def without_words(life: ClinicLife) -> None:
    """The provider's list shows when texts left, and nothing of what they said."""
    life.network.config = replace(DEFAULT, redacted=True)


def moment(at: datetime | None) -> datetime:
    assert at is not None
    return at


def journal(life: ClinicLife, kind: str) -> list[JournalEntry]:
    with life.sessions() as db:
        return list(db.scalars(select(JournalEntry).where(JournalEntry.kind == kind).order_by(JournalEntry.id)))


def attempts(life: ClinicLife, message: Message) -> list[SendAttempt]:
    with life.sessions() as db:
        return list(db.scalars(select(SendAttempt).where(SendAttempt.message_id == message.id).order_by(SendAttempt.n)))


def proven(life: ClinicLife) -> None:
    assert verify(life.sessions, life.clock).in_order() == []


# Found again


def test_a_text_the_provider_has_is_settled_under_its_id(life: ClinicLife) -> None:
    message = life.message(life.patient(phone=PHONE), text="Please  call us.")
    sid = took(life, "Please call us.", at=NOW + MINUTE)
    life.now += HOUR
    assert compare(life) == Compared(listed=1, known=0, attached=1, held=0, unexplained=0, inbound=0)
    row, (attempt,) = life.fresh(message), attempts(life, message)
    assert (row.state, row.provider_sid, row.sent_at, row.attempts) == ("sent", sid, NOW + MINUTE, 1)
    assert (attempt.outcome, attempt.provider_sid, attempt.started_at) == ("accepted", sid, NOW + MINUTE)
    assert [kind for kind, _ in life.story(row)] == ["restored", "sent"]
    assert compare(life) == Compared(listed=1, known=1, attached=0, held=0, unexplained=0, inbound=0)
    let_go(life)
    life.tick()
    assert len(life.network.accepted) == 1
    proven(life)


def test_of_two_alike_as_many_are_settled_as_the_provider_has(life: ClinicLife) -> None:
    patient = life.patient(phone=PHONE)
    texts = [life.message(patient, due_at=NOW + n * MINUTE) for n in range(2)]
    took(life, "Please call us.")
    life.now += HOUR
    assert compare(life).attached == 1
    assert [life.fresh(text).state for text in texts] == ["sent", "planned"]


def test_a_text_whose_time_was_over_in_the_copy_is_found_again_too(life: ClinicLife) -> None:
    message = life.message(life.patient(phone=PHONE), expires_at=NOW + MINUTE)
    took(life, "Please call us.", at=NOW + SECOND)
    life.now += HOUR
    with life.sessions.begin() as db:
        guard.hold(db, guard.Cause.SILENCE, since=NOW, now=life.now)
    life.tick()
    assert life.fresh(message).state == "missed"
    assert compare(life).attached == 1
    row = life.fresh(message)
    assert (row.state, row.settled_at) == ("sent", None)


@pytest.mark.parametrize("state", ["sending", "unconfirmed"])
def test_a_text_that_was_on_its_way_when_the_backup_was_made(life: ClinicLife, state: str) -> None:
    message = on_its_way(life, state)
    sid = took(life, "Please call us.", at=NOW + SECOND)
    life.now += HOUR
    assert compare(life) == Compared(listed=1, known=0, attached=1, held=0, unexplained=0, inbound=0)
    row = life.fresh(message)
    assert (row.state, row.provider_sid, row.claim_token, row.attempts) == ("sent", sid, None, 1)


def on_its_way(life: ClinicLife, state: str) -> Message:
    values: dict[str, Any] = {"state": state, "to_number": PHONE, "attempts": 1, "claimed_at": NOW}
    values |= {"claim_token": "theirs"} if state == "sending" else {"sent_at": NOW}
    message = life.message(life.patient(phone=PHONE), **values)
    with life.sessions.begin() as db:
        factories.attempt(db, message, number=PHONE, outcome=None if state == "sending" else "unknown")
    return message


@pytest.mark.parametrize(
    ("body", "at"),
    [("Other words.", NOW + SECOND), ("Please call us.", NOW + 6 * MINUTE), ("Please call us.", NOW - 2 * MINUTE)],
    ids=["other words", "too late for it", "too early for it"],
)
def test_a_text_on_its_way_is_not_taken_for_another_one(life: ClinicLife, body: str, at: datetime) -> None:
    message = on_its_way(life, "unconfirmed")
    took(life, body, at=at)
    life.now += HOUR
    found = compare(life)
    assert (found.attached, found.unexplained) == (0, 1)
    assert life.fresh(message).state == "unconfirmed"


def test_a_text_that_a_retry_has_taken_over_is_settled_as_that_retry(life: ClinicLife) -> None:
    """The first attempt is in doubt, too, but only the newest can be settled."""
    message = life.message(life.patient(phone=PHONE), attempts=1, to_number=PHONE)
    with life.sessions.begin() as db:
        factories.attempt(db, message, number=PHONE, outcome="unknown")
    sid = took(life, "Please call us.", at=NOW + SECOND)
    life.now += HOUR
    assert compare(life).attached == 1
    assert life.fresh(message).attempts == 2
    assert [attempt.provider_sid for attempt in attempts(life, message)] == [None, sid]


# Answers


def test_an_answer_is_made_again_from_what_the_phone_said_and_found_again(
    life: ClinicLife, original: ClinicLife
) -> None:
    for each in (original, life):
        each.patient(phone=PHONE, first_name="Robin", last_name="Sample")
    original.network.say(PHONE, SENDER, body="What may I eat?", now=NOW)
    original.wait(seconds=5)
    assert poll_inbound(original.sessions, original.gateway, original.clock, stop_replies="own") == 1
    original.tick()
    assert len(original.network.accepted) == 1

    after_the_restore(life, original)
    life.now += 40 * MINUTE
    assert compare(life) == Compared(listed=1, known=0, attached=1, held=0, unexplained=0, inbound=1)
    (answer,) = life.messages(kind="reply")
    assert (answer.state, answer.template) == ("sent", "unknown_reply")
    let_go(life)
    life.tick()
    assert len(life.network.accepted) == 1
    proven(life)


@pytest.mark.parametrize(
    ("asked", "held"),
    [(-DAY, 0), (-62 * MINUTE, 1), (-HOUR, 1), (-SECOND, 1), (MINUTE, 1), (2 * MINUTE, 0), (DAY, 0)],
    ids=[
        "a day before",
        "its hour is just over",
        "an hour before",
        "just before",
        "clocks differ",
        "after it",
        "a day after",
    ],
)
def test_an_answer_may_be_a_text_of_the_hour_after_its_question_only(
    life: ClinicLife, asked: timedelta, held: int
) -> None:
    """Whenever it is due: it is made again long after."""
    without_words(life)
    life.now += 2 * DAY
    patient, said_at = life.patient(phone=PHONE), NOW + asked
    values: dict[str, Any] = {"kind": "reply", "template": "unknown_reply", "text": None, "expires_at": said_at + HOUR}
    answer = life.message(patient, to_number=PHONE, due_at=life.now, **values)
    took(life, "Anything.", at=NOW)
    found = compare(life)
    assert (found.held, found.unexplained) == (held, 1 - held)
    assert life.fresh(answer).state == ("unconfirmed" if held else "planned")


def test_an_answer_to_a_number_of_no_patient(life: ClinicLife) -> None:
    """Only the clinic can be spoken of; it is written as well."""
    template = {"kind": "reply", "template": "unknown_reply", "text": None, "patient_id": None}
    answer = life.message(life.patient(), to_number=PHONE, **template, language="en", expires_at=NOW + HOUR)
    took(life, "Anything.")
    life.now += MINUTE
    assert compare(life).held == 1
    (attempt,) = attempts(life, answer)
    assert attempt.text.startswith("Lakeside Clinic")


# What may be it


def test_a_list_without_words_settles_nothing_and_all_that_it_may_be_goes_to_a_person(life: ClinicLife) -> None:
    without_words(life)
    patient = life.patient(phone=PHONE)
    near = [life.message(patient, text=f"Number {n}.", due_at=NOW + n * MINUTE) for n in range(2)]
    far = life.message(patient, text="In two hours.", due_at=NOW + 2 * HOUR, expires_at=NOW + DAY)
    other = life.message(life.patient(), text="To another phone.")
    took(life, "Number 0.")
    life.now += MINUTE
    found = compare(life)
    assert (found.attached, found.held, found.unexplained) == (0, 2, 0)
    assert [life.fresh(each).state for each in (*near, far, other)] == ["unconfirmed"] * 2 + ["planned"] * 2
    assert {task.message_id for task in life.tasks("unconfirmed")} == {each.id for each in near}
    let_go(life)
    life.tick()
    assert [taken.text.body for taken in life.network.accepted.values()] == ["Number 0.", "To another phone."]


def test_a_text_on_its_way_explains_one_without_words(life: ClinicLife) -> None:
    """It goes to a person by itself, as every doubt does that no list ends."""
    without_words(life)
    message = on_its_way(life, "sending")
    took(life, "Please call us.", at=NOW + SECOND)
    life.now += HOUR
    found = compare(life)
    assert (found.attached, found.held, found.unexplained) == (0, 1, 0)
    for _ in range(2):
        recover(life.sessions, life.gateway, life.clock, wait=WAIT)
        life.now += 5 * MINUTE
    assert life.fresh(message).state == "unconfirmed"
    assert len(life.tasks("unconfirmed")) == 1


def changed_since(life: ClinicLife) -> list[Message]:
    """Two texts, either of which may be the one that left with words that nobody would write now."""
    patient = life.patient(phone=PHONE)
    texts = [life.message(patient, text=f"As number {n} reads now.") for n in range(2)]
    took(life, "As one of them read then.")
    life.now += MINUTE
    return texts


def test_comparing_again_settles_no_doubt_and_finds_no_other_one(life: ClinicLife) -> None:
    texts = changed_since(life)
    for _ in range(3):
        assert compare(life) == Compared(listed=1, known=0, attached=0, held=2, unexplained=0, inbound=0)
    assert {life.fresh(text).state for text in texts} == {"unconfirmed"}
    assert len(life.tasks("unconfirmed")) == 2
    proven(life)


def test_the_list_never_ends_such_a_doubt_and_a_person_does(life: ClinicLife) -> None:
    texts = changed_since(life)
    compare(life)
    let_go(life)
    for _ in range(3):
        life.now += 5 * MINUTE
        recover(life.sessions, life.gateway, life.clock, wait=WAIT)
        life.tick()
    assert {life.fresh(text).state for text in texts} == {"unconfirmed"}
    assert len(life.network.accepted) == 1
    with life.sessions.begin() as db:
        decide_not_sent(db, texts[1].id, reason="asked her", by="test", now=life.now, wait=WAIT)
    life.tick()
    assert [life.fresh(text).state for text in texts] == ["unconfirmed", "sent"]
    proven(life)


def test_what_a_doubted_text_of_the_plan_would_have_said_is_noted(life: ClinicLife) -> None:
    """Were it the one that left, the patient would have been told of that start."""
    patient = life.patient(phone=PHONE)
    session = life.booked(NOW + DAY, of=patient)
    life.plan()
    message = life.planned("pre_1d", session)
    life.now = moment(message.due_at)
    took(life, "A text of another edition.", at=life.now)
    assert compare(life).held >= 1
    row, (attempt,) = life.fresh(message), attempts(life, message)
    assert (row.state, row.told_start) == ("unconfirmed", session.scheduled_start)
    assert "Lakeside Clinic" in attempt.text
    assert compare(life).attached == 0
    for _ in range(2):
        life.now += 5 * MINUTE
        recover(life.sessions, life.gateway, life.clock, wait=WAIT)
    assert life.fresh(message).state == "unconfirmed", "that it is in the list proves nothing: the words are others"


def test_a_text_that_was_only_compared_tells_nobody_of_a_start(life: ClinicLife) -> None:
    patient = life.patient(phone=PHONE)
    session = life.booked(NOW + DAY, of=patient)
    life.plan()
    message = life.planned("pre_1d", session)
    life.now = moment(message.due_at)
    life.message(patient)
    took(life, "Please call us.", at=life.now)
    assert compare(life).attached == 1
    row = life.fresh(message)
    assert (row.state, row.told_start) == ("planned", None)


def test_what_can_not_be_written_any_more_may_still_be_it(life: ClinicLife) -> None:
    message = life.message(life.patient(phone=PHONE), template="a text that is gone", text=None)
    took(life, "Anything.")
    life.now += MINUTE
    assert compare(life).held == 1
    (attempt,) = attempts(life, message)
    assert attempt.text == ""


def test_what_no_row_explains_is_journalled_once(life: ClinicLife) -> None:
    life.clinic  # noqa: B018 -- made when asked for
    took(life, "From another program.")
    life.now += MINUTE
    assert [compare(life).unexplained for _ in range(2)] == [1, 1]
    (entry,) = journal(life, "unexplained")
    assert entry.data["number"] == PHONE[-2:], "never a whole number"


# Around it


def test_comparing_holds_sending_and_releasing_lets_it_go(life: ClinicLife) -> None:
    message = life.message(life.patient())
    assert compare(life).listed == 0
    life.tick()
    assert (life.fresh(message).state, life.fresh(message).held_reason) == ("planned", "paused")
    assert let_go(life)
    assert not let_go(life), "nothing is held any more"
    life.tick()
    assert life.fresh(message).state == "sent"
    assert [entry.data["listed"] for entry in journal(life, "recovered")] == [0]


def test_phones_are_heard_again_from_then_on(life: ClinicLife) -> None:
    """The copy says that all was fetched up to now; what was said since the backup is asked for all the same."""
    patient: Patient = life.patient(phone=PHONE)
    poll_inbound(life.sessions, life.gateway, life.clock, stop_replies="own")
    life.network.say(PHONE, SENDER, body="STOP", now=NOW - 5 * HOUR)
    assert compare(life, since=NOW - 4 * HOUR).inbound == 1
    message = life.message(patient)
    let_go(life)
    life.tick()
    assert life.fresh(message).state == "cancelled"
