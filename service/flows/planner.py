"""Planning: making the table of messages and tasks equal to what the care plan wants, patient by patient.

A patient is the unit, because spacing and repeat reminders look at all of a patient's sessions. Whoever changes a
fact marks the patient; planning clears the mark. Run it as often as you like: where nothing changed, nothing is
written.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.case import Case
from service.domain.clock import Clock
from service.domain.expansion import expand
from service.domain.reconciliation import difference
from service.flows import planned_tasks, planned_texts
from service.flows.casework import Cases, FactsError, each_readable, load_cases
from service.flows.noticing import notice
from service.flows.telling import tell_unplannable
from service.store import content, tasks
from service.store.database import read_only
from service.store.tables import Patient, PlanVersion, TreatmentSession

BATCH = 100
ROUND = 20
"""So many batches are planned before those to whom something happens these days are asked for again."""
JUST_WAS, SOON = timedelta(hours=24), timedelta(hours=48)


def plan_pending(
    sessions: sessionmaker[Session],
    clock: Clock,
    *,
    answers_understood: bool,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Plan every marked patient, in batches of one transaction each; returns how many were planned.

    Ends early, between two batches, once ``go_on`` says no: who is left stays marked for the next time.
    """
    _seed(sessions, clock())
    planned, left_out = 0, set[int]()
    for ids in _batches(sessions, clock, left_out):
        if not go_on():
            return planned
        planned += _plan_batch(sessions, ids, clock(), answers_understood=answers_understood, left_out=left_out)
    return planned + planned_tasks.open_due(sessions, clock, answers_understood=answers_understood, go_on=go_on)


def _seed(sessions: sessionmaker[Session], now: datetime) -> None:
    """Give clinics without a plan the shipped one while nothing is locked: a new plan marks patients, and so waits for them."""
    with sessions() as db:
        clinics = content.unseeded(read_only(db))
    for clinic_id in clinics:
        with sessions.begin() as db:
            content.ensure_seeded(db, clinic_id, now=now)


def _batches(sessions: sessionmaker[Session], clock: Clock, left_out: Collection[int]) -> Iterator[list[int]]:
    """Every marked patient, in the order of ids; whose session just was or is soon comes first, even into a long run."""
    after = 0
    while True:
        urgent = _ids(sessions, _urgent(clock(), left_out))
        yield from (urgent[i : i + BATCH] for i in range(0, len(urgent), BATCH))
        for _ in range(ROUND):
            ids = _ids(sessions, _marked(left_out).where(Patient.id > after).limit(BATCH))
            if not ids:
                return
            after = ids[-1]
            yield ids


def _marked(left_out: Collection[int]) -> Select[int]:
    """Who is to be planned; a clinic without a plan gets one at the start of the next run."""
    has_plan = exists().where(PlanVersion.clinic_id == Patient.clinic_id)
    return select(Patient.id).where(Patient.marked, has_plan, Patient.clinic_id.not_in(left_out)).order_by(Patient.id)


def _urgent(now: datetime, left_out: Collection[int]) -> Select[int]:
    start, done = TreatmentSession.scheduled_start, TreatmentSession.completed_at
    these_days = or_(start.between(now - JUST_WAS, now + SOON), done.between(now - JUST_WAS, now))
    return _marked(left_out).where(exists().where(TreatmentSession.patient_id == Patient.id, these_days))


def _ids(sessions: sessionmaker[Session], wanted: Select[int]) -> list[int]:
    with sessions() as db:
        return list(read_only(db).scalars(wanted))


def _plan_batch(
    sessions: sessionmaker[Session], ids: list[int], now: datetime, *, answers_understood: bool, left_out: set[int]
) -> int:
    """One transaction for all; if that fails, one for each half, so that nobody waits for another.

    Clinics with whose facts nothing can be computed go to ``left_out``: the rest of their patients need not be tried.
    """
    try:
        with sessions.begin() as db:
            cases = plan_patients(db, ids, now=now, answers_understood=answers_understood)
    except Exception as error:
        # Whatever one patient's data do, everybody else is planned.
        if len(ids) > 1:
            half = len(ids) // 2
            return sum(
                _plan_batch(sessions, part, now, answers_understood=answers_understood, left_out=left_out)
                for part in (ids[:half], ids[half:])
            )
        if isinstance(error, OperationalError):
            raise  # the database's trouble and not the patient's: the next run finds the mark again
        with sessions.begin() as db:
            tell_unplannable(db, {ids[0]: error}, now=now)
        return 0
    left_out |= cases.unusable
    return len(cases)


def plan_patients(db: Session, ids: Collection[int], *, now: datetime, answers_understood: bool) -> Cases:
    """Plan these patients as of ``now``; returns of whom there was a case, and the faults of the others.

    Those whose rows another program is changing stay marked for the next time, and those whose facts can not be used
    until somebody has mended them.
    """
    faults: dict[int, FactsError] = {}
    patients = _notice(db, _lock(db, ids), now=now, faults=faults)
    db.flush()
    cases = load_cases(db, patients, now=now, answers_understood=answers_understood)
    cases.faults.update(faults)
    texts, staff = planned_texts.Writer(db, cases, now), planned_tasks.Writer(db, cases, now)
    for patient_id, case in cases.items():
        patient = patients[patient_id]
        plan_patient(_textable(patient, case), texts, staff, now=now)
        patient.marked = texts.is_leaving(case)
    texts.write(db)
    staff.write(db)
    if at_rest := [patient_id for patient_id in cases if patients[patient_id].status != "active"]:
        tasks.end_kind(db, "missed_text", state="withdrawn", outcome="patient_not_active", now=now, patient_ids=at_rest)
    if cases.faults:
        tell_unplannable(db, cases.faults, now=now)
    return cases


def plan_patient(case: Case, texts: planned_texts.Writer, staff: planned_tasks.Writer, *, now: datetime) -> None:
    """Compare what the plan wants of one patient with the rows there are, and hand the differences to the writers."""
    entries = [e for e in expand(case, already_out=texts.out(case)) if case.clinic.plan_name in e.step.plans]
    wanted_texts = [entry for entry in entries if entry.step.is_text]
    wanted_tasks = [entry for entry in entries if not entry.step.is_text]
    texts.add(case, difference(case, wanted_texts, texts.rows(case), now=now))
    staff.add(case, difference(case, wanted_tasks, staff.rows(case), now=now))


def _textable(patient: Patient, case: Case) -> Case:
    """Note since when the patient may be texted: whatever fell due before that was nobody's to send."""
    patient.textable_since = case.patient.textable_since if case.patient.blocked is None else None
    return replace(case, patient=replace(case.patient, textable_since=patient.textable_since))


def _lock(db: Session, ids: Collection[int]) -> list[int]:
    marked = select(Patient.id).where(Patient.id.in_(ids), Patient.marked).order_by(Patient.id)
    return list(db.scalars(marked.with_for_update(skip_locked=True, key_share=True)))


def _notice(db: Session, ids: list[int], *, now: datetime, faults: dict[int, FactsError]) -> dict[int, Patient]:
    """Note what is new about the sessions; patients of whom another program holds a session are left out.

    Waiting for that program could end in a deadlock: its trigger needs the patient that is locked here.
    """
    fresh = {"populate_existing": True}
    held = Counter(db.scalars(select(TreatmentSession.patient_id).where(TreatmentSession.patient_id.in_(ids))))
    own = select(TreatmentSession).with_for_update(skip_locked=True, key_share=True).execution_options(**fresh)
    for session in each_readable(
        ids, lambda some: db.scalars(own.where(TreatmentSession.patient_id.in_(some))), faults=faults
    ):
        notice(session, now)
        held[session.patient_id] -= 1
    free = [patient_id for patient_id in ids if patient_id not in faults and not held[patient_id]]
    rows = select(Patient).execution_options(**fresh)
    ready = each_readable(free, lambda some: db.scalars(rows.where(Patient.id.in_(some))), faults=faults)
    for patient in ready:
        patient.added_at = patient.added_at or now
    return {patient.id: patient for patient in ready}
