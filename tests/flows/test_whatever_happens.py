"""Whatever happens to patients, sessions and the network, and in whatever order: some things never do."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.careplan import Anchor
from service.flows.recovery import STALE, rescue_stale_claims
from service.gateways.simulated_network import DEFAULT
from service.store.database import create_engine_for, session_factory
from service.store.tables import Patient, TreatmentSession
from tests.domain.cases import DAY, HOUR, shipped
from tests.flows.clinic_life import CHICAGO, ClinicLife, Left, Watched
from tests.store import factories
from tests.store.factories import NOW

STATUS_OF = {
    Anchor.BOOKED: "booked",
    Anchor.MOVED: "booked",
    Anchor.SESSION_START: "booked",
    Anchor.COMPLETED: "completed",
    Anchor.DUE: "completed",
    Anchor.CANCELLED: "cancelled",
    Anchor.NO_SHOW: "no_show",
}
MOODS: list[dict[str, Any]] = [{}, {"busy": 0.5}, {"fails_before": 0.5}, {"fails_after": 0.5}, {"busy": 1.0}]


class DeadError(RuntimeError):
    """The worker's process is gone."""


class World:
    """Two patients, whatever happens to them, and what was true when."""

    def __init__(self, life: ClinicLife) -> None:
        self.life = life
        self.patients: list[Patient] = [life.patient(), life.patient()]
        self.sessions: list[TreatmentSession] = []
        self.history: list[tuple[datetime, int, str, datetime]] = []
        self.agreed = [(NOW - 30 * DAY, patient.id, True) for patient in self.patients]

    def book(self, n: int) -> None:
        start = self.life.now + (1 + n % 20) * DAY
        self.sessions.append(self.life.booked(start, of=self.patients[n % 2]))
        self._note(self.sessions[-1])

    def move(self, n: int) -> None:
        if session := self._one(n):
            self._change(session, scheduled_start=session.scheduled_start + (n % 9 - 4) * DAY)

    def complete(self, n: int) -> None:
        if session := self._one(n):
            self._change(session, status="completed", completed_at=self.life.now - (n % 30) * HOUR)

    def change_status(self, n: int) -> None:
        if session := self._one(n):
            status = ("booked", "cancelled", "no_show", "not_done", "entered_in_error")[n % 5]
            self._change(session, status=status, completed_at=None)

    def speak(self, n: int) -> None:
        """A patient opts out or in."""
        patient, granted = self.patients[n % 2], n % 3 == 0
        self._a_moment_later()
        with self.life.sessions.begin() as db:
            factories.grant(db, patient, granted=granted, at=self.life.now)
        self.agreed.append((self.life.now, patient.id, granted))

    def pause(self, n: int) -> None:
        self.life.change(self.life.clinic, paused_at=self.life.now if n % 2 else None)

    def mood(self, n: int) -> None:
        self.life.network.config = replace(DEFAULT, seed=n, **MOODS[n % len(MOODS)])

    def die(self, n: int) -> None:
        """A worker takes what is due and dies with the text in hand: before it was handed over, or after."""
        inner = self.life.gateway

        def stop(sms: Any) -> None:
            if n % 2:
                list(inner.send_batch([sms]))
            raise DeadError

        self.life.gateway = Watched(inner, stop)
        try:
            self.life.dispatch()
        except DeadError:
            self.life.now += STALE + timedelta(seconds=1)
        finally:
            self.life.gateway = inner
        rescue_stale_claims(self.life.sessions, self.life.clock)

    def wait(self, n: int) -> None:
        self.life.wait(hours=n % 40)

    def _one(self, n: int) -> TreatmentSession | None:
        return self.life.fresh(self.sessions[n % len(self.sessions)]) if self.sessions else None

    def _change(self, session: TreatmentSession, **values: Any) -> None:
        self.life.change(session, **values)
        self._note(self.life.fresh(session))

    def _note(self, session: TreatmentSession) -> None:
        self._a_moment_later()
        self.history.append((self.life.now, session.id, session.status, session.scheduled_start))

    def _a_moment_later(self) -> None:
        """So that what left at this very moment is judged by what was true until then."""
        self.life.now += timedelta(milliseconds=1)

    def known(self, session_id: int, moment: datetime) -> tuple[str, datetime]:
        """Status and start of a session at a moment."""
        return [(status, start) for at, sid, status, start in self.history if sid == session_id and at <= moment][-1]

    def had_agreed(self, patient_id: int, moment: datetime) -> bool:
        return [granted for at, pid, granted in self.agreed if pid == patient_id and at <= moment][-1]


HAPPENINGS: list[Callable[[World, int], None]] = [
    *(World.wait, World.wait, World.wait, World.book, World.book, World.move, World.complete, World.complete),
    *(World.change_status, World.speak, World.pause, World.mood, World.die),
]


@settings(max_examples=15)
@given(happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 10_000)), min_size=8, max_size=25))
def test_no_text_is_doubled_unlawful_or_untrue(
    sqlite_template: Path, happenings: list[tuple[Callable[[World, int], None], int]]
) -> None:
    with TemporaryDirectory() as folder:
        engine = create_engine_for(f"sqlite:///{copyfile(sqlite_template, Path(folder) / 'aftercare.db')}")
        world = World(ClinicLife(session_factory(engine)))
        for happens, n in happenings:
            happens(world, n)
            world.life.tick()
        world.life.wait(days=1)
        judge(world)
        engine.dispose()


def judge(world: World) -> None:
    life = world.life
    rows = {message.id: message for message in life.messages()}
    left = life.left()
    assert max(Counter(text.message_id for text in left).values(), default=1) == 1
    for text in left:
        row = rows[text.message_id]
        assert world.had_agreed(row.patient_id or 0, text.at), "no text after an opt-out"
        assert_lawful(text, [other for other in left if rows[other.message_id].patient_id == row.patient_id])
        assert row.session_id is None or is_true(world, text, row.session_id, row.told_start)
    assert all(m.reason for m in rows.values() if m.state in ("cancelled", "missed", "failed", "unconfirmed"))
    assert not [m for m in rows.values() if m.state == "sending"]
    assert not [m for m in rows.values() if m.state == "planned" and m.expires_at and m.expires_at < life.now]


def assert_lawful(text: Left, to_patient: list[Left]) -> None:
    step = shipped().step(text.step or "")
    hour = text.at.astimezone(CHICAGO).hour
    assert step.window.opens.hour <= hour < step.window.closes.hour
    before = [other for other in to_patient if timedelta(0) <= text.at - other.at < DAY]
    assert len(before) <= 6 or step.urgency.priority == 1


def is_true(world: World, text: Left, session_id: int, told_start: datetime | None) -> bool:
    """Whether what the text says was so when it left."""
    status, start = world.known(session_id, text.at)
    step = shipped().step(text.step or "")
    return status == STATUS_OF[step.anchor] and told_start in (None, start)
