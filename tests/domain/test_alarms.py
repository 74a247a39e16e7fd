"""When staff are told that something is amiss."""

from datetime import timedelta

import pytest

from service.domain import alarms
from service.domain.alarms import LEVELS, NEXT_ACTIONS, Alarm, waiting_too_long
from tests.store.factories import NOW

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("waits", "left", "alarm"),
    [
        pytest.param(9, None, None, id="due for nine minutes, nothing ever left: not yet"),
        pytest.param(10, None, Alarm.NOTHING_SENT, id="due for ten minutes, nothing ever left"),
        pytest.param(10, 10, Alarm.NOTHING_SENT, id="due for ten minutes, and the last text left ten minutes ago"),
        pytest.param(14, 9, None, id="due for a while, but texts leave"),
        pytest.param(15, 0, Alarm.OLDEST_DUE_GROWS, id="texts leave, but this one has waited a quarter of an hour"),
        pytest.param(90, 60, Alarm.NOTHING_SENT, id="nothing has left for an hour"),
    ],
)
def test_a_text_that_waits(waits: int, left: int | None, alarm: Alarm | None) -> None:
    last_left = None if left is None else NOW - left * MINUTE
    concern = waiting_too_long(7, oldest=NOW - waits * MINUTE, last_left=last_left, now=NOW)
    assert (concern and concern.kind) == alarm
    if concern is not None:
        assert (concern.clinic_id, concern.seconds, concern.identity) == (7, waits * 60, f"{alarm}:clinic 7")


@pytest.mark.parametrize(
    ("waited_at_first", "told"),
    [
        pytest.param(15, False, id="just noticed"),
        pytest.param(6, False, id="nine minutes longer than when it was noticed"),
        pytest.param(5, True, id="ten minutes longer than when it was noticed"),
    ],
)
def test_a_backlog_is_told_of_once_it_grows(waited_at_first: int, told: bool) -> None:
    concern = waiting_too_long(7, oldest=NOW - 15 * MINUTE, last_left=NOW, now=NOW)
    assert concern is not None
    assert concern.is_told(since=NOW, seconds_then=waited_at_first * 60, now=NOW) is told


def test_aftercare_that_waits_for_planning_gets_five_minutes() -> None:
    concern = alarms.without_aftercare(7, [1, 2])
    assert not concern.is_told(since=NOW, seconds_then=0, now=NOW + 4.9 * MINUTE)
    assert concern.is_told(since=NOW, seconds_then=0, now=NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        pytest.param([4], "took place: 4.", id="one"),
        pytest.param(list(range(1, 13)), "took place: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more.", id="twelve"),
    ],
)
def test_sessions_are_named_by_their_ids(sessions: list[int], words: str) -> None:
    assert alarms.without_aftercare(7, sessions).reason.endswith(words)


def test_four_texts_without_a_report_may_be_chance() -> None:
    assert alarms.no_receipts(7, texts=4, last=None) is None
    assert alarms.no_receipts(7, texts=5, last=None) is not None
    concern = alarms.no_receipts(7, texts=5, last=NOW)
    assert concern is not None
    assert "since 2026-03-02 15:00 UTC" in concern.reason


def test_every_alarm_has_a_level_and_says_what_to_do() -> None:
    assert set(LEVELS) == set(NEXT_ACTIONS) == set(Alarm)
