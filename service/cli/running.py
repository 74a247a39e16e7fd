"""Running the service: all of it in one process, its parts, single runs of its ticks, and the schema."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer
from alembic.util import CommandError

from service import assembly, logs
from service.assembly import App
from service.cli.beating import check_worker
from service.cli.moments import moment
from service.cli.output import FAILED, Json, document, say
from service.domain.errors import AftercareError
from service.flows import sample
from service.settings import Settings, load_settings
from service.store.database import create_engine_for, revisions, upgrade
from service.store.tables import Clinic

LOOKS_EVERY = 0.5
log = structlog.get_logger()

TICKS = {
    "plan": "Make the table of messages equal to what the care plan wants, for every patient of whom something changed.",
    "dispatch": "Send what is due and may leave.",
    "recover": "Settle texts of which nobody knows whether they left.",
    "receipts": "Work in what the provider reported, and ask it about texts without a final report.",
    "inbound": "Understand texts from phones; fetch them where nobody brings them.",
}


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(web)
    app.command()(worker)
    app.command()(migrate)
    ticks = typer.Typer(no_args_is_help=True, help="One run of one tick, as a worker does it every few seconds.")
    for name, purpose in TICKS.items():
        ticks.command(name, help=purpose)(_tick_command(name))
    app.add_typer(ticks, name="tick")


def run() -> None:
    """Run everything in one process: schema, web server and worker. An empty database gets a sample clinic to look at."""
    from rich.console import Console

    from service.cli.serving import serving
    from service.cli.showing import Show

    settings, console = load_settings(), Console(stderr=True, highlight=False)
    quiet = console.is_terminal and "log_level" not in settings.model_fields_set
    with _started(settings, log_level="warning" if quiet else settings.log_level) as app:
        upgrade(app.engine)
        assembly.prepare(app)
        clinic = _sample(app)
        stop = stop_on_signals()
        with serving(app, stop) as address, _ticking(app):
            _greet(app, clinic, address)
            show = Show(app, clinic, console) if clinic else None
            while not stop.wait(LOOKS_EVERY):
                if show is not None:
                    show.refresh()
    say("Stopped. Nothing is lost: the next start goes on where this one was.")


def web() -> None:
    """Answer HTTP: health, metrics and webhooks. Runs no ticks; start a worker beside it."""
    from service.cli.serving import serving

    settings = load_settings()
    with _started(settings, log_level=settings.log_level) as app:
        assembly.prepare(app)
        stop = stop_on_signals()
        with serving(app, stop) as address:
            log.info("web_started", address=address)
            stop.wait()
        log.info("web_stopped")


def worker(
    *,
    with_sample: Annotated[
        bool, typer.Option("--sample", help="In development, give an empty database a sample clinic, as run does.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Start none: say whether the one on this machine works; exit 1 if not.")
    ] = False,
) -> None:
    """Plan, send, and understand what comes in. On PostgreSQL several may run at once."""
    settings = load_settings()
    if check:
        check_worker(settings)
        return
    with _started(settings, log_level=settings.log_level) as app:
        assembly.prepare(app)
        if with_sample and settings.environment == "development":
            _sample(app)
        stop = stop_on_signals()
        with _ticking(app):
            stop.wait()


def migrate(
    *, check: Annotated[bool, typer.Option("--check", help="Only say whether it is up to date; exit 1 if not.")] = False
) -> None:
    """Bring the database up to date."""
    engine = create_engine_for(load_settings().database_url.get_secret_value())
    has, needs = revisions(engine)
    if check:
        say(f"The database is at schema {has or 'none'}; this version needs {needs}.")
        raise typer.Exit(0 if has == needs else FAILED)
    try:
        upgrade(engine)
    except CommandError as why:
        raise AftercareError(
            f"The database is at schema {has}, which this version does not know: a newer one made it. Nothing was "
            f"changed. Start that version instead, or restore a backup. ({why})"
        ) from None
    say(f"The database is at schema {needs}." if has != needs else f"The database was at schema {needs} already.")


def stop_on_signals() -> threading.Event:
    """Set by SIGTERM and ctrl-C from now on."""
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda _signal, _frame: stop.set())
    return stop


@contextmanager
def _started(settings: Settings, *, log_level: str) -> Iterator[App]:
    logs.configure(settings.log_format, log_level)
    _warn(settings)
    app = assembly.build(settings)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def _ticking(app: App) -> Iterator[None]:
    """A worker in the background. Where its work can not be finished in time, the process ends at once: threads may not keep it."""
    from service.scheduler import StillBusyError, ticking

    try:
        with ticking(app):
            yield
    except StillBusyError as late:
        say(str(late))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _warn(settings: Settings) -> None:
    """Say what is not as whoever wrote the settings may think."""
    if settings.environment == "production" and settings.gateway == "simulated":
        log.warning("nobody_is_texted", reason="the simulated network reaches nobody: set AFTERCARE_GATEWAY")
    if settings.environment != "production" and settings.gateway == "twilio" and not settings.allowed_recipients:
        log.warning("nobody_is_texted", reason="outside production AFTERCARE_ALLOWED_RECIPIENTS lists who may be")


def _sample(app: App) -> Clinic | None:
    """The sample clinic, made if nothing is there; never where texts are real."""
    if app.settings.gateway != "simulated":
        return None
    with app.sessions.begin() as db:
        return sample.make_sample(db, now=app.clock()) or sample.find_sample(db)


def _greet(app: App, clinic: Clinic | None, address: str) -> None:
    say(f"Aftercare runs. Web: {address} (/readyz says whether all is well, /metrics counts). Ctrl-C stops it.")
    if app.settings.gateway == "simulated":
        say("Texts go to a pretend phone network: none leaves this machine.")
    if clinic is not None:
        local = app.clock().astimezone(sample.zone_of(clinic))
        say(f"The sample clinic lies in {clinic.time_zone}, where it is {local:%A %H:%M}; its people are invented.")
        say("What it sends is shown here. In another terminal, look closer:")
        for command in ("status", "message list", "message show 1", "task list"):
            say(f"  {_program()} {command}")
        say(f"Your own clinic, in a database of its own: {_program()} clinic add --help")


def _program() -> str:
    typed = Path(sys.argv[0])
    return "python -m service" if typed.name == "__main__.py" else str(typed)


def _tick_command(name: str) -> Callable[..., None]:
    def tick(
        *,
        now: Annotated[
            str | None, typer.Option(metavar="T", help="As if it were then: ISO 8601, UTC unless it says otherwise.")
        ] = None,
        json: Json = False,
    ) -> None:
        rows = _run_tick(name, moment(now, "--now") if now else None)
        if json:
            document({"tick": name, "rows": rows})
        else:
            say(f"{name}: {rows} rows")

    return tick


def _run_tick(name: str, now: datetime | None) -> int:
    settings = load_settings()
    if now is not None and settings.gateway == "twilio" and settings.environment == "production":
        raise AftercareError(
            "--now is refused in production with Twilio: real patients would be texted at a wrong time."
        )
    logs.configure(
        settings.log_format, "warning" if "log_level" not in settings.model_fields_set else settings.log_level
    )
    app = assembly.build(settings, clock=None if now is None else lambda: now)
    try:
        assembly.prepare(app)
        if now is None:  # a moment that was made up agrees with no clock
            assembly.guard_start(app)
        return app.ticks[name]()
    finally:
        app.close()
