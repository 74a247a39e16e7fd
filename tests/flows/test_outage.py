"""Six hours without a provider: little is left in doubt, what is still of use goes out by urgency, and the rest is on a list."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import update

from service.flows.calls import whom_to_call
from service.flows.recovery import recover
from service.gateways.simulated_network import DEFAULT, Span
from service.store import reports
from service.store.database import create_engine_for, session_factory
from service.store.tables import Sender, TreatmentSession
from tests.domain.cases import HOUR
from tests.flows.clinic_life import CHICAGO, ClinicLife, Left, at

BEGINS, ENDS = at("2026-03-16 08:30"), at("2026-03-16 14:30")
WAIT = timedelta(seconds=90)
MINUTE = timedelta(minutes=1)


def a_clinic(template: Path, folder: Path) -> ClinicLife:
    """On the day of the outage, an hour before it."""
    engine = create_engine_for(f"sqlite:///{copyfile(template, folder / 'aftercare.db')}")
    life = ClinicLife(session_factory(engine), now=BEGINS - HOUR)
    life.network.config = replace(DEFAULT, outages=[Span(BEGINS, ENDS)])
    return life


@pytest.fixture
def life(sqlite_template: Path, tmp_path: Path) -> Iterator[ClinicLife]:
    life = a_clinic(sqlite_template, tmp_path)
    yield life
    life.sessions.kw["bind"].dispose()


def live(life: ClinicLife, until: str) -> None:
    """Let time pass, with a look at doubts every five minutes."""
    while life.now < at(until):
        life.until(min(life.now + 5 * MINUTE, at(until)))
        recover(life.sessions, life.gateway, life.clock, wait=WAIT)


@dataclass(frozen=True, slots=True)
class Day:
    """A day with an outage, lived through up to half an hour after it.

    ``told_too_late``: sessions of today that were moved by half an hour meanwhile; the news is of no use when the provider
    is back. ``tomorrow``: sessions whose reminders were due meanwhile and are of use until tomorrow morning.
    """

    life: ClinicLife
    told_too_late: list[TreatmentSession]
    tomorrow: list[TreatmentSession]
    held: dict[str, Any]


@pytest.fixture(scope="module")
def day(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    life = a_clinic(sqlite_template, tmp_path_factory.mktemp("outage"))
    told_too_late = [life.booked("2026-03-16 13:00", imported=True) for _ in range(12)]
    tomorrow = [life.booked("2026-03-17 11:00", imported=True) for _ in range(12)]
    live(life, "2026-03-16 09:00")
    for session in told_too_late:
        life.change(session, scheduled_start=at("2026-03-16 13:30"))
    for done in ("09:00", "09:20", "10:10", "11:30", "14:00"):
        life.completed(f"2026-03-16 {done}")
    live(life, "2026-03-16 14:29")
    with life.sessions() as db:
        held = reports.status(db, now=life.now)
    live(life, "2026-03-16 15:00")
    yield Day(life, told_too_late, tomorrow, held)
    life.sessions.kw["bind"].dispose()


def left_after(day: Day) -> list[Left]:
    return [text for text in day.life.left() if text.at >= ENDS]


def test_meanwhile_it_shows_that_everything_waits(day: Day) -> None:
    assert day.held["held"] >= 10
    assert list(day.held["paused_senders"]) == ["default"]
    assert [text for text in day.life.left() if BEGINS <= text.at < ENDS] == []


def test_six_hours_leave_few_doubts_and_none_for_long(day: Day) -> None:
    doubted = [message for message in day.life.messages() if "unconfirmed" in dict(day.life.story(message))]
    assert 5 <= len(doubted) <= 30, "the burst that was under way, and two an hour"
    assert day.life.messages(state="unconfirmed") == [], "the list shows of each that it had not left"


def test_what_is_still_of_use_goes_out_once_by_urgency_and_inside_its_window(day: Day) -> None:
    left = left_after(day)
    steps = [text.step for text in left]
    assert (steps.count("aftercare_1"), steps.count("pre_1d")) == (5, len(day.tomorrow))
    assert set(steps[:6]) == {"aftercare_1", "aftercare_2"}
    assert steps[:6].count("aftercare_1") == 5
    assert max(Counter(text.message_id for text in left).values()) == 1
    assert all(9 <= text.at.astimezone(CHICAGO).hour < 19 for text in left)


def test_what_is_no_use_any_more_is_missed_with_its_reason(day: Day) -> None:
    moved = [day.life.planned("moved", session) for session in day.told_too_late]
    missed = {(message.state, message.reason) for message in moved if message.attempts == 0 and message.due_at}
    assert missed == {("missed", "provider_down")}


def test_a_list_says_whom_to_call(day: Day) -> None:
    with day.life.sessions() as db:
        calls = whom_to_call(db, since=BEGINS, doubtful_until=day.life.now - 2 * WAIT, now=day.life.now)
    assert {call.patient_id for call in calls} == {session.patient_id for session in day.told_too_late}
    assert {call.session_start for call in calls} == {at("2026-03-16 13:30")}
    assert {call.title for call in calls} == {"Session moved", "Day before"}


def test_one_red_task_told_the_clinic_and_closed_itself(day: Day) -> None:
    (task,) = day.life.tasks("provider_down")
    assert (task.level, task.state) == ("red", "closed")
    assert task.opened_at is not None
    assert task.opened_at - BEGINS < 2 * HOUR


def test_a_night_that_falls_meanwhile_is_kept(life: ClinicLife) -> None:
    """The provider is back at three in the morning; the window opens at nine."""
    life.network.config = replace(DEFAULT, outages=[Span(at("2026-03-16 09:30"), at("2026-03-17 03:00"))])
    for _ in range(12):
        life.booked("2026-03-17 17:00", imported=True)
    live(life, "2026-03-17 09:30")
    reminders = [text for text in life.left() if text.step == "pre_1d"]
    assert len(reminders) == 12
    assert all(at("2026-03-17 09:00") <= text.at for text in reminders)


def test_a_slow_sender_empties_its_backlog_by_urgency(life: ClinicLife) -> None:
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=0.2))
    for _ in range(10):
        life.booked("2026-03-17 11:00", imported=True)
    live(life, "2026-03-16 14:00")
    for _ in range(5):
        life.completed("2026-03-16 14:05")
    live(life, "2026-03-16 15:00")
    steps = [text.step for text in life.left() if text.at >= ENDS]
    assert set(steps[1:6]) <= {"aftercare_1", "aftercare_2"}
    assert steps.count("aftercare_1") == 5
