"""What every test may ask for: a migrated database of its own on either engine, and a world without a network."""

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from sqlalchemy.orm import Session, sessionmaker

from service.store.database import create_engine_for, session_factory, upgrade
from tests.postgres_databases import Databases
from tests.postgres_server import PostgresServer, running_server

# "ci" repeats the same examples on every run; "thorough" looks for new ones: HYPOTHESIS_PROFILE=thorough make test
settings.register_profile("ci", derandomize=True, max_examples=60, deadline=None, print_blob=True)
settings.register_profile("thorough", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class NetworkUsedError(RuntimeError):
    """A test reached for the network. Deliberately no OSError: nothing may take it for a network that is down."""


@pytest.fixture(scope="session", autouse=True)
def nothing_from_outside() -> Iterator[None]:
    """No settings of the person who runs the tests, and no connection but to this machine itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AFTERCARE_"):
                patch.delenv(name)
        for method in ("connect", "connect_ex"):
            patch.setattr(socket.socket, method, _only_to_loopback(getattr(socket.socket, method)))
        patch.setattr(socket, "getaddrinfo", _only_local_names(socket.getaddrinfo))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server per test process, started when the first test asks."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a migrated database, to be copied."""
    with temporary_database(postgres, "template1") as name:
        _migrate(postgres.url_of(name))
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_databases(postgres: PostgresServer, postgres_template: str) -> Iterator[Databases]:
    """Databases that are lent to one test after the other."""
    databases = Databases(postgres, postgres_template)
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database; the test runs once on each engine."""
    if request.param == "sqlite":
        yield copy_of(request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        with databases.lend() as name:
            yield databases.server.url_of(name)


@pytest.fixture
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    """Sessions on a fresh database; the test runs once on each engine."""
    with _sessions_on(database_url) as factory:
        yield factory


@pytest.fixture
def sqlite_sessions(sqlite_template: Path, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    """Sessions on a fresh SQLite database, where the engine does not matter."""
    with _sessions_on(copy_of(sqlite_template, tmp_path)) as factory:
        yield factory


def _migrate(url: str) -> None:
    engine = create_engine_for(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


def copy_of(template: Path, folder: Path) -> str:
    return f"sqlite:///{shutil.copyfile(template, folder / 'aftercare.db')}"


@contextmanager
def _sessions_on(url: str) -> Iterator[sessionmaker[Session]]:
    engine = create_engine_for(url)
    try:
        yield session_factory(engine)
    finally:
        engine.dispose()


@contextmanager
def temporary_database(server: PostgresServer, template: str) -> Iterator[str]:
    name = f"aftercare_test_{uuid4().hex}"  # a named server may be shared with another run
    server.create(name, template)
    try:
        yield name
    finally:
        server.drop(name)


def _only_to_loopback(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _is_local(address[0]):
            message = f"a test tried to connect to {address[0]}"
            raise NetworkUsedError(message)
        return connect(self, address)

    return guarded


def _only_local_names(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: str | bytes | None, *args: Any, **options: Any) -> Any:
        if host is not None and not _is_local(host):
            message = f"a test tried to look up {host!r}"
            raise NetworkUsedError(message)
        return resolve(host, *args, **options)

    return guarded


def _is_local(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in {"", "localhost"}
