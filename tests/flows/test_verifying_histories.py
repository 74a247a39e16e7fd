"""Whatever happens, as long as the service itself does the sending: proving finds nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.flows.inbox import receive_inbound
from service.flows.receipts import poll_receipts
from service.flows.recovery import recover
from service.flows.staffing import TooLate, skip_message
from service.flows.verification.verifying import verify
from service.gateways.simulated_network import DEFAULT
from service.store.database import create_engine_for, session_factory
from tests.domain.cases import DAY, renamed, shipped
from tests.flows.clinic_life import SENDER, ClinicLife
from tests.flows.phones import sms
from tests.flows.test_whatever_happens import HAPPENINGS, World

Happening = tuple[Callable[[World, int], None], int]
WAIT = timedelta(seconds=90)
WORDS = ("STOP", "START", "HELP", "C", "yes", "what is this")


def text_us(world: World, n: int) -> None:
    """A phone says something, and it may reach us an hour late."""
    patient = world.life.fresh(world.patients[n % 2])
    world.life.now += timedelta(milliseconds=1)
    said = sms(
        WORDS[n % len(WORDS)], number=str(patient.phone), to=SENDER, at=world.life.now - (n % 3) * timedelta(hours=1)
    )
    receive_inbound(world.life.sessions, said, world.life.clock, via="poll", stop_replies="own")


def fetch_reports(world: World, n: int) -> None:
    poll_receipts(world.life.sessions, world.life.gateway, world.life.clock)


def fail(world: World, n: int) -> None:
    """From now on some texts do not arrive, and some of those may be tried again."""
    code = "30022" if n % 2 else "30003"
    world.life.network.config = replace(DEFAULT, seed=n, undelivered=0.5, undelivered_code=code)


def find_out(world: World, n: int) -> None:
    world.life.now += n % 5 * WAIT
    recover(world.life.sessions, world.life.gateway, world.life.clock, wait=WAIT)


def change_number(world: World, n: int) -> None:
    world.life.change(world.patients[n % 2], phone=f"+120255501{n % 90 + 10}")


def change_patient(world: World, n: int) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"status": "inactive"},
        {"status": "deceased"},
        {"status": "active"},
        {"privacy": "explicit"},
        {"paused_until": world.life.now + (n % 4) * DAY},
        {"language": "es"},
    )
    world.life.change(world.patients[n % 2], **changes[n % len(changes)])


def change_plan(world: World, n: int) -> None:
    world.life.follow(world.life.clinic, (renamed(), shipped())[n % 2])


def write_text(world: World, n: int) -> None:
    world.life.message(world.patients[n % 2], text=f"Please call {n}.")


def skip_text(world: World, n: int) -> None:
    rows = world.life.messages()
    if rows:
        try:
            with world.life.sessions.begin() as db:
                skip_message(db, rows[n % len(rows)].id, reason="phoned", by="staff", now=world.life.now)
        except TooLate:
            pass


def change_hours(world: World, n: int) -> None:
    zones = ("Asia/Tokyo", "America/Chicago", "Europe/Madrid", None)
    if n % 3 == 0:
        world.life.change(world.patients[n % 2], time_zone=zones[n % 4])
    elif n % 3 == 1:
        world.life.change(world.life.clinic, window_opens=f"{8 + n % 4:02}:00", window_closes=f"{16 + n % 5}:00")
    else:
        world.life.change(world.life.clinic, time_zone=zones[n % 3])


MORE: list[Callable[[World, int], None]] = [
    *(text_us, text_us, fetch_reports, fetch_reports, fail, find_out, find_out, change_number, change_patient),
    *(change_plan, write_text, skip_text, change_hours, change_hours),
]


@settings(max_examples=15)
@given(
    happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS + MORE), st.integers(0, 10_000)), min_size=8, max_size=30)
)
def test_a_healthy_database_is_silent(sqlite_template: Path, happenings: list[Happening]) -> None:
    with TemporaryDirectory() as folder:
        engine = create_engine_for(f"sqlite:///{copyfile(sqlite_template, Path(folder) / 'aftercare.db')}")
        world = World(ClinicLife(session_factory(engine)))
        for happens, n in happenings:
            happens(world, n)
            if n % 7:
                world.life.tick()
        assert verify(world.life.sessions, world.life.clock).violations == [], "while much is under way"
        world.life.wait(days=1)
        assert verify(world.life.sessions, world.life.clock).violations == []
        engine.dispose()
