"""Whole worlds: everything happens in them, nothing that must not stand in their logs does, and each can be repeated."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

import pytest

from service.domain.errors import AftercareError
from service.simulator.running import Lived, simulate
from tests.postgres_server import PostgresServer

KINDS = {
    *("clinic", "plan", "texts", "patient", "consent", "session", "said", "pause", "resume", "trouble"),
    *("took", "refused", "broke", "reported", "row", "task", "end"),
}
TELL = """
from service import logs
from service.simulator.running import simulate

logs.configure(None, "critical")
print(*simulate({}, patients=5, weeks=2, chaos=True).log.lines(), sep="\\n")
"""


@pytest.fixture(scope="module")
def lived() -> Lived:
    """A clinic's spring or autumn in which everything goes wrong that can."""
    return simulate(5, patients=24, weeks=8, chaos=True)


@pytest.fixture(scope="module")
def calm() -> Lived:
    return simulate(2, patients=10, weeks=4, chaos=False)


def test_every_kind_of_entry_is_there(lived: Lived) -> None:
    assert {entry["kind"] for entry in lived.log} == KINDS


def test_entries_stand_in_the_order_of_time(lived: Lived) -> None:
    moments = [datetime.fromisoformat(entry["at"]) for entry in lived.log]
    assert moments == sorted(moments)


def test_all_sorts_of_trouble_happen(lived: Lived) -> None:
    found = Counter(entry["what"] for entry in lived.log if entry["kind"] == "trouble")
    assert found.keys() == {
        *("died", "frozen", "clock_step", "database_down", "network_down", "busy", "list_down"),
    }
    assert {entry["who"] for entry in lived.log if entry.get("what") == "died"} == {"worker", "web"}


def test_in_a_calm_world_only_the_network_gives_trouble(calm: Lived) -> None:
    found = {entry["what"] for entry in calm.log if entry["kind"] == "trouble"}
    assert found <= {"network_down", "busy", "list_down"}
    assert not calm.fate.hit


def test_processes_die_at_every_border_of_every_flow(lived: Lived) -> None:
    """Every border that is passed at all often was also hit, among them those on both sides of a handing over."""
    passed = {border for border, times in lived.fate.passed.items() if times > 25}
    assert passed <= lived.fate.hit.keys()
    assert passed > {"handing over: before", "handing over: after", "raw_first.second_act: before the commit"}
    assert len(passed) > 20


def test_no_key_of_the_database_and_no_id_of_the_network_stands_in_the_log(lived: Lived) -> None:
    for line in lived.log.lines():
        assert not re.search(r"SM[0-9a-f]{32}|[0-9a-f]{32}|_id\"", line), line


def test_texts_are_called_by_the_world_s_names(lived: Lived) -> None:
    labels = [entry["label"] for entry in lived.log if entry["kind"] in ("took", "row")]
    assert {label["kind"] for label in labels} >= {"plan", "reply"}
    for label in labels:
        assert re.fullmatch(r"p\d{4}", label["patient"] or "p0000")
        assert re.fullmatch(r"p\d{4}\.\d+", label["session"] or "p0000.0")
        assert (label["n"] is None) is (label["kind"] != "plan")
        assert ("answers" in label) is (label["kind"] == "reply")


def test_what_the_service_says_in_the_end_comes_last(lived: Lived) -> None:
    kinds = [entry["kind"] for entry in lived.log]
    first = kinds.index("row")
    assert set(kinds[first:]) == {"row", "task", "end"}
    assert kinds[-1] == "end"


def test_what_was_said_and_taken_is_in_the_service_s_books(calm: Lived) -> None:
    rows = {str(entry["label"]): entry for entry in calm.log if entry["kind"] == "row"}
    for entry in calm.log:
        if entry["kind"] == "took":
            assert rows[str(entry["label"])]["attempts"] >= entry["attempt"]
            assert rows[str(entry["label"])]["to_number"] == entry["number"]


def _transcript(seed: int, hash_seed: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", TELL.format(seed)],
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        timeout=300,
    )
    return sha256(run.stdout).hexdigest()


def test_the_same_seed_is_the_same_world_byte_for_byte_in_any_process() -> None:
    assert _transcript(3, "1") == _transcript(3, "4242")


def test_another_seed_is_another_world() -> None:
    one, other = (list(simulate(seed, patients=3, weeks=1, chaos=False).log.lines()) for seed in (1, 2))
    assert one != other


def test_a_seed_is_the_same_world_on_postgresql(
    postgres: PostgresServer, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = simulate(1, patients=6, weeks=2, chaos=True, database_url=empty_database)
    assert {entry["kind"] for entry in first.log} >= KINDS - {"broke", "refused", "pause", "resume"}
    with pytest.raises(AftercareError, match="not empty"):
        simulate(1, patients=6, weeks=2, chaos=True, database_url=empty_database)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[str]:
    name = f"aftercare_world_{os.getpid()}"
    postgres.create(name, "template1")
    yield postgres.url_of(name)
    postgres.drop(name)


@pytest.mark.parametrize(("patients", "weeks"), [(0, 3), (10, 0), (10**7, 3)])
def test_a_world_has_people_and_time(patients: int, weeks: int) -> None:
    with pytest.raises(AftercareError, match="Nothing was simulated"):
        simulate(1, patients=patients, weeks=weeks, chaos=False)
