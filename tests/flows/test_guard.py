"""What holds sending at a start, how long, and how a person's own pause goes together with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest
from aiohttp import web
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.breakers import Cause as ProviderCause
from service.domain.errors import AftercareError
from service.flows import guard, staffing
from service.flows.guard import Cause
from service.gateways.simulated import SimulatedNetwork
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.store import running
from service.store.seals import seal_with
from service.store.tables import Installation, JournalEntry
from tests.fakes.apps import StoppedClock
from tests.fakes.twilio_server import ACCOUNT_SID, KEY_SECRET, KEY_SID, FakeTwilio
from tests.flows.clinic_life import ClinicLife
from tests.store.factories import NOW

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
Sessions = sessionmaker[Session]


def start(life: ClinicLife, *clocks: datetime | None, account: str = "account") -> Cause | None:
    """As a worker starts."""
    with life.sessions.begin() as db:
        return guard.look_before_sending(db, other_clocks=clocks, account=account, now=life.now)


def beat(life: ClinicLife) -> None:
    with life.sessions.begin() as db:
        running.beat(db, job="dispatch", worker="w", at=life.now, took_ms=1, rows=0)


def held_for_silence(life: ClinicLife) -> None:
    """A worker ran, and an hour later another one starts."""
    beat(life)
    life.now += HOUR
    assert start(life) is Cause.SILENCE


def let_go(life: ClinicLife, *, account: str = "account") -> bool:
    with life.sessions.begin() as db:
        return guard.let_go(db, by="test", account=account, now=life.now)


def whole(life: ClinicLife) -> Installation:
    with life.sessions() as db:
        return running.installation(db)


# A start


def test_a_first_start_is_free_and_notes_who_sends(life: ClinicLife) -> None:
    seal_with(life.sessions, "key")
    assert start(life) is None
    assert (whole(life).identity or "").startswith("#")
    assert whole(life).guard_at is None


def test_who_has_no_lasting_key_is_nobody_in_particular(life: ClinicLife) -> None:
    assert start(life) is None
    assert whole(life).identity is None


def test_silence_holds_sending_with_one_red_task_and_says_what_to_run(life: ClinicLife) -> None:
    clinic = life.clinic
    held_for_silence(life)
    row, (task,) = whole(life), life.tasks("sending_held")
    assert (row.paused_at, row.guard_at, row.guard_since) == (life.now, life.now, NOW - guard.BEFORE)
    assert "aftercare recover --since 2026-03-02T14:50:00Z --release" in (row.pause_reason or "")
    assert "since 2026-03-02T15:00:00Z" in (row.pause_reason or ""), "names the last sign of life"
    assert (task.level, task.clinic_id) == ("red", clinic.id)
    assert "aftercare recover --since 2026-03-02T14:50:00Z" in (task.next_action or "")


def test_a_hold_stays_whatever_a_later_start_finds(life: ClinicLife) -> None:
    held_for_silence(life)
    held_at = life.now
    for _ in range(2):
        life.now += MINUTE
        beat(life)
        assert start(life, life.now - HOUR) is Cause.SILENCE
    assert (whole(life).guard_at, whole(life).guard_since) == (held_at, NOW - guard.BEFORE)


def test_before_there_is_a_clinic_nobody_is_told_but_the_hold_stands(life: ClinicLife) -> None:
    held_for_silence(life)
    assert life.tasks() == []
    assert whole(life).paused_at == life.now


def test_held_is_what_would_leave_and_nothing_else(life: ClinicLife) -> None:
    urgent = life.message(life.patient(), urgency="safety", priority=0)
    held_for_silence(life)
    booked = life.booked(life.now + timedelta(days=3))
    life.tick()
    assert (life.fresh(urgent).state, life.fresh(urgent).held_reason) == ("planned", "paused")
    assert life.messages(session_id=booked.id), "planning goes on"
    assert let_go(life)
    life.tick()
    assert life.fresh(urgent).state == "sent"
    assert life.tasks(state="open") == []


def test_what_a_person_has_let_go_is_not_held_again_for_the_same_silence(life: ClinicLife) -> None:
    """The comparison may be made, and sending be let go, before any worker runs."""
    held_for_silence(life)
    let_go(life)
    life.now += 29 * MINUTE
    assert start(life) is None
    life.now += 2 * MINUTE
    assert start(life) is Cause.SILENCE
    assert whole(life).guard_since == NOW + HOUR - guard.BEFORE


def test_an_older_release_says_nothing_of_a_silence_since(life: ClinicLife) -> None:
    held_for_silence(life)
    let_go(life)
    life.now += MINUTE
    held_for_silence(life)


# A second installation


def test_another_key_or_account_is_a_second_installation_until_it_is_adopted(life: ClinicLife) -> None:
    seal_with(life.sessions, "key")
    assert start(life) is None
    first = whole(life).identity
    assert start(life, account="another") is Cause.SECOND
    assert start(life) is Cause.SECOND, "held for both: one of them does not know what the other sends"
    assert whole(life).identity == first
    assert let_go(life, account="another")
    assert start(life, account="another") is None
    assert start(life) is Cause.SECOND, "the first one is the stranger now"


def test_another_key_is_another_identity(life: ClinicLife) -> None:
    seal_with(life.sessions, "key")
    start(life)
    seal_with(life.sessions, "another key")
    assert start(life) is Cause.SECOND
    let_go(life)
    assert start(life) is None


def test_a_release_by_who_has_no_key_leaves_the_owner(life: ClinicLife, sessions: Sessions) -> None:
    with sessions.begin() as db:
        running.installation(db).identity = "#somebody"
    held_for_silence(life)
    let_go(life)
    assert whole(life).identity == "#somebody"


# A person's own pause


def person_pauses(life: ClinicLife) -> bool:
    with life.sessions.begin() as db:
        return staffing.pause(db, reason="Wrong texts.", by="test", now=life.now)


def resume(life: ClinicLife) -> list[str]:
    with life.sessions.begin() as db:
        return staffing.resume(db, by="test", now=life.now)


@pytest.mark.parametrize("paused", ["before", "meanwhile"])
def test_a_persons_own_pause_stays_after_the_release(life: ClinicLife, paused: str) -> None:
    message = life.message(life.patient())
    if paused == "before":
        assert person_pauses(life)
    held_for_silence(life)
    life.now += MINUTE
    if paused == "meanwhile":
        assert person_pauses(life)
    assert not person_pauses(life), "the first reason of a person stays"
    assert let_go(life)
    assert (whole(life).guard_at, whole(life).pause_reason) == (None, "Wrong texts.")
    life.tick()
    assert life.fresh(message).state == "planned"
    assert resume(life) == ["all sending (Wrong texts.)"]
    life.tick()
    assert life.fresh(message).state == "sent"


@pytest.mark.parametrize("paused", [True, False], ids=["paused by a person", "held alone"])
def test_resuming_never_goes_past_the_guard_and_names_the_way(life: ClinicLife, *, paused: bool) -> None:
    if paused:
        person_pauses(life)
    held_for_silence(life)
    with pytest.raises(AftercareError, match="aftercare recover --since 2026-03-02T14:50:00Z --release"):
        resume(life)
    assert whole(life).paused_at is not None


def test_the_guard_takes_over_from_the_provider(life: ClinicLife, sessions: Sessions) -> None:
    """What the provider brought about is tried out by itself; nothing is tried while the guard holds."""
    with sessions.begin() as db:
        running.pause_all(db, at=NOW, reason="no answer", cause=ProviderCause.DOWN)
    held_for_silence(life)
    assert (whole(life).pause_cause, whole(life).probe_at) == (None, None)
    with sessions.begin() as db:
        assert not running.pause_all(db, at=life.now, reason="no answer", cause=ProviderCause.DOWN)
    let_go(life)
    assert whole(life).paused_at is None


def test_a_release_where_nothing_is_held_changes_nothing(life: ClinicLife) -> None:
    person_pauses(life)
    assert not let_go(life)
    assert whole(life).pause_reason == "Wrong texts."
    with life.sessions() as db:
        assert db.scalars(select(JournalEntry.kind)).all() == ["paused"]


# The provider's clock


@dataclass
class OtherClock(FakeTwilio):
    """Its answers are dated as ``date`` says."""

    date: str = ""

    async def _account(self, request: web.Request) -> web.StreamResponse:
        answer = await super()._account(request)
        answer.headers["Date"] = self.date
        return answer


@contextmanager
def asking(twilio: FakeTwilio, clock: StoppedClock, *, secret: str = KEY_SECRET) -> Iterator[TwilioGateway]:
    gateway = TwilioGateway(TwilioConfig(ACCOUNT_SID, KEY_SID, secret, twilio.url), clock)
    try:
        yield gateway
    finally:
        gateway.close()


@pytest.fixture
def twilio() -> Iterator[OtherClock]:
    with OtherClock(SimulatedNetwork(uuid4().hex), StoppedClock()).running() as server:
        assert isinstance(server, OtherClock)
        yield server


@pytest.mark.parametrize(
    ("apart", "cause"),
    [(61, Cause.CLOCK), (-61, Cause.CLOCK), (60, None), (-60, None), (0, None)],
    ids=["61 s ahead of us", "61 s behind us", "a minute ahead", "a minute behind", "the same"],
)
def test_a_clock_that_the_provider_contradicts_holds_sending(
    quick: ClinicLife, twilio: OtherClock, apart: int, cause: Cause | None
) -> None:
    twilio.date = format_datetime(NOW + apart * SECOND, usegmt=True)
    with asking(twilio, StoppedClock()) as gateway:
        assert isinstance(gateway, guard.TellsTime)
        theirs = gateway.their_time()
    assert theirs == NOW + apart * SECOND
    assert start(quick, theirs) is cause
    assert whole(quick).guard_cause == cause


def test_a_provider_that_dates_nothing_or_does_not_answer_holds_nothing(quick: ClinicLife, twilio: OtherClock) -> None:
    twilio.date = "soon"
    with asking(twilio, StoppedClock()) as gateway:
        assert gateway.their_time() is None
    unreachable = OtherClock(twilio.network, twilio.clock, port=1)
    with asking(unreachable, StoppedClock()) as gateway:
        assert gateway.their_time() is None
    assert start(quick, None) is None
