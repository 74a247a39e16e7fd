"""Deaths at the borders of transactions, and a database that goes away."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.simulator.chaos import FIRST_HIT, LONGEST_OUT, DiedError, Fate, MortalSessions
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.log import Log

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Fated(Fate):
    """Hits one border, each time, the same way."""

    def __init__(self, border: str, *, drops: bool = False) -> None:
        self.clock, self.log, self.border, self.drops_here = VirtualClock(NOON), Log(), border, drops
        super().__init__(Dice(1), self.clock, self.log, chaos=True)

    def reach(self, border: str, *, drops: bool = True) -> None:
        self.passed[border] += 1
        if border == self.border and self.drops_here:
            self._drop(border)
        if border == self.border:
            raise DiedError(border)


def write_down(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        db.execute(text("UPDATE sender SET number = '+15550100001'"))


def number(sessions: sessionmaker[Session]) -> str | None:
    with sessions() as db:
        found: str | None = db.scalar(text("SELECT number FROM sender"))
        return found


@pytest.mark.parametrize(
    ("border", "stands"), [("before the commit", None), ("after the commit", "+15550100001")], ids=["before", "after"]
)
@pytest.mark.parametrize("drops", [False, True], ids=["dies", "loses the database"])
def test_what_was_written_stands_if_it_was_committed(
    sqlite_sessions: sessionmaker[Session], border: str, *, stands: str | None, drops: bool
) -> None:
    fate = Fated(f"test_chaos.write_down: {border}", drops=drops)
    mortal = MortalSessions(sqlite_sessions.kw["bind"], fate)
    with pytest.raises(OperationalError if drops else DiedError):
        write_down(mortal)
    assert number(sqlite_sessions) == stands


def test_a_border_is_named_after_the_flow_that_opened_the_transaction(sqlite_sessions: sessionmaker[Session]) -> None:
    fate = Fated("")
    write_down(MortalSessions(sqlite_sessions.kw["bind"], fate))
    assert list(fate.passed) == [
        "test_chaos.write_down: before the commit",
        "test_chaos.write_down: after the commit",
    ]


def test_no_transaction_begins_while_the_database_is_out(sqlite_sessions: sessionmaker[Session]) -> None:
    fate = Fated("test_chaos.write_down: before the commit", drops=True)
    mortal = MortalSessions(sqlite_sessions.kw["bind"], fate)
    for _ in range(2):
        with pytest.raises(OperationalError):
            write_down(mortal)
    assert fate.passed.total() == 1
    with pytest.raises(OperationalError):
        mortal()
    fate.clock.go_on(LONGEST_OUT)
    assert number(mortal) is None


def test_an_outage_stands_in_the_log_with_its_end() -> None:
    fate = Fated("a border", drops=True)
    with pytest.raises(OperationalError):
        fate.reach("a border")
    (trouble,) = fate.log
    assert (trouble["what"], trouble["start"] < trouble["end"]) == ("database_down", True)


def passes(fate: Fate, border: str, times: int) -> list[int]:
    """At which passes the border was hit."""
    found = []
    for n in range(times):
        fate.out_until = None
        try:
            fate.reach(border)
        except (DiedError, OperationalError):
            found.append(n)
    return found


def test_every_border_is_hit_early_and_again_in_its_own_rhythm() -> None:
    fate = Fate(Dice(3), VirtualClock(NOON), Log(), chaos=True)
    one, other = passes(fate, "one", 4000), passes(fate, "other", 4000)
    assert max(one[0], other[0]) < FIRST_HIT
    assert min(len(one), len(other)) > 8
    assert one != other
    assert fate.hit["one"] == len(one)


def test_without_chaos_nothing_is_ever_hit() -> None:
    fate = Fate(Dice(3), VirtualClock(NOON), Log(), chaos=False)
    assert passes(fate, "one", 500) == []
    assert fate.passed["one"] == 500


def test_a_border_where_no_database_is_asked_is_only_died_at() -> None:
    fate, found = Fate(Dice(3), VirtualClock(NOON), Log(), chaos=True), 0
    for _ in range(3000):
        try:
            fate.reach("handing over", drops=False)
        except DiedError:
            found += 1
    assert found == fate.hit["handing over"]
    assert not fate.is_out


def test_the_longest_outage_is_minutes() -> None:
    assert timedelta(minutes=1) < LONGEST_OUT < timedelta(minutes=10)
