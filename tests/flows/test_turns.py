"""What is urgent goes first, and nothing waits for ever: one segment in ten is for what has waited longest of the rest."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from service.flows import dispatcher
from service.flows.dispatcher import dispatch_due
from service.store.tables import Sender
from tests.flows.clinic_life import ClinicLife, rate, ready
from tests.store.factories import NOW

SECOND = timedelta(seconds=1)
LONG_TEXT = "Two parts. " * 20
URGENT: dict[str, Any] = {"urgency": "care", "priority": 0}
CARE: dict[str, Any] = {"urgency": "care", "priority": 1}


def order(life: ClinicLife) -> list[int]:
    """The priorities of the texts, in the order in which they left."""
    priority = {message.id: message.priority for message in life.messages()}
    return [priority[text.message_id] for text in life.left()]


@pytest.mark.parametrize("per_second", [0.2, 1.0, 1000.0], ids=["one at a time", "a few at a time", "all at once"])
def test_under_a_flood_every_tenth_text_is_one_that_is_less_urgent(life: ClinicLife, per_second: float) -> None:
    rate(life, per_second)
    ready(life, 40, **URGENT)
    ready(life, 10)
    life.wait(minutes=4)
    left = order(life)[:40]
    assert [n for n, priority in enumerate(left, start=1) if priority == 2] == [10, 20, 30, 40]


def test_a_flood_of_care_texts_gives_way_to_routine_ones_too(quick: ClinicLife) -> None:
    rate(quick, 1.0)
    ready(quick, 18, **CARE)
    ready(quick, 3)
    quick.wait(minutes=1)
    assert order(quick)[:20] == [1] * 9 + [2] + [1] * 9 + [2]


def test_the_turn_is_of_what_has_waited_longest(quick: ClinicLife) -> None:
    rate(quick, 1.0)
    ready(quick, 20, **URGENT)
    (routine,) = ready(quick, 1, due_at=NOW - 2 * SECOND)
    (care,) = ready(quick, 1, due_at=NOW - SECOND, **CARE)
    quick.wait(minutes=1)
    left = [text.message_id for text in quick.left()]
    assert (left.index(routine.id), left.index(care.id)) == (9, 19)


def test_where_nobody_urgent_waits_all_go_in_the_order_of_urgency(quick: ClinicLife) -> None:
    ready(quick, 3)
    ready(quick, 3, **CARE)
    ready(quick, 3, **URGENT)
    quick.dispatch()
    assert order(quick) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_long_texts_pay_for_their_turn(quick: ClinicLife) -> None:
    rate(quick, 1.0)
    ready(quick, 40, **URGENT)
    ready(quick, 3, text=LONG_TEXT)
    quick.wait(seconds=45)
    left = order(quick)[:40]
    assert [n for n, priority in enumerate(left, start=1) if priority == 2] == [10, 29]


def test_workers_share_the_turns(life: ClinicLife) -> None:
    """Which worker sent what went ahead does not matter: what was counted stands in the sender's row."""
    rate(life, 0.4)
    ready(life, 30, **URGENT)
    ready(life, 5)
    others = ClinicLife(life.sessions, now=life.now)
    others.network, others.gateway = life.network, life.gateway
    for _ in range(20):
        for each in (life, others):
            dispatch_due(each.sessions, each.gateway, each.clock, each.policy)
        life.now = others.now = life.now + 3 * SECOND
    assert [n for n, priority in enumerate(order(life), start=1) if priority == 2] == [10, 20]


def test_what_had_no_turn_waits_unchanged(quick: ClinicLife) -> None:
    ready(quick, 20, **URGENT)
    waiting = ready(quick, 5)
    quick.dispatch()
    found = [quick.fresh(text) for text in waiting]
    left = {(m.state, m.attempt_at, m.held_reason, m.claim_token, m.attempts) for m in found if m.state == "planned"}
    assert left == {("planned", NOW, None, None, 0)}
    assert quick.fresh(waiting[0]).state == "sent"


def test_a_full_day_costs_urgent_texts_no_turn(quick: ClinicLife) -> None:
    """Routine texts are held then, and what is urgent takes all there is."""
    rate(quick, 10.0, daily_segments=0)
    ready(quick, 30, **URGENT)
    ready(quick, 5)
    quick.dispatch()
    assert Counter(order(quick)) == {0: 30}
    assert {m.held_reason for m in quick.messages(kind="staff", priority=2)} == {"daily_cap"}


def test_a_sender_that_is_quick_enough_for_a_whole_batch_gives_turns_within_it(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BATCH", 20)
    rate(quick, 1000.0)
    ready(quick, 30, **URGENT)
    ready(quick, 5)
    quick.dispatch()
    assert order(quick) == [0] * 9 + [2] + [0] * 9 + [2]


def test_a_text_that_does_not_fit_into_what_is_left_of_the_day_waits_and_a_shorter_one_goes(quick: ClinicLife) -> None:
    rate(quick, 1000.0, daily_segments=4)
    texts = [ready(quick, 1, text=words)[0] for words in (LONG_TEXT, "Short.", LONG_TEXT, "Short, too.")]
    quick.dispatch()
    found = [quick.fresh(text) for text in texts]
    sent = ("sent", None)
    assert [(m.state, m.held_reason) for m in found] == [sent, sent, ("planned", "daily_cap"), sent]
    with quick.sessions() as db:
        assert db.get_one(Sender, 1).day_segments == 4
