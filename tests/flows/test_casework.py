"""Reading rows into cases: what is known of a patient, and rows with which nobody can compute."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.case import Told
from service.domain.consent import Standing
from service.flows import casework
from service.flows.casework import FactsError
from service.store import content
from service.store.tables import Clinic, Holiday, Patient, PlanVersion, TemplateVersion
from tests.store import factories
from tests.store.factories import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Sessions = sessionmaker[Session]


def load(
    sessions: Sessions, *patients: Patient, now: datetime = NOW, answers_understood: bool = True
) -> casework.Cases:
    with sessions.begin() as db:
        ids = [patient.id for patient in patients]
        return casework.load_cases(db, ids, now=now, answers_understood=answers_understood)


def make(sessions: Sessions, **over: Any) -> Patient:
    with sessions.begin() as db:
        return factories.patient(db, factories.clinic(db), **over)


# what is known


def test_a_case_holds_the_clinics_clock_contacts_and_choices(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db, languages="es, en", rule_hours={"rub": 48}, crisis_line="988", encoding="native")
        db.execute(insert(Holiday).values(clinic_id=clinic.id, day=date(2026, 12, 25)))
        patient = factories.patient(db, clinic)
    facts = load(sessions, patient, answers_understood=False)[patient.id].clinic
    assert (facts.zone, facts.languages, facts.holidays) == (
        ZoneInfo("America/Chicago"),
        ("es", "en"),
        frozenset({date(2026, 12, 25)}),
    )
    assert (facts.rule_hours, facts.crisis_line, facts.transliterate) == ({"rub": 48.0}, "988", False)
    assert facts.answers_understood is False


@pytest.mark.parametrize(("own", "read"), [(None, "es"), ("tr", "tr")], ids=["the clinic's first", "the patient's"])
def test_a_patient_is_texted_in_one_language(sessions: Sessions, own: str | None, read: str) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db, languages="es,en"), language=own, time_zone="Asia/Tokyo")
    facts = load(sessions, patient)[patient.id].patient
    assert (facts.language, facts.zone) == (read, ZoneInfo("Asia/Tokyo"))


def test_consent_is_read_from_the_ledger_of_the_present_number(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        agreed, refused, moved, silent = (factories.patient(db, clinic) for _ in range(4))
        numberless = factories.patient(db, clinic, phone=None)
        factories.grant(db, agreed, at=NOW - 3 * DAY, method="text")
        factories.grant(db, agreed, at=NOW - 2 * DAY)
        factories.grant(db, refused, at=NOW - 3 * DAY)
        factories.grant(db, refused, at=NOW - 2 * DAY, granted=False)
        factories.grant(db, moved)
        moved.phone = "+12025559999"
    cases = load(sessions, agreed, refused, moved, silent, numberless)

    def known(patient: Patient) -> tuple[Standing, datetime | None, bool]:
        facts = cases[patient.id].patient
        return facts.standing, facts.consented_at, facts.consented_by_text

    assert known(agreed) == (Standing.GRANTED, NOW - 3 * DAY, True)
    assert known(refused) == (Standing.REVOKED, None, False)
    for patient in (moved, silent, numberless):
        assert known(patient) == (Standing.NONE, None, False)


def test_sessions_come_in_order_each_with_its_own_patient(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        one, other = factories.patient(db, clinic), factories.patient(db, clinic)
        later = factories.session(db, one, scheduled_start=NOW + 9 * DAY, confirmed_start=NOW + 9 * DAY)
        sooner = factories.session(db, one, scheduled_start=NOW + 2 * DAY, status="completed", completed_at=NOW)
        factories.session(db, other)
    cases = load(sessions, one, other)
    assert [s.id for s in cases[one.id].sessions] == [sooner.id, later.id]
    assert cases[one.id].sessions[0].completed_at == NOW
    assert cases[one.id].sessions[1].confirmed_start == NOW + 9 * DAY
    assert len(cases[other.id].sessions) == 1


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        pytest.param({"state": "sent", "sent_at": NOW}, [Told(NOW, NOW + DAY)], id="sent"),
        pytest.param({"state": "sending", "claimed_at": NOW}, [Told(NOW, NOW + DAY)], id="leaving"),
        pytest.param({"state": "unconfirmed", "sent_at": NOW}, [Told(NOW, NOW + DAY)], id="perhaps sent"),
        pytest.param({"state": "planned"}, [], id="not yet"),
        pytest.param({"state": "failed", "sent_at": NOW}, [], id="never arrived"),
        pytest.param({"state": "sent", "sent_at": NOW, "told_start": None}, [], id="a text that names no time"),
        pytest.param({"state": "sent"}, [], id="a text that left nobody knows when"),
        pytest.param({"state": "sent", "sent_at": NOW, "step": "cancelled"}, [Told(NOW, NOW + DAY, True)], id="off"),
        pytest.param({"state": "sent", "sent_at": NOW, "step": "gone"}, [Told(NOW, NOW + DAY)], id="of an old plan"),
    ],
)
def test_what_a_patient_has_been_told_of_a_start(sessions: Sessions, columns: dict[str, Any], told: list[Told]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        session = factories.session(db, patient)
        about = {"session_id": session.id, "kind": "plan", "step": "pre_1d", "told_start": NOW + DAY}
        factories.message(db, patient, **about | columns)
    (facts,) = load(sessions, patient)[patient.id].sessions
    assert list(facts.told) == told


def test_what_was_told_to_another_patient_was_not_told(sessions: Sessions) -> None:
    """The session had been booked for the wrong one of the two."""
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        wrong, right = factories.patient(db, clinic), factories.patient(db, clinic)
        session = factories.session(db, right)
        sent = {"kind": "plan", "step": "booked", "state": "sent", "sent_at": NOW, "told_start": NOW + DAY}
        factories.message(db, wrong, session_id=session.id, **sent)
    assert load(sessions, wrong, right)[right.id].sessions[0].told == ()


def test_what_another_clinic_told_a_patient_still_counts(sessions: Sessions) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        session = factories.session(db, patient)
        sent = {"kind": "plan", "step": "booked", "state": "sent", "sent_at": NOW, "told_start": NOW + DAY}
        factories.message(db, patient, session_id=session.id, clinic_id=factories.clinic(db).id, **sent)
    assert load(sessions, patient)[patient.id].sessions[0].told == (Told(NOW, NOW + DAY),)


def test_many_patients_take_as_many_statements_as_one(sessions: Sessions) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        patients = [factories.patient(db, clinic) for _ in range(20)]
        for patient in patients:
            factories.grant(db, patient)
            factories.session(db, patient)
    load(sessions, patients[0])
    statements: list[str] = []
    engine = sessions.kw["bind"]

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    load(sessions, patients[0])
    for_one = len(statements)
    load(sessions, *patients)
    event.remove(engine, "before_cursor_execute", note)
    assert len(statements) == 2 * for_one


# clinics


def test_a_clinic_that_another_program_wrote_gets_the_shipped_plan(sessions: Sessions) -> None:
    patient = make(sessions)
    cases = load(sessions, patient)
    with sessions.begin() as db:
        version_id, plan = casework.live_plan(db, patient.clinic_id, now=NOW)
        texts = casework.live_texts(db, patient.clinic_id)
    assert cases[patient.id].plan == plan
    assert (cases.clinics[patient.clinic_id].version_id, cases.clinics[patient.clinic_id].sender_id) == (version_id, 1)
    shipped = next(t for t in content.shipped_templates()["templates"] if t["key"] == "aftercare_1")
    assert texts["aftercare_1", "en"].text == shipped["text"]["en"]
    assert texts["aftercare_1", "en"].rules == tuple(shipped["rules"])
    assert (texts["aftercare_1", "en"].plain, texts["red_flag", "tr"].plain) == (False, True)


def test_a_text_of_the_clinics_own_carries_no_rules(sessions: Sessions) -> None:
    patient = make(sessions)
    with sessions.begin() as db:
        own = {"clinic_id": patient.clinic_id, "key": "parking", "language": "en", "version": 1, "text": "Park behind."}
        db.execute(insert(TemplateVersion).values(**own, state="live", created_at=NOW, created_by="test"))
        text = casework.live_texts(db, patient.clinic_id)["parking", "en"]
    assert (text.text, text.rules, text.plain) == ("Park behind.", (), False)


# rows with which nobody can compute

CLINIC_FAULTS = {
    "a zone that is none": ({"time_zone": "America/Nowhere"}, "'America/Nowhere' is no time zone"),
    "a zone that is a folder": ({"time_zone": "America"}, "'America' is no time zone"),
    "a zone that is a path": ({"time_zone": "../etc/passwd"}, "is no time zone"),
    "hours that are none": ({"hours": "always"}, "its hours make no sense"),
    "a window that never opens": ({"window_opens": "19:00", "window_closes": "09:00"}, "is never open"),
    "a window that is no time": ({"window_opens": "nine"}, "its hours make no sense"),
    "rules without durations": ({"rule_hours": {"rub": None}}, "its hours make no sense"),
    "rules that are a list": ({"rule_hours": []}, "its hours make no sense"),
}


@pytest.mark.parametrize(("columns", "words"), CLINIC_FAULTS.values(), ids=CLINIC_FAULTS.keys())
def test_a_clinics_fault_leaves_out_its_patients_and_nobody_else(
    sqlite_sessions: Sessions, columns: dict[str, Any], words: str
) -> None:
    one, other = make(sqlite_sessions), make(sqlite_sessions)
    with sqlite_sessions.begin() as db:
        db.execute(update(Clinic).where(Clinic.id == one.clinic_id).values(columns))
    cases = load(sqlite_sessions, one, other)
    assert list(cases) == [other.id]
    assert cases.faults.keys() == {one.id}
    fault = cases.faults[one.id]
    assert fault.whose == f"clinic {one.clinic_id}"
    assert str(fault).startswith(f"The data of clinic {one.clinic_id} can not be used: ")
    assert words in str(fault)


def no_plan_is_live(db: Session, clinic_id: int) -> None:
    db.execute(update(PlanVersion).where(PlanVersion.clinic_id == clinic_id).values(live=False))


def the_plan_is_no_plan(db: Session, clinic_id: int) -> None:
    db.execute(update(PlanVersion).where(PlanVersion.clinic_id == clinic_id).values(document={"steps": []}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(no_plan_is_live, "none of them is live"), (the_plan_is_no_plan, "its care plan can not be read")],
)
def test_a_clinic_without_a_plan_leaves_out_its_patients(
    sqlite_sessions: Sessions, spoil: Callable[[Session, int], None], words: str
) -> None:
    patient = make(sqlite_sessions)
    load(sqlite_sessions, patient)
    with sqlite_sessions.begin() as db:
        spoil(db, patient.clinic_id)
    assert words in str(load(sqlite_sessions, patient).faults[patient.id])


def test_a_patients_fault_leaves_out_the_patient_alone(sqlite_sessions: Sessions) -> None:
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db)
        one, other = factories.patient(db, clinic, time_zone="Mars/Olympus"), factories.patient(db, clinic)
    cases = load(sqlite_sessions, one, other)
    assert (list(cases), cases.faults[one.id].whose) == ([other.id], f"patient {one.id}")


@pytest.mark.parametrize(
    ("phone", "usable"),
    [
        (None, True),
        ("", True),
        ("+1202555", True),
        ("+491512345678901", True),
        ("+120255", False),
        ("+4915123456789012", False),
        ("2025550123", False),
        ("+1 202 555 0123", False),
        ("+1202555012x", False),
        ("+\u0661202555012", False),
    ],
)
def test_a_number_is_written_as_the_provider_reads_it(
    sqlite_sessions: Sessions, phone: str | None, usable: bool
) -> None:
    patient = make(sqlite_sessions, phone=phone)
    cases = load(sqlite_sessions, patient)
    assert (patient.id in cases, patient.id in cases.faults) == (usable, not usable)
    if not usable:
        assert str(cases.faults[patient.id]) == (
            f"The data of patient {patient.id} can not be used: its number is not written with + and country code."
        )


UNREADABLE = {
    "a session": "UPDATE treatment_session SET scheduled_start = :bad WHERE patient_id = :patient",
    "the patient": "UPDATE patient SET added_at = :bad WHERE id = :patient",
    "what was agreed": "INSERT INTO consent (clinic_id, number, kind, at)"
    " SELECT clinic_id, phone, 'granted', :bad FROM patient WHERE id = :patient",
}


@pytest.mark.parametrize("statement", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_rows_that_can_not_be_read_leave_out_the_patient_alone(
    sessions: Sessions, database_url: str, statement: str
) -> None:
    bad = "next Tuesday" if database_url.startswith("sqlite") else "infinity"
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        people = [factories.patient(db, clinic) for _ in range(5)]
        for patient in people:
            factories.session(db, patient)
    with sessions.begin() as db:
        db.execute(text(statement), {"bad": bad, "patient": people[2].id})
    cases = load(sessions, *people)
    assert sorted(cases) == [patient.id for patient in people if patient is not people[2]]
    assert all(len(case.sessions) == 1 for case in cases.values())
    assert str(cases.faults[people[2].id]) == (
        f"The data of patient {people[2].id} can not be used: one of its rows holds a date or time, or another value,"
        " that can not be read."
    )


def test_a_clinic_whose_row_can_not_be_read_leaves_out_its_patients(sqlite_sessions: Sessions) -> None:
    one, other = make(sqlite_sessions), make(sqlite_sessions)
    with sqlite_sessions.begin() as db:
        db.execute(text("UPDATE clinic SET live_from = 'soon' WHERE id = :id"), {"id": one.clinic_id})
    cases = load(sqlite_sessions, one, other)
    assert (list(cases), cases.faults[one.id].whose) == ([other.id], f"clinic {one.clinic_id}")
    assert cases.unusable == {one.clinic_id}


def test_reading_a_clinic_alone_says_what_is_wrong_with_it(sqlite_sessions: Sessions) -> None:
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db, time_zone="")
        with pytest.raises(FactsError, match="'' is no time zone"):
            casework.clinic_facts(db, clinic, answers_understood=True)


# a ledger whose clock is ahead of ours


def test_who_has_agreed_on_a_clock_that_is_ahead_is_textable_from_then_on(sqlite_sessions: Sessions) -> None:
    patient = make(sqlite_sessions)
    with sqlite_sessions.begin() as db:
        factories.grant(db, patient, at=NOW + timedelta(minutes=23))
    facts = load(sqlite_sessions, patient)[patient.id].patient
    assert (facts.standing, facts.textable_since) == (Standing.GRANTED, NOW + timedelta(minutes=23))


def test_a_line_years_ahead_does_not_keep_a_newer_one_from_counting(sqlite_sessions: Sessions) -> None:
    patient = make(sqlite_sessions)
    with sqlite_sessions.begin() as db:
        factories.grant(db, patient, at=NOW + timedelta(days=13_000))
        db.get_one(Patient, patient.id).textable_since = NOW + timedelta(days=13_000)
        factories.grant(db, patient, at=NOW)
    assert load(sqlite_sessions, patient)[patient.id].patient.textable_since == NOW
