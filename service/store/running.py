"""How the service is doing: heartbeats of its jobs, what is stopped and by whom, and the default sender."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, false, or_, select, update
from sqlalchemy.orm import Session

from service.domain.breakers import LONGEST_WAIT, Cause, tried_after
from service.domain.errors import AftercareError
from service.store.inserts import insert_into
from service.store.tables import Heartbeat, Installation, Sender

ONE = 1
"""The row of the installation, and that of the default sender; the schema comes with both."""
STOPPED = "stopped"
"""The job under which a worker that ends says so: nobody need look for it."""
FORGOTTEN = timedelta(days=7)
"""Every start of a process brings rows of its own: those of processes long gone are not kept."""


def beat(db: Session, *, job: str, worker: str, at: datetime, took_ms: int, rows: int) -> None:
    """Note that a job of a worker has run; workers that have not run it for a week are forgotten."""
    # First, while no row is held: two workers at once then never wait for each other.
    db.execute(delete(Heartbeat).where(Heartbeat.job == job, Heartbeat.at < at - FORGOTTEN))
    run = {"at": at, "took_ms": took_ms, "rows": rows}
    noted = insert_into(db, Heartbeat).values(job=job, worker=worker, **run)
    db.execute(noted.on_conflict_do_update(index_elements=["job", "worker"], set_=run))


def heartbeats(db: Session) -> list[Heartbeat]:
    """The last run of every job of every worker."""
    return list(db.scalars(select(Heartbeat).order_by(Heartbeat.job, Heartbeat.worker)))


def installation(db: Session) -> Installation:
    """The row about the whole installation."""
    return db.get_one(Installation, ONE)


def installation_to_change(db: Session) -> Installation:
    """The row about the whole installation, held until this transaction is over."""
    return db.get_one(Installation, ONE, populate_existing=True, with_for_update=True)


def installation_as_it_stays(db: Session) -> Installation:
    """The row about the whole installation, which nobody changes until this transaction is over."""
    return db.get_one(Installation, ONE, populate_existing=True, with_for_update={"read": True})


def pause_all(db: Session, *, at: datetime, reason: str, cause: Cause | None = None) -> bool:
    """Let nothing at all leave; see :func:`pause_sender`. A person's pause outlives the restore guard's, begun before it or since."""
    return _pause(db, Installation, ONE, at=at, reason=reason, cause=cause)


def pause_sender(db: Session, sender_id: int, *, at: datetime, reason: str, cause: Cause | None = None) -> bool:
    """Let nothing leave from one sender. What the provider brought about has a ``cause`` and is tried out by itself.

    False if that is so already: the first moment and its reason stay, but a person takes over from the provider.
    """
    return _pause(db, Sender, sender_id, at=at, reason=reason, cause=cause)


def _pause(
    db: Session, table: type[Sender | Installation], key: int, *, at: datetime, reason: str, cause: Cause | None
) -> bool:
    free, by_provider = table.paused_at.is_(None), table.pause_cause.is_not(None)
    by_guard = Installation.paused_at == Installation.guard_at if table is Installation else false()
    may = free if cause else or_(free, by_provider, by_guard)
    probe_at = at + tried_after(cause, 0) if cause else None
    values = {"paused_at": at, "pause_reason": reason, "pause_cause": cause, "probe_at": probe_at, "probes": 0}
    return db.scalar(update(table).where(table.id == key, may).values(values).returning(table.id)) is not None


def resume_all(db: Session) -> bool:
    """End :func:`pause_all`. False if nothing was paused. Raises while the restore guard holds sending."""
    whole = installation_as_it_stays(db)
    if whole.guard_at is not None:
        since = whole.guard_since or whole.guard_at
        raise AftercareError(
            "Nothing was resumed: the restore guard holds all sending, for texts might go out a second time. Run "
            f"`aftercare recover --since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} --release`."
        )
    return _resume(db, Installation, ONE)


def end_guard(db: Session, *, identity: str | None) -> bool:
    """End the guard's hold, and with it the pause, where the guard began it. From now on ``identity`` sends, if one is given."""
    whole = installation_to_change(db)
    own_pause = whole.guard_at is not None and whole.paused_at == whole.guard_at
    held, whole.identity = whole.guard_at is not None, identity or whole.identity
    whole.guard_at = whole.guard_cause = whole.guard_since = None
    db.flush()
    if own_pause:
        _resume(db, Installation, ONE)
    return held


def last_beat(db: Session) -> datetime | None:
    """When any worker last said that it runs; None before the first one."""
    return db.scalar(select(Heartbeat.at).where(Heartbeat.job != STOPPED).order_by(Heartbeat.at.desc()).limit(1))


def resume_sender(db: Session, sender_id: int) -> bool:
    """End :func:`pause_sender`. False if it was not paused."""
    return _resume(db, Sender, sender_id)


def end_stop(db: Session, row: Sender | Installation) -> bool:
    """End the stop that ``row`` was read with. False if it ended meanwhile, or a person made it theirs."""
    table = type(row)
    return _resume(db, table, row.id, table.paused_at == row.paused_at, table.pause_cause == row.pause_cause)


def _resume(db: Session, table: type[Sender | Installation], key: int, *same: ColumnElement[bool]) -> bool:
    values = {
        "paused_at": None,
        "pause_reason": None,
        "pause_cause": None,
        "probe_at": None,
        "probes": 0,
        "troubles": 0,
    }
    resume = update(table).where(table.id == key, table.paused_at.is_not(None), *same)
    return db.scalar(resume.values(values).returning(table.id)) is not None


def claim_try(db: Session, *, now: datetime) -> Installation | None:
    """The installation's row, held, where it is time to try the provider out; None where not, or where another worker does."""
    time_to_try = or_(Installation.probe_at <= now, Installation.probe_at > now + LONGEST_WAIT)
    due = select(Installation).where(time_to_try).with_for_update(skip_locked=True)
    return db.scalar(due, execution_options={"populate_existing": True})


def put_off_try(db: Session, row: Sender | Installation, *, until: datetime) -> None:
    """There was nothing to try the provider with: that does not count, and soon there may be."""
    table = type(row)
    same = update(table).where(table.id == row.id, table.paused_at == row.paused_at)
    db.execute(same.values(probe_at=until, probes=table.probes - 1))


def count_silence(db: Session, sender_id: int) -> tuple[int, int]:
    """One text more without an answer: how many in a row by now, from the sender and from all together."""
    # The sender first, as everywhere: so two never wait for each other.
    of_sender = update(Sender).where(Sender.id == sender_id).values(troubles=Sender.troubles + 1)
    of_all = update(Installation).values(troubles=Installation.troubles + 1)
    found = [
        db.scalar(each) for each in (of_sender.returning(Sender.troubles), of_all.returning(Installation.troubles))
    ]
    return found[0] or 0, found[1] or 0


def not_well(db: Session, sender_id: int) -> list[Sender | Installation]:
    """Of the sender and the installation, in this order, those that count silence or are stopped by the provider."""
    both = select(Sender, Installation).join_from(Sender, Installation, Installation.id == ONE)
    rows: tuple[Sender | Installation, ...] = tuple(db.execute(both.where(Sender.id == sender_id)).one())
    return [row for row in rows if row.troubles or row.pause_cause]


def end_silence(db: Session, row: Sender | Installation) -> None:
    """The provider answered: what is counted in a row begins anew."""
    table = type(row)
    db.execute(update(table).where(table.id == row.id).values(troubles=0))


def ensure_default_sender(
    db: Session,
    *,
    number: str | None,
    messaging_service: str | None,
    segments_per_second: float,
    daily_segments: int | None,
) -> None:
    """Bring the default sender in line with the settings; written only where it differs."""
    sender = db.get_one(Sender, ONE)
    sender.number = number
    sender.messaging_service = messaging_service
    sender.segments_per_second = segments_per_second
    sender.daily_segments = daily_segments
