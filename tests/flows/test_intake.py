"""What is recorded of sessions and patients when a source tells of them, and what is left alone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.session_record import Agreement, SessionRecord
from service.flows.intake import Origin, Outcome, foresee_sessions, record_session, record_sessions
from service.store.tables import Clinic, Consent, Patient, Task, TreatmentSession
from tests.store import factories
from tests.store.factories import NOW

START = datetime(2026, 3, 16, 15, 0, tzinfo=UTC)
ORIGIN = Origin("csv", "march.csv")
FIRST = replace(ORIGIN, imported=True)
V1, V2, V3 = (f"2026-03-0{n}T08:00:00.000000Z" for n in (1, 2, 3))

BOOKED = SessionRecord(
    external_id="APT-1",
    patient_external_id="MRN-1",
    start=START,
    status="booked",
    first_name="Robin",
    last_name="Sample",
    phone="+13122000001",
    language="es",
    end=START + timedelta(minutes=20),
    source_version=V2,
)
SAYS_NOTHING = replace(
    BOOKED, first_name=None, last_name=None, phone=None, language=None, end=None, source_version=None
)
DONE = replace(BOOKED, status="completed", completed_at=START + timedelta(minutes=31))
ASSUMED = replace(BOOKED, status="completed", completed_at=BOOKED.end, completed_assumed=True)


@pytest.fixture
def clinic(sessions: sessionmaker[Session]) -> Clinic:
    with sessions.begin() as db:
        return factories.clinic(db)


@pytest.fixture
def record(sessions: sessionmaker[Session], clinic: Clinic) -> Any:
    """Records entries, one after the other, and then clears the marks as planning would."""

    def recording(*entries: SessionRecord, origin: Origin = ORIGIN, now: datetime = NOW) -> list[Outcome]:
        outcomes = []
        for entry in entries:
            with sessions.begin() as db:
                db.execute(update(Patient).values(marked=False))
                outcomes.append(record_session(db, entry, clinic=clinic, now=now, origin=origin))
        return outcomes

    return recording


@pytest.fixture
def rows(sessions: sessionmaker[Session]) -> Any:
    def reading(table: Any) -> Sequence[Any]:
        with sessions() as db:
            return db.scalars(select(table).order_by(table.id)).all()

    return reading


def test_a_new_session_of_a_new_patient(record: Any, rows: Any, clinic: Clinic) -> None:
    assert record(BOOKED) == ["created"]
    (patient,), (session,) = rows(Patient), rows(TreatmentSession)
    assert (patient.clinic_id, patient.external_id, patient.phone, patient.language) == (
        *(clinic.id, "MRN-1"),
        *("+13122000001", "es"),
    )
    assert (patient.first_name, patient.last_name, patient.may_ask) == ("Robin", "Sample", False)
    assert (session.patient_id, session.external_id, session.source) == (patient.id, "APT-1", "csv")
    assert (session.scheduled_start, session.scheduled_end, session.status) == (BOOKED.start, BOOKED.end, "booked")
    assert (session.source_version, session.imported, patient.imported) == (V2, False, False)
    assert patient.marked
    assert rows(Consent) == []


@pytest.mark.parametrize(
    ("entries", "outcomes"),
    [
        pytest.param([BOOKED, BOOKED], ["created", "unchanged"], id="told twice"),
        pytest.param([BOOKED, SAYS_NOTHING], ["created", "unchanged"], id="told again without the details"),
        pytest.param([BOOKED, replace(BOOKED, source_version=V3)], ["created", "unchanged"], id="only a newer version"),
        pytest.param([BOOKED, replace(BOOKED, source_version=V1)], ["created", "stale"], id="an older version"),
        pytest.param([BOOKED, replace(DONE, source_version=V1)], ["created", "stale"], id="old news"),
        pytest.param([SAYS_NOTHING, BOOKED], ["created", "changed"], id="now with the details"),
        pytest.param([BOOKED, replace(BOOKED, status="cancelled")], ["created", "changed"], id="cancelled"),
        pytest.param([BOOKED, replace(BOOKED, start=START + timedelta(days=1))], ["created", "changed"], id="moved"),
        pytest.param([BOOKED, replace(BOOKED, language="en")], ["created", "changed"], id="another language"),
        pytest.param([BOOKED, replace(BOOKED, patient_external_id="MRN-2")], ["created", "changed"], id="merged"),
        pytest.param([BOOKED, DONE, DONE], ["created", "changed", "unchanged"], id="completed"),
    ],
)
def test_outcomes(record: Any, entries: list[SessionRecord], outcomes: list[str]) -> None:
    assert record(*entries) == outcomes


def test_what_is_told_again_marks_nobody_and_writes_nothing(record: Any, rows: Any) -> None:
    record(BOOKED, BOOKED)
    assert [patient.marked for patient in rows(Patient)] == [False]
    record(replace(BOOKED, source_version=V3))
    assert [patient.marked for patient in rows(Patient)] == [False]
    assert [session.source_version for session in rows(TreatmentSession)] == [V3]


def test_nothing_of_a_stale_row_is_taken(record: Any, rows: Any) -> None:
    record(BOOKED, replace(BOOKED, source_version=V1, phone="+13122000009", patient_external_id="MRN-9"))
    assert [(patient.external_id, patient.phone) for patient in rows(Patient)] == [("MRN-1", "+13122000001")]


def test_what_a_source_does_not_say_stays(record: Any, rows: Any) -> None:
    record(BOOKED, SAYS_NOTHING)
    (patient,), (session,) = rows(Patient), rows(TreatmentSession)
    assert (patient.first_name, patient.phone, patient.language) == ("Robin", "+13122000001", "es")
    assert (session.scheduled_end, session.source_version) == (BOOKED.end, V2)


def test_the_end_of_another_day_is_not_kept(record: Any, rows: Any) -> None:
    record(BOOKED, replace(SAYS_NOTHING, start=START + timedelta(days=1)))
    assert [session.scheduled_end for session in rows(TreatmentSession)] == [None]


@pytest.mark.parametrize(
    ("entries", "completed_at", "assumed"),
    [
        pytest.param([ASSUMED], BOOKED.end, True, id="assumed from the planned end"),
        pytest.param([ASSUMED, DONE], DONE.completed_at, False, id="then noted"),
        pytest.param([DONE, ASSUMED], DONE.completed_at, False, id="noted is not given up for assumed"),
        pytest.param([DONE, replace(DONE, completed_at=None)], DONE.completed_at, False, id="nor for nothing"),
        pytest.param([ASSUMED, replace(ASSUMED, completed_at=START)], START, True, id="assumed anew"),
        pytest.param([DONE, replace(BOOKED, status="not_done")], None, False, id="it was not done after all"),
    ],
)
def test_when_it_was_completed(
    record: Any, rows: Any, entries: list[SessionRecord], completed_at: datetime | None, assumed: bool
) -> None:
    record(*entries)
    (session,) = rows(TreatmentSession)
    assert (session.completed_at, session.completed_assumed) == (completed_at, assumed)


def test_a_session_moves_to_the_patient_it_belongs_to(record: Any, rows: Any) -> None:
    record(BOOKED, replace(BOOKED, patient_external_id="MRN-2"))
    patients = {patient.external_id: patient for patient in rows(Patient)}
    assert [session.patient_id for session in rows(TreatmentSession)] == [patients["MRN-2"].id]
    assert all(patient.marked for patient in patients.values())


def test_the_first_import_is_known_as_such(record: Any, rows: Any) -> None:
    record(BOOKED, origin=FIRST)
    record(replace(BOOKED, external_id="APT-2"), replace(BOOKED, external_id="APT-3", patient_external_id="MRN-3"))
    assert [session.imported for session in rows(TreatmentSession)] == [True, False, False]
    assert [patient.imported for patient in rows(Patient)] == [True, False]


def test_sources_and_clinics_have_ids_of_their_own(
    record: Any, rows: Any, sessions: sessionmaker[Session], clinic: Clinic
) -> None:
    with sessions.begin() as db:
        other = factories.clinic(db)
        assert record_session(db, BOOKED, clinic=other, now=NOW, origin=ORIGIN) == "created"
    assert record(BOOKED) == ["created"]
    assert record(BOOKED, origin=Origin("fhir", "feed")) == ["created"]
    assert len(rows(TreatmentSession)) == 3
    assert len(rows(Patient)) == 2


def test_many_rows_at_once(sessions: sessionmaker[Session], clinic: Clinic, rows: Any) -> None:
    entries = [
        replace(BOOKED, external_id=f"APT-{n}", patient_external_id=f"MRN-{n % 7}", phone=f"+131220000{n % 7:02}")
        for n in range(40)
    ]
    with sessions.begin() as db:
        assert set(record_sessions(db, entries[:20], clinic=clinic, now=NOW, origin=ORIGIN)) == {"created"}
    with sessions.begin() as db:
        outcomes = record_sessions(db, entries, clinic=clinic, now=NOW, origin=ORIGIN)
    assert outcomes == ["unchanged"] * 20 + ["created"] * 20
    assert (len(rows(Patient)), len(rows(TreatmentSession))) == (7, 40)


def test_foreseeing_writes_nothing(sessions: sessionmaker[Session], clinic: Clinic, rows: Any) -> None:
    with sessions.begin() as db:
        assert foresee_sessions(db, [BOOKED], clinic=clinic, origin=ORIGIN) == ["created"]
    assert rows(Patient) == []


GRANTED = replace(BOOKED, consent=Agreement.GRANTED)
ASK = replace(BOOKED, consent=Agreement.MAY_ASK)
REFUSED = replace(BOOKED, consent=Agreement.REFUSED)
NEW_NUMBER = "+13122000002"


def ledger(rows: Any) -> list[tuple[str, str]]:
    return [(line.number, line.kind) for line in rows(Consent)]


def questions(rows: Any) -> list[str]:
    return [task.kind for task in rows(Task)]


def test_consent_on_file_is_entered_with_the_file_as_evidence(record: Any, rows: Any, clinic: Clinic) -> None:
    record(GRANTED, GRANTED)
    (line,) = rows(Consent)
    assert (line.clinic_id, line.number, line.kind, line.at) == (clinic.id, "+13122000001", "granted", NOW)
    assert (line.method, line.evidence, line.sender_id) == ("import", "march.csv", None)


def test_consent_may_come_later_for_a_session_that_has_not_changed(record: Any, rows: Any) -> None:
    assert record(BOOKED, GRANTED) == ["created", "unchanged"]
    assert ledger(rows) == [("+13122000001", "granted")]
    assert [patient.marked for patient in rows(Patient)] == [True]


def test_a_patient_without_a_number_consents_to_nothing(record: Any, rows: Any) -> None:
    record(replace(SAYS_NOTHING, consent=Agreement.GRANTED), replace(SAYS_NOTHING, consent=Agreement.MAY_ASK))
    assert ledger(rows) == []
    assert [patient.may_ask for patient in rows(Patient)] == [False]


def test_one_number_in_one_batch_is_entered_once(sessions: sessionmaker[Session], clinic: Clinic, rows: Any) -> None:
    mother = replace(GRANTED, external_id="APT-2", patient_external_id="MRN-2")
    with sessions.begin() as db:
        record_sessions(db, [GRANTED, mother], clinic=clinic, now=NOW, origin=ORIGIN)
    assert ledger(rows) == [("+13122000001", "granted")]


@pytest.mark.parametrize("entry", [GRANTED, ASK], ids=["on file", "ask"])
def test_an_import_never_overrides_a_withdrawal(
    record: Any, rows: Any, sessions: sessionmaker[Session], entry: SessionRecord
) -> None:
    record(GRANTED)
    with sessions.begin() as db:
        factories.grant(db, db.scalars(select(Patient)).one(), granted=False, at=NOW)
    record(entry, entry, now=NOW + timedelta(days=1))
    assert ledger(rows) == [("+13122000001", "granted"), ("+13122000001", "revoked")]
    assert [patient.may_ask for patient in rows(Patient)] == [False]


def test_who_may_be_asked_is_asked_and_not_texted(record: Any, rows: Any) -> None:
    assert record(ASK, BOOKED, ASK) == ["created", "unchanged", "unchanged"]
    assert [(patient.may_ask, patient.marked) for patient in rows(Patient)] == [(True, False)]
    assert ledger(rows) == []


def test_the_file_says_no_and_the_ledger_yes(record: Any, rows: Any) -> None:
    record(GRANTED, REFUSED, REFUSED)
    (task,) = rows(Task)
    assert (task.kind, task.state, task.patient_id) == ("consent_doubted", "open", rows(Patient)[0].id)
    assert ledger(rows) == [("+13122000001", "granted")]


def test_a_plain_no_leaves_the_patient_untexted(record: Any, rows: Any) -> None:
    record(REFUSED)
    assert (ledger(rows), questions(rows)) == ([], [])


@pytest.mark.parametrize(
    ("entry", "entered", "asked"),
    [
        pytest.param(BOOKED, False, ["number_changed"], id="no word about consent"),
        pytest.param(REFUSED, False, ["number_changed"], id="the file says no"),
        pytest.param(GRANTED, True, [], id="consent on file covers it"),
        pytest.param(ASK, False, [], id="the patient may be asked by text"),
    ],
)
def test_a_new_number_needs_consent_of_its_own(
    record: Any, rows: Any, entry: SessionRecord, entered: bool, asked: list[str]
) -> None:
    changed = replace(entry, phone=NEW_NUMBER)
    assert record(GRANTED, changed, changed) == ["created", "changed", "unchanged"]
    assert (("+13122000002", "granted") in ledger(rows)) is entered
    assert questions(rows) == asked
    (patient,) = rows(Patient)
    assert (patient.phone, patient.may_ask) == ("+13122000002", entry is ASK)


def test_leave_to_ask_does_not_pass_on_to_another_number(record: Any, rows: Any) -> None:
    record(ASK, replace(BOOKED, phone=NEW_NUMBER))
    assert [patient.may_ask for patient in rows(Patient)] == [False]
    assert questions(rows) == ["number_changed"]


def test_a_first_number_is_no_change(record: Any, rows: Any) -> None:
    record(SAYS_NOTHING, BOOKED)
    assert questions(rows) == []


def test_a_new_number_that_has_consent_raises_no_question(
    record: Any, rows: Any, sessions: sessionmaker[Session], clinic: Clinic
) -> None:
    record(BOOKED)
    with sessions.begin() as db:
        factories.grant(db, factories.patient(db, clinic, phone=NEW_NUMBER))
    record(replace(BOOKED, phone=NEW_NUMBER))
    assert questions(rows) == []


def test_a_new_number_that_was_withdrawn_stays_withdrawn_and_staff_are_told(
    record: Any, rows: Any, sessions: sessionmaker[Session], clinic: Clinic
) -> None:
    record(GRANTED)
    with sessions.begin() as db:
        factories.grant(db, factories.patient(db, clinic, phone=NEW_NUMBER), granted=False)
    record(replace(GRANTED, phone=NEW_NUMBER))
    assert ("+13122000002", "granted") not in ledger(rows)
    assert questions(rows) == ["number_changed"]
