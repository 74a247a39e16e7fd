"""The ground the other tests stand on: databases of their own on both engines, and no network."""

import socket

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session, sessionmaker

from service.store.database import create_engine_for, revisions
from service.store.tables import Clinic, Installation, Sender
from tests.conftest import NetworkUsedError
from tests.store import factories


def test_a_database_arrives_migrated(database_url: str) -> None:
    engine = create_engine_for(database_url)
    has, needs = revisions(engine)
    engine.dispose()
    assert has == needs is not None


@pytest.mark.parametrize("turn", ["first", "second"])
def test_no_test_finds_what_another_left(sessions: sessionmaker[Session], turn: str) -> None:
    with sessions.begin() as db:
        assert not inspect(db.connection()).has_table("left_behind"), turn
        db.execute(text("CREATE TABLE left_behind (turn TEXT)"))


@pytest.mark.parametrize("turn", ["first", "second"])
def test_no_test_finds_rows_of_another_and_each_has_those_of_the_migrations(
    sessions: sessionmaker[Session], turn: str
) -> None:
    with sessions.begin() as db:
        assert db.scalars(select(Clinic.id)).all() == [], turn
        assert db.scalars(select(Sender.id)).all() == db.scalars(select(Installation.id)).all() == [1]
        assert factories.clinic(db).id == 1
        db.delete(db.scalars(select(Installation)).one())


@pytest.mark.parametrize(
    "address", [("192.0.2.1", 443), ("2001:db8::1", 443), ("example.com", 443)], ids=["ipv4", "ipv6", "name"]
)
def test_the_network_is_out_of_reach(address: tuple[str, int]) -> None:
    with pytest.raises(NetworkUsedError):
        socket.create_connection(address)


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
