"""The nightly proof: once a night one worker judges every promise again, keeps what it came to, and tells staff what is new.

The night begins at three on the clock of the first clinic. A worker that was away then makes up for it when it comes back.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.flows.policy import Approval
from service.flows.verification.findings import Findings, Violation
from service.flows.verification.verifying import StoppedEarlyError, verify
from service.store import journal, tasks, watching
from service.store.database import read_only
from service.store.tables import NightlyProof

BEGINS = timedelta(hours=3)
LOST_AFTER = timedelta(hours=2)
"""A proof takes minutes: one that began so long ago was cut off with its worker."""
MOST_KEPT = 1000
"""So many ids are kept for each rule, to know the next night what is new; where more is broken, counts say enough."""
KIND = "promise_broken"
ANYWHERE = ZoneInfo("UTC")
log = structlog.get_logger()


def prove_nightly(
    sessions: sessionmaker[Session],
    clock: Clock,
    *,
    worker: str,
    approval: Approval = Approval.WAIVED,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Prove the night's once; returns how many things were looked at, 0 where it is done or another worker does it.

    Where ``go_on`` says no, the night is given back for another worker, or for the next start.
    """
    night = _claim(sessions, clock(), worker=worker)
    if night is None:
        return 0
    try:
        found = verify(sessions, clock, approval=approval, go_on=go_on)
    except StoppedEarlyError:
        with sessions.begin() as db:
            watching.give_night_back(db, night, worker=worker)
        return 0
    with sessions.begin() as db:
        _keep(db, night, found, now=clock())
    return sum(found.checked.values())


def night_of(now: datetime, zone: ZoneInfo) -> str:
    """The day of the night that has begun last."""
    return f"{(now.astimezone(zone) - BEGINS).date():%Y-%m-%d}"


def _claim(sessions: sessionmaker[Session], now: datetime, *, worker: str) -> str | None:
    with sessions() as db:
        clinic = watching.first_clinic(read_only(db))
        if clinic is None:
            return None
        night = night_of(now, _zone(clinic.time_zone))
        row = db.get(NightlyProof, night)
    if row is not None and (row.ended_at is not None or row.began_at >= now - LOST_AFTER):
        return None
    with sessions.begin() as db:
        taken = watching.claim_night(db, night, worker=worker, now=now, lost_before=now - LOST_AFTER)
    return night if taken else None


def _zone(name: str) -> ZoneInfo:
    """Whatever another program wrote there, the night comes."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return ANYWHERE


def _keep(db: Session, night: str, found: Findings, *, now: datetime) -> None:
    before = watching.finished_proofs(db, limit=1)
    known = {name for names in before[0].found.values() for name in names} if before else set()
    row = db.get_one(NightlyProof, night)
    row.ended_at, row.checked = now, {str(rule): n for rule, n in found.checked.items()}
    by_rule: defaultdict[str, list[str]] = defaultdict(list)
    for violation in found.in_order():
        by_rule[str(violation.rule)].append(_name(violation))
    row.broken = {rule: len(names) for rule, names in by_rule.items()}
    row.found = {rule: names[:MOST_KEPT] for rule, names in by_rule.items()}
    by_clinic = _by_clinic(db, found.in_order())
    for clinic_id, violations in by_clinic.items():
        news = [violation for violation in violations if _name(violation) not in known]
        if news:
            _tell(db, clinic_id, night, news, now=now)
    outcome = "The next nightly proof found nothing wrong any more."
    for task in tasks.listed(db, state="open"):
        if task.kind == KIND and task.clinic_id not in by_clinic:
            tasks.close(db, task.id, outcome=outcome, now=now)
    log.info("proof_finished", night=night, looked_at=sum(found.checked.values()), broken=len(found.violations))


def _name(violation: Violation) -> str:
    return f"{violation.rule}:{violation.message_id or ''}:{violation.session_id or ''}"


def _by_clinic(db: Session, violations: Iterable[Violation]) -> dict[int, list[Violation]]:
    """Each clinic's own; a text that is nobody's, which no rule finds today, would be the first clinic's."""
    everything = list(violations)
    of_message = watching.clinics_of_messages(db, {v.message_id for v in everything if v.message_id is not None})
    of_session = watching.clinics_of_sessions(db, {v.session_id for v in everything if v.session_id is not None})
    found: defaultdict[int, list[Violation]] = defaultdict(list)
    for violation in everything:
        own = of_message.get(violation.message_id or 0) or of_session.get(violation.session_id or 0)
        if own is not None:
            found[own].append(violation)
    return found


def _tell(db: Session, clinic_id: int, night: str, news: list[Violation], *, now: datetime) -> None:
    shown = "; ".join(_shown(violation) for violation in news[:10])
    more = f"; and {len(news) - 10} more" if len(news) > 10 else ""
    reason = f"The nightly proof found promises that were broken: {shown}{more}."
    log.error("promise_broken", clinic=clinic_id, found=len(news))
    journal.append(db, KIND, at=now, clinic_id=clinic_id, reason=reason, data={"night": night, "found": len(news)})
    tasks.open_task(
        db,
        identity=f"{KIND}:{clinic_id}:{night}",
        kind=KIND,
        clinic_id=clinic_id,
        level="amber_urgent",
        now=now,
        reason=reason,
        next_action="`aftercare verify` says what happened, `aftercare message show ID` tells the text's story. Phone the "
        "patient where something wrong, late, doubled or unlawful was sent, or aftercare never was.",
    )


def _shown(violation: Violation) -> str:
    of_message = f" message {violation.message_id}" if violation.message_id is not None else ""
    of_session = f" session {violation.session_id}" if violation.session_id is not None and not of_message else ""
    return f"{violation.rule}{of_message}{of_session}"
