"""What can be seen of a database from outside."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from service.assembly import utc_now
from service.store import diagnosis
from service.store.database import create_engine_for
from tests.store import factories


def test_the_databases_own_clock(sessions: sessionmaker[Session]) -> None:
    with sessions() as db:
        assert abs(diagnosis.clock(db) - utc_now()) < timedelta(minutes=1)


def test_a_migrated_database_has_every_trigger(database_url: str) -> None:
    engine = create_engine_for(database_url)
    wanted = diagnosis.triggers_wanted()
    assert wanted
    assert wanted <= diagnosis.triggers(engine)
    with engine.begin() as connection:
        on = " ON treatment_session" if engine.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER session_changed{on}"))
    assert wanted - diagnosis.triggers(engine) == {"session_changed"}
    engine.dispose()


def test_the_zones_that_clinics_and_patients_name(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db, time_zone="America/Chicago")
        factories.patient(db, clinic, time_zone="Asia/Tokyo")
        factories.patient(db, clinic)
        assert diagnosis.zones_named(db) == {"America/Chicago", "Asia/Tokyo"}
