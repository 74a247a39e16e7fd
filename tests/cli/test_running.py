"""Running the service from the command line: starting, looking at it, stopping, and single ticks."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session, sessionmaker

from service import __main__ as entrance
from service import scheduler
from service.assembly import App
from service.cli import running
from service.cli.serving import address_of, serving
from service.cli.showing import Show
from service.domain.errors import AftercareError
from service.flows import sample
from service.settings import Web
from service.store.database import create_engine_for, downgrade, revisions
from service.store.tables import Clinic, Message
from tests.cli.console import Run, commands, installation
from tests.fakes.apps import StoppedClock, app_on
from tests.store import factories

ANY_PORT = {"WEB__PORT": "0"}
LONG = 60.0
"""Only a test that fails waits this long."""


@pytest.fixture
def run() -> Run:
    return commands(running.register)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty folder with nothing set but a free port."""
    with installation(tmp_path, ANY_PORT):
        yield tmp_path


@pytest.fixture
def migrated(here: Path, run: Run) -> Path:
    assert run("migrate").exit_code == 0
    return here


class StopsAfter(threading.Event):
    """Set once somebody has waited so often."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.left = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        return self.left < 0 or super().wait(0.0 if timeout is None else timeout)


def stopping_after(monkeypatch: pytest.MonkeyPatch, waits: int) -> None:
    monkeypatch.setattr(running, "stop_on_signals", lambda: StopsAfter(waits))


class Process:
    """The service as its own process, read line by line and given up on after a while."""

    def __init__(self, folder: Path, *words: str) -> None:
        environment = {
            **os.environ,
            "AFTERCARE_WEB__PORT": "0",
            "AFTERCARE_LOG_LEVEL": "error",
            "PYTHONUNBUFFERED": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", *words],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._watchdog = threading.Timer(LONG, self.process.kill)
        self._watchdog.start()
        self.lines: list[str] = []

    def until(self, beginning: str) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if line.startswith(beginning):
                return line.rstrip()
        raise AssertionError("\n".join(self.lines))

    def stop(self, by: signal.Signals) -> tuple[int, str]:
        """Exit code and stdout."""
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=LONG)
        self._watchdog.cancel()
        self.lines += err.splitlines()
        return self.process.returncode, out


def get(address: str, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(address, timeout=LONG)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


class TestTheWholeService:
    def test_from_nothing_to_texts_and_on_again_after_a_stop(self, tmp_path: Path) -> None:
        first = Process(tmp_path, "run")
        address = re.search(r"http://(\S+)", first.until("Aftercare runs."))
        first.until("Next: ")
        assert address is not None
        while (ready := get(address.group(1), "/readyz"))[0] == 503:  # until the worker has run once
            pass
        assert ready == (200, b'{"ready":true,"reasons":[]}')
        assert first.stop(signal.SIGTERM) == (0, "")
        assert first.lines[-1] == "Stopped. Nothing is lost: the next start goes on where this one was."
        shown = [line for line in first.lines if " -> +1•••••01" in line and not line.startswith("Next:")]
        assert {"Aftercare, part one", "Day before"} <= {line[9:].partition(" -> ")[0] for line in shown}

        second = Process(tmp_path, "run")
        second.until("Next:")
        assert second.stop(signal.SIGINT) == (0, "")
        assert [line for line in second.lines if "Day before" in line] == []


class TestRun:
    def test_an_empty_database_gets_schema_and_sample(
        self, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopping_after(monkeypatch, 1)
        result = run("run")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "none leaves this machine" in result.stderr
        assert "its people are invented" in result.stderr
        assert result.stderr.endswith("Stopped. Nothing is lost: the next start goes on where this one was.\n")
        with Session(create_engine_for(f"sqlite:///{here}/aftercare.db")) as db:
            assert db.scalars(select(Clinic.key)).all() == ["sample"]

    def test_a_clinic_of_ones_own_is_not_shown(self, migrated: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = create_engine_for(f"sqlite:///{migrated}/aftercare.db")
        with Session(engine) as db:
            factories.clinic(db, key="own")
            db.commit()
        stopping_after(monkeypatch, 1)
        assert "sample" not in run("run").stderr
        with Session(engine) as db:
            assert db.scalars(select(Clinic.key)).all() == ["own"]

    def test_with_twilio_there_is_no_sample_and_no_text_is_shown(
        self, here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"GATEWAY": "twilio", "TWILIO__ACCOUNT_SID": "AC1", "TWILIO__AUTH_TOKEN": "token"}.items():
            monkeypatch.setenv(f"AFTERCARE_{name}", value)
        monkeypatch.setenv("AFTERCARE_TWILIO__FROM_NUMBER", "+12025550123")
        monkeypatch.setenv("AFTERCARE_TWILIO__BASE_URL", "http://127.0.0.1:9")
        stopping_after(monkeypatch, 1)
        result = run("run")
        assert result.exit_code == 0
        assert "pretend" not in result.stderr
        assert "outside production AFTERCARE_ALLOWED_RECIPIENTS lists who may be" in result.stderr
        with Session(create_engine_for(f"sqlite:///{here}/aftercare.db")) as db:
            assert db.scalars(select(Clinic)).all() == []

    def test_work_that_does_not_end_is_cut_off_and_told(
        self, migrated: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leave(code: int) -> None:
            raise SystemExit(code + 40)

        monkeypatch.setattr(scheduler, "FINISH_WITHIN", 0.0)
        monkeypatch.setattr(os, "_exit", leave)
        stopping_after(monkeypatch, 0)
        monkeypatch.setattr(scheduler.AlarmClock, "stop", lambda _self: threading.Event().wait(0.5))
        result = run("worker")
        assert result.exit_code == 40
        assert "Nothing is lost" in result.stderr


class TestItsParts:
    @pytest.mark.parametrize("part", ["web", "worker"])
    def test_each_starts_and_stops(self, migrated: Path, run: Run, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
        stopping_after(monkeypatch, 0)
        result = run(part)
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"{part}_started" in result.stderr
        assert f"{part}_stopped" in result.stderr

    @pytest.mark.parametrize(
        ("environment", "words", "samples"),
        [("development", ["--sample"], 1), ("staging", ["--sample"], 0), ("development", [], 0)],
        ids=["asked for", "asked for where patients may be", "not asked for"],
    )
    def test_a_worker_makes_the_sample_only_where_it_may(
        self,
        migrated: Path,
        run: Run,
        monkeypatch: pytest.MonkeyPatch,
        environment: str,
        words: list[str],
        samples: int,
    ) -> None:
        monkeypatch.setenv("AFTERCARE_ENVIRONMENT", environment)
        stopping_after(monkeypatch, 0)
        assert run("worker", *words).exit_code == 0
        app = app_on(f"sqlite:///{migrated / 'aftercare.db'}", StoppedClock())
        with app.sessions() as db:
            assert len(list(db.scalars(select(Clinic)))) == samples
        app.close()

    @pytest.mark.parametrize("part", [["web"], ["worker"], ["tick", "plan"]], ids=" ".join)
    def test_none_starts_on_another_schema(self, here: Path, run: Run, part: list[str]) -> None:
        result = run(*part)
        assert isinstance(result.exception, AftercareError)
        assert "Run `aftercare migrate` first" in str(result.exception)

    def test_nobody_would_be_texted(self, migrated: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AFTERCARE_ENVIRONMENT", "production")
        monkeypatch.setenv("AFTERCARE_SECRET_KEY", "key")
        stopping_after(monkeypatch, 0)
        assert "the simulated network reaches nobody" in run("worker").stderr

    @pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
    def test_signals_stop_it(self, by: signal.Signals) -> None:
        before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            stop = running.stop_on_signals()
            signal.raise_signal(by)
            assert stop.wait(LONG)
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class TestServing:
    @pytest.fixture
    def app(self, sqlite_sessions: sessionmaker[Session]) -> App:
        return app_on(str(sqlite_sessions.kw["bind"].url), StoppedClock(), web={"port": 0})

    def test_a_port_that_is_taken_is_told_before_anything_starts(self, app: App) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            busy = replace(app, settings=app.settings.model_copy(update={"web": Web(port=port)}))
            with (
                pytest.raises(AftercareError, match=rf"port {port} \(Address already in use\). Nothing was started"),
                serving(busy, threading.Event()),
            ):
                pass

    @pytest.mark.parametrize(
        ("host", "shown"),
        [("0.0.0.0", "localhost"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "localhost")],  # noqa: S104
    )
    def test_the_address_is_one_that_people_can_type(self, host: str, shown: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as listener:
            assert address_of(listener) == f"http://{shown}:{listener.getsockname()[1]}"

    def test_a_server_that_ends_by_itself_ends_the_service(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uvicorn.Server, "run", lambda _self, sockets: [each.close() for each in sockets])
        stop = threading.Event()
        with pytest.raises(AftercareError, match="ended by itself"), serving(app, stop):
            assert stop.wait(LONG)


class TestShowing:
    """With the sample clinic, on a clock that stands still."""

    @pytest.fixture
    def app(self, sqlite_sessions: sessionmaker[Session]) -> App:
        app = app_on(str(sqlite_sessions.kw["bind"].url), StoppedClock())
        with app.sessions.begin() as db:
            sample.make_sample(db, now=app.clock())
        return app

    @staticmethod
    def show(app: App, *, terminal: bool = False) -> tuple[Show, io.StringIO]:
        out = io.StringIO()
        with app.sessions() as db:
            clinic = db.scalars(select(Clinic)).one()
        return Show(app, clinic, Console(file=out, force_terminal=terminal, width=100, no_color=True)), out

    @staticmethod
    def go_on(app: App, show: Show) -> None:
        """Until all that is due at the start has left."""
        for _ in range(16):
            app.ticks["plan"]()
            app.ticks["dispatch"]()
            show.refresh()
            assert isinstance(app.clock, StoppedClock)
            app.clock.move(timedelta(seconds=1))

    def test_each_text_is_shown_once_with_a_masked_number(self, app: App) -> None:
        show, out = self.show(app)
        self.go_on(app, show)
        lines = out.getvalue().splitlines()
        assert [line[9:] for line in lines if "Week before" in line] == [
            line[9:]
            for line in lines
            if re.match(r"\d\d:\d\d:\d\d Week before -> \+1•••••0105: Lakeside Clinic: ", line)
        ]
        assert not re.search(r"\+1202555", re.sub(r"Lakeside Clinic: .*", "", out.getvalue()))

    def test_on_a_terminal_texts_stand_in_a_frame(self, app: App) -> None:
        show, out = self.show(app, terminal=True)
        self.go_on(app, show)
        assert re.search(r"╭─ \d\d:\d\d:\d\d  Aftercare, part one  →  \+1•••••0100 ─+╮", out.getvalue())

    def test_what_comes_next_is_said_once_when_all_that_is_due_has_left(self, app: App) -> None:
        show, out = self.show(app)
        self.go_on(app, show)
        said = re.findall(r"^Next: (.*) -> ", out.getvalue(), re.MULTILINE)
        # Two texts are due at one moment: which of them is named is chance.
        assert said in (["Session booked", "Aftercare, part two"], ["End of the limits", "Aftercare, part two"])
        assert re.search(
            r"^Next: Aftercare, part two -> \+1•••••0100 at Mon \d\d:\d\d, in \d+ (seconds|minutes)\.$",
            out.getvalue(),
            re.MULTILINE,
        )

    def test_without_a_database_there_is_nothing_to_show(self, app: App) -> None:
        show, out = self.show(app)
        downgrade(app.engine, "base")
        show.refresh()
        assert out.getvalue() == ""

    @pytest.mark.parametrize(
        ("wait", "words"),
        [
            (timedelta(seconds=89), "89 seconds"),
            (timedelta(minutes=2), "2 minutes"),
            (timedelta(minutes=119), "119 minutes"),
            (timedelta(hours=7, minutes=12), "7 hours"),
        ],
    )
    def test_waits_are_said_in_round_words(self, wait: timedelta, words: str) -> None:
        from service.cli.showing import _in_words

        assert _in_words(wait) == words


class TestMigrating:
    def test_it_says_what_it_did(self, here: Path, run: Run) -> None:
        first, second = run("migrate"), run("migrate")
        assert (first.exit_code, first.stdout, second.exit_code) == (0, "", 0)
        assert "is at schema" in first.stderr
        assert "already" in second.stderr

    def test_check_only_looks(self, here: Path, run: Run) -> None:
        before = run("migrate", "--check")
        assert (before.exit_code, before.stdout) == (1, "")
        assert revisions(create_engine_for(f"sqlite:///{here}/aftercare.db"))[0] is None
        run("migrate")
        assert run("migrate", "--check").exit_code == 0

    def test_a_newer_schema_is_left_alone(self, migrated: Path, run: Run) -> None:
        engine = create_engine_for(f"sqlite:///{migrated}/aftercare.db")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        result = run("migrate")
        assert isinstance(result.exception, AftercareError)
        assert "a newer one made it" in str(result.exception)


class TestTicks:
    @pytest.mark.parametrize("name", running.TICKS)
    def test_each_runs_once(self, migrated: Path, run: Run, name: str) -> None:
        result = run("tick", name, "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (0, {"tick": name, "rows": 0})
        assert run("tick", name).stdout == ""

    def test_it_may_be_run_as_if_it_were_another_time(self, migrated: Path, run: Run) -> None:
        engine = create_engine_for(f"sqlite:///{migrated}/aftercare.db")
        with Session(engine) as db:
            of = factories.patient(db, factories.clinic(db))
            factories.grant(db, of)
            text = factories.message(db, of, due_at=factories.NOW, to_number=of.phone).id
            db.commit()

        def state_after(tick: str, now: str) -> str:
            assert run("tick", tick, "--now", now).exit_code == 0
            with Session(engine) as db:
                return db.get_one(Message, text).state

        assert state_after("plan", "2026-03-02T09:00:00-05:59") == "planned"
        assert state_after("dispatch", "2026-03-02T14:59:59Z") == "planned"
        assert state_after("dispatch", "2026-03-02 15:00") == "sent"

    def test_what_is_no_moment_is_wrong_usage(self, migrated: Path, run: Run) -> None:
        result = run("tick", "plan", "--now", "tomorrow")
        assert result.exit_code == 2
        assert "2026-03-01T14:30:00Z" in result.stderr

    def test_real_patients_are_never_texted_as_if_it_were_another_time(
        self, migrated: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        production = {
            "GATEWAY": "twilio",
            "ENVIRONMENT": "production",
            "SECRET_KEY": "key",
            "TWILIO__AUTH_TOKEN": "token",
        }
        for name, value in (production | {"TWILIO__ACCOUNT_SID": "AC1", "TWILIO__FROM_NUMBER": "+12025550123"}).items():
            monkeypatch.setenv(f"AFTERCARE_{name}", value)
        result = run("tick", "dispatch", "--now", "2026-03-02T15:00:00Z")
        assert isinstance(result.exception, AftercareError)
        assert "refused in production" in str(result.exception)


class TestTheWayIn:
    """Errors that were to be expected are sentences on stderr, and exit codes."""

    def leave(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["aftercare", *words])
        with pytest.raises(SystemExit) as left:
            entrance.main()
        return int(left.value.code or 0)

    def test_done(self, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.leave(monkeypatch, "tick", "plan") == 0

    def test_settings(self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("AFTERCARE_GATEWAY", "pigeon")
        monkeypatch.setenv("AFTERCARE_WEB__PORT", "x")
        assert self.leave(monkeypatch, "run") == 2
        assert capsys.readouterr() == (
            "",
            (
                "AFTERCARE_GATEWAY is 'pigeon': choose simulated or twilio.\n"
                "AFTERCARE_WEB__PORT is 'x': give a whole number.\n"
            ),
        )

    def test_usage(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.leave(monkeypatch, "fly") == 2

    def test_refused(self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.leave(monkeypatch, "worker") == 1
        assert capsys.readouterr().err.endswith("Run `aftercare migrate` first.\n")

    def test_a_database_that_is_away(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AFTERCARE_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/nothing")
        assert self.leave(monkeypatch, "worker") == 1
        err = capsys.readouterr().err
        assert "Is it there, and up to date? Try: aftercare doctor" in err
        assert "secret" not in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (IntegrityError("INSERT", {}, Exception("duplicate\nDETAIL: (Robin, +13122000001)")), "IntegrityError"),
            (DataError("INSERT", {}, Exception('invalid input: "Robin"')), "DataError"),
            (NoConnectionError("QueuePool limit"), "TimeoutError"),
            (OperationalError("SELECT", {}, Exception("disk I/O error\nmore")), "disk I/O error"),
        ],
        ids=["a row refused", "a value refused", "no connection free", "a disk"],
    )
    def test_a_database_that_refuses_says_nothing_of_its_rows(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: SQLAlchemyError,
        said: str,
    ) -> None:
        def refuse() -> None:
            raise error

        monkeypatch.setattr("service.cli.app.app", refuse)
        assert self.leave(monkeypatch) == 1
        doctor = "Is it there, and up to date? Try: aftercare doctor"
        assert capsys.readouterr().err == f"The database can not do this ({said}). {doctor}\n"

    def test_a_disk_that_refuses(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / "aftercare.db.key").mkdir()
        assert self.leave(monkeypatch, "worker") == 1
        assert capsys.readouterr().err.startswith("This machine refused: ")
