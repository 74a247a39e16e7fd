"""Staff want no plan texts to a patient for a while. What is held meanwhile is looked at again when the pause ends."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from service.domain.errors import AftercareError
from service.domain.moments import read_day_or_moment
from service.flows.holding import release
from service.store import journal
from service.store.tables import Clinic, Patient


class NoSuchPatient(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no patient of that number."""


class NoPauseError(AftercareError):
    """A pause that would be none; nothing was changed."""


def pause_patient(db: Session, patient_id: int, *, until: str, reason: str, by: str, now: datetime) -> datetime:
    """Hold the patient's plan texts until a moment, or the beginning of a day, on the clinic's clock; returns it in UTC."""
    patient = _locked(db, patient_id)
    zone = ZoneInfo(db.get_one(Clinic, patient.clinic_id).time_zone)
    end = read_day_or_moment(until.strip(), zone)
    if end is None:
        raise NoPauseError(f"--until {until!r} is no day like 2026-12-24 and no moment like 2026-12-24T14:30.")
    if end <= now:
        raise NoPauseError(f"--until {until!r} is over, so nothing was paused.")
    patient.paused_until, patient.pause_reason = end, reason
    journal.append(
        db,
        "patient_paused",
        at=now,
        clinic_id=patient.clinic_id,
        patient_id=patient_id,
        reason=reason,
        data={"until": end.isoformat(), "by": by},
    )
    return end


def resume_patient(db: Session, patient_id: int, *, by: str, now: datetime) -> bool:
    """End a pause early; what it held is looked at again at once. False where there was none."""
    patient = _locked(db, patient_id)
    paused = patient.paused_until is not None and patient.paused_until > now
    patient.paused_until = patient.pause_reason = None
    if paused:
        journal.append(
            db, "patient_resumed", at=now, clinic_id=patient.clinic_id, patient_id=patient_id, data={"by": by}
        )
        release(db, "patient_paused", now=now, patient_id=patient_id)
    return paused


def _locked(db: Session, patient_id: int) -> Patient:
    patient = db.get(Patient, patient_id, with_for_update={"key_share": True})
    if patient is None:
        raise NoSuchPatient(f"There is no patient {patient_id}.")
    return patient
