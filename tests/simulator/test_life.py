"""What happens to patients and at clinics: each turn of fate by itself, as rows and log show it."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import OutgoingSms, Sender
from service.gateways.simulated_network import AcceptedText
from service.simulator.labels import Label
from service.simulator.life.beginnings import Beginnings
from service.simulator.life.courses import Courses
from service.simulator.life.decisions import KINDS as DECISIONS
from service.simulator.life.decisions import Decisions
from service.simulator.life.meddling import Meddling
from service.simulator.life.replies import Replies
from service.simulator.life.turns import KINDS as TURNS
from service.simulator.life.turns import Turns
from service.simulator.network.carrier import Taken
from service.simulator.people import Person, number_of, people, places
from service.store.tables import Patient
from tests.simulator.stage import DAY, NOON, Stage

HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


@pytest.fixture(params=["service", "import", "sql"])
def stage(request: pytest.FixtureRequest, sqlite_sessions: sessionmaker[Session]) -> Stage:
    return Stage(sqlite_sessions, hands=request.param)


@pytest.fixture
def quick(sqlite_sessions: sessionmaker[Session]) -> Stage:
    return Stage(sqlite_sessions)


def statuses(stage: Stage, key: str) -> list[str]:
    return [entry["status"] for entry in stage.noted("session") if entry["session"] == key]


def known(stage: Stage) -> Person:
    """A patient with one session in a week."""
    person = stage.person()
    stage.records.tell(stage.visit(person), by=stage.hands)
    return person


# sessions


def test_a_year_of_sessions_holds_everything_that_happens_to_sessions(stage: Stage) -> None:
    courses = Courses(stage.scene)
    for _ in range(40):
        courses.begin(stage.person())
    stage.happen()
    entries = stage.noted("session")
    moved = {
        e["session"] for e in entries for o in entries if o["session"] == e["session"] and o["start"] != e["start"]
    }
    found = {entry["status"] for entry in entries}
    undone = [key for key in moved if (s := statuses(stage, key)) and "cancelled" in s and s[-1] != "cancelled"]
    early = [e for e in entries if e["status"] == "completed" and (e["completed_at"] or "9") < e["start"]]
    assert found >= {"booked", "completed", "cancelled", "no_show", "entered_in_error"}
    assert len(moved) > 5
    assert undone
    assert early
    assert max(int(entry["session"].rpartition(".")[2]) for entry in entries) > 2


def test_a_session_that_was_held_can_not_be_moved_or_cancelled_any_more(quick: Stage) -> None:
    visit = known(quick).visits[0]
    visit.status = "completed"
    courses, before = Courses(quick.scene), len(quick.log)
    courses.move(visit, 1)
    courses.cancel(visit)
    assert (len(quick.log), visit.status) == (before, "completed")


def test_sessions_lie_on_working_days_at_full_five_minutes(quick: Stage) -> None:
    for n in range(60):
        start = quick.scene.slot(quick.place, NOON + n * DAY, "a session", n)
        local = start.astimezone(quick.place.clock)
        assert start >= NOON + n * DAY
        assert (local.weekday() < 5, local.minute % 5, local.second) == (True, 0, 0)


# turns


@pytest.mark.parametrize("turn", sorted(TURNS))
def test_a_turn_of_fate_is_noted_and_everything_that_follows_from_it_too(stage: Stage, turn: str) -> None:
    person, other = known(stage), known(stage)
    turns = Turns(stage.scene, [person, other])
    before = len(stage.log)
    TURNS[turn](turns, person, 1)
    assert len(stage.log) > before or turn == "change_language"
    stage.happen()


def turned(stage: Stage, turn: str, n: int = 1) -> Person:
    person = known(stage)
    TURNS[turn](Turns(stage.scene, [person, known(stage)]), person, n)
    return person


def test_a_new_number_reaches_the_database_by_the_clinic_s_own_way(stage: Stage) -> None:
    person = turned(stage, "change_number")
    assert person.number == number_of(1, change=1)
    with stage.sessions() as db:
        assert db.scalars(select(Patient.phone).where(Patient.external_id == person.key)).one() == person.number
    by = {entry["by"] for entry in stage.noted("patient") if entry["number"] == person.number}
    assert by == {"import" if stage.hands == "import" else "sql"}


def test_the_dead_stay_dead(quick: Stage) -> None:
    person = turned(quick, "die")
    turns = Turns(quick.scene, [person])
    turns.begin(person)
    quick.happen()
    assert [entry["status"] for entry in quick.noted("patient") if entry["patient"] == person.key] == [
        "active",
        "deceased",
    ]


def test_who_leaves_may_come_back(quick: Stage) -> None:
    for n in range(12):
        turned(quick, "leave", n)
    quick.happen()
    last = {entry["patient"]: entry["status"] for entry in quick.noted("patient")}
    assert {"active", "inactive"} == set(last.values())


def test_who_opts_out_may_come_back_by_phone_or_at_the_desk(quick: Stage) -> None:
    for n in range(30):
        turned(quick, "opt_out", n)
    quick.happen()
    assert len(quick.noted("said")) > 30
    assert {entry["what"] for entry in quick.noted("consent")} == {"granted"}


def test_a_session_may_turn_out_to_be_somebody_else_s(stage: Stage) -> None:
    person = turned(stage, "was_mixed_up")
    assert person.visits == []
    assert [entry["patient"] for entry in stage.noted("session") if entry["session"] == "p0001.1"] == ["p0001", "p0002"]


def test_without_a_number_nothing_can_be_said(quick: Stage) -> None:
    person = known(quick)
    person.number = None
    turns = Turns(quick.scene, [person])
    for turn in ("opt_out", "speak", "tell_staff", "share_number"):
        TURNS[turn](turns, person, 1)
    assert (quick.noted("said"), quick.noted("consent")) == ([], [])


def test_turn_follows_turn(quick: Stage) -> None:
    person = known(quick)
    Turns(quick.scene, [person, known(quick)]).begin(person)
    before = len(quick.log)
    quick.happen()
    assert len(quick.log) > before + 3


# clinics


@pytest.mark.parametrize("decision", sorted(DECISIONS))
def test_a_decision_is_noted_and_what_it_stopped_goes_on_in_the_end(quick: Stage, decision: str) -> None:
    before = len(quick.log)
    DECISIONS[decision](Decisions(quick.scene, lambda _: []), quick.place, 1)
    quick.happen()
    assert len(quick.log) > before
    assert len(quick.noted("pause")) == len(quick.noted("resume"))


def test_decision_follows_decision_and_files_come_again_and_again(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    visits = [known(stage).visits[0] for _ in range(3)]
    decisions = Decisions(stage.scene, lambda _: visits)
    decisions.begin(stage.place)
    before = stage.noted("session")
    stage.happen(NOON + 120 * DAY)
    assert len(decisions.files[stage.place.key]) > 10
    assert stage.noted("session") == before, "files that tell nothing new change nothing"
    assert len(stage.noted("clinic")) + len(stage.noted("plan")) + len(stage.noted("texts")) > 4


def test_a_clinic_without_sessions_sends_no_files(sqlite_sessions: sessionmaker[Session]) -> None:
    stage = Stage(sqlite_sessions, hands="import")
    decisions = Decisions(stage.scene, lambda _: [])
    decisions.begin(stage.place)
    assert decisions.files == {stage.place.key: []}


# beginnings and people


def test_old_patients_are_taken_over_and_new_ones_come_in_time(stage: Stage) -> None:
    crowd = [stage.person(paper=paper) for paper in ("yes", "ask", "") * 8]
    courses, turns = Courses(stage.scene), Turns(stage.scene, crowd)
    place = next(place for place in places(NOON) if place.hands == stage.hands and place.key != "c4")
    place.key, place.line = "again", stage.place.line
    for person in crowd:
        person.place = place
    Beginnings(stage.scene, courses, turns).of(place, crowd)
    stage.happen(NOON + 2 * HOUR)
    old = {entry["patient"] for entry in stage.noted("session") if entry["status"] == "completed"}
    assert 5 < len(old) < 24
    stage.happen(NOON + 330 * DAY)
    assert {entry["patient"] for entry in stage.noted("patient")} == {person.key for person in crowd}
    assert any(entry["imported"] for entry in stage.noted("session")) is (stage.hands == "import")


def test_people_are_dealt_out_and_some_share_a_number(quick: Stage) -> None:
    crowd = list(people(quick.dice, 400, of=places(NOON)))
    assert {sum(person.place.key == key for person in crowd) for key in ("c1", "c2", "c3", "c4")} == {100}
    numbers = [person.number for person in crowd if person.number]
    assert len(set(numbers)) < len(numbers) < 400
    assert all(number.startswith("+1555") and len(number) == 12 for number in numbers)


@pytest.mark.parametrize("change", [0, 1, 7, 8, 99])
def test_every_number_is_a_possible_one_that_is_nobody_s(change: int) -> None:
    assert len(number_of(123, change=change)) == 12


# replies and meddling


def taken(n: int, *, code: str | None = None) -> Taken:
    sms = OutgoingSms(n, 1, "+15552000001", "Will you come?", Sender("+15550100001"), 600, NOON)
    label: Label = {"patient": "p0001", "session": None, "step": "a", "n": n, "kind": "plan", "template": "t"}
    return Taken(AcceptedText(f"SM{n}", sms, NOON, None, (), code), label)


def test_some_texts_are_answered_and_none_that_did_not_arrive(quick: Stage) -> None:
    replies = Replies(quick.scene)
    for n in range(200):
        replies.to(taken(n))
        replies.to(taken(1000 + n, code="30003"))
    quick.happen()
    assert 30 < len(quick.noted("said")) < 90


def test_meddling_changes_what_a_text_is_about(quick: Stage) -> None:
    crowd = {person.key: person for person in (known(quick) for _ in range(30))}
    meddling = Meddling(Courses(quick.scene), Turns(quick.scene, list(crowd.values())), crowd)
    before = len(quick.log)
    for key in crowd:
        meddling.with_text({"patient": key, "session": f"{key}.1", "step": "a", "n": 0})
    kinds = {entry["kind"] for entry in quick.log[before:]}
    assert kinds >= {"said", "patient", "session"}
    meddling.with_text({"patient": None, "session": None})
