"""The database of an installation: whether it answers, is whole, and what stands in it that keeps texts from leaving."""

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.assembly import App
from service.cli.beating import last_runs, silent_jobs
from service.cli.doctor.erasures import look_at_erasures
from service.cli.doctor.finding import Check, judged
from service.flows.guard import in_words
from service.flows.spending import spent_today
from service.settings import Settings
from service.store import diagnosis, running, tables
from service.store.database import read_only, revisions

CLOCKS_AGREE = timedelta(seconds=5)


def look_at_database(app: App) -> Iterator[Check]:
    """The database, its schema and its triggers; then what stands in it, where it can be read."""
    faults, has, needs = _connected(app)
    start = "Start it, and compare AFTERCARE_DATABASE_URL with it; `aftercare migrate` makes a new one."
    yield judged("database", faults, well=f"{app.engine.dialect.name} answers", fix=start)
    if faults:
        return
    old = [f"is {has or 'empty'}, and this version needs {needs}"] if has != needs else []
    yield judged("schema", old, well=f"is {has}", fix="Run `aftercare migrate`.")
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
    return judged("triggers", missing, well="all there", fix=fix)


def _content(db: Session, app: App) -> Iterator[Check]:
    yield _clocks(db, app)
    yield _zones(db)
    yield _senders(db, app.settings)
    yield _pauses(db)
    yield _heartbeats(db, app)
    yield _spending(db, app)
    if app.settings.gateway == "twilio":
        yield _texts(db)
    yield from look_at_erasures(db)


def _clocks(db: Session, app: App) -> Check:
    apart = abs(diagnosis.clock(db) - app.clock())
    detail = f"{apart.total_seconds():.0f} s between this machine and the database"
    faults = [detail] if apart > CLOCKS_AGREE else []
    return judged("clock", faults, well=detail, fix="Let both machines take their time from the network (NTP).")


def _zones(db: Session) -> Check:
    named = diagnosis.zones_named(db)
    unknown = sorted(name for name in named if not _is_zone(name))
    fix = "Correct them at the clinic or the patient; nothing is sent to those concerned until then."
    return judged("time zones", unknown, well=f"{len(named)} in use, all known", fix=fix)


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
    return judged("sender", without, well="every clinic has one", fix=fix)


def _pauses(db: Session) -> Check:
    whole = running.installation(db)
    paused = [f"all sending is paused ({whole.pause_reason})"] if whole.paused_at else []
    for table in (tables.Sender, tables.Clinic):
        stopped = select(table.key, table.pause_reason).where(table.paused_at.is_not(None)).order_by(table.key)
        paused += [f"{table.__tablename__} {key} is paused ({reason})" for key, reason in db.execute(stopped)]
    fix = "Once the reason is gone: `aftercare resume`."
    if whole.guard_cause is not None and whole.guard_since is not None:
        since = in_words(whole.guard_since)
        fix = f"Run `aftercare recover --since {since}`; once its counts are as they should be, again with --release."
    return judged("sending", paused, well="nothing is paused", fix=fix)


def _heartbeats(db: Session, app: App) -> Check:
    runs = last_runs(running.heartbeats(db), app.settings)
    well = f"{len(runs)} jobs run" if runs else "no job has run yet; `aftercare run` starts them"
    silent = list(silent_jobs(runs, app.settings, now=app.clock()))
    return judged("heartbeats", silent, well=well, fix="Start `aftercare run` or a worker, and read its log.")


def _texts(db: Session) -> Check:
    """With real texts a version that nobody approved stays in the house."""
    unapproved = [
        f"{key} ({language}) of {clinic}" + (f" and {more} more" if more else "")
        for clinic, key, language, more in diagnosis.unapproved_texts(db)
    ]
    fix = "Read them with `aftercare templates list`, then `aftercare templates approve KEY --by NAME`; --all takes every one."
    return judged("texts", unapproved, well="every text is approved", fix=fix)


def _spending(db: Session, app: App) -> Check:
    limit = app.settings.daily_spend_limit
    if limit is None:
        return judged("spending", [], well="no limit is set")
    spent = spent_today(db, now=app.clock(), price=app.policy.segment_price)
    detail = f"about {spent:.2f} of {limit} spent today"
    used_up = [f"{detail}: only what is urgent, and answers, still leave"] if spent >= limit else []
    fix = (
        "The day ends at midnight US Pacific. If it is as it should be, raise AFTERCARE_DAILY_SPEND_LIMIT and restart."
    )
    return judged("spending", used_up, well=detail, fix=fix)
