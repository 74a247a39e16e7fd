"""Whether everybody who was treated got the aftercare of the day, or it is on record why not.

Which texts that is the plan says: its care steps, as far as every variant of the plan has them. Planning makes a row for
each, sent or not, for the session that took place last; sessions that were never the last when planning saw them have none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.domain.anchors import at_offset
from service.domain.careplan import Anchor, CarePlan, Step, Urgency
from service.domain.eligibility import PASSING
from service.domain.lifecycle import State
from service.flows.verification.findings import Findings, Rule, Violation
from service.flows.verification.library import Library
from service.store import evidence_patients
from service.store.evidence_patients import Completed, Planned

BATCH = 1_000
SOON = timedelta(minutes=10)
"""So long sending may take to end what is no longer of use."""
AFTER_SESSION = frozenset({Anchor.COMPLETED, Anchor.DUE})
RULE = Rule.AFTERCARE_MISSING


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of many sessions. ``others``: their texts besides aftercare, of sessions that have no aftercare."""

    library: Library
    now: datetime
    care: Mapping[int, Sequence[Planned]]
    others: Mapping[int, Sequence[Planned]]
    newest: set[int]
    tasks: set[str]


def look_at_aftercare(db: Session, library: Library, findings: Findings, *, now: datetime) -> None:
    """Every session that took place, once its aftercare is of no use any more."""
    after = 0
    while sessions := evidence_patients.completed(db, after=after, limit=BATCH):
        after = sessions[-1].id
        known = _gather(db, sessions, library, now)
        for session in sessions:
            expected = _expected(session, known)
            if _is_over(session, expected, known):
                findings.note_all(RULE, _missing(session, expected, known), looked_at=1)


def _gather(db: Session, sessions: Sequence[Completed], library: Library, now: datetime) -> Known:
    care = evidence_patients.planned(db, [session.id for session in sessions], care=True)
    without = [session for session in sessions if session.id not in care]
    wanted = {_missed(row) for rows in care.values() for row in rows if row.state == State.MISSED}
    wanted.update(identity for session in sessions for identity in _unplannable(session))
    return Known(
        library=library,
        now=now,
        care=care,
        others=evidence_patients.planned(db, [session.id for session in without], care=False),
        newest=evidence_patients.newest(db, {session.patient_id for session in without}),
        tasks=evidence_patients.tasks_there(db, wanted),
    )


def _missed(row: Planned) -> str:
    """The task by which staff are told of a missed text."""
    return f"missed:{row.identity}"


def _unplannable(session: Completed) -> tuple[str, str]:
    """The tasks by which staff are told that nothing can be planned."""
    return f"planning_failed:patient {session.patient_id}", f"planning_failed:clinic {session.clinic_id}"


def _expected(session: Completed, known: Known) -> list[Step]:
    """The steps that must have a row: planning has seen that the session took place, and has seen it as the last one."""
    if session.planned_status != "completed" or session.completion_known_at is None:
        return []
    rows = known.care.get(session.id) or [row for row in known.others.get(session.id, ()) if _follows(row, known)]
    versions = {row.plan_version_id for row in rows}
    if not rows and _must_have_rows(session, known):
        versions = {known.library.version_at(session.clinic_id, session.completion_known_at)}
    plans = [plan for version in versions if (plan := known.library.plan(version)) is not None]
    return [step for step in plans[0].steps if all(_is_care(step.key, plan) for plan in plans)] if plans else []


def _follows(row: Planned, known: Known) -> bool:
    """Whether a text is there because the session took place."""
    plan = known.library.plan(row.plan_version_id)
    step = plan.step(row.step) if plan else None
    return step is not None and step.anchor in AFTER_SESSION


def _must_have_rows(session: Completed, known: Known) -> bool:
    is_planned = session.id in known.newest and not session.marked and session.textable_since is not None
    return is_planned and not known.tasks & {*_unplannable(session)}


def _is_care(key: str, plan: CarePlan) -> bool:
    step = plan.step(key)
    if step is None or step.useless_after is None or not step.plans >= set(plan.plans):
        return False
    ends_with_it = step.anchor is step.useless_after.anchor is Anchor.COMPLETED
    return step.is_text and step.urgency is Urgency.CARE and ends_with_it


def _is_over(session: Completed, expected: Sequence[Step], known: Known) -> bool:
    """Whether the last useful minute of all aftercare has passed; False where there is none, or nobody can say."""
    done, place = session.completed_at, known.library.place(session.clinic_id, None)
    ends = [row.expires_at for row in known.care.get(session.id, ()) if row.expires_at is not None]
    if done is not None and place is not None:
        ends += [at_offset(step.useless_after.offset, done, place.zone) for step in expected if step.useless_after]
    return bool(ends) and max(ends) + SOON <= known.now


def _missing(session: Completed, expected: Sequence[Step], known: Known) -> Iterator[Violation]:
    rows = known.care.get(session.id, ())
    for row in rows:
        if (wrong := _unexplained(row, session, known)) is not None:
            yield Violation(RULE, row.id, session.id, wrong)
    for step in expected:
        if step.key not in {row.step for row in rows}:
            words = f"The session took place, and of the text {step.title!r} there is neither a row nor a reason."
            yield Violation(RULE, None, session.id, words)


def _unexplained(row: Planned, session: Completed, known: Known) -> str | None:
    match State(row.state):
        case State.PLANNED if row.held_reason is None or row.held_reason in PASSING:
            return "Aftercare still waits to be sent after it has become useless, and nothing says what holds it."
        case State.CANCELLED | State.MISSED if not (row.reason or "").strip():
            return f"Aftercare was not sent ({row.state}), and there is no reason."
        case State.MISSED if _wants_task(row, session, known):
            told = known.tasks & {_missed(row), *_unplannable(session)}
            return None if told else f"Aftercare was missed ({row.reason}), and staff were not told."
        case _:
            return None


def _wants_task(row: Planned, session: Completed, known: Known) -> bool:
    """Whether the plan wants staff to be told: by the version that the row follows, and by the newest."""
    versions = row.plan_version_id, known.library.version_at(session.clinic_id, known.now)
    plans = [known.library.plan(version) for version in versions]
    steps = [plan.step(row.step) if plan else None for plan in plans]
    return all(step is not None and step.on_missed_task for step in steps)
