"""Claims that nobody will settle: the text may have left, so it is taken for uncertain and never for unsent."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.flows import recovery
from service.flows.recovery import STALE, rescue_stale_claims
from service.store.tables import Message
from tests.flows.clinic_life import ClinicLife
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


def claimed(life: ClinicLife, ago: timedelta, **over: object) -> Message:
    values = {"state": "sending", "claim_token": "theirs", "claimed_at": NOW - ago, "attempts": 1}
    return life.message(life.patient(), **values | over)


@pytest.mark.parametrize(
    ("ago", "rescued"),
    [(timedelta(0), 0), (STALE, 0), (STALE + MOMENT, 1), (timedelta(days=3), 1)],
    ids=["just claimed", "claimed as long ago as sending may take", "a moment longer", "before the weekend"],
)
def test_a_claim_is_taken_away_when_no_worker_can_still_hold_it(life: ClinicLife, ago: timedelta, rescued: int) -> None:
    text = claimed(life, ago)
    assert rescue_stale_claims(life.sessions, life.clock) == rescued
    assert life.fresh(text).state == ("unconfirmed" if rescued else "sending")


def test_a_rescued_text_says_that_it_may_have_left_and_asks_a_person(life: ClinicLife) -> None:
    text = claimed(life, STALE * 2, urgency="care", priority=1)
    rescue_stale_claims(life.sessions, life.clock)
    row = life.fresh(text)
    assert (row.reason, row.sent_at, row.claim_token, row.attempts) == ("worker_lost", NOW - STALE * 2, None, 1)
    assert life.story(row) == [("unconfirmed", "worker_lost")]
    (task,) = life.tasks("unconfirmed")
    assert (task.message_id, task.level, task.state) == (text.id, "amber", "open")
    assert "not sent again by itself" in task.reason


def test_what_was_rescued_is_not_rescued_again(life: ClinicLife) -> None:
    claimed(life, STALE * 2)
    assert [rescue_stale_claims(life.sessions, life.clock) for _ in range(2)] == [1, 0]
    assert len(life.tasks("unconfirmed")) == 1


def test_only_claims_are_rescued(life: ClinicLife) -> None:
    text = claimed(life, STALE * 2)
    for state in ("planned", "sent", "delivered", "undelivered", "failed", "cancelled", "missed", "unconfirmed"):
        with life.sessions.begin() as db:
            db.execute(update(Message).values(state=state))
        assert rescue_stale_claims(life.sessions, life.clock) == 0
        assert life.fresh(text).state == state


def test_many_are_rescued_batch_by_batch(life: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "BATCH", 2)
    for _ in range(5):
        claimed(life, STALE * 2)
    assert rescue_stale_claims(life.sessions, life.clock) == 5
    assert {m.state for m in life.messages()} == {"unconfirmed"}
