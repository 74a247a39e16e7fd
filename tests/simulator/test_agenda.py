"""What is going to happen, virtual time, and the log of what happened."""

import json
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from service.simulator.agenda import Agenda
from service.simulator.clock import VirtualClock
from service.simulator.log import Log, stamp, stamped

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_acts_happen_in_the_order_of_time_and_at_one_moment_in_the_order_they_were_put() -> None:
    agenda, found = Agenda(), list[str]()
    for moment, name in ((NOON + HOUR, "later"), (NOON, "first"), (NOON, "second")):
        agenda.put(moment, partial(found.append, name))
    while agenda.next_at is not None:
        agenda.take()()
    assert found == ["first", "second", "later"]


def test_true_time_never_goes_back() -> None:
    clock = VirtualClock(NOON)
    clock.reach(NOON + HOUR)
    clock.reach(NOON)
    assert clock.now == NOON + HOUR


def test_what_happened_before_lies_before() -> None:
    clock = VirtualClock(NOON)
    clock.go_on()
    assert clock.now > NOON


def test_the_clock_of_the_service_may_be_off_and_true_moments_can_be_reckoned_back() -> None:
    clock = VirtualClock(NOON)
    clock.off_by = -HOUR
    assert clock.shown() == NOON - HOUR
    assert clock.truly(clock.shown()) == NOON


def test_moments_stand_in_the_log_in_utc_and_of_one_width() -> None:
    assert stamp(datetime(2026, 3, 2, 9, tzinfo=timezone(-3 * HOUR))) == "2026-03-02T12:00:00.000000Z"
    assert stamped(None) is None


def test_an_entry_may_be_completed_later() -> None:
    log = Log()
    said = log.note("said", NOON, no=1, brought=None)
    said["brought"] = stamp(NOON + HOUR)
    assert [json.loads(line) for line in log.lines()] == [
        {"kind": "said", "at": stamp(NOON), "no": 1, "brought": stamp(NOON + HOUR)}
    ]


def test_the_transcript_is_a_file_of_lines(tmp_path: Path) -> None:
    log = Log()
    log.note("said", NOON, body="¡hola! 👍")
    log.note("end", NOON)
    log.write(tmp_path / "transcript.jsonl")
    assert (tmp_path / "transcript.jsonl").read_text("utf-8").splitlines() == list(log.lines())
