"""Adding a clinic, changing it and showing it. A clinic begins with the shipped plan and texts, approved by nobody yet."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.domain.errors import AftercareError
from service.flows.clinic_options import Options, OptionsError, check_key, doubts, read_options
from service.store import content, journal
from service.store.inserts import insert_new
from service.store.tables import Clinic, Holiday

_SHOWN = (
    *(
        "id",
        "key",
        "name",
        "sms_name",
        "time_zone",
        "country",
        "phone",
        "emergency",
        "after_hours",
        "crisis_line",
        "hours",
    ),
    *("interval_weeks", "plan", "live_from", "imported_at", "encoding", "window_opens", "window_closes", "sender_id"),
    *("keep_texts_months", "keep_consent_years", "keep_raw_days", "sample", "paused_at", "pause_reason"),
)


class ClinicExistsError(AftercareError):
    """A clinic of that key is there; nothing was changed."""


def add_clinic(
    db: Session, key: str, *, given: Options, holidays: Mapping[date, str] | None, by: str, now: datetime
) -> list[str]:
    """Add a clinic with its plan and texts; returns what may not be meant. Raises OptionsError or ClinicExistsError."""
    check_key(key)
    values = read_options({"live_from": now.isoformat()} | dict(given), country=None, zone=None)
    clinic_id = insert_new(db, Clinic, key=key, **values)
    if clinic_id is None:
        raise ClinicExistsError(
            f"There is a clinic {key!r}, and it was not changed. `aftercare clinic set` changes it."
        )
    content.seed_defaults(db, clinic_id, now=now, by="shipped")
    _write_holidays(db, clinic_id, holidays)
    journal.append(db, "clinic_added", at=now, clinic_id=clinic_id, data={"by": by})
    return list(doubts(values))


def set_clinic(
    db: Session, clinic: Clinic, *, given: Options, holidays: Mapping[date, str] | None, by: str, now: datetime
) -> list[str]:
    """Change what is given of a clinic, and leave the rest; returns what may not be meant. Raises OptionsError.

    Holidays replace those there are. Planning sees by itself what this means for the patients.
    """
    values = read_options(given, country=clinic.country, zone=clinic.time_zone)
    changed = [name for name, value in values.items() if getattr(clinic, name) != value]
    if not values and holidays is None:
        raise OptionsError(["Nothing was given to change. See `aftercare clinic set --help`."])
    if changed:
        db.execute(update(Clinic).where(Clinic.id == clinic.id).values({name: values[name] for name in changed}))
    _write_holidays(db, clinic.id, holidays)
    which = changed + ([] if holidays is None else ["holidays"])
    journal.append(db, "clinic_changed", at=now, clinic_id=clinic.id, data={"by": by, "what": which})
    return list(doubts(values))


def list_clinics(db: Session) -> list[Clinic]:
    """All clinics, by key."""
    return list(db.scalars(select(Clinic).order_by(Clinic.key)))


def clinic_document(db: Session, clinic: Clinic) -> dict[str, Any]:
    """All that is kept of a clinic, by the names of the options."""
    days = select(Holiday).where(Holiday.clinic_id == clinic.id).order_by(Holiday.day)
    return {name: getattr(clinic, name) for name in _SHOWN} | {
        "languages": clinic.languages.split(","),
        "page": [number for number in clinic.page_numbers.split(",") if number],
        "holidays": [{"day": str(holiday.day), "name": holiday.name} for holiday in db.scalars(days)],
    }


def _write_holidays(db: Session, clinic_id: int, holidays: Mapping[date, str] | None) -> None:
    if holidays is None:
        return
    db.execute(delete(Holiday).where(Holiday.clinic_id == clinic_id))
    if holidays:
        rows = [{"clinic_id": clinic_id, "day": day, "name": name} for day, name in holidays.items()]
        db.execute(insert(Holiday), rows)
