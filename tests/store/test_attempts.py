"""Every handing over to the provider stands in a row before it happens, and learns how it ended."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Accepted, Blame, Outcome, OutgoingSms, Refused, Sender, Unknown
from service.store import attempts
from service.store.tables import Message, SendAttempt
from tests.store import factories
from tests.store.factories import NOW

LATER = NOW + timedelta(seconds=5)
REFUSED = Refused(Blame.RECIPIENT, "21211", "The number is not possible.", "Ask for another one.")


@pytest.fixture
def db(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions.begin() as db:
        yield db


@pytest.fixture
def message(db: Session) -> Message:
    return factories.message(db, factories.patient(db, factories.clinic(db)))


def row(message: Message, **over: Any) -> dict[str, Any]:
    values = {
        "message_id": message.id,
        "clinic_id": message.clinic_id,
        "patient_id": message.patient_id,
        "n": 1,
        "number": "+12025550100",
        "sender_id": 1,
        "text": "Please call us.",
        "body_hash": "a" * 64,
        "encoding": "GSM-7",
        "segments": 1,
        "counts": True,
        "started_at": NOW,
    }
    return values | over


def handed_over(message: Message, *, attempt: int = 1) -> OutgoingSms:
    return OutgoingSms(message.id, attempt, "+12025550100", "Please call us.", Sender("+13125550199"), 600, NOW)


def found(db: Session) -> list[SendAttempt]:
    db.flush()
    db.expire_all()
    return list(db.scalars(select(SendAttempt).order_by(SendAttempt.message_id, SendAttempt.n)))


def finish(db: Session, sms: OutgoingSms, outcome: Outcome, *, now: datetime) -> bool:
    return attempts.finish(attempts.find(db, sms), outcome, now=now)


def test_attempts_stand_there_unfinished_before_anything_leaves(db: Session, message: Message) -> None:
    attempts.add(db, [row(message), row(message, n=2, text="Again.")])
    assert [(a.n, a.text, a.outcome, a.finished_at) for a in found(db)] == [
        (1, "Please call us.", None, None),
        (2, "Again.", None, None),
    ]


def test_nothing_to_hand_over_writes_nothing(db: Session) -> None:
    attempts.add(db, [])
    assert found(db) == []


def test_no_attempt_of_a_message_has_the_number_of_another(db: Session, message: Message) -> None:
    attempts.add(db, [row(message)])
    with pytest.raises(IntegrityError), db.begin_nested():
        attempts.add(db, [row(message)])


@pytest.mark.parametrize(
    ("outcome", "columns"),
    [
        pytest.param(Accepted("SM1"), ("accepted", "SM1", None, None), id="taken"),
        pytest.param(REFUSED, ("refused", None, "21211", "The number is not possible."), id="refused"),
        pytest.param(Unknown("timed out"), ("unknown", None, None, "timed out"), id="nobody knows"),
    ],
)
def test_an_attempt_learns_how_it_ended(
    db: Session, message: Message, outcome: Outcome, columns: tuple[str | None, ...]
) -> None:
    attempts.add(db, [row(message), row(message, n=2)])
    finish(db, handed_over(message), outcome, now=LATER)
    first, second = found(db)
    assert (first.outcome, first.provider_sid, first.code, first.detail) == columns
    assert first.finished_at == LATER
    assert (second.outcome, second.finished_at) == (None, None)


@pytest.mark.parametrize(
    "outcome", [Accepted("SM1"), REFUSED, Unknown("timed out")], ids=["taken", "refused", "nobody knows"]
)
def test_the_same_outcome_a_second_time_is_no_news(db: Session, message: Message, outcome: Outcome) -> None:
    """Where the connection broke while it was written, nobody knows whether it was, and it is written again."""
    attempts.add(db, [row(message), row(message, n=2)])
    assert finish(db, handed_over(message), outcome, now=NOW)
    assert not finish(db, handed_over(message), outcome, now=LATER)
    assert found(db)[0].finished_at == NOW
    assert finish(db, handed_over(message, attempt=2), outcome, now=LATER)


@pytest.mark.parametrize(
    ("story", "through"),
    [
        pytest.param("mine", False, id="refused once"),
        pytest.param("theirs mine", False, id="refused once, after others got through"),
        pytest.param("mine mine", False, id="refused twice, and nobody got through"),
        pytest.param("mine theirs mine", True, id="another got through in between"),
        pytest.param("mine theirs mine mine", True, id="another got through in between, a while ago"),
        pytest.param("theirs mine mine", False, id="another got through before that"),
        pytest.param("mine busy mine", False, id="another was not taken in between"),
        pytest.param("mine elsewhere mine", False, id="one from another sender got through"),
        pytest.param("otherwise theirs mine", False, id="refused before for another reason"),
    ],
)
def test_whether_others_got_through_between_two_refusals(
    db: Session, message: Message, story: str, through: bool
) -> None:
    factories.sender(db, id=2)
    other = factories.message(db, factories.patient(db, factories.clinic(db)))
    refused = {"outcome": "refused", "code": "21408"}
    rows: dict[str, tuple[Message, dict[str, Any]]] = {
        "mine": (message, refused),
        "otherwise": (message, refused | {"code": "20429"}),
        "theirs": (other, {"outcome": "accepted"}),
        "busy": (other, refused),
        "elsewhere": (other, {"outcome": "accepted", "sender_id": 2}),
    }
    for n, word in enumerate(story.split(), start=1):
        of, values = rows[word]
        factories.attempt(db, of, n=n, **values)
    assert attempts.others_got_through(db, message.id, code="21408", sender_id=1) is through
    if "elsewhere" in story:
        assert attempts.others_got_through(db, message.id, code="21408", sender_id=None)


@pytest.mark.parametrize("late", [REFUSED, Unknown("timed out"), Accepted("SM2")], ids=["refused", "unknown", "other"])
def test_an_acceptance_that_is_known_already_stays(db: Session, message: Message, late: Outcome) -> None:
    attempts.add(db, [row(message)])
    finish(db, handed_over(message), Accepted("SM1"), now=NOW)
    finish(db, handed_over(message), late, now=LATER)
    (attempt,) = found(db)
    assert (attempt.outcome, attempt.provider_sid, attempt.finished_at) == ("accepted", "SM1", NOW)


def test_an_uncertain_attempt_can_turn_out_to_have_been_taken(db: Session, message: Message) -> None:
    attempts.add(db, [row(message)])
    finish(db, handed_over(message), Unknown("timed out"), now=NOW)
    finish(db, handed_over(message), Accepted("SM1"), now=LATER)
    (attempt,) = found(db)
    assert (attempt.outcome, attempt.provider_sid) == ("accepted", "SM1")


def test_not_knowing_proves_nothing(db: Session, message: Message) -> None:
    """A worker that was frozen learns of a time-out when the provider's list has settled the matter."""
    attempts.add(db, [row(message)])
    finish(db, handed_over(message), REFUSED, now=NOW)
    assert finish(db, handed_over(message), Unknown("timed out"), now=LATER)
    (attempt,) = found(db)
    assert (attempt.outcome, attempt.finished_at) == ("refused", NOW)
