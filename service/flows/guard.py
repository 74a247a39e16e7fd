"""The restore guard: where the database may not know what has left the house, nothing leaves until a person has looked.

A copy restored from backup does not know what was sent since; neither does a worker whose clock is wrong, nor one of two
installations in one database. Only sending is held: receiving, receipts and planning go on.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.flows.holding import release
from service.store import journal, running, tasks
from service.store.seals import seals_of
from service.store.tables import Clinic, JournalEntry

SILENT_FOR = timedelta(minutes=30)
"""A worker beats every ten seconds; whoever was still longer may have been restored from a backup."""
CLOCKS_AGREE = timedelta(seconds=60)
BEFORE = timedelta(minutes=10)
"""So long before the last sign of life the provider's list is compared: a beat is no proof that all before it is in the copy."""
KIND = "sending_held"
RELEASED = "the restore guard was released"
log = structlog.get_logger()


class Cause(StrEnum):
    """Why sending waits for a person."""

    SILENCE = "silence"
    CLOCK = "clock"
    SECOND = "second"
    RESTORE = "restore"
    """A person compares with the provider, and nothing may leave meanwhile."""


SAID = {
    Cause.SILENCE: "no worker has run since {since}: this database may be a copy from a backup.",
    Cause.CLOCK: "the clock of this machine disagrees with the database, its last heartbeat or the provider by over a minute.",
    Cause.SECOND: "a second installation, with another secret key or provider account, uses this database.",
    Cause.RESTORE: "what the provider has taken is being compared with this database.",
}


@runtime_checkable
class TellsTime(Protocol):
    """A gateway whose provider says what time it is there."""

    def their_time(self) -> datetime | None:
        """None where the provider does not answer, or does not say."""
        ...


@dataclass(frozen=True, slots=True)
class Signs:
    """What a start is judged by: when a worker last beat, other clocks at this moment, and who sends. None: not known."""

    last_beat: datetime | None
    other_clocks: tuple[datetime | None, ...]
    identity: str | None
    known_identity: str | None


def judge(signs: Signs, *, now: datetime) -> Cause | None:
    """Why a process that starts now must not send, if so; pure. A first start has no beat, and is free."""
    ahead = signs.last_beat is not None and signs.last_beat > now + CLOCKS_AGREE
    if ahead or any(clock is not None and abs(clock - now) > CLOCKS_AGREE for clock in signs.other_clocks):
        return Cause.CLOCK
    if signs.identity and signs.known_identity and signs.identity != signs.known_identity:
        return Cause.SECOND
    if signs.last_beat is not None and now - signs.last_beat > SILENT_FOR:
        return Cause.SILENCE
    return None


def look_before_sending(
    db: Session, *, other_clocks: tuple[datetime | None, ...], account: str, now: datetime
) -> Cause | None:
    """Hold sending where this start is suspicious; a hold that stands already stays, whatever the signs say now."""
    whole = running.installation_to_change(db)
    if whole.guard_cause is not None:
        return Cause(whole.guard_cause)
    beat, identity = _last_sign(db, now=now), identity_of(db, account)
    cause = judge(Signs(beat, other_clocks, identity, whole.identity), now=now)
    if cause is None:
        whole.identity = whole.identity or identity
        return None
    hold(db, cause, since=min(beat or now, now) - BEFORE, now=now)
    return cause


def _last_sign(db: Session, *, now: datetime) -> datetime | None:
    """When a worker last beat, or a person let sending go on since: what was compared then need not be again."""
    beat = running.last_beat(db)
    if beat is None or now - beat <= SILENT_FOR:
        return beat
    let_go_at = select(JournalEntry.at).where(
        JournalEntry.kind == "resumed", JournalEntry.reason == RELEASED, JournalEntry.at > beat
    )
    return db.scalar(let_go_at.order_by(JournalEntry.id.desc()).limit(1)) or beat


def hold(db: Session, cause: Cause, *, since: datetime, now: datetime) -> None:
    """Let nothing leave until :func:`let_go`; one task, to the first clinic. Nothing is changed where the guard holds already."""
    whole = running.installation_to_change(db)
    if whole.guard_cause is not None:
        return
    why = SAID[cause].format(since=in_words(since + BEFORE))
    reason = f"Held after a start: {why} Run `aftercare recover --since {in_words(since)} --release`."
    whole.guard_cause, whole.guard_at, whole.guard_since = cause, now, since
    db.flush()
    running.pause_all(db, at=now, reason=reason)
    journal.append(db, "paused", at=now, reason=reason, data={"by": "the restore guard", "cause": cause})
    log.error("sending_held", cause=cause, compare_since=in_words(since))
    clinic_id = db.scalar(select(Clinic.id).order_by(Clinic.id).limit(1))
    if clinic_id is not None and cause is not Cause.RESTORE:
        tasks.open_task(
            db,
            identity=f"{KIND}:{now.isoformat()}",
            kind=KIND,
            clinic_id=clinic_id,
            level="red",
            now=now,
            reason=f"All texts wait: {why}",
            next_action=f"Tell whoever runs the service: `aftercare recover --since {in_words(since)}` shows what the provider "
            "has taken; with `--release` sending goes on.",
        )


def let_go(db: Session, *, by: str, account: str, now: datetime) -> bool:
    """Sending goes on, and who releases owns the database from now on. False if nothing was held."""
    if not running.end_guard(db, identity=identity_of(db, account)):
        return False
    release(db, "paused", now=now)
    tasks.end_kind(db, KIND, state="closed", outcome=f"Released by {by}.", now=now)
    journal.append(db, "resumed", at=now, reason=RELEASED, data={"by": by})
    log.info("sending_released")
    return True


def identity_of(db: Session, account: str) -> str | None:
    """Who sends, by secret key and provider's account; None where no key lasts longer than this process.

    A copy that runs beside its original is the same installation by this: only heartbeats and the provider's list tell.
    """
    return next(iter(seals_of(db, [f"installation {account}"])), None)


def in_words(moment: datetime) -> str:
    """As `--since` takes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
