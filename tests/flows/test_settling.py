"""What became of a text is written, whatever the database does meanwhile, once, and never at the cost of stopping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Accepted, Blame, Outcome, OutgoingSms, Refused, Unknown
from service.domain.sms import Sender as From
from service.flows.dispatcher import dispatch_due
from service.flows.recovery import STALE, rescue_stale_claims
from service.flows.settling import QUICK_TRIES, WAITS, settle
from service.store.tables import JournalEntry, Message, SendAttempt
from tests.flows.clinic_life import ClinicLife
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
CUT = Exception("server closed the connection unexpectedly")
ERRORS: dict[str, Callable[[str], DBAPIError]] = {
    "it can not be reached": lambda words: OperationalError(words, None, CUT),
    "the connection is closed": lambda words: InterfaceError(words, None, CUT),
    "the connection was cut": lambda words: DBAPIError(words, None, CUT, connection_invalidated=True),
}


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


@pytest.fixture
def quick(sqlite_sessions: Sessions) -> ClinicLife:
    """Where the engine does not matter."""
    return ClinicLife(sqlite_sessions)


def ready(life: ClinicLife, n: int = 1) -> list[Message]:
    people = [life.patient() for _ in range(n)]
    life.plan()
    return [life.message(patient) for patient in people]


@contextmanager
def database_away(
    life: ClinicLife, times: int, error: Callable[[str], DBAPIError] = ERRORS["it can not be reached"]
) -> Iterator[None]:
    """The first ``times`` statements that write an outcome fail."""
    left = [times]

    def refuse(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("UPDATE send_attempt") and left[0]:
            left[0] -= 1
            raise error(statement)

    engine = life.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


@contextmanager
def commits_lost(life: ClinicLife, which: Callable[[int], bool]) -> Iterator[None]:
    """Commits after which the connection breaks before anybody hears that they took place; counted from one."""
    seen = [0]

    def lose(_db: Session) -> None:
        seen[0] += 1
        if which(seen[0]):
            raise OperationalError("COMMIT", None, CUT)

    event.listen(life.sessions, "after_commit", lose)
    try:
        yield
    finally:
        event.remove(life.sessions, "after_commit", lose)


class Waiting:
    """Counts the seconds it was to wait, and says after how many of them the service stops."""

    def __init__(self, *, stops_after: int | None = None) -> None:
        self.waits: list[float] = []
        self._stops_after = stops_after

    def __call__(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self._stops_after is not None and len(self.waits) > self._stops_after


def dispatch(life: ClinicLife, wait: Waiting) -> int:
    return dispatch_due(life.sessions, life.gateway, life.clock, life.policy, wait=wait)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_database_that_is_away_for_a_minute_costs_no_outcome(
    life: ClinicLife, error: Callable[[str], DBAPIError]
) -> None:
    texts, wait = ready(life, 3), Waiting()
    with database_away(life, 17, error):
        dispatch(life, wait)
    assert 50 < sum(wait.waits) < 70
    assert {life.fresh(text).state for text in texts} == {"sent"}
    assert len(life.left()) == 3


def test_where_transactions_only_got_in_each_others_way_nobody_waits(life: ClinicLife) -> None:
    (text,), wait = ready(life), Waiting()
    with database_away(life, QUICK_TRIES - 1):
        dispatch(life, wait)
    assert wait.waits == []
    assert life.fresh(text).state == "sent"


def test_patience_ends_after_five_minutes_for_all_texts_together(quick: ClinicLife) -> None:
    texts, wait = ready(quick, 3), Waiting()
    with database_away(quick, 10_000), pytest.raises(OperationalError):
        dispatch(quick, wait)
    assert wait.waits == list(WAITS)
    assert 290 <= sum(WAITS) <= 300
    assert {quick.fresh(text).state for text in texts} == {"sending"}
    assert len(quick.left()) == 3, "recovery asks the provider about them"


def test_a_service_that_stops_waits_for_no_database(quick: ClinicLife) -> None:
    (text,), wait = ready(quick), Waiting(stops_after=1)
    with database_away(quick, 10_000), pytest.raises(OperationalError):
        dispatch(quick, wait)
    assert len(wait.waits) == 2
    assert quick.fresh(text).state == "sending"


def test_a_fault_of_ours_is_not_waited_for_and_costs_no_other_outcome(quick: ClinicLife) -> None:
    texts, wait = ready(quick, 3), Waiting()
    with database_away(quick, 1, lambda words: DBAPIError(words, None, CUT)), pytest.raises(DBAPIError):
        dispatch(quick, wait)
    assert wait.waits == []
    assert sorted(quick.fresh(text).state for text in texts) == ["sending", "sent", "sent"]


# a commit of which nobody knows


def stories(life: ClinicLife) -> list[tuple[str, str | None]]:
    with life.sessions() as db:
        entries = db.scalars(select(JournalEntry).order_by(JournalEntry.id))
        return [(entry.kind, entry.reason) for entry in entries]


def test_an_outcome_that_was_written_before_the_connection_broke_is_written_once(life: ClinicLife) -> None:
    (text,) = ready(life)
    before = len(stories(life))
    with commits_lost(life, lambda n: n == 3):  # what is of no use, the claim, the outcome
        life.dispatch()
    assert life.fresh(text).state == "sent"
    assert stories(life)[before:] == [("sent", None)]
    assert len(life.left()) == 1


def test_a_claim_of_which_nobody_knows_is_never_sent_and_comes_to_recovery(life: ClinicLife) -> None:
    (text,) = ready(life)
    with commits_lost(life, lambda n: n == 2), pytest.raises(OperationalError):
        life.dispatch()
    assert life.fresh(text).state == "sending"
    life.dispatch()
    assert life.left() == []
    life.now += 2 * STALE
    assert rescue_stale_claims(life.sessions, life.clock) == 1
    assert life.fresh(text).state == "unconfirmed"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Accepted("SM1"), "sent"),
        (Unknown("No answer."), "unconfirmed"),
        (Refused(Blame.RETRY, "20429", "Busy.", "Nothing."), "planned"),
        (Refused(Blame.MESSAGE, "21617", "Too long.", "Shorten it."), "failed"),
        (Refused(Blame.SENDER, "21606", "Not ours.", "Look."), "planned"),
    ],
    ids=["taken", "nobody knows", "busy", "refused", "turned away"],
)
def test_the_same_outcome_twice_is_the_same_as_once(life: ClinicLife, outcome: Outcome, state: str) -> None:
    (text,) = ready(life)
    life.change(text, state="sending", claim_token="mine", claimed_at=NOW, attempts=1, to_number="+12025550177")
    with life.sessions.begin() as db:
        values = {"number": "+12025550177", "text": "x", "body_hash": "a" * 64, "encoding": "GSM-7", "segments": 1}
        of = {"message_id": text.id, "clinic_id": text.clinic_id, "patient_id": text.patient_id, "sender_id": 1}
        db.add(SendAttempt(n=1, started_at=NOW, **of, **values))
    sms = OutgoingSms(text.id, 1, "+12025550177", "x", From("+13125550199"), 600, NOW)
    seen = []
    for _ in range(2):
        with life.sessions.begin() as db:
            assert settle(db, sms, outcome, token="mine", now=NOW)
        seen.append((life.fresh(text).state, stories(life), [task.kind for task in life.tasks()]))
    assert seen[0] == seen[1]
    assert seen[0][0] == state
