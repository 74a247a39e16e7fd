"""The alarm clock: APScheduler runs each tick every few seconds from memory. What is to be done stands in the database alone.

Heartbeats say that it still runs; a tick that fails is counted, logged when it begins and when it ends, and tried again.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError

from service.assembly import App, Tick, guard_start, polls
from service.domain.errors import AftercareError
from service.flows.dispatcher import Sending
from service.flows.lanes import Lanes
from service.flows.watching import worker_stopped
from service.settings import Settings
from service.store import messages, running
from service.store.database import read_only

AT_MOST = timedelta(seconds=1)
"""The longest that a due text waits for the clock to look again."""
IDLE_BEAT = timedelta(seconds=10)
"""How often a tick that finds nothing to do says so: writing it down every second would wear the disk for nothing."""
FINISH_WITHIN = 12.0
"""Seconds for the texts in our hands; requests to the provider end within ten."""

FAILURES = Counter("aftercare_tick_failures_total", "Runs of a tick that failed", ["tick"])
SKIPS = Counter("aftercare_tick_skips_total", "Runs of a tick that were left out", ["tick", "why"])
NOT_RUN = {EVENT_JOB_ERROR: "broken", EVENT_JOB_MISSED: "missed", EVENT_JOB_MAX_INSTANCES: "still_running"}
log = structlog.get_logger()


def intervals(settings: Settings) -> Mapping[str, timedelta]:
    """How often each tick runs. Twilio is asked more rarely than the pretend network, and rarest where it calls us.

    Doubts are looked at often enough to be settled soon after their wait is over.
    """
    wait = settings.recovery.wait_seconds
    asks_twilio = settings.gateway == "twilio" and polls(settings)
    seconds = {
        "dispatch": 1,
        "inbound": 5 if asks_twilio else 1,
        "plan": 5,
        "receipts": 5 if polls(settings) else 300,
        "recover": max(1.0, min(5.0, wait / 6)),
        "watch": 60,
        "verify": 300,
        "retention": 60,
    }
    return {name: timedelta(seconds=each) for name, each in seconds.items()}


class Watched:
    """One tick that never raises: it beats, and it tells of a failure once, and once that it is over."""

    def __init__(self, name: str, tick: Tick, app: App) -> None:
        self._name, self._tick, self._app = name, tick, app
        self._failing: str | None = None
        self._beat_at: datetime | None = None

    def __call__(self) -> int:
        """How many rows were worked on; 0 after a failure too."""
        began = self._app.clock()
        try:
            rows = self._tick()
            self._beat(rows, began=began)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next run may go well, and patients wait
            self._failed(error)
            return 0
        if self._failing is not None:
            self._failing = None
            log.info("tick_recovered", tick=self._name)
        return rows

    def _beat(self, rows: int, *, began: datetime) -> None:
        now = self._app.clock()
        if rows == 0 and self._beat_at is not None and now - self._beat_at < IDLE_BEAT:
            return
        took_ms = round((now - began) / timedelta(milliseconds=1))
        with self._app.sessions.begin() as db:
            running.beat(db, job=self._name, worker=self._app.policy.worker, at=now, took_ms=took_ms, rows=rows)
        self._beat_at = now

    def _failed(self, error: Exception) -> None:
        FAILURES.labels(self._name).inc()
        if self._failing != type(error).__name__:
            self._failing = type(error).__name__
            log.error("tick_failed", tick=self._name, exc_info=error)


class StillBusyError(AftercareError):
    """Work was still under way when its time to finish was over; what is half done is settled after the next start."""

    def __init__(self) -> None:
        super().__init__(
            f"Work was still under way after {FINISH_WITHIN:.0f} seconds and was cut off. Nothing is lost: a text that may "
            "have left is not sent again, but looked for at the provider after the next start."
        )


@contextmanager
def ticking(app: App) -> Iterator[None]:
    """A worker in the background; each sender has a lane of its own. Raises as :func:`ringing`."""

    def go_on() -> bool:
        return not app.stopping.is_set()

    lanes = Lanes(Sending(app.sessions, app.gateway, app.clock, app.policy, go_on, app.stopping.wait))

    def last() -> None:
        lanes.close()
        # Within the time to finish, so that a database that hangs keeps no process.
        with suppress(SQLAlchemyError), app.sessions.begin() as db:
            worker_stopped(db, app.policy.worker, now=app.clock())

    with ExitStack() as held:
        held.enter_context(only_worker(app.settings.sqlite_file))
        guard_start(app)
        held.enter_context(ringing(app, {**app.ticks, "dispatch": lanes}, last=last))
        log.info("worker_started", worker=app.policy.worker)
        yield
    log.info("worker_stopped", worker=app.policy.worker)


@contextmanager
def ringing(app: App, ticks: Mapping[str, Tick], *, last: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Run ``ticks`` in the background, and ``last`` once they are stopped.

    Raises :class:`StillBusyError` where all of it could not be stopped in time.
    """
    alarm = AlarmClock(app, ticks)

    def stop() -> None:
        alarm.stop()
        last()

    alarm.start()
    try:
        yield
    finally:
        ending = threading.Thread(target=stop, name="stopping", daemon=True)
        ending.start()
        ending.join(FINISH_WITHIN)
        if ending.is_alive():
            raise StillBusyError


@contextmanager
def only_worker(database: Path | None) -> Iterator[None]:
    """Hold the lock beside a SQLite file. The system lets go of it when the process ends, however that happens."""
    if database is None:
        yield
        return
    with database.with_name(f"{database.name}.worker").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AftercareError(
                f"Another worker (process {file.read()}) already works on {database}. Nothing was started. SQLite serves "
                "one worker: stop that one first, or use PostgreSQL for several."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class AlarmClock:
    """Runs the ticks of a worker until it is stopped."""

    def __init__(self, app: App, ticks: Mapping[str, Tick]) -> None:
        self._app = app
        self._going, self._gate = False, threading.Lock()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(len(ticks))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        every = intervals(app.settings)
        for name, tick in ticks.items():
            self._scheduler.add_job(
                Watched(name, tick, app),
                "interval",
                seconds=every[name].total_seconds(),
                id=name,
                next_run_time=app.clock(),
            )
        self._scheduler.add_listener(self.executed, EVENT_JOB_EXECUTED)
        self._scheduler.add_listener(self.skipped, sum(NOT_RUN))

    def start(self) -> None:
        self._going = True
        self._scheduler.start()

    def stop(self) -> None:
        """Begin nothing any more; texts already on their way to the provider are waited for, and so is every tick."""
        with self._gate:
            self._going = False
        self._app.stopping.set()
        self._app.gateway.close()
        self._scheduler.shutdown(wait=True)

    def executed(self, event: JobEvent) -> None:
        """After dispatch has ended, set the next one to when a text is due: from inside the job the clock would refuse it."""
        if event.job_id != "dispatch":
            return
        at = self.next_dispatch(rows=event.retval or 0)
        # Stopping waits for ticks while it holds the clock's own lock: nobody may be on the way to that lock then.
        with self._gate:
            if self._going:
                self._scheduler.modify_job("dispatch", next_run_time=at)

    def next_dispatch(self, *, rows: int) -> datetime:
        """When the next text is due, at most a second from now; what is due and did not leave is in no hurry either."""
        now = self._app.clock()
        try:
            with self._app.sessions() as db:
                due = messages.next_due_at(read_only(db))
        except SQLAlchemyError:
            due = None
        if due is None or (due <= now and not rows):
            return now + AT_MOST
        return min(max(due, now), now + AT_MOST)

    def skipped(self, event: JobEvent) -> None:
        SKIPS.labels(event.job_id, NOT_RUN[event.code]).inc()
