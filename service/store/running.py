"""How the service is doing: heartbeats of its jobs, what is paused, and the default sender."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.store.inserts import insert_into
from service.store.tables import Heartbeat, Installation, Sender

ONE = 1
"""The row of the installation, and that of the default sender; the schema comes with both."""
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


def pause_all(db: Session, *, at: datetime, reason: str) -> bool:
    """Let nothing at all leave. False if that is so already: the first moment and its reason stay."""
    pause = update(Installation).where(Installation.paused_at.is_(None)).values(paused_at=at, pause_reason=reason)
    return db.scalar(pause.returning(Installation.id)) is not None


def resume_all(db: Session) -> bool:
    """End :func:`pause_all`. False if nothing was paused."""
    resume = update(Installation).where(Installation.paused_at.is_not(None)).values(paused_at=None, pause_reason=None)
    return db.scalar(resume.returning(Installation.id)) is not None


def pause_sender(db: Session, sender_id: int, *, at: datetime, reason: str) -> bool:
    """Let nothing leave from one sender. False if that is so already: the first moment and its reason stay."""
    pause = update(Sender).where(Sender.id == sender_id, Sender.paused_at.is_(None))
    return db.scalar(pause.values(paused_at=at, pause_reason=reason).returning(Sender.id)) is not None


def resume_sender(db: Session, sender_id: int) -> bool:
    """End :func:`pause_sender`. False if it was not paused."""
    resume = update(Sender).where(Sender.id == sender_id, Sender.paused_at.is_not(None))
    return db.scalar(resume.values(paused_at=None, pause_reason=None).returning(Sender.id)) is not None


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
