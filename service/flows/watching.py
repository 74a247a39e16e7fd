"""The silence alarm: what should happen and does not is put before staff, and taken back by itself once it happens again.

Any number of workers may look at once: beginning, telling and ending are each the deed of one of them, as the row says.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain import alarms
from service.domain.alarms import LEVELS, NEXT_ACTIONS, Concern
from service.domain.clock import Clock
from service.store import journal, running, tasks, watching
from service.store.database import read_only
from service.store.tables import Alarm as Row

ENDED = "It ended by itself."
log = structlog.get_logger()


def watch(sessions: sessionmaker[Session], clock: Clock, *, called_back: bool) -> int:
    """Look once; returns how many alarms began, were told of, or ended. ``called_back``: the provider reports by itself."""
    now = clock()
    with sessions() as db:
        concerns = {concern.identity: concern for concern in _concerns(read_only(db), now, called_back=called_back)}
        known = {row.identity: row for row in watching.ongoing(db)}
    changed = 0
    for concern in concerns.values():
        if concern.identity not in known or known[concern.identity].told_at is None:
            with sessions.begin() as db:
                changed += _go_on(db, concern, now)
    for identity in known.keys() - concerns.keys():
        with sessions.begin() as db:
            changed += _end(db, known[identity], now)
    return changed


def worker_stopped(db: Session, worker: str, *, now: datetime) -> None:
    """Note that a worker ends because it was told to: nobody needs to look for it."""
    running.beat(db, job=running.STOPPED, worker=worker, at=now, took_ms=0, rows=0)


def _concerns(db: Session, now: datetime, *, called_back: bool) -> Iterator[Concern]:
    yield from _waiting(db, now)
    yield from _without_aftercare(db, now)
    yield from _silent_workers(db, now)
    if called_back:
        yield from _unreported(db, now)


def _waiting(db: Session, now: datetime) -> Iterator[Concern]:
    """One of each clinic: of its senders the one that makes it wait longest."""
    overdue = sorted(watching.overdue(db, before=now - alarms.SILENT_FOR), key=itemgetter(2), reverse=True)
    left = {sender_id: watching.last_left(db, sender_id) for _, sender_id, _ in overdue}
    for clinic_id, sender_id, oldest in overdue:
        concern = alarms.waiting_too_long(clinic_id, oldest=oldest, last_left=left[sender_id], now=now)
        if concern is not None:
            yield concern


def _without_aftercare(db: Session, now: datetime) -> Iterator[Concern]:
    found = watching.without_aftercare(
        db,
        after=now - alarms.AFTERCARE_UNTIL,
        before=now - alarms.AFTERCARE_WITHIN,
        due_before=now - alarms.SILENT_FOR,
    )
    for clinic_id, rows in groupby(found, key=itemgetter(0)):
        yield alarms.without_aftercare(clinic_id, [session_id for _, session_id in rows])


def _unreported(db: Session, now: datetime) -> Iterator[Concern]:
    last = watching.last_report(db)
    if last is not None and now - last < alarms.NO_RECEIPT_FOR:
        return
    waiting = watching.unreported(db, after=now - alarms.RECEIPTS_OF, before=now - alarms.NO_RECEIPT_FOR)
    for clinic_id, texts in waiting.items():
        concern = alarms.no_receipts(clinic_id, texts=texts, last=last)
        if concern is not None:
            yield concern


def _silent_workers(db: Session, now: datetime) -> Iterator[Concern]:
    last: dict[str, datetime] = {}
    stopped: dict[str, datetime] = {}
    for beat in running.heartbeats(db):
        seen = stopped if beat.job == running.STOPPED else last
        seen[beat.worker] = max(beat.at, seen.get(beat.worker, beat.at))
    for worker, at in last.items():
        has_said_so = worker in stopped and stopped[worker] >= at
        if alarms.WORKER_SILENT < now - at < alarms.WORKER_GONE and not has_said_so:
            yield alarms.silent_worker(worker, at)


def _go_on(db: Session, concern: Concern, now: datetime) -> int:
    """Note what is new, and tell of what has lasted; a person who closes the task is not told again while it goes on."""
    identity = concern.identity
    begun = watching.begin(
        db, identity=identity, kind=concern.kind, clinic_id=concern.clinic_id, since=now, seconds=concern.seconds
    )
    row = watching.find(db, identity)
    if row is None or not concern.is_told(since=row.since, seconds_then=row.seconds, now=now):
        return int(begun)
    since = watching.claim_telling(db, identity, at=now)
    if since is not None:
        _tell(db, concern, since=since, now=now)
    return 1


def _tell(db: Session, concern: Concern, *, since: datetime, now: datetime) -> None:
    clinic = watching.first_clinic(db)
    clinic_id = concern.clinic_id or (clinic.id if clinic else None)
    log.error("alarm_raised", alarm=concern.kind, about=concern.about)
    journal.append(db, "alarm_raised", at=now, clinic_id=clinic_id, reason=concern.reason, data={"alarm": concern.kind})
    if clinic_id is not None:
        tasks.open_task(
            db,
            identity=f"{_task(concern.identity)}{since.isoformat()}",
            kind=concern.kind,
            clinic_id=clinic_id,
            level=LEVELS[concern.kind],
            now=now,
            reason=concern.reason,
            next_action=NEXT_ACTIONS[concern.kind],
        )


def _end(db: Session, row: Row, now: datetime) -> int:
    was_told = watching.end(db, row.identity)
    if was_told:
        log.info("alarm_ended", alarm=row.kind, about=row.identity.partition(":")[2])
        journal.append(db, "alarm_ended", at=now, clinic_id=row.clinic_id, reason=ENDED, data={"alarm": row.kind})
        watching.close_tasks(db, beginning=_task(row.identity), outcome=ENDED, now=now)
    return int(was_told is not None)


def _task(identity: str) -> str:
    """What the identities of an alarm's tasks begin with."""
    return f"alarm:{identity}:"
