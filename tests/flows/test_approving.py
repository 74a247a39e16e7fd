"""No text that nobody approved reaches a real patient: it waits, staff are told once, and it leaves once approved."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.flows.approving import Approved, NoSuchText, RefusedText, approve
from service.flows.policy import Approval, SendingPolicy
from service.flows.verification.findings import Rule
from service.flows.verification.verifying import verify
from service.store import content
from service.store.tables import Clinic, JournalEntry, TemplateVersion
from tests.flows.clinic_life import ClinicLife
from tests.store.factories import NOW

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
REAL = SendingPolicy(approval=Approval.REQUIRED)
BY = "Dr. Sample"
UNAPPROVED: dict[str, Any] = {"approved_by": None, "approved_at": None}


@pytest.fixture
def life(sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sessions, policy=REAL)


@pytest.fixture
def quick(sqlite_sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sqlite_sessions, policy=REAL)


def approved(life: ClinicLife, key: str | None = None) -> Approved:
    with life.sessions.begin() as db:
        return approve(db, db.get_one(Clinic, life.clinic.id), key, by=BY, now=life.now)


def set_text(life: ClinicLife, key: str, **values: Any) -> None:
    with life.sessions.begin() as db:
        db.execute(update(TemplateVersion).where(TemplateVersion.key == key).values(values))


def draft(life: ClinicLife, words: str, key: str = "pre_1d", language: str = "en") -> None:
    with life.sessions.begin() as db:
        content.add_draft(db, life.clinic.id, key=key, language=language, text=words, now=life.now, by="test")


def reminded(life: ClinicLife, **over: Any) -> None:
    """Two patients who are due to be reminded of tomorrow's session."""
    for _ in range(2):
        life.booked(NOW + DAY, of=life.patient(**over), booked_at=NOW - 20 * DAY)
    life.until(NOW + 65 * MINUTE)


def held(life: ClinicLife) -> list[tuple[str, str | None]]:
    return [(m.state, m.held_reason) for m in life.messages(step="pre_1d")]


def test_it_waits_and_leaves_once_it_is_approved(life: ClinicLife) -> None:
    reminded(life)
    assert held(life) == [("planned", "unapproved_text")] * 2
    assert life.left() == []
    (task,) = life.tasks("unapproved_text")
    assert (task.state, task.level) == ("open", "amber")
    assert "pre_1d (en), version 1" in task.reason
    assert "aftercare templates approve pre_1d --by NAME" in task.next_action
    done = approved(life, "pre_1d")
    assert (len(done.versions), done.already, done.released) == (3, 0, 2)
    life.tick()
    assert life.steps_left() == ["pre_1d", "pre_1d"]
    assert life.fresh(task).state == "closed"
    assert verify(life.sessions, life.clock, approval=Approval.REQUIRED).ok


@pytest.mark.parametrize("half", [{"approved_by": BY}, {"approved_by": " ", "approved_at": NOW}, {"approved_at": NOW}])
def test_a_name_without_a_date_or_a_date_without_a_name_is_no_approval(quick: ClinicLife, half: dict[str, Any]) -> None:
    quick.clinic  # noqa: B018 -- made with its texts
    set_text(quick, "pre_1d", **UNAPPROVED | half)
    reminded(quick)
    assert quick.left() == []


def test_what_was_never_approved_in_time_is_missed_and_says_why(quick: ClinicLife) -> None:
    reminded(quick)
    quick.wait(days=1)
    assert {(m.state, m.reason) for m in quick.messages(step="pre_1d")} == {("missed", "unapproved_text")}
    assert len(quick.tasks("unapproved_text")) == 1


def test_on_the_pretend_network_nothing_has_to_be_approved(sqlite_sessions: sessionmaker[Session]) -> None:
    life = ClinicLife(sqlite_sessions)
    reminded(life)
    assert life.steps_left() == ["pre_1d", "pre_1d"]
    assert verify(life.sessions, life.clock).ok


def test_what_staff_write_themselves_needs_no_approval(quick: ClinicLife) -> None:
    quick.message(quick.patient())
    quick.tick()
    assert len(quick.left()) == 1


def test_an_answer_waits_too_and_a_safety_text_is_a_red_task(quick: ClinicLife) -> None:
    patient = quick.patient()
    answer = quick.message(
        patient, kind="reply", template="red_flag", text=None, urgency="safety", priority=0, to_number=patient.phone
    )
    quick.tick()
    assert quick.fresh(answer).held_reason == "unapproved_text"
    assert [task.level for task in quick.tasks("unapproved_text")] == ["red"]
    approved(quick, "red_flag")
    quick.tick()
    assert quick.fresh(answer).state == "sent"


def test_part_two_does_not_wait_for_a_part_one_that_nobody_approved(quick: ClinicLife) -> None:
    quick.completed(NOW - 15 * MINUTE)
    approved(quick, "aftercare_2")
    quick.wait(minutes=5)
    assert quick.steps_left() == ["aftercare_2"]


def test_an_edit_waits_while_the_approved_version_is_sent(quick: ClinicLife) -> None:
    quick.clinic  # noqa: B018 -- made with its texts
    approved(quick)
    draft(quick, "{{ clinic }}: see you {{ date }}, {{ time }}.")
    reminded(quick)
    assert [text.body.startswith("Lakeside Clinic: see you") for text in quick.left()] == [False, False]
    done = approved(quick)
    assert [(v.key, v.language, v.version, v.state, v.approved_by) for v in done.versions] == [
        ("pre_1d", "en", 2, "live", BY)
    ]
    quick.booked(quick.now + DAY, of=quick.patient(), booked_at=NOW - 20 * DAY)
    quick.wait(minutes=1)
    assert quick.left()[-1].body.startswith("Lakeside Clinic: see you")
    assert verify(quick.sessions, quick.clock, approval=Approval.REQUIRED).ok


def test_a_text_that_says_what_it_may_not_is_not_approved_and_neither_is_any_other(quick: ClinicLife) -> None:
    quick.clinic  # noqa: B018 -- made with its texts
    draft(quick, "{{ clinic }}: see you at 12:45.")
    with pytest.raises(RefusedText, match="Nothing was approved: 1 faults") as refused:
        approved(quick)
    assert [(f.template, f.language, f.code) for f in refused.value.findings] == [("pre_1d", "en", "raw_time")]
    with quick.sessions() as db:
        assert {v.approved_by for v in content.newest_templates(db, quick.clinic.id).values()} == {None}


def test_a_text_that_is_not_there(quick: ClinicLife) -> None:
    with pytest.raises(NoSuchText, match="no text 'parking'"):
        approved(quick, "parking")


def test_approving_again_changes_nothing(quick: ClinicLife) -> None:
    quick.clinic  # noqa: B018 -- made with its texts
    first = approved(quick, "help")
    quick.now += DAY
    again = approved(quick, "help")
    assert (len(first.versions), len(again.versions), again.already) == (3, 0, 3)
    with quick.sessions() as db:
        assert content.live_templates(db, quick.clinic.id)["help", "en"].approved_at == NOW


def test_each_approval_is_journalled_with_who_gave_it(quick: ClinicLife) -> None:
    approved(quick, "help")
    with quick.sessions() as db:
        found = [e.data for e in db.query(JournalEntry).filter_by(kind="text_approved")]
    assert sorted(entry["language"] for entry in found) == ["en", "es", "tr"]
    assert {(entry["template"], entry["version"], entry["by"]) for entry in found} == {("help", 1, BY)}


def test_another_clinic_approves_for_itself(quick: ClinicLife) -> None:
    other = quick.another_clinic()
    approved(quick)
    with quick.sessions() as db:
        assert {v.approved_by for v in content.live_templates(db, other.id).values()} == {None}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (UNAPPROVED, "nobody has approved the version"),
        ({"approved_at": None}, "nobody has approved the version"),
        ({"approved_by": " "}, "nobody has approved the version"),
        ({"approved_at": NOW + DAY}, "was approved only on 2026-03-03"),
    ],
    ids=["never approved", "no date", "no name", "approved after it left"],
)
def test_a_text_that_left_unapproved_is_found(quick: ClinicLife, values: dict[str, Any], says: str) -> None:
    quick.clinic  # noqa: B018 -- made with its texts
    approved(quick)
    reminded(quick)
    set_text(quick, "pre_1d", **values)
    found = verify(quick.sessions, quick.clock, approval=Approval.REQUIRED)
    assert {v.rule for v in found.violations} == {Rule.UNAPPROVED_TEXT}
    assert len(found.violations) == 2
    assert says in found.violations[0].detail
    assert verify(quick.sessions, quick.clock).ok
