"""What staff decide by hand, and what they are told when something else was quicker."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.reconciliation import BY_STAFF
from service.flows import staffing
from service.flows.staffing import NotThere, TooLate
from service.store import running
from service.store.tables import JournalEntry, Message, Sender
from tests.store import factories
from tests.store.factories import NOW


def journal(db: Session) -> Sequence[JournalEntry]:
    return db.scalars(select(JournalEntry).order_by(JournalEntry.id)).all()


def test_a_skipped_text_stays_skipped_and_says_who_and_why(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)), held_reason="cap")
        staffing.skip_message(db, message.id, reason="phoned instead", by="nurse", now=NOW)
    with sessions() as db:
        found = db.get_one(Message, message.id)
        assert (found.state, found.settled_at, found.held_reason) == ("cancelled", NOW, None)
        assert found.reason == f"{BY_STAFF}phoned instead"
        (entry,) = journal(db)
        assert (entry.kind, entry.reason, entry.message_id) == ("skipped", "phoned instead", message.id)
        assert entry.data == {"by": "nurse"}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("sending", "it is leaving at this moment"),
        ("sent", "handed to the provider before and is now sent"),
        ("delivered", "handed to the provider before and is now delivered"),
        ("unconfirmed", "whether it left is being found out"),
        ("cancelled", "it had ended before as cancelled (opted_out)"),
        ("missed", "it had ended before as missed (opted_out)"),
    ],
)
def test_a_text_that_is_no_longer_planned_is_left_alone(
    sqlite_sessions: sessionmaker[Session], state: str, told: str
) -> None:
    with sqlite_sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        message = factories.message(db, patient, state=state, reason="opted_out")
        with pytest.raises(TooLate) as late:
            staffing.skip_message(db, message.id, reason="phoned", by="nurse", now=NOW)
        assert str(late.value).startswith(f"Message {message.id} was not skipped: ")
        assert told in str(late.value)
        assert (message.state, message.reason, journal(db)) == (state, "opted_out", [])


def test_a_claim_that_is_quicker_by_a_moment_wins(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)))
        claim = update(Message).values(state="sending", claim_token="t", claimed_at=NOW)
        db.execute(claim.execution_options(synchronize_session=False))
        assert message.state == "planned"
        with pytest.raises(TooLate, match="leaving at this moment"):
            staffing.skip_message(db, message.id, reason="phoned", by="nurse", now=NOW)


def test_there_is_nothing_to_skip_or_close(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        with pytest.raises(NotThere, match="no message 7"):
            staffing.skip_message(db, 7, reason="phoned", by="nurse", now=NOW)
        with pytest.raises(NotThere, match="no task 7"):
            staffing.close_task(db, 7, outcome="done", by="nurse", now=NOW)


def test_whole_numbers_are_shown_only_to_those_who_are_noted(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        message = factories.message(db, factories.patient(db, factories.clinic(db)))
        staffing.note_revealed(db, message.id, which={}, by="nurse", now=NOW)
        staffing.note_revealed(db, None, which={"state": "sent"}, by="desk", now=NOW)
        one, many = journal(db)
        assert (one.kind, one.message_id, one.patient_id, one.data) == (
            "revealed",
            message.id,
            message.patient_id,
            {"by": "nurse"},
        )
        assert (many.kind, many.message_id, many.data) == ("revealed", None, {"state": "sent", "by": "desk"})


def test_the_first_reason_for_a_pause_stays(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        assert staffing.pause(db, reason="wrong texts", by="nurse", now=NOW)
        assert not staffing.pause(db, reason="lunch", by="desk", now=NOW + timedelta(hours=1))
        whole = running.installation(db)
        assert (whole.paused_at, whole.pause_reason) == (NOW, "wrong texts")
        assert [(entry.kind, entry.reason, entry.data) for entry in journal(db)] == [
            ("paused", "wrong texts", {"by": "nurse"})
        ]


def test_resuming_lets_every_sender_go_on(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        staffing.pause(db, reason="wrong texts", by="nurse", now=NOW)
        factories.sender(db, key="south", paused_at=NOW, pause_reason="not registered")
        ended = staffing.resume(db, by="nurse", now=NOW)
        assert ended == ["all sending (wrong texts)", "sender south (not registered)"]
        db.expire_all()
        assert running.installation(db).paused_at is None
        assert db.scalars(select(Sender).where(Sender.paused_at.is_not(None))).all() == []
        assert journal(db)[-1].reason == "all sending (wrong texts); sender south (not registered)"
        assert staffing.resume(db, by="nurse", now=NOW) == []
        assert [entry.kind for entry in journal(db)] == ["paused", "resumed"]


def test_resuming_lets_go_what_the_pauses_held(sessions: sessionmaker[Session]) -> None:
    later = NOW + timedelta(hours=1)
    with sessions.begin() as db:
        south = factories.sender(db, key="south", paused_at=NOW, pause_reason="not registered")
        north = factories.sender(db, key="north")
        patient = factories.patient(db, factories.clinic(db))
        held = {
            (reason, sender.key): factories.message(
                db, patient, held_reason=reason, attempt_at=later, sender_id=sender.id
            ).id
            for reason in ("paused", "sender_paused", "clinic_paused")
            for sender in (south, north)
        }
        staffing.resume(db, by="nurse", now=NOW)
    with sessions.begin() as db:
        assert {which for which, id_ in held.items() if db.get_one(Message, id_).attempt_at == NOW} == {
            ("sender_paused", "south")
        }
        staffing.pause(db, reason="wrong texts", by="nurse", now=NOW)
        staffing.resume(db, by="nurse", now=NOW)
    with sessions() as db:
        free = {which for which, id_ in held.items() if db.get_one(Message, id_).held_reason is None}
        assert free == {("sender_paused", "south"), ("paused", "south"), ("paused", "north")}


def test_what_a_patient_wrote_is_shown_only_to_those_who_are_noted(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        patient = factories.patient(db, clinic)
        reply = factories.inbound(db, body="can I shower?")
        about = factories.task(db, clinic, patient_id=patient.id, inbound_id=reply.id)
        other = factories.task(db, clinic)
        assert staffing.reveal_reply(db, other.id, by="nurse", now=NOW) is None
        assert journal(db) == []
        assert staffing.reveal_reply(db, about.id, by="nurse", now=NOW) is reply
        (entry,) = journal(db)
        assert (entry.kind, entry.clinic_id, entry.patient_id) == ("revealed", clinic.id, patient.id)
        assert entry.data == {"task": about.id, "inbound": reply.id, "by": "nurse"}
        with pytest.raises(NotThere, match="no task 7"):
            staffing.reveal_reply(db, 7, by="nurse", now=NOW)


def test_a_task_is_closed_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        patient = factories.patient(db, clinic)
        task = factories.task(db, clinic, patient_id=patient.id)
        staffing.close_task(db, task.id, outcome="phoned, comes Monday", by="nurse", now=NOW)
    with sessions.begin() as db:
        found = staffing.find_task(db, task.id)
        assert (found.state, found.outcome, found.closed_at) == ("closed", "phoned, comes Monday", NOW)
        (entry,) = journal(db)
        assert (entry.kind, entry.reason, entry.patient_id) == ("task_closed", "phoned, comes Monday", patient.id)
        assert entry.data == {"task": task.id, "by": "nurse"}
        with pytest.raises(TooLate, match="it was closed before \\(phoned, comes Monday\\)"):
            staffing.close_task(db, task.id, outcome="again", by="nurse", now=NOW)
