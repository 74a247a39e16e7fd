"""Planning: making the table of messages and tasks equal to what the care plan wants, patient by patient.

A patient is the unit, because spacing and repeat reminders look at all of a patient's sessions. Whoever changes a
fact marks the patient; planning clears the mark. Run it as often as you like: where nothing changed, nothing is
written.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.case import Case
from service.domain.clock import Clock
from service.domain.expansion import expand
from service.domain.reconciliation import difference
from service.flows import planned_tasks, planned_texts
from service.flows.casework import faults, load_cases
from service.flows.noticing import notice
from service.flows.telling import tell_unplannable
from service.store.tables import Patient, TreatmentSession

BATCH = 200


def plan_pending(sessions: sessionmaker[Session], clock: Clock, *, answers_understood: bool) -> int:
    """Plan every marked patient, in batches of one transaction each; returns how many were planned."""
    planned, after = 0, 0
    while ids := _marked(sessions, after):
        planned += _plan_batch(sessions, ids, clock(), answers_understood=answers_understood)
        after = ids[-1]
    return planned + planned_tasks.open_due(sessions, clock, answers_understood=answers_understood)


def _marked(sessions: sessionmaker[Session], after: int) -> list[int]:
    with sessions() as db:
        ids = select(Patient.id).where(Patient.marked, Patient.id > after).order_by(Patient.id).limit(BATCH)
        return list(db.scalars(ids))


def _plan_batch(sessions: sessionmaker[Session], ids: list[int], now: datetime, *, answers_understood: bool) -> int:
    """One transaction for all; if that fails, each patient alone, so that nobody waits for another."""
    try:
        with sessions.begin() as db:
            return plan_patients(db, ids, now=now, answers_understood=answers_understood)
    except Exception as error:
        # Whatever one patient's data do, everybody else is planned.
        if len(ids) > 1:
            each = ([one] for one in ids)
            return sum(_plan_batch(sessions, one, now, answers_understood=answers_understood) for one in each)
        if isinstance(error, OperationalError):
            raise  # the database's trouble and not the patient's: the next run finds the mark again
        with sessions.begin() as db:
            tell_unplannable(db, db.get_one(Patient, ids[0]), error, now=now)
        return 0


def plan_patients(db: Session, ids: Collection[int], *, now: datetime, answers_understood: bool) -> int:
    """Plan these patients as of ``now``.

    Those whose rows another program is changing stay marked for the next time, and those whose facts can not be used
    until somebody has mended them.
    """
    locked = _lock(db, ids)
    unusable = faults(db, locked.values(), now=now)
    for patient_id, fault in unusable.items():
        tell_unplannable(db, locked.pop(patient_id), fault, now=now)
    patients = _notice(db, locked, now)
    db.flush()
    cases = load_cases(db, list(patients), now=now, answers_understood=answers_understood)
    texts, staff = planned_texts.Writer(db, cases, now), planned_tasks.Writer(db, cases, now)
    for patient in patients.values():
        case = _textable(patient, cases[patient.id], now)
        plan_patient(case, texts, staff, now=now)
        patient.marked = patient.id in cases.unsettled
    texts.write(db)
    staff.write(db)
    return len(patients)


def plan_patient(case: Case, texts: planned_texts.Writer, staff: planned_tasks.Writer, *, now: datetime) -> None:
    """Compare what the plan wants of one patient with the rows there are, and hand the differences to the writers."""
    entries = [e for e in expand(case, already_out=texts.out(case)) if case.clinic.plan_name in e.step.plans]
    wanted_texts = [entry for entry in entries if entry.step.is_text]
    wanted_tasks = [entry for entry in entries if not entry.step.is_text]
    texts.add(case, difference(case, wanted_texts, texts.rows(case), now=now))
    staff.add(case, difference(case, wanted_tasks, staff.rows(case), now=now))


def _textable(patient: Patient, case: Case, now: datetime) -> Case:
    """Note since when the patient may be texted: whatever fell due before that was nobody's to send."""
    patient.textable_since = (patient.textable_since or now) if case.patient.blocked is None else None
    return replace(case, patient=replace(case.patient, textable_since=patient.textable_since))


def _lock(db: Session, ids: Collection[int]) -> dict[int, Patient]:
    marked = select(Patient).where(Patient.id.in_(ids), Patient.marked).order_by(Patient.id)
    locked = marked.with_for_update(skip_locked=True, key_share=True).execution_options(populate_existing=True)
    return {patient.id: patient for patient in db.scalars(locked)}


def _notice(db: Session, patients: dict[int, Patient], now: datetime) -> dict[int, Patient]:
    """Note what is new about the sessions; patients of whom another program holds a session are left out.

    Waiting for that program could end in a deadlock: its trigger needs the patient that is locked here.
    """
    own = select(TreatmentSession).where(TreatmentSession.patient_id.in_(patients))
    free = own.with_for_update(skip_locked=True, key_share=True).execution_options(populate_existing=True)
    held = Counter(db.scalars(select(TreatmentSession.patient_id).where(TreatmentSession.patient_id.in_(patients))))
    for session in db.scalars(free):
        notice(session, now)
        held[session.patient_id] -= 1
    ready = {patient_id: patient for patient_id, patient in patients.items() if not held[patient_id]}
    for patient in ready.values():
        patient.added_at = patient.added_at or now
    return ready
