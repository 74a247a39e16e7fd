"""The sample clinic: texts leave within seconds whatever the hour is, and it never mixes with a clinic of somebody's own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.phone import country_of
from service.flows import dispatcher, planner, sample
from service.flows.policy import SendingPolicy
from service.flows.sample import Shown
from service.gateways.simulated import SimulatedGateway, SimulatedNetwork
from service.store.tables import Clinic, Message, Patient, TreatmentSession
from tests.fakes.apps import StoppedClock
from tests.store import factories

POLICY = SendingPolicy()
AT_ONCE = [
    "Aftercare, part one",
    "Day before",
    "Effect after two weeks",
    "End of the limits",
    "How are you after three days",
    "Next session is due",
    "Session booked",
    "Week before",
]


class Running:
    """The ticks of a worker."""

    def __init__(self, sessions: sessionmaker[Session], now: datetime) -> None:
        self.sessions, self.started, self.clock = sessions, now, StoppedClock(now)
        self.gateway = SimulatedGateway(SimulatedNetwork("sample"), self.clock)
        with sessions.begin() as db:
            self.clinic = sample.make_sample(db, now=now) or sample.find_sample(db)

    def go_on(self, *, every: int = 1, **how_long: float) -> None:
        """``every`` so many seconds."""
        until = self.clock.now + timedelta(**how_long)
        while self.clock.now < until:
            planner.plan_pending(self.sessions, self.clock, answers_understood=True)
            dispatcher.dispatch_due(self.sessions, self.gateway, self.clock, POLICY)
            self.clock.move(timedelta(seconds=every))

    def left(self) -> list[Shown]:
        assert self.clinic is not None
        with self.sessions.begin() as db:
            return sample.texts_since(db, self.clinic, since=self.started)

    def coming(self) -> Shown | None:
        assert self.clinic is not None
        with self.sessions.begin() as db:
            return sample.next_text(db, self.clinic)

    def move_session(self) -> bool:
        with self.sessions.begin() as db:
            return sample.move_session(db)


@pytest.fixture
def running(sessions: sessionmaker[Session]) -> Running:
    return Running(sessions, factories.NOW)


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_texts_leave_within_seconds_at_any_hour(sqlite_sessions: sessionmaker[Session], hour: int) -> None:
    running = Running(sqlite_sessions, datetime(2026, 10, 25, hour, 10, tzinfo=UTC))
    running.go_on(every=2, seconds=20)
    assert sorted(text.title for text in running.left()) == AT_ONCE
    assert all(text.text and 11 <= text.at.hour <= 15 for text in running.left())


@given(st.integers(min_value=0, max_value=2 * 365 * 24 * 60))
def test_somewhere_it_is_always_between_eleven_and_three(minutes: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    assert time(11) <= now.astimezone(sample.midday_zone(now)).time() <= time(15)


def test_the_second_part_follows_in_two_minutes_and_is_announced(running: Running) -> None:
    running.go_on(every=2, seconds=20)
    coming = running.coming()
    assert coming is not None
    assert (coming.title, coming.text) == ("Aftercare, part two", "")
    assert timedelta(0) < coming.at - running.clock.now < timedelta(minutes=2)
    running.go_on(every=10, minutes=2)
    assert "Aftercare, part two" in {text.title for text in running.left()}


def test_a_session_is_moved_once_after_its_patient_was_told_and_a_text_follows(running: Running) -> None:
    assert not running.move_session()
    running.go_on(every=2, seconds=20)
    assert running.move_session()
    assert not running.move_session()
    running.go_on(seconds=2)
    assert not running.move_session()
    assert "Session moved" not in {text.title for text in running.left()}
    running.go_on(every=20, minutes=6)
    (moved,) = (text for text in running.left() if text.title == "Session moved")
    assert moved.to == "+12025550101"


def test_people_are_invented_and_their_numbers_kept_for_fiction(running: Running) -> None:
    with running.sessions() as db:
        patients = list(db.scalars(select(Patient)))
        languages = {patient.language for patient in patients}
    assert languages == {"en", "es", "tr"}
    assert all(patient.phone and patient.phone.startswith("+120255501") for patient in patients)
    assert {country_of(patient.phone or "") for patient in patients} == {"US"}


def test_a_second_start_goes_on_where_the_first_was(running: Running) -> None:
    running.go_on(every=2, seconds=20)
    again = Running(running.sessions, running.clock.now)
    again.go_on(seconds=20)
    assert again.left() == []
    with running.sessions() as db:
        assert len(list(db.scalars(select(Clinic)))) == 1


def test_where_there_is_a_clinic_no_sample_is_made(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        factories.clinic(db)
        assert sample.make_sample(db, now=factories.NOW) is None
        assert sample.find_sample(db) is None
        assert sample.move_session(db) is False
        assert list(db.scalars(select(TreatmentSession))) == []


def test_workers_that_start_together_make_one(sessions: sessionmaker[Session]) -> None:
    together = threading.Barrier(3)

    def start() -> bool:
        together.wait()
        with sessions.begin() as db:
            return sample.make_sample(db, now=factories.NOW) is not None

    with ThreadPoolExecutor(3) as workers:
        made = [worker.result() for worker in [workers.submit(start) for _ in range(3)]]
    assert sorted(made) == [False, False, True]


def test_nothing_of_it_leaves_once_texts_are_real(running: Running) -> None:
    with running.sessions.begin() as db:
        own = factories.clinic(db)
        sample.keep_from_phones(db, now=running.clock.now)
    running.go_on(seconds=5)
    assert running.left() == []
    with running.sessions() as db:
        held = set(db.scalars(select(Message.held_reason).where(Message.held_reason.is_not(None))))
        assert held == {"clinic_paused"}
        assert db.get_one(Clinic, own.id).paused_at is None


def test_with_nothing_planned_nothing_is_announced(running: Running) -> None:
    assert running.coming() is None
