"""The whole service before a Twilio of our own: a planted name, number and text stand in no log and no metric at any time,
and after the person was erased nowhere at all.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from service.assembly import App, prepare
from service.cli import messages, tools, verify
from service.flows.erasing import erase
from service.gateways.simulated import SimulatedNetwork
from service.store import content, reports
from service.store.columns import Table
from service.web.app import create_app
from tests.cli.console import commands, installation
from tests.fakes.apps import StoppedClock, app_on
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, FakeTwilio
from tests.store import factories
from tests.store.factories import NOW

NAME, WORDS = f"Na{uuid4().hex[:12]}", f"wo{uuid4().hex[:12]}"
NUMBER, LOST = f"+1415555{uuid4().int % 10_000:04}", "+15005550009"
PLANTED = (NAME, WORDS, NUMBER[2:])
SECRET = "k" * 40


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(NOW)


@pytest.fixture
def twilio(clock: StoppedClock) -> Iterator[FakeTwilio]:
    with FakeTwilio(SimulatedNetwork("nothing left"), clock).running() as server:
        yield server


def settings_of(twilio: FakeTwilio) -> dict[str, str]:
    return {
        "account_sid": ACCOUNT_SID,
        "api_key_sid": "SK" + "3" * 32,
        "api_key_secret": "key-secret",
        "auth_token": AUTH_TOKEN,
        "from_number": OUR_NUMBER,
        "base_url": twilio.url,
    }


@pytest.fixture
def app(database_url: str, clock: StoppedClock, twilio: FakeTwilio) -> Iterator[App]:
    app = app_on(
        database_url,
        clock,
        gateway="twilio",
        twilio=settings_of(twilio),
        allowed_recipients=frozenset({NUMBER, LOST}),
        secret_key=SECRET,
    )
    prepare(app)
    yield app
    app.close()


def work(app: App, clock: StoppedClock) -> None:
    """A while of a worker's life."""
    for _ in range(4):
        for name in ("inbound", "plan", "dispatch", "receipts", "recover", "retention"):
            app.ticks[name]()
        clock.move(timedelta(minutes=2))


def everything(sessions: sessionmaker[Session]) -> str:
    with sessions() as db:
        return repr([tuple(row) for table in Table.metadata.sorted_tables for row in db.execute(select(table))])


def provider(twilio: FakeTwilio) -> str:
    return repr((twilio.network.accepted, twilio.network.heard))


def found(text: str) -> list[str]:
    return [word for word in PLANTED if word in text]


def test_nothing_is_told_and_nothing_is_left(
    app: App, clock: StoppedClock, twilio: FakeTwilio, database_url: str, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = commands(messages.register, verify.register, tools.register)
    shown = []
    with capture_logs() as logs, caplog.at_level(logging.DEBUG), TestClient(create_app(app)) as client:
        with app.sessions.begin() as db:
            clinic = factories.clinic(db)
            content.ensure_seeded(db, clinic.id, now=NOW)
            patient = factories.patient(db, clinic, first_name=NAME, last_name=NAME, external_id=NAME, phone=NUMBER)
            landline = factories.patient(db, clinic, first_name=NAME, last_name=NAME, external_id=WORDS, phone=LOST)
            for each in (patient, landline):
                factories.grant(db, each, evidence=f"form of {NAME}")
                factories.session(db, each, scheduled_start=NOW + timedelta(days=2), external_id=f"{NAME}{each.id}")
                factories.message(db, each, text=f"Dear {NAME}, {WORDS}")
        work(app, clock)
        for said in (f"I am {NAME} and have {WORDS}", "STOP"):
            twilio.network.say(NUMBER, OUR_NUMBER, body=said, now=clock())
            work(app, clock)
        assert set(found(everything(app.sessions))) == set(found(provider(twilio))) == set(PLANTED)
        with installation(tmp_path, {"DATABASE_URL": database_url, "SECRET_KEY": SECRET}):
            shown = [run(*words).output for words in (("verify",), ("status",), ("message", "list"))]
            shown += [client.get(path).text for path in ("/metrics", "/readyz", "/healthz")]
            with app.sessions() as db:
                shown.append(repr(reports.status(db, now=clock())))
        for person in (patient.id, landline.id):
            with app.sessions.begin() as db:
                erase(db, person, reason="asked for it", by="officer", now=clock())
        work(app, clock)
        shown += [client.get("/metrics").text]
    assert found(everything(app.sessions)) == []
    assert found(provider(twilio)) == []
    assert twilio.network.accepted == {}
    assert found("".join(shown)) == []
    out, err = capfd.readouterr()
    assert found(repr(logs) + caplog.text + out + err) == []
