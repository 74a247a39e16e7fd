"""The ground the other tests stand on: databases of their own on both engines, and no network."""

import socket

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.orm import Session, sessionmaker

from service.store.database import create_engine_for, revisions
from tests.conftest import NetworkUsedError


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


@pytest.mark.parametrize(
    "address", [("192.0.2.1", 443), ("2001:db8::1", 443), ("example.com", 443)], ids=["ipv4", "ipv6", "name"]
)
def test_the_network_is_out_of_reach(address: tuple[str, int]) -> None:
    with pytest.raises(NetworkUsedError):
        socket.create_connection(address)


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
