"""A day that has cost enough: what is urgent and answers still leave, all else waits for the next day."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows.policy import SendingPolicy
from service.flows.spending import open_purse, spent_today
from tests.flows.clinic_life import ClinicLife, at, rate, ready
from tests.store.factories import NOW

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FAST = 1_000.0


def limited(sessions: sessionmaker[Session], limit: str, price: str = "0.01") -> ClinicLife:
    policy = SendingPolicy(daily_spend_limit=Decimal(limit), segment_price=Decimal(price))
    life = ClinicLife(sessions, policy=policy)
    rate(life, FAST)
    return life


def standing(life: ClinicLife) -> Counter[tuple[str, str | None]]:
    return Counter((m.state, m.held_reason) for m in life.messages(kind="staff"))


def test_a_spent_day_holds_what_is_routine_until_the_next(sessions: sessionmaker[Session]) -> None:
    life = limited(sessions, "0.03")
    life.now = at("2026-03-02 18:00")
    ready(life, 5, expires_at=life.now + 2 * DAY)
    life.dispatch()
    assert standing(life) == {("sent", None): 3, ("planned", "spend_limit"): 2}
    (task,) = life.tasks("spend_limit")
    assert "The limit of 0.03 a day" in task.reason
    assert "AFTERCARE_DAILY_SPEND_LIMIT" in task.next_action
    life.wait(hours=8, minutes=30)
    assert standing(life) == {("sent", None): 3, ("planned", "spend_limit"): 2}
    life.until("2026-03-03 09:20")
    assert standing(life) == {("sent", None): 5}
    assert len(life.tasks("spend_limit")) == 1


def test_nothing_urgent_is_held_back_and_no_answer(sqlite_sessions: sessionmaker[Session]) -> None:
    life = limited(sqlite_sessions, "0")
    life.completed(NOW - 15 * MINUTE)
    patient = life.patient()
    answers: dict[str, Any] = {"kind": "reply", "text": None, "priority": 0, "to_number": patient.phone}
    life.message(patient, template="help", urgency="reply", **answers)
    life.message(patient, template="red_flag", urgency="safety", **answers)
    ready(life, 1)
    life.wait(minutes=5)
    assert sorted(map(str, life.steps_left())) == ["None", "None", "aftercare_1", "aftercare_2"]
    assert standing(life) == {("planned", "spend_limit"): 1}


def test_a_text_of_several_parts_has_to_be_paid_whole(sqlite_sessions: sessionmaker[Session]) -> None:
    life = limited(sqlite_sessions, "0.02")
    ready(life, 1, text="x" * 400)
    life.dispatch()
    assert standing(life) == {("planned", "spend_limit"): 1}
    ready(life, 1, text="x" * 300)
    life.dispatch()
    assert standing(life) == {("planned", "spend_limit"): 1, ("sent", None): 1}


def test_all_senders_pay_from_one_purse(sqlite_sessions: sessionmaker[Session]) -> None:
    life = limited(sqlite_sessions, "0.03")
    life.sql("INSERT INTO sender (id, key, number, segments_per_second) VALUES (2, 'south', '+13125550177', 1000)")
    ready(life, 2)
    ready(life, 2, sender_id=2)
    life.dispatch()
    assert standing(life) == {("sent", None): 3, ("planned", "spend_limit"): 1}
    with life.sessions() as db:
        assert spent_today(db, now=life.now, price=Decimal("0.01")) == Decimal("0.03")
        assert spent_today(db, now=life.now + DAY) == 0


def test_a_limit_that_is_raised_lets_them_go(sqlite_sessions: sessionmaker[Session]) -> None:
    life = limited(sqlite_sessions, "0.01")
    ready(life, 3)
    life.dispatch()
    life.policy = SendingPolicy(daily_spend_limit=Decimal(1), segment_price=Decimal("0.01"))
    life.wait(minutes=16)
    assert standing(life) == {("sent", None): 3}


def test_what_was_held_back_too_long_says_so(sqlite_sessions: sessionmaker[Session]) -> None:
    life = limited(sqlite_sessions, "0")
    (text,) = ready(life, 1, expires_at=NOW + 20 * MINUTE)
    life.wait(minutes=20)
    row = life.fresh(text)
    assert (row.state, row.reason) == ("missed", "spend_limit")


@pytest.mark.parametrize("limit", [None, Decimal("0.02")])
def test_a_purse_pays_for_what_is_urgent_although_it_is_empty(
    sqlite_sessions: sessionmaker[Session], limit: Decimal | None
) -> None:
    policy = SendingPolicy(daily_spend_limit=limit, segment_price=Decimal("0.01"))
    with sqlite_sessions() as db:
        purse = open_purse(db, now=NOW, policy=policy)
    assert not purse.lacks(2)
    purse.pay(3)
    assert purse.lacks(1) is (limit is not None)
