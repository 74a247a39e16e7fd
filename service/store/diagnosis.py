"""Looking at a database from outside: its clock, its triggers, the zones that its rows name."""

from datetime import datetime

from sqlalchemy import Engine, func, or_, select, text
from sqlalchemy.orm import Session

from service.store.columns import UtcDateTime
from service.store.database import create_engine_for, upgrade
from service.store.tables import Clinic, Patient, TemplateVersion

_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}


def clock(db: Session) -> datetime:
    """What time it is on the database's own clock: to compare with ours, never to plan by."""
    return db.scalars(select(func.current_timestamp(type_=UtcDateTime()))).one()


def triggers(engine: Engine) -> set[str]:
    """The triggers that there are and that work."""
    with engine.connect() as connection:
        return set(connection.scalars(text(_TRIGGERS[engine.dialect.name])))


def triggers_wanted() -> set[str]:
    """The triggers that the schema comes with, read from a fresh database in memory."""
    engine = create_engine_for("sqlite://")
    try:
        upgrade(engine)
        return triggers(engine)
    finally:
        engine.dispose()


def zones_named(db: Session) -> set[str]:
    """Every time zone that a clinic or a patient has."""
    of_clinics, of_patients = select(Clinic.time_zone).distinct(), select(Patient.time_zone).distinct()
    return {zone for zone in (*db.scalars(of_clinics), *db.scalars(of_patients)) if zone is not None}


def unapproved_texts(db: Session) -> list[tuple[str, str, str, int]]:
    """Where live texts of a clinic in its languages lack an approval: the clinic, a text, its language, how many more there are.

    The sample clinic never texts anybody.
    """
    version = TemplateVersion
    lacking = select(Clinic.key, Clinic.languages, version.key, version.language).join_from(version, Clinic)
    lacking = lacking.where(version.state == "live", or_(version.approved_by.is_(None), version.approved_at.is_(None)))
    texts: dict[str, list[tuple[str, str]]] = {}
    for clinic, languages, key, language in db.execute(
        lacking.where(~Clinic.sample).order_by(Clinic.key, version.key, version.language)
    ):
        if language in languages.split(","):
            texts.setdefault(clinic, []).append((key, language))
    return [(clinic, *found[0], len(found) - 1) for clinic, found in texts.items()]
