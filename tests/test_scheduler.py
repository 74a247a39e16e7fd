"""The alarm clock: it goes on whatever happens, never holds a due text up, and one worker at a time has a SQLite file."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent, JobExecutionEvent
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from service import scheduler
from service.assembly import App, Tick, build, utc_now
from service.domain.errors import AftercareError
from service.domain.sms import Outcome, OutgoingSms
from service.gateways.simulated import SimulatedGateway, SimulatedNetwork
from service.scheduler import AlarmClock, StillBusyError, Watched, intervals, only_worker, ringing, ticking
from service.settings import Settings
from service.settings.model import Recovery
from service.store import running
from service.store.tables import Message
from tests.fakes.apps import TWILIO_SETTINGS, StoppedClock, app_on
from tests.store import factories
from tests.store.factories import NOW

SECOND = timedelta(seconds=1)
LONG = 30.0
"""Only a test that fails waits this long."""


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def app(sqlite_sessions: sessionmaker[Session], clock: StoppedClock) -> Iterator[App]:
    app = app_on(str(sqlite_sessions.kw["bind"].url), clock)
    yield app
    app.close()


@pytest.fixture
def live(sqlite_sessions: sessionmaker[Session]) -> Iterator[App]:
    """On the wall clock, as the alarm clock itself is."""
    app = build(Settings(database_url=SecretStr(str(sqlite_sessions.kw["bind"].url)), secret_key=SecretStr("key")))
    yield app
    app.close()


def in_turn(*ticks: Tick) -> Tick:
    """One of them after the other, each once."""
    left = iter(ticks)

    def tick() -> int:
        return next(left)()

    return tick


def tells(ran: threading.Event) -> Tick:
    """Does something, and lets it be known."""

    def tick() -> int:
        ran.set()
        return 1

    return tick


def lost() -> int:
    raise OperationalError("SELECT 1", {}, OSError("connection refused"))


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestOneTick:
    def test_it_beats_after_each_run_that_did_something(self, app: App, clock: StoppedClock) -> None:
        def tick() -> int:
            clock.move(timedelta(milliseconds=40))
            return 3

        assert Watched("plan", tick, app)() == 3
        with app.sessions() as db:
            (beat,) = running.heartbeats(db)
        assert (beat.job, beat.worker, beat.rows, beat.took_ms) == ("plan", app.policy.worker, 3, 40)
        assert beat.at == NOW + timedelta(milliseconds=40)

    def test_with_nothing_to_do_it_beats_now_and_then(self, app: App, clock: StoppedClock) -> None:
        watched, beats = Watched("plan", lambda: 0, app), []
        for _ in range(21):
            watched()
            with app.sessions() as db:
                beats.append(running.heartbeats(db)[0].at)
            clock.move(SECOND)
        assert sorted(set(beats)) == [NOW, NOW + 10 * SECOND, NOW + 20 * SECOND]

    def test_a_failure_is_told_once_and_so_is_its_end(self, app: App) -> None:
        going: list[Tick] = [lambda: 0, lost, lost, lost, lambda: 5, lambda: 0, lost]
        watched, before = (
            Watched("plan", in_turn(*going), app),
            counted("aftercare_tick_failures_total", tick="plan"),
        )
        with capture_logs() as logged:
            assert [watched() for _ in going] == [0, 0, 0, 0, 5, 0, 0]
        assert [event["event"] for event in logged] == ["tick_failed", "tick_recovered", "tick_failed"]
        assert counted("aftercare_tick_failures_total", tick="plan") == before + 4

    def test_another_failure_is_news(self, app: App) -> None:
        def other() -> int:
            raise ValueError

        watched = Watched("plan", in_turn(lost, other, other), app)
        with capture_logs() as logged:
            for _ in range(3):
                watched()
        assert [type(event["exc_info"]).__name__ for event in logged] == ["OperationalError", "ValueError"]

    def test_a_heartbeat_that_cannot_be_written_is_a_failure(self, app: App) -> None:
        running_elsewhere = replace(app, sessions=sessionmaker())
        with capture_logs() as logged:
            assert Watched("plan", lambda: 1, running_elsewhere)() == 0
        assert [event["event"] for event in logged] == ["tick_failed"]


class TestWhenToLookAgain:
    @pytest.mark.parametrize(
        ("due_in", "rows", "again_in"),
        [
            pytest.param(None, 0, 1.0, id="nothing is planned"),
            pytest.param(None, 7, 1.0, id="all that was planned has left"),
            pytest.param(0.3, 0, 0.3, id="a text is due in a moment"),
            pytest.param(0.3, 7, 0.3, id="a text is due in a moment, after others left"),
            pytest.param(3600, 0, 1.0, id="a text is due in an hour"),
            pytest.param(-5, 7, 0.0, id="more is due than one look could take"),
            pytest.param(-5, 0, 1.0, id="what is due is held up elsewhere: no hurry"),
        ],
    )
    def test_at_the_next_text_and_within_a_second(
        self, app: App, due_in: float | None, rows: int, again_in: float
    ) -> None:
        if due_in is not None:
            with app.sessions.begin() as db:
                patient = factories.patient(db, factories.clinic(db))
                factories.message(db, patient, due_at=NOW + timedelta(seconds=due_in))
        assert AlarmClock(app, app.ticks).next_dispatch(rows=rows) == NOW + timedelta(seconds=again_in)

    def test_without_a_database_in_a_second(self, app: App) -> None:
        app.engine.dispose()
        nowhere = replace(app, sessions=sessionmaker())
        assert AlarmClock(nowhere, app.ticks).next_dispatch(rows=1) == NOW + SECOND


class TestEveryTick:
    def test_each_runs_and_beats_until_the_worker_is_stopped(self, live: App) -> None:
        ran = {name: threading.Event() for name in live.ticks}
        with ringing(live, {name: tells(event) for name, event in ran.items()}):
            assert all(event.wait(LONG) for event in ran.values())
        assert live.stopping.is_set()
        with live.sessions() as db:
            assert {beat.job for beat in running.heartbeats(db)} == {
                "plan",
                "dispatch",
                "recover",
                "receipts",
                "inbound",
                "watch",
                "verify",
                "retention",
            }

    def test_dispatch_looks_again_at_once_while_there_is_work(self, live: App) -> None:
        """From the listener, after the job has ended: hundreds of runs in the seconds that plain intervals would take."""
        with live.sessions.begin() as db:
            factories.message(db, factories.patient(db, factories.clinic(db)), due_at=utc_now())
        enough, runs = threading.Event(), []

        def dispatch() -> int:
            runs.append(1)
            if len(runs) == 50:
                enough.set()
            return 0 if enough.is_set() else 1

        skipped = counted("aftercare_tick_skips_total", tick="dispatch", why="still_running")
        with ringing(live, {"dispatch": dispatch}):
            assert enough.wait(LONG)
        assert counted("aftercare_tick_skips_total", tick="dispatch", why="still_running") == skipped

    def test_the_worker_outlives_its_database(self, live: App) -> None:
        failed, back = threading.Event(), threading.Event()

        def dispatch() -> int:
            if failed.is_set():
                back.set()
                return 1
            failed.set()
            return lost()

        with ringing(live, {"dispatch": dispatch}):
            assert back.wait(LONG)

    def test_only_dispatch_is_set_anew_and_only_while_it_goes(self, live: App) -> None:
        alarm = AlarmClock(live, live.ticks)
        alarm.executed(JobExecutionEvent(4096, "plan", None, NOW, retval=1))
        alarm.executed(JobExecutionEvent(4096, "dispatch", None, NOW, retval=None))
        assert not live.stopping.is_set()

    @pytest.mark.parametrize(
        ("code", "why"),
        [(EVENT_JOB_MISSED, "missed"), (EVENT_JOB_MAX_INSTANCES, "still_running"), (EVENT_JOB_ERROR, "broken")],
    )
    def test_runs_that_came_to_nothing_are_counted(self, live: App, code: int, why: str) -> None:
        before = counted("aftercare_tick_skips_total", tick="plan", why=why)
        AlarmClock(live, live.ticks).skipped(JobEvent(code, "plan", None))
        assert counted("aftercare_tick_skips_total", tick="plan", why=why) == before + 1


class Telling(SimulatedGateway):
    """Tells of each text that it begins to send, and takes it once it is let go."""

    def __init__(self, network: SimulatedNetwork) -> None:
        super().__init__(network, utc_now)
        self.begun, self.let_go = threading.Event(), threading.Event()

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            self.begun.set()
            assert self.let_go.wait(LONG)
            yield from super().send_batch([message])

    def close(self) -> None:
        self.let_go.set()


class TestTheWorker:
    """With its own ticks, as it runs."""

    @pytest.fixture
    def text(self, live: App) -> int:
        """A text that is due."""
        with live.sessions.begin() as db:
            patient = factories.patient(db, factories.clinic(db, window_opens="00:00", window_closes="23:59"))
            factories.grant(db, patient)
            message = factories.message(db, patient, kind="reply", priority=0, urgency="safety", due_at=utc_now())
            message.to_number, message.expires_at = patient.phone, None
            return message.id

    def test_what_is_under_way_when_it_is_stopped_is_settled(self, live: App, text: int) -> None:
        gateway = Telling(SimulatedNetwork("worker"))
        with ticking(replace(live, gateway=gateway)):
            assert gateway.begun.wait(LONG)
        with live.sessions() as db:
            assert db.get_one(Message, text).state in {"sent", "delivered"}

    def test_it_says_that_it_was_stopped_so_that_nobody_looks_for_it(self, live: App) -> None:
        with ticking(live):
            pass
        with live.sessions() as db:
            last = max(running.heartbeats(db), key=lambda beat: beat.at)
        assert (last.job, last.worker) == (running.STOPPED, live.policy.worker)

    def test_without_a_database_it_stops_all_the_same(self, live: App) -> None:
        def lose(*_: object) -> None:
            raise OperationalError("SELECT 1", {}, OSError("connection refused"))

        with capture_logs() as logged, ticking(live):
            event.listen(live.engine, "before_cursor_execute", lose)
        assert logged[-1]["event"] == "worker_stopped"

    def test_a_provider_that_hangs_stops_no_heartbeat(self, live: App, text: int) -> None:
        gateway, beats = Telling(SimulatedNetwork("worker")), threading.Event()

        def plan() -> int:
            with live.sessions() as db:
                beating = {beat.job for beat in running.heartbeats(db)}
            if gateway.begun.is_set() and "dispatch" in beating:
                beats.set()
            return 0

        busy = replace(live, gateway=gateway, ticks={**live.ticks, "plan": plan})
        with ticking(busy):
            assert beats.wait(LONG)
            assert not gateway.let_go.is_set()


class TestStopping:
    def test_what_is_under_way_is_waited_for(self, live: App) -> None:
        begun, ended = threading.Event(), threading.Event()

        def dispatch() -> int:
            begun.set()
            live.stopping.wait(LONG)
            ended.set()
            return 1

        with ringing(live, {"dispatch": dispatch}):
            assert begun.wait(LONG)
        assert ended.is_set()

    def test_what_does_not_end_in_time_is_told(self, live: App, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scheduler, "FINISH_WITHIN", 0.0)
        begun, release = threading.Event(), threading.Event()

        def dispatch() -> int:
            begun.set()
            release.wait(LONG)
            return 0

        with (
            pytest.raises(StillBusyError, match="Nothing is lost"),
            ringing(live, {"dispatch": dispatch}),
        ):
            assert begun.wait(LONG)
        release.set()


class TestOneWorkerForAFile:
    def test_a_second_one_is_refused_and_told_which_is_the_first(self, tmp_path: Path) -> None:
        database = tmp_path / "aftercare.db"
        with (
            only_worker(database),
            pytest.raises(AftercareError, match=r"Another worker \(process \d+\) already works on .*aftercare.db"),
            only_worker(database),
        ):
            pass
        with only_worker(database):
            pass

    def test_a_worker_that_died_leaves_no_lock(self, tmp_path: Path) -> None:
        database = tmp_path / "aftercare.db"
        dies = "import sys, os, pathlib; from service.scheduler import only_worker\n"
        dies += "held = only_worker(pathlib.Path(sys.argv[1])); held.__enter__(); os.kill(os.getpid(), 9)"
        assert subprocess.run([sys.executable, "-c", dies, database], check=False).returncode == -9
        with only_worker(database):
            pass

    def test_on_postgresql_there_may_be_many(self) -> None:
        with only_worker(None), only_worker(None):
            pass


@pytest.mark.parametrize(
    ("settings", "inbound", "receipts"),
    [
        pytest.param({}, 1, 5, id="pretend network: asked often"),
        pytest.param(TWILIO_SETTINGS, 1, 300, id="Twilio calls us: asked now and then, in case a call got lost"),
        pytest.param(TWILIO_SETTINGS | {"public_base_url": None}, 5, 5, id="Twilio cannot reach us: asked"),
    ],
)
def test_how_often_each_tick_runs(settings: dict[str, Any], inbound: int, receipts: int) -> None:
    every = intervals(Settings(**settings))
    assert {name: each.total_seconds() for name, each in every.items()} == {
        "dispatch": 1,
        "inbound": inbound,
        "plan": 5,
        "receipts": receipts,
        "recover": 5,
        "watch": 60,
        "verify": 300,
        "retention": 60,
    }


@pytest.mark.parametrize(("wait", "every"), [(90, 5), (30, 5), (12, 2), (1, 1)])
def test_doubts_are_looked_at_soon_after_their_wait(wait: float, every: float) -> None:
    assert intervals(Settings(recovery=Recovery(wait_seconds=wait)))["recover"].total_seconds() == every
