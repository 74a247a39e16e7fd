"""Is this installation in order? Each thing looked at says what was found and what to do. Nothing is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.assembly import App, build
from service.domain.errors import AftercareError
from service.domain.sms import Sender
from service.gateways.twilio import TwilioGateway
from service.scheduler import intervals
from service.settings import Settings, load_settings
from service.store import diagnosis, running, tables
from service.store.database import read_only, revisions

CLOCKS_AGREE = timedelta(seconds=5)
STILL_RUNNING = timedelta(seconds=60)
"""Added to twice a job's interval: a long run is no failure."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``fix`` is empty where all is well."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


def _judged(check: str, faults: list[str], *, well: str, fix: str = "") -> Check:
    return Check(check, ok=not faults, detail="; ".join(faults) or well, fix=fix if faults else "")


def examine() -> list[Check]:
    """Look at everything that can be looked at; what rests on something broken is left out."""
    correct = "Correct it in the environment or in .env."
    try:
        settings = load_settings()
        app = build(settings)
    except AftercareError as error:
        return [_judged("settings", [fault], well="", fix=correct) for fault in str(error).splitlines()]
    try:
        return [_judged("settings", [], well=f"{settings.environment}, {settings.gateway}"), *_of(app)]
    finally:
        app.close()


def _of(app: App) -> Iterator[Check]:
    yield from _database(app)
    yield from _gateway(app)
    yield _public_address(app.settings)
    yield _spending(app.settings)


def _database(app: App) -> Iterator[Check]:
    faults, has, needs = _connected(app)
    start = "Start it, and compare AFTERCARE_DATABASE_URL with it; `aftercare migrate` makes a new one."
    yield _judged("database", faults, well=f"{app.engine.dialect.name} answers", fix=start)
    if faults:
        return
    old = [f"is {has or 'empty'}, and this version needs {needs}"] if has != needs else []
    yield _judged("schema", old, well=f"is {has}", fix="Run `aftercare migrate`.")
    if not old:
        yield _triggers(app)
        with app.sessions() as db:
            yield from _content(read_only(db), app)


def _connected(app: App) -> tuple[list[str], str | None, str | None]:
    """What keeps us from the database, and the revisions that its schema has and needs."""
    file = app.settings.sqlite_file
    if file is not None and not file.exists():  # connecting would make it
        return [f"there is no file {file}"], None, None
    try:
        return [], *revisions(app.engine)
    except SQLAlchemyError as error:
        return [_first_line(error)], None, None


def _first_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _triggers(app: App) -> Check:
    missing = sorted(diagnosis.triggers_wanted() - diagnosis.triggers(app.engine))
    fix = "Restore the schema from a backup, or migrate an empty database and copy the rows: changes now go unnoticed."
    return _judged("triggers", missing, well="all there", fix=fix)


def _content(db: Session, app: App) -> Iterator[Check]:
    yield _clocks(db, app)
    yield _zones(db)
    yield _senders(db, app.settings)
    yield _pauses(db)
    yield _heartbeats(db, app)


def _clocks(db: Session, app: App) -> Check:
    apart = abs(diagnosis.clock(db) - app.clock())
    detail = f"{apart.total_seconds():.0f} s between this machine and the database"
    faults = [detail] if apart > CLOCKS_AGREE else []
    return _judged("clock", faults, well=detail, fix="Let both machines take their time from the network (NTP).")


def _zones(db: Session) -> Check:
    named = diagnosis.zones_named(db)
    unknown = sorted(name for name in named if not _is_zone(name))
    fix = "Correct them at the clinic or the patient; nothing is sent to those concerned until then."
    return _judged("time zones", unknown, well=f"{len(named)} in use, all known", fix=fix)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _senders(db: Session, settings: Settings) -> Check:
    """The default sender takes its address from the settings when the service starts."""
    default = settings.gateway == "simulated" or settings.twilio.messaging_service_sid or settings.twilio.from_number
    used = select(tables.Sender).where(tables.Sender.id.in_(select(tables.Clinic.sender_id)))
    without = [
        sender.key
        for sender in db.scalars(used)
        if not (sender.number or sender.messaging_service or (sender.id == running.ONE and default))
    ]
    fix = "Set AFTERCARE_TWILIO__MESSAGING_SERVICE_SID or AFTERCARE_TWILIO__FROM_NUMBER."
    return _judged("sender", without, well="every clinic has one", fix=fix)


def _pauses(db: Session) -> Check:
    whole = running.installation(db)
    paused = [f"all sending is paused ({whole.pause_reason})"] if whole.paused_at else []
    for table in (tables.Sender, tables.Clinic):
        stopped = select(table.key, table.pause_reason).where(table.paused_at.is_not(None)).order_by(table.key)
        paused += [f"{table.__tablename__} {key} is paused ({reason})" for key, reason in db.execute(stopped)]
    return _judged("sending", paused, well="nothing is paused", fix="Once the reason is gone: `aftercare resume`.")


def _heartbeats(db: Session, app: App) -> Check:
    latest = {beat.job: beat.at for beat in sorted(running.heartbeats(db), key=lambda beat: beat.at)}
    now, silent = app.clock(), []
    for job, every in intervals(app.settings).items():
        if job in latest and now - latest[job] > STILL_RUNNING + 2 * every:
            silent.append(f"{job} was last seen {(now - latest[job]).total_seconds():.0f} s ago")
    well = f"{len(latest)} jobs run" if latest else "no job has run yet; `aftercare run` starts them"
    return _judged("heartbeats", silent, well=well, fix="Start `aftercare run`, and read its log.")


def _gateway(app: App) -> list[Check]:
    if not isinstance(app.gateway, TwilioGateway):
        return [_judged("gateway", [], well="simulated: reaches nobody")]
    twilio = app.settings.twilio
    found = app.gateway.check(Sender(twilio.from_number, twilio.messaging_service_sid))
    return [Check(check.name, check.ok, check.detail, check.fix) for check in found]


def _public_address(settings: Settings) -> Check:
    asking = "none: receipts and replies are fetched by asking"
    return _judged("public address", [], well=f"{settings.public_base_url}" if settings.public_base_url else asking)


def _spending(settings: Settings) -> Check:
    limit = settings.daily_spend_limit
    faults = [] if limit is None else [f"a limit of {limit} a day is set, and nothing keeps to it"]
    fix = "Take AFTERCARE_DAILY_SPEND_LIMIT out, and limit spending at the provider."
    return _judged("spending", faults, well="no limit is set", fix=fix)
