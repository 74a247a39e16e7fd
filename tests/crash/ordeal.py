"""One ordeal: texts are due, workers send them, and are struck at random moments until all is over; then everything is counted."""

import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from threading import Event
from typing import Any

from sqlalchemy import text

from service.assembly import utc_now
from tests.crash.counting import Count, count
from tests.crash.installation import Installation, free_port, installed
from tests.crash.population import settle_in
from tests.crash.provider import Provider, providing
from tests.crash.proxy import Wire, wired

IN_HAND = 50
"""So many texts of its first batch have left when a worker freezes: the others are still in its hands."""
BREATH = 1.5
"""Seconds: a strike comes at a random progress, and so far on at most, into whatever the workers are doing then."""
FULL_AT = 200_000
"""Bytes: no file may grow beyond while the disk is full."""

MOODY: Mapping[str, float] = {"busy": 0.02, "fails_before": 0.01, "fails_after": 0.01, "receipts_lost": 0.3}
"""Shares of what the provider refuses for now, breaks before and after taking it, and never reports on."""
CUT_OFF_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Strike(StrEnum):
    KILL = "a process is killed"
    RESTART = "the database crashes and comes back"
    DISCONNECT = "every connection to the database is cut"
    CUT = "every connection to the provider is cut"
    FULL = "the disk is full for a while"


@dataclass(frozen=True, slots=True)
class Ordeal:
    """``strikes``: which, and how often. ``frozen``: the first worker freezes with texts in hand, and thaws while others settle them.

    ``callbacks``: the provider reports by itself. ``patience``: seconds without progress after which a strike comes
    anyway. ``within``: seconds in which all is settled after the last one.
    """

    name: str
    engine: str
    patients: int
    strikes: Mapping[Strike, int]
    workers: int = 1
    frozen: bool = False
    callbacks: bool = False
    segments_per_second: int = 100
    patience: float = 90.0
    within: float = 1800.0
    faults: Mapping[str, float] = field(default_factory=lambda: MOODY)
    seed: int = 1

    @property
    def processes(self) -> list[str]:
        if self.engine == "sqlite":
            return ["run" if self.callbacks else "worker"]
        return ["worker"] * self.workers + ["web"] * self.callbacks


@dataclass(frozen=True, slots=True)
class Outcome:
    """``doubts``: how often nobody knew whether a text had left. ``exits``: the codes of processes asked to stop in the end.

    ``violations``: what `aftercare verify` finds.
    """

    texts: int
    doubts: int
    count: Count
    exits: set[int]
    violations: list[Any]


def endure(ordeal: Ordeal, folder: Path, database_url: str, *, restart: Callable[[], None]) -> Outcome:
    """The whole of it. ``restart`` crashes the database server and brings it back."""
    with ExitStack() as stack:
        provider = stack.enter_context(providing(ordeal.faults))
        wire = stack.enter_context(wired(provider.url)) if Strike.CUT in ordeal.strikes else None
        settings = _settings(ordeal, provider, wire)
        installation = stack.enter_context(installed(folder, database_url, settings, within=ordeal.within))
        due_at = utc_now()
        texts = settle_in(installation.sessions, patients=ordeal.patients, now=due_at)
        trouble = Trouble(installation, provider, wire, restart=restart, random=Random(ordeal.seed))
        with _freezing(ordeal, installation, provider):
            trouble.befall(ordeal, texts)
        _settle(installation, due_at)
        exits = set(installation.stop())
        return Outcome(
            texts=texts,
            doubts=installation.doubts(),
            count=count(installation.sessions, provider.taken(), due_at=due_at),
            exits=exits,
            violations=installation.verify(),
        )


def _settings(ordeal: Ordeal, provider: Provider, wire: Wire | None) -> dict[str, str]:
    settings = provider.settings() | {
        "TWILIO__BASE_URL": wire.url if wire else provider.url,
        "TWILIO__SEGMENTS_PER_SECOND": str(ordeal.segments_per_second),
        "RECOVERY__WAIT_SECONDS": "3",
    }
    if not ordeal.callbacks:
        return settings
    port = str(free_port())
    return settings | {"PUBLIC_BASE_URL": f"http://127.0.0.1:{port}", "WEB__PORT": port}


@contextmanager
def _freezing(ordeal: Ordeal, installation: Installation, provider: Provider) -> Iterator[None]:
    """Start everything. The first worker freezes early where that is asked for, and thaws in the end."""
    first, *others = ordeal.processes
    worker = installation.start(first)
    if ordeal.frozen:
        provider.until(IN_HAND, patience=ordeal.within)
        frozen_at = utc_now()
        installation.freeze(worker)
        held = installation.in_hands(claimed_before=frozen_at)
    for word in others:
        installation.start(word)
    yield
    if ordeal.frozen:
        # Some of its texts have left by another worker then, and some have not.
        installation.wait_until(lambda: installation.in_hands(claimed_before=frozen_at) <= held / 2)
        thawed_at = utc_now()
        installation.thaw(worker)
        installation.wait_until(lambda: installation.has_beaten(worker, since=thawed_at))


def _settle(installation: Installation, due_at: datetime) -> None:
    installation.wait_until(lambda: installation.in_hands() + installation.waiting(due_at) == 0)


class Trouble:
    """Strikes at random moments."""

    def __init__(
        self,
        installation: Installation,
        provider: Provider,
        wire: Wire | None,
        *,
        restart: Callable[[], None],
        random: Random,
    ) -> None:
        self._installation, self._provider, self._wire = installation, provider, wire
        self._restart, self._random, self._pause = restart, random, Event()

    def befall(self, ordeal: Ordeal, texts: int) -> None:
        """Every strike, in random order, each when the provider has taken another random number of texts."""
        strikes = [strike for strike, times in ordeal.strikes.items() for _ in range(times)]
        self._random.shuffle(strikes)
        moments = sorted(self._random.randrange(texts) for _ in strikes)
        for moment, strike in zip(moments, strikes, strict=True):
            self._provider.until(moment, patience=ordeal.patience)
            self._pause.wait(self._random.uniform(0, BREATH))
            self._strike(strike)

    def _strike(self, strike: Strike) -> None:
        match strike:
            case Strike.KILL:
                self._installation.replace(self._random.choice(self._installation.awake()))
            case Strike.RESTART:
                self._restart()
            case Strike.DISCONNECT:
                self._disconnect()
            case Strike.CUT:
                assert self._wire is not None
                self._wire.cut()
            case Strike.FULL:
                self._fill()

    def _disconnect(self) -> None:
        with self._installation.sessions() as db:
            db.execute(CUT_OFF_OTHERS)

    def _fill(self) -> None:
        processes = self._installation.awake()
        for process in processes:
            _let_files_grow_to(FULL_AT, process)
        self._provider.until(10**9, patience=2 * BREATH)
        for process in processes:
            _let_files_grow_to(resource.RLIM_INFINITY, process)


def _let_files_grow_to(size: int, process: subprocess.Popen[bytes]) -> None:
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
