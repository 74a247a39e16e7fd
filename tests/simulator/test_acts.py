"""Acts of the world: three ways into the database, and each noted as the truth once it stands there."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.flows.planner import plan_pending
from service.simulator.acts import feeds
from service.simulator.acts.records import TruthLostError
from service.simulator.chaos import DiedError
from service.simulator.people import places
from service.store import consent, content
from service.store.tables import Clinic, Installation, Patient, PlanVersion, Sender, TemplateVersion, TreatmentSession
from tests.simulator.stage import DAY, NOON, Stage

HANDS = ("service", "import", "sql")


@pytest.fixture(params=HANDS)
def stage(request: pytest.FixtureRequest, sqlite_sessions: sessionmaker[Session]) -> Stage:
    """The same clinic, told of its sessions in each of the three ways."""
    return Stage(sqlite_sessions, hands=request.param)


def told(stage: Stage) -> tuple[str | None, ...]:
    """What stands of the one session and its patient, in the world's words."""
    with stage.sessions() as db:
        row, patient = db.execute(select(TreatmentSession, Patient).join(Patient)).one()
        return (row.external_id, patient.external_id, row.status, str(row.scheduled_start), str(row.completed_at))


def test_a_session_stands_in_the_database_and_in_the_log(stage: Stage) -> None:
    visit = stage.visit(stage.person(zone="Asia/Tokyo", interval_weeks=10))
    stage.records.tell(visit, by=stage.hands)
    assert told(stage) == ("p0001.1", "p0001", "booked", str(visit.start), "None")
    with stage.sessions() as db:
        patient = db.scalars(select(Patient)).one()
        assert (patient.time_zone, patient.interval_weeks, patient.phone) == ("Asia/Tokyo", 10, visit.person.number)
    (noted,) = stage.noted("session")
    assert (noted["session"], noted["status"], noted["by"]) == ("p0001.1", "booked", stage.hands)
    assert [entry["zone"] for entry in stage.noted("patient")] == ["Asia/Tokyo"]


def test_a_completion_and_its_correction_follow(stage: Stage) -> None:
    visit = stage.visit(stage.person(), NOON)
    stage.records.tell(visit, by=stage.hands)
    visit.status, visit.completed_at = "completed", NOON + timedelta(minutes=31)
    stage.clock.go_on(DAY)
    stage.records.tell(visit, by=stage.hands)
    assert told(stage)[2:] == ("completed", str(NOON), str(visit.completed_at))
    assert [entry["status"] for entry in stage.noted("session")] == ["booked", "completed"]


def test_what_is_told_twice_is_noted_once(stage: Stage) -> None:
    visit = stage.visit(stage.person())
    for _ in range(2):
        stage.records.tell(visit, by=stage.hands)
    assert len(stage.noted("session")) == len(stage.noted("patient")) == 1


@pytest.mark.parametrize("hands", ["service", "import"])
def test_a_feed_that_says_yes_gives_consent_once_for_a_number_nobody_spoke_of(
    sqlite_sessions: sessionmaker[Session], hands: str
) -> None:
    stage = Stage(sqlite_sessions, hands=hands)
    person = stage.person()
    visit = stage.visit(person)
    for _ in range(2):
        stage.records.tell(visit, by=hands)
    assert [entry["what"] for entry in stage.noted("consent")] == ["granted"]
    with stage.sessions() as db:
        assert [line.granted for line in consent.entries_for(db, [person.number or ""])[person.number or ""]] == [True]


def test_a_feed_may_let_a_patient_be_asked(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    visit = stage.visit(stage.person(paper="ask"))
    stage.records.tell(visit, by="import")
    assert [entry["may_ask"] for entry in stage.noted("patient")] == [True]
    assert stage.noted("consent") == []


def test_the_first_file_of_a_clinic_brings_old_data(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    first, later = stage.visit(stage.person()), stage.visit(stage.person())
    stage.records.tell(first, by="import")
    stage.records.tell(later, by="import")
    assert [entry["imported"] for entry in stage.noted("session")] == [True, False]


def test_an_old_file_changes_nothing(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    visit = stage.visit(stage.person())
    old = feeds.write_file([visit], version=stage.records.version())
    stage.records.tell(visit, by="import")
    stage.clock.go_on(DAY)
    visit.start += 3 * DAY
    visit.end = None
    stage.records.tell(visit, by="sql")
    stage.records.import_file(old, [visit])
    assert told(stage)[3] == str(visit.start)


def test_a_program_that_changes_a_number_makes_older_files_old(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    visit = stage.visit(stage.person())
    stage.records.tell(visit, by="import")
    old = feeds.write_file([visit], version=stage.records.version())
    stage.clock.go_on(DAY)
    visit.person.number = None
    stage.records.enter(visit.person)
    stage.records.import_file(old, [visit])
    with stage.sessions() as db:
        assert db.scalars(select(Patient.phone)).one() is None


@pytest.mark.parametrize(
    "trouble", [DiedError("a border"), OperationalError("out", None, Exception())], ids=["dies", "is cut off"]
)
def test_an_import_that_breaks_off_is_started_again(
    sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    stage, tries, deliver = Stage(sqlite_sessions, hands="import"), list[int](), feeds.deliver

    def breaks_twice(*args: object, **options: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise trouble
        return deliver(*args, **options)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(feeds, "deliver", breaks_twice)
    stage.records.tell(stage.visit(stage.person()), by="import")
    assert (len(tries), told(stage)[0], stage.clock.now > NOON) == (3, "p0001.1", True)


def test_a_service_that_takes_something_over_otherwise_is_found_out(
    sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    visit = stage.visit(stage.person())
    stage.records.tell(visit, by="import")
    monkeypatch.setattr(feeds, "deliver", lambda *_args, **_options: None)
    visit.start += DAY
    with pytest.raises(TruthLostError, match=r"p0001\.1"):
        stage.records.tell(visit, by="import")
    visit.start -= DAY
    visit.person.last_name = "Other"
    with pytest.raises(TruthLostError, match="p0001 "):
        stage.records.tell(visit, by="import")


def test_a_clinic_opens_with_everything_approved_and_its_own_sender(stage: Stage) -> None:
    with stage.sessions() as db:
        clinic, sender = db.execute(select(Clinic, Sender).join(Sender, Sender.id == Clinic.sender_id)).one()
        assert (clinic.time_zone, sender.number) == (stage.place.zone, stage.place.line.number)
        assert not db.scalars(select(TemplateVersion.id).where(TemplateVersion.approved_by.is_(None))).all()
    assert [entry["kind"] for entry in stage.log] == ["clinic", "plan", "texts"]


def test_clinics_that_share_a_sender_are_behind_one_row(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="service")
    for place in places(NOON)[1:]:
        stage.offices.open(place)
    with stage.sessions() as db:
        senders = db.scalars(select(Sender.number).order_by(Sender.id)).all()
        shared = db.scalars(select(Clinic.sender_id).order_by(Clinic.key)).all()
    assert senders == ["+15550100001", "+15550100002", "+15550100003"]
    assert shared[1] == shared[2]


def test_a_changed_clinic_is_noted_whole(stage: Stage) -> None:
    stage.place.opens, stage.place.plan = "10:00", "lite"
    stage.offices.change(stage.place)
    with stage.sessions() as db:
        assert db.execute(select(Clinic.window_opens, Clinic.plan)).one() == ("10:00", "lite")
    noted = stage.noted("clinic")[-1]
    assert (noted["window"], noted["plan"], noted["zone"]) == (
        {"from": "10:00", "to": "19:00"},
        "lite",
        stage.place.zone,
    )


def test_a_new_plan_takes_the_place_of_the_old_one(stage: Stage) -> None:
    document = stage.offices.plan_of(stage.place)
    document["steps"][2]["plans"] = []
    stage.offices.apply_plan(stage.place, document)
    with stage.sessions() as db:
        live = db.scalars(select(PlanVersion).where(PlanVersion.live)).one()
        assert (live.version, live.document["steps"][2]["plans"]) == (2, [])
    assert content.shipped_plan()["steps"][2]["plans"] != []
    assert stage.noted("plan")[-1]["document"]["steps"][2]["plans"] == []


def test_new_words_are_live_at_once_and_noted_with_all_others(stage: Stage) -> None:
    key = "noshow"
    stage.offices.approve(stage.place, key, {"en": "Call us.", "es": "Llámenos."})
    noted = stage.noted("texts")[-1]["texts"]
    assert (noted[key]["en"], noted[key]["es"], len(noted) > 20) == ("Call us.", "Llámenos.", True)
    with stage.sessions() as db:
        assert content.live_templates(db, stage.place.id)[key, "en"].version == 2


def test_pauses_begin_and_end(stage: Stage) -> None:
    offices, place = stage.offices, stage.place
    person = stage.person()
    stage.records.enter(person)
    offices.pause_clinic(place, "flood")
    offices.pause_line(place.line, "review")
    offices.pause_all("drill")
    offices.pause_patient(person, lasts=2 * DAY, reason="hospital")
    with stage.sessions() as db:
        assert db.scalars(select(Clinic.paused_at)).one() == db.scalars(select(Sender.paused_at)).one() == NOON
        assert db.get_one(Installation, 1).paused_at == NOON
        assert db.scalars(select(Patient.paused_until)).one() == NOON + 2 * DAY
    offices.resume_patient(person)
    offices.resume_all()
    offices.resume_line(place.line)
    offices.resume_clinic(place)
    with stage.sessions() as db:
        assert db.scalars(select(Clinic.paused_at)).one() is db.scalars(select(Sender.paused_at)).one() is None
        assert db.get_one(Installation, 1).paused_at is db.scalars(select(Patient.paused_until)).one() is None
    whats = ["clinic", "sender", "all", "patient"]
    assert [entry["what"] for entry in stage.noted("pause")] == whats
    assert [entry["what"] for entry in stage.noted("resume")] == ["patient", "all", "sender", "clinic"]


def test_what_the_world_does_marks_patients_for_planning(stage: Stage) -> None:
    visit = stage.visit(stage.person())
    stage.records.tell(visit, by=stage.hands)
    plan_pending(stage.sessions, stage.clock.shown, answers_understood=True)
    with stage.sessions.begin() as db:
        db.execute(update(Patient).values(marked=False))
    visit.start += DAY
    visit.end = visit.start
    stage.records.tell(visit, by="sql")
    with stage.sessions() as db:
        assert db.scalar(text("SELECT marked FROM patient"))
