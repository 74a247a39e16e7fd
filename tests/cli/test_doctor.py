"""``aftercare doctor``: each fault brought about once, and what it says to do."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session, sessionmaker
from structlog.testing import capture_logs

from service.assembly import build, prepare, utc_now
from service.cli import tools
from service.cli.doctor.finding import Check, judged
from service.cli.serving import serving
from service.domain.rates import carriers_day
from service.flows import guard
from service.gateways.simulated import SimulatedNetwork
from service.settings import load_settings
from service.store import running
from service.store.content import seed_defaults
from service.store.tables import TemplateVersion
from tests.cli.console import commands, installation
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, KEY_SECRET, KEY_SID, SERVICE_SID, FakeTwilio
from tests.store import factories

run = commands(tools.register)


def looked_at() -> tuple[int, dict[str, dict[str, object]]]:
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert all(list(check) == ["check", "ok", "detail", "fix"] for check in found)
    assert all(check["ok"] or check["fix"] for check in found)
    return result.exit_code, {check["check"]: check for check in found}


def test_a_new_installation_is_in_order(sessions: sessionmaker[Session]) -> None:
    code, found = looked_at()
    assert code == 0
    assert list(found) == [
        "settings",
        "database",
        "schema",
        "triggers",
        "clock",
        "time zones",
        "sender",
        "sending",
        "heartbeats",
        "spending",
        "seals",
        "provider copies",
        "gateway",
        "public address",
    ]
    assert "NOT OK" not in run("doctor").stdout


def test_what_is_wrong_with_the_content_is_told(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        factories.clinic(db)
        factories.clinic(db, time_zone="America/Nowhere", sender_id=factories.sender(db, key="south", number=None).id)
        running.pause_all(db, at=utc_now(), reason="wrong texts")
        running.beat(db, job="plan", worker="here:1", at=utc_now() - timedelta(hours=1), took_ms=1, rows=0)
        running.beat(db, job="dispatch", worker="here:1", at=utc_now(), took_ms=1, rows=0)
    code, found = looked_at()
    assert code == 1
    wrong = {name: check["detail"] for name, check in found.items() if not check["ok"]}
    assert wrong == {
        "time zones": "America/Nowhere",
        "sender": "south",
        "sending": "all sending is paused (wrong texts)",
        "heartbeats": wrong["heartbeats"],
    }
    assert str(wrong["heartbeats"]).startswith("plan was last seen 36")
    assert "NOT OK" in run("doctor").stdout


@pytest.mark.parametrize(
    ("segments", "yesterday", "ok", "detail"),
    [
        (1000, 0, True, "about 12.00 of 25.50 spent today"),
        (2125, 0, False, "about 25.50 of 25.50 spent today: only what is urgent, and answers, still leave"),
        (9000, 1, True, "about 0.00 of 25.50 spent today"),
    ],
    ids=["within the limit", "used up", "used up the day before"],
)
def test_a_limit_for_the_day(
    sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    segments: int,
    yesterday: int,
    ok: bool,
    detail: str,
) -> None:
    with sessions.begin() as db:
        day = carriers_day(utc_now()) - timedelta(days=yesterday)
        factories.sender(db, day=day, day_segments=segments)
    monkeypatch.setenv("AFTERCARE_DAILY_SPEND_LIMIT", "25.50")
    code, found = looked_at()
    assert (code, found["spending"]["ok"], found["spending"]["detail"]) == (0 if ok else 1, ok, detail)


def test_a_trigger_that_is_gone(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        on = " ON patient" if db.get_bind().dialect.name == "postgresql" else ""
        db.execute(text(f"DROP TRIGGER patient_changed{on}"))
    code, found = looked_at()
    assert (code, found["triggers"]["ok"], found["triggers"]["detail"]) == (1, False, "patient_changed")


def test_clocks_that_disagree(sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.assembly.utc_now", lambda: utc_now() + timedelta(minutes=3))
    code, found = looked_at()
    assert (code, found["clock"]["ok"]) == (1, False)
    assert "NTP" in str(found["clock"]["fix"])


def at(folder: Path, **variables: str) -> AbstractContextManager[None]:
    return installation(folder, variables)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with at(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/none.db"):
        code, found = looked_at()
    assert (code, found["database"]["ok"], "schema" in found) == (1, False, False)
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with at(tmp_path, DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/none", SECRET_KEY="x" * 32):
        code, found = looked_at()
    assert (code, found["database"]["ok"]) == (1, False)
    assert "secret" not in str(found)


def test_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with at(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/empty.db"):
        code, found = looked_at()
    assert (code, found["schema"]["ok"], "triggers" in found) == (1, False, False)
    assert "aftercare migrate" in str(found["schema"]["fix"])


def test_faults_of_the_settings(tmp_path: Path) -> None:
    with at(tmp_path, GATEWAY="pigeon"):
        code, found = looked_at()
    assert (code, list(found)) == (1, ["settings"])
    assert "AFTERCARE_GATEWAY" in str(found["settings"]["detail"])


def test_what_the_restore_guard_holds_is_released_in_its_own_way(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        guard.hold(db, guard.Cause.SILENCE, since=factories.NOW, now=utc_now())
    code, found = looked_at()
    assert (code, found["sending"]["ok"]) == (1, False)
    assert str(found["sending"]["fix"]).startswith("Run `aftercare recover --since 2026-03-02T15:00")
    assert "aftercare resume" not in str(found["sending"]["fix"])


# With Twilio: our own one on the loopback, and the web process as it runs


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    with FakeTwilio(SimulatedNetwork("test"), utc_now).running() as server:
        yield server


@pytest.fixture
def variables(twilio: FakeTwilio, sqlite_sessions: sessionmaker[Session], tmp_path: Path) -> dict[str, str]:
    """The settings of an installation that texts real phones."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    twilio.inbound_url = f"http://127.0.0.1:{port}/webhooks/twilio/inbound"
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'aftercare.db'}",
        "ENVIRONMENT": "production",
        "SECRET_KEY": "a key of this test's own",
        "GATEWAY": "twilio",
        "TWILIO__ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO__API_KEY_SID": KEY_SID,
        "TWILIO__API_KEY_SECRET": KEY_SECRET,
        "TWILIO__AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO__MESSAGING_SERVICE_SID": SERVICE_SID,
        "TWILIO__BASE_URL": twilio.url,
        "WEB__PORT": str(port),
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
    }


@pytest.fixture
def web(variables: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """The web process of that installation."""
    with at(tmp_path, **variables):
        app = build(load_settings())
    prepare(app)
    with capture_logs(), serving(app, threading.Event()):
        yield
    app.close()


def faults(found: dict[str, dict[str, object]]) -> list[str]:
    return [name for name, check in found.items() if not check["ok"]]


@pytest.mark.usefixtures("web")
def test_an_installation_that_texts_real_phones_is_in_order(variables: dict[str, str], tmp_path: Path) -> None:
    with at(tmp_path, **variables):
        code, found = looked_at()
    assert (code, faults(found)) == (0, [])
    told = ["texts", *(f"twilio {what}" for what in ("account", "sender", "registration", "inbound", "auth token"))]
    told.append("public address")
    assert [name for name in found if name in told] == told
    assert "signatures are accepted" in str(found["public address"]["detail"])
    assert AUTH_TOKEN not in str(found)
    assert KEY_SECRET not in str(found)


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("wrong", "expected", "fix"),
    [
        ({"TWILIO__AUTH_TOKEN": "old"}, ["twilio auth token", "public address"], "AFTERCARE_TWILIO__AUTH_TOKEN"),
        (
            {"TWILIO__API_KEY_SECRET": "old"},
            ["twilio account", "twilio sender", "twilio inbound"],
            "Twilio console",
        ),
        ({"TWILIO__MESSAGING_SERVICE_SID": "MG" + "0" * 32}, ["twilio sender", "twilio inbound"], "Twilio console"),
        (
            {"PUBLIC_BASE_URL": "http://127.0.0.1:1"},
            ["twilio inbound", "public address"],
            "http://127.0.0.1:1/webhooks",
        ),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, ["database"], "AFTERCARE_DATABASE_URL"),
    ],
    ids=["auth token", "key", "messaging service", "public address", "database"],
)
def test_one_wrong_setting(
    variables: dict[str, str], tmp_path: Path, wrong: dict[str, str], expected: list[str], fix: str
) -> None:
    with at(tmp_path, **{**variables, **wrong}):
        code, found = looked_at()
    assert (code, faults(found)) == (1, expected)
    assert fix in str(found[expected[0]]["fix"])


def test_a_clock_that_disagrees_with_twilio(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del variables["PUBLIC_BASE_URL"]
    monkeypatch.setattr("service.assembly.utc_now", lambda: utc_now() + timedelta(minutes=3))
    with at(tmp_path, **variables):
        code, found = looked_at()
    assert (code, faults(found)) == (1, ["clock", "twilio clock"])
    assert "NTP" in str(found["twilio clock"]["fix"])


def test_without_a_public_address_and_with_the_account_s_own_token(variables: dict[str, str], tmp_path: Path) -> None:
    """Nothing is called from outside, and the token is proven by what it is used for."""
    for name in ("PUBLIC_BASE_URL", "TWILIO__API_KEY_SID", "TWILIO__API_KEY_SECRET"):
        del variables[name]
    with at(tmp_path, **variables):
        code, found = looked_at()
    assert (code, faults(found)) == (0, [])
    assert "twilio auth token" not in found
    assert "by asking" in str(found["public address"]["detail"])


@pytest.mark.usefixtures("web")
def test_texts_that_nobody_approved(
    variables: dict[str, str], tmp_path: Path, sqlite_sessions: sessionmaker[Session]
) -> None:
    with sqlite_sessions.begin() as db:
        for key, sample in (("lakeside", False), ("hillside", False), ("sample", True)):
            clinic = factories.clinic(db, key=key, sample=sample, languages="en")
            seed_defaults(db, clinic.id, now=utc_now(), by="shipped")
            approved = update(TemplateVersion).where(TemplateVersion.clinic_id == clinic.id)
            if key == "hillside":
                approved = approved.where(TemplateVersion.key != "booking_confirm")
            if key != "lakeside":
                db.execute(approved.values(approved_by="Dr. Lee", approved_at=utc_now()))
    with at(tmp_path, **variables):
        code, found = looked_at()
        with sqlite_sessions.begin() as db:
            db.execute(update(TemplateVersion).values(approved_by="Dr. Lee", approved_at=utc_now()))
        assert faults(looked_at()[1]) == []
    assert (code, faults(found)) == (1, ["texts"])
    hillside, lakeside = str(found["texts"]["detail"]).split("; ")
    assert hillside == "booking_confirm (en) of hillside"
    assert " of lakeside and " in lakeside
    assert "aftercare templates approve" in str(found["texts"]["fix"])


def test_the_example_s_secrets_do_not_do_for_patients(variables: dict[str, str], tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / ".env.example"
    (secret,) = [line for line in example.read_text("utf-8").splitlines() if line.startswith("AFTERCARE_SECRET_KEY=")]
    with at(tmp_path, **{**variables, "SECRET_KEY": secret.partition("=")[2]}):
        code, found = looked_at()
    assert (code, list(found)) == (1, ["settings"])
    assert str(found["settings"]["detail"]).startswith("AFTERCARE_SECRET_KEY holds the secret of .env.example")


def test_a_check_says_what_to_do_only_where_it_is_needed() -> None:
    well = judged("disk", [], well="full of room", fix="Buy one.")
    assert well == Check("disk", True, "full of room")
