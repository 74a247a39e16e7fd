"""One installation as operators run it: a database, worker processes, and whatever befalls them."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from service.assembly import utc_now
from service.store.database import create_engine_for, read_only, session_factory
from service.store.tables import Heartbeat, JournalEntry, Message

PROJECT = Path(__file__).parents[2]
LOOKS_EVERY = 0.25
STOPS_WITHIN = 60.0
GUARD = "cat >/dev/null; kill -KILL 0"
"""Ends the group it leads, frozen processes too, once the tests' end of its standard input is closed."""


class NeverHappenedError(AssertionError):
    """What was waited for did not happen in time."""


class Installation:
    """Processes are started in a folder of their own, with these settings and no others.

    ``within``: after so many seconds nobody waits any more for what is to happen.
    """

    def __init__(self, folder: Path, database_url: str, settings: Mapping[str, str], *, within: float) -> None:
        self._within = within
        self._folder, self._engine = folder, create_engine_for(database_url)
        self.sessions: sessionmaker[Session] = session_factory(self._engine)
        self._processes: dict[subprocess.Popen[bytes], str] = {}
        self._frozen: set[subprocess.Popen[bytes]] = set()
        own = {"DATABASE_URL": database_url, "ENVIRONMENT": "production", "SECRET_KEY": "key", "LOG_LEVEL": "warning"}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERCARE_")}
        self._environment |= {f"AFTERCARE_{name}": value for name, value in (own | dict(settings)).items()}
        self._environment["PYTHONPATH"] = str(PROJECT)
        self._guard = subprocess.Popen(["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, process_group=0)

    def start(self, word: str) -> subprocess.Popen[bytes]:
        """``worker``, ``web`` or ``run``; what it logs is kept in the folder."""
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service", word],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self._guard.pid,
            )
        self._processes[process] = word
        return process

    def verify(self) -> list[Any]:
        """The violations that `aftercare verify` finds."""
        done = subprocess.run(
            [sys.executable, "-m", "service", "verify", "--json"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.stdout, done.stderr.decode()
        return list(json.loads(done.stdout)["violations"])

    def replace(self, process: subprocess.Popen[bytes]) -> None:
        """Kill it as `kill -9` does, and start another."""
        process.kill()
        process.wait()
        self.start(self._processes.pop(process))

    def awake(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in self._processes if process not in self._frozen]

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGSTOP)
        self._frozen.add(process)

    def thaw(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGCONT)
        self._frozen.remove(process)

    def stop(self) -> list[int]:
        """Ask every process to stop; their exit codes."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait(STOPS_WITHIN) for process in self._processes]

    def close(self) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        for process in (*self._processes, self._guard):
            process.wait()
        self._engine.dispose()

    def in_hands(self, *, claimed_before: datetime | None = None) -> int:
        """Texts that are in some worker's hands, or of which nobody knows whether they left."""
        in_hands = select(func.count()).where(Message.state.in_(["sending", "unconfirmed"]))
        if claimed_before is not None:
            in_hands = in_hands.where(Message.claimed_at < claimed_before)
        return self._count(in_hands)

    def waiting(self, now: datetime) -> int:
        """Texts that were due at ``now`` and have not left."""
        return self._count(select(func.count()).where(Message.state == "planned", Message.due_at <= now))

    def doubts(self) -> int:
        """How often nobody knew whether a text had left."""
        return self._count(select(func.count()).where(JournalEntry.kind == "unconfirmed"))

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Look again and again; where it does not happen in time, the error tells how texts stand."""
        pause = threading.Event()
        for _ in range(int(self._within / LOOKS_EVERY)):
            if happened():
                return
            pause.wait(LOOKS_EVERY)
        raise NeverHappenedError(self.standing())

    def standing(self) -> list[Any]:
        """Texts that left or should have, by state and reasons; for people."""
        kinds = (Message.kind, Message.state, Message.reason, Message.held_reason)
        due = select(*kinds, func.count()).where(Message.due_at <= utc_now()).group_by(*kinds)
        with self.sessions() as db:
            return [tuple(row) for row in read_only(db).execute(due)]

    def has_beaten(self, process: subprocess.Popen[bytes], *, since: datetime) -> bool:
        """Whether the process has sent what it had to, and gone on, after ``since``."""
        of_process = Heartbeat.worker == f"{platform.node()}:{process.pid}", Heartbeat.job == "dispatch"
        return self._count(select(func.count()).where(*of_process, Heartbeat.at > since)) > 0

    def _count(self, query: Any) -> int:
        with self.sessions() as db:
            return int(read_only(db).scalar(query) or 0)


@contextmanager
def installed(folder: Path, database_url: str, settings: Mapping[str, str], *, within: float) -> Iterator[Installation]:
    installation = Installation(folder, database_url, settings, within=within)
    try:
        yield installation
    finally:
        installation.close()


def free_port() -> int:
    """Free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
