"""Patients: the mark that has them planned anew."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from service.store.tables import Patient


def mark(db: Session, patient_id: int | None) -> None:
    """Have the patient planned before anything more is sent: a text has come back that planning did not see meanwhile."""
    db.execute(update(Patient).where(Patient.id == patient_id, ~Patient.marked).values(marked=True))
