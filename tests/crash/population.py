"""Patients with texts that are due at this moment: what staff wrote, and the aftercare of sessions that have just ended."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from service.flows.planner import plan_pending
from service.flows.sample import midday_zone
from service.store import content
from service.store.tables import Clinic, Consent, Message, Patient, TemplateVersion, TreatmentSession
from tests.store import factories

TREATED = 20
"""Every so many patients one has just been treated; nobody wrote to them, but their aftercare is due."""
FAMILY = 15
"""Every so many patients one shares the number of the one before, and is written the very same words."""
CARE = 4
"""Every so many texts by staff one is urgent."""


def settle_in(sessions: sessionmaker[Session], *, patients: int, now: datetime) -> int:
    """One clinic where it is midday, and a text due for each of so many patients; returns how many texts are due."""
    with sessions.begin() as db:
        clinic = factories.clinic(db, time_zone=midday_zone(now).key, live_from=now - timedelta(hours=12))
        content.seed_defaults(db, clinic.id, now=now, by="test")
        db.execute(update(TemplateVersion).values(approved_by="Dr. Sample", approved_at=now))
        _add_people(db, clinic, patients, now)
    plan_pending(sessions, lambda: now, answers_understood=False)
    with sessions() as db:
        return len(db.scalars(select(Message.id).where(Message.state == "planned", Message.due_at <= now)).all())


def _add_people(db: Session, clinic: Clinic, count: int, now: datetime) -> None:
    numbers = [_number(n) for n in range(count)]
    agreed = {"clinic_id": clinic.id, "kind": "granted", "at": now - timedelta(days=30), "method": "import"}
    # Agreed first: consent marks the patients of its number, and who is not marked need not be planned.
    db.execute(insert(Consent), [agreed | {"number": number} for number in sorted(set(numbers))])
    known = {"clinic_id": clinic.id, "marked": False, "added_at": now - timedelta(days=30)}
    people = [known | {"external_id": f"MRN-{n}", "phone": number} for n, number in enumerate(numbers)]
    added = insert(Patient).returning(Patient.id, sort_by_parameter_order=True)
    ids = list(db.scalars(added, people))
    db.execute(insert(Message), [_text(clinic, ids[n], n, now) for n in range(count) if n % TREATED])
    db.execute(insert(TreatmentSession), [_treatment(clinic, ids[n], n, now) for n in range(0, count, TREATED)])


def _one_before(n: int) -> int:
    return n - 1 if n % FAMILY == FAMILY - 1 and (n - 1) % TREATED else n


def _number(n: int) -> str:
    return f"+1312{2_000_000 + _one_before(n)}"


def _text(clinic: Clinic, patient_id: int, n: int, now: datetime) -> dict[str, Any]:
    urgent = n % CARE == 0
    return {
        "clinic_id": clinic.id,
        "patient_id": patient_id,
        "identity": f"staff:{n}",
        "kind": "staff",
        "text": f"Your papers are ready; ask for number {_one_before(n)}.",
        "urgency": "care" if urgent else "routine",
        "priority": 1 if urgent else 2,
        "sender_id": 1,
        "state": "planned",
        "due_at": now,
        "attempt_at": now,
        "expires_at": now + timedelta(hours=8),
    }


def _treatment(clinic: Clinic, patient_id: int, n: int, now: datetime) -> dict[str, Any]:
    return {
        "clinic_id": clinic.id,
        "patient_id": patient_id,
        "external_id": f"S-{n}",
        "scheduled_start": now - timedelta(minutes=30),
        "completed_at": now - timedelta(minutes=10),
        "status": "completed",
    }
