"""Whatever program changes a fact: the patients it concerns are marked for planning, and nobody else."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from service.store import consent, journal
from service.store.columns import Table
from service.store.tables import Clinic, Consent, Holiday, JournalEntry, Patient, PlanVersion, TreatmentSession
from tests.store import factories
from tests.store.factories import NOW

LATER = NOW + timedelta(days=40)
SEAL = "#" + "x" * 19

PLANNING_RESTS_ON: dict[type[Table], Mapping[str, Any]] = {
    Patient: {
        "clinic_id": "another clinic",
        "phone": "+12025559999",
        "language": "es",
        "time_zone": "America/Denver",
        "status": "inactive",
        "privacy": "strict",
        "interval_weeks": 13,
        "authorisation_ends": date(2026, 9, 1),
        "may_ask": True,
        "paused_until": LATER,
    },
    TreatmentSession: {
        "clinic_id": "another clinic",
        "patient_id": "another patient",
        "scheduled_start": LATER,
        "scheduled_end": LATER,
        "completed_at": LATER,
        "status": "cancelled",
    },
    Clinic: {
        "time_zone": "America/Denver",
        "plan": "lite",
        "interval_weeks": 13,
        "window_opens": "10:00",
        "window_closes": "18:00",
        "live_from": LATER,
        "rule_hours": {"bend": 12},
        "sender_id": "another sender",
        "languages": "es",
    },
}
PLANNING_DOES_NOT: dict[type[Table], Mapping[str, Any]] = {
    Patient: {
        "external_id": "MRN-X",
        "erased_at": LATER,
        "first_name": "Kim",
        "last_name": "Other",
        "imported": True,
        "added_at": LATER,
        "pause_reason": "asked for it",
        "textable_since": LATER,
        "marked": False,
    },
    TreatmentSession: {
        "external_id": "S-X",
        "source": "fhir",
        "source_version": "2",
        "imported": True,
        "completed_assumed": True,
        "planned_start": LATER,
        "planned_status": "booked",
        "booked_at": LATER,
        "moved_at": LATER,
        "moves": 1,
        "cancelled_at": LATER,
        "cancels": 1,
        "no_show_at": LATER,
        "completion_known_at": LATER,
        "confirmed_start": LATER,
    },
    Clinic: {
        "keep_texts_months": 12,
        "keep_consent_years": 4,
        "keep_raw_days": 7,
        "key": "other",
        "name": "Other Clinic",
        "sms_name": "Other",
        "country": "CA",
        "phone": "+13125559999",
        "emergency": "112",
        "after_hours": "+13125559998",
        "crisis_line": "988",
        "hours": "Mon-Sat 08:00-12:00",
        "page_numbers": "+13125559997",
        "encoding": "native",
        "imported_at": LATER,
        "sample": True,
        "paused_at": LATER,
        "pause_reason": "moving house",
    },
}
NEVER_CHANGED: dict[type[Table], set[str]] = {Patient: {"id"}, TreatmentSession: {"id"}, Clinic: {"id"}}
PATIENTS = ("patient", "neighbour", "stranger")


class World:
    """A clinic with two patients, of whom one has a session; and another clinic with a patient. Nobody is marked."""

    def __init__(self, db: Session) -> None:
        self.clinic = factories.clinic(db)
        self.patient = factories.patient(db, self.clinic)
        self.neighbour = factories.patient(db, self.clinic)
        self.session = factories.session(db, self.patient)
        self.other_clinic = factories.clinic(db)
        self.stranger = factories.patient(db, self.other_clinic)
        self.sender = factories.sender(db)
        db.execute(update(Patient).values(marked=False))

    def row(self, table: type[Table]) -> Any:
        return {Patient: self.patient, TreatmentSession: self.session, Clinic: self.clinic}[table]

    def value(self, named: Any) -> Any:
        others = {
            "another clinic": self.other_clinic.id,
            "another patient": self.neighbour.id,
            "another sender": self.sender.id,
        }
        return others.get(named, named) if isinstance(named, str) else named


@contextmanager
def a_world(sessions: sessionmaker[Session]) -> Iterator[tuple[Session, World]]:
    with sessions.begin() as db:
        yield db, World(db)


def marked(db: Session) -> set[int]:
    return set(db.scalars(select(Patient.id).where(Patient.marked)))


def change(db: Session, row: Any, **values: Any) -> None:
    table = type(row)
    db.execute(update(table).where(table.id == row.id).values(values), execution_options={"synchronize_session": False})


def whom_it_marks(
    sessions: sessionmaker[Session], table: type[Table], values: Mapping[str, Any], *, then: Any = ...
) -> dict[str, set[str]]:
    """For each column, whom giving it the value marks; or else whom going on to ``then`` marks."""
    found = {}
    with sessions() as db:
        world = World(db)
        for column, value in values.items():
            with db.begin_nested() as attempt:
                change(db, world.row(table), **{column: world.value(value)})
                if then is not ...:
                    db.execute(update(Patient).values(marked=False))
                    change(db, world.row(table), **{column: world.value(value) if then == "the same" else then})
                found[column] = {name for name in PATIENTS if getattr(world, name).id in marked(db)}
                attempt.rollback()
    return found


def concerned(table: type[Table], column: str) -> set[str]:
    return {"patient", "neighbour"} if table is Clinic or column == "patient_id" else {"patient"}


each_table = pytest.mark.parametrize("table", PLANNING_RESTS_ON, ids=lambda table: table.__tablename__)


@each_table
def test_each_column_is_judged(table: type[Table]) -> None:
    judged = {*PLANNING_RESTS_ON[table], *PLANNING_DOES_NOT[table], *NEVER_CHANGED[table]}
    assert judged == {column.name for column in table.__table__.columns}


@each_table
def test_another_value_that_planning_rests_on_marks_those_it_concerns(
    sessions: sessionmaker[Session], table: type[Table]
) -> None:
    values = PLANNING_RESTS_ON[table]
    assert whom_it_marks(sessions, table, values) == {column: concerned(table, column) for column in values}


@each_table
def test_no_longer_having_a_value_is_a_change(sessions: sessionmaker[Session], table: type[Table]) -> None:
    columns = table.__table__.c
    values = {column: value for column, value in PLANNING_RESTS_ON[table].items() if columns[column].nullable}
    expected = {column: concerned(table, column) for column in values}
    assert whom_it_marks(sessions, table, values, then=None) == expected


@each_table
def test_the_same_value_again_marks_nobody(sessions: sessionmaker[Session], table: type[Table]) -> None:
    values = PLANNING_RESTS_ON[table]
    assert whom_it_marks(sessions, table, values, then="the same") == {column: set() for column in values}


@each_table
def test_a_value_that_planning_does_not_rest_on_marks_nobody(
    sessions: sessionmaker[Session], table: type[Table]
) -> None:
    values = PLANNING_DOES_NOT[table]
    assert whom_it_marks(sessions, table, values) == {column: set() for column in values}


def test_clearing_the_mark_together_with_a_change_keeps_it(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        change(db, world.patient, phone="+12025559999", marked=False)
        assert marked(db) == {world.patient.id}


def add_session(db: Session, world: World) -> None:
    factories.session(db, world.patient)


def remove_session(db: Session, world: World) -> None:
    db.execute(delete(TreatmentSession).where(TreatmentSession.id == world.session.id))


def grant(db: Session, world: World) -> None:
    factories.grant(db, world.patient)


def revoke_at_another_clinic(db: Session, world: World) -> None:
    factories.grant(db, world.patient, clinic_id=world.other_clinic.id, granted=False)


def plan(db: Session, world: World, *, version: int, live: bool) -> PlanVersion:
    row = PlanVersion(
        clinic_id=world.clinic.id, version=version, document={}, live=live, created_at=NOW, created_by="test"
    )
    db.add(row)
    db.flush()
    return row


def add_live_plan(db: Session, world: World) -> None:
    plan(db, world, version=1, live=True)


def put_draft_live(db: Session, world: World) -> None:
    draft = plan(db, world, version=1, live=False)
    assert marked(db) == set()
    draft.live = True
    db.flush()


def two_facts_at_once(db: Session, world: World) -> None:
    db.execute(update(TreatmentSession).values(scheduled_start=LATER, status="cancelled"))


@pytest.mark.parametrize(
    ("act", "whom"),
    [
        (add_session, {"patient"}),
        (remove_session, {"patient"}),
        (two_facts_at_once, {"patient"}),
        (grant, {"patient"}),
        (revoke_at_another_clinic, {"patient"}),
        (add_live_plan, {"patient", "neighbour"}),
        (put_draft_live, {"patient", "neighbour"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_events_that_mark(
    sessions: sessionmaker[Session], act: Callable[[Session, World], None], whom: set[str]
) -> None:
    with a_world(sessions) as (db, world):
        act(db, world)
        assert marked(db) == {getattr(world, name).id for name in whom}


def test_a_number_shared_by_patients_of_two_clinics_marks_both(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        change(db, world.stranger, phone=world.patient.phone)
        db.execute(update(Patient).values(marked=False))
        grant(db, world)
        assert marked(db) == {world.patient.id, world.stranger.id}


def test_events_that_do_not_mark(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        db.add(Holiday(clinic_id=world.clinic.id, day=date(2026, 7, 3)))
        draft = plan(db, world, version=1, live=False)
        draft.created_by = "somebody else"
        db.flush()
        live = plan(db, world, version=2, live=True)
        db.execute(update(Patient).values(marked=False))
        live.live = False
        db.flush()
        assert marked(db) == set()


def test_a_new_patient_is_marked(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        newcomer = factories.patient(db, world.clinic)
        assert marked(db) == {newcomer.id}


def test_what_another_program_writes_in_plain_sql_marks(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        values = {"clinic": world.clinic.id, "patient": world.neighbour.id}
        db.execute(
            text(
                "INSERT INTO treatment_session (clinic_id, patient_id, scheduled_start)"
                " VALUES (:clinic, :patient, '2026-06-01 15:30:00.000000+00:00')"
            ),
            values,
        )
        assert marked(db) == {world.neighbour.id}
        added = db.scalars(select(TreatmentSession).order_by(TreatmentSession.id.desc())).first()
        assert added is not None
        assert added.scheduled_start == datetime(2026, 6, 1, 15, 30, tzinfo=UTC)


CHANGES = {
    "update": lambda table: update(table).values(at=LATER),
    "delete": delete,
}


@pytest.mark.parametrize("event", CHANGES)
@pytest.mark.parametrize("table", [Consent, JournalEntry], ids=["consent", "journal"])
def test_what_only_grows_is_not_changed(sessions: sessionmaker[Session], table: type[Table], event: str) -> None:
    with a_world(sessions) as (db, world):
        grant(db, world)
        journal.append(db, "noted", at=NOW)
    with pytest.raises(IntegrityError, match="append only and nothing was changed: add a"), sessions.begin() as db:
        db.execute(CHANGES[event](table))
    with sessions() as db:
        assert [len(lines) for lines in consent.entries_for(db, [str(world.patient.phone)]).values()] == [1]
        assert [entry.at for entry in db.scalars(select(JournalEntry))] == [NOW]


ALLOWED: dict[str, tuple[type[Table], dict[str, Any]]] = {
    "a number becomes its seal": (Consent, {"number": SEAL}),
    "with it the evidence goes": (Consent, {"number": SEAL, "evidence": None}),
    "a person's words go": (JournalEntry, {"reason": "erased"}),
}
REFUSED: dict[str, tuple[type[Table], dict[str, Any]]] = {
    "another number": (Consent, {"number": "+12025550199"}),
    "a seal and another moment": (Consent, {"number": SEAL, "at": LATER}),
    "a seal and another word": (Consent, {"number": SEAL, "kind": "revoked"}),
    "a seal and another clinic's sender": (Consent, {"number": SEAL, "sender_id": 1}),
    "a seal and other evidence": (Consent, {"number": SEAL, "evidence": "another form"}),
    "evidence alone": (Consent, {"evidence": None}),
    "half a seal": (Consent, {"number": "#short"}),
    "other words": (JournalEntry, {"reason": "on second thoughts"}),
    "no words": (JournalEntry, {"reason": None}),
    "other values": (JournalEntry, {"reason": "erased", "data": {"n": 2}}),
    "another kind": (JournalEntry, {"reason": "erased", "kind": "other"}),
}


def noted(db: Session, world: World) -> None:
    factories.grant(db, world.patient, evidence="form")
    journal.append(db, "noted", at=NOW, reason="she rang", data={"n": 1})


@pytest.mark.parametrize("change", ALLOWED)
def test_what_erasing_takes_out_may_go(sessions: sessionmaker[Session], change: str) -> None:
    table, values = ALLOWED[change]
    with a_world(sessions) as (db, world):
        noted(db, world)
        db.execute(update(table).values(values))
        assert [getattr(db.scalars(select(table)).one(), name) for name in values] == list(values.values())


@pytest.mark.parametrize("change", REFUSED)
def test_nothing_else_may(sessions: sessionmaker[Session], change: str) -> None:
    table, values = REFUSED[change]
    with a_world(sessions) as (db, world):
        noted(db, world)
    with pytest.raises(IntegrityError, match="append only and nothing was changed"), sessions.begin() as db:
        db.execute(update(table).values(values))


def test_a_seal_is_for_good(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, world):
        noted(db, world)
        db.execute(update(Consent).values(number=SEAL))
    with pytest.raises(IntegrityError, match="append only"), sessions.begin() as db:
        db.execute(update(Consent).values(number="#" + "y" * 19))


def test_words_that_were_never_there_do_not_appear(sessions: sessionmaker[Session]) -> None:
    with a_world(sessions) as (db, _):
        journal.append(db, "noted", at=NOW)
    with pytest.raises(IntegrityError, match="append only"), sessions.begin() as db:
        db.execute(update(JournalEntry).values(reason="erased"))
