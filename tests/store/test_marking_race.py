"""On PostgreSQL a change that meets planning waits for it and is never lost; on SQLite there is one writer anyway."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, sessionmaker

from service.store.tables import Clinic, Patient, TreatmentSession
from tests.store import factories
from tests.store.test_triggers import LATER

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def move_the_session(db: Session) -> None:
    db.execute(update(TreatmentSession).values(scheduled_start=LATER))


def book_another(db: Session) -> None:
    factories.session(db, db.scalars(select(Patient)).one())


def move_the_clinic(db: Session) -> None:
    db.execute(update(Clinic).values(time_zone="America/Denver"))


def revoke(db: Session) -> None:
    factories.grant(db, db.scalars(select(Patient)).one(), granted=False)


def change_the_number(db: Session) -> None:
    db.execute(update(Patient).values(phone="+12025559999"))


@pytest.mark.parametrize(
    "act", [move_the_session, book_another, move_the_clinic, revoke, change_the_number], ids=lambda act: act.__name__
)
def test_a_change_during_planning_is_planned_the_next_time(
    sessions: sessionmaker[Session], act: Callable[[Session], None]
) -> None:
    with sessions.begin() as db:
        factories.session(db, factories.patient(db, factories.clinic(db)))

    def change() -> None:
        with sessions.begin() as db:
            act(db)

    with ThreadPoolExecutor(1) as pool, sessions() as watcher:
        with sessions.begin() as planning:
            patient = planning.scalars(select(Patient).where(Patient.marked).with_for_update(key_share=True)).one()
            changed = pool.submit(change)
            while not watcher.scalar(WAITING):
                assert not changed.done(), "the change did not wait"
                watcher.rollback()
            patient.marked = False
        changed.result()
    with sessions() as db:
        assert db.scalar(select(Patient.marked))


def test_many_who_change_sessions_of_one_patient_wait_for_each_other(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))

    def add_and_move(_: int) -> None:
        with sessions.begin() as db:
            factories.session(db, patient).scheduled_end = LATER

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_and_move, range(40)))
    with sessions() as db:
        assert len(list(db.scalars(select(TreatmentSession)))) == 40


def test_a_program_needs_no_rights_to_patients(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        db.execute(update(Patient).values(marked=False))
        db.execute(text("CREATE SCHEMA elsewhere"))
        role = db.scalar(text("SELECT 'feed_' || current_database()"))
        for words in (
            f'CREATE ROLE "{role}"',
            f'GRANT INSERT ON treatment_session TO "{role}"',
            f'GRANT USAGE ON SEQUENCE treatment_session_id_seq TO "{role}"',
            f'SET LOCAL ROLE "{role}"',
            "SET LOCAL search_path = elsewhere",
        ):
            db.execute(text(words))
        db.execute(
            text(
                "INSERT INTO public.treatment_session (clinic_id, patient_id, scheduled_start)"
                " VALUES (:clinic, :patient, '2026-06-01 15:30:00+00')"
            ),
            {"clinic": patient.clinic_id, "patient": patient.id},
        )
        db.execute(text("RESET ROLE"))
        db.execute(text("RESET search_path"))
        assert db.scalar(select(Patient.marked))
        for words in (f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"'):
            db.execute(text(words))
