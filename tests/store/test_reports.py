"""What screens and the command line are told: shapes, counts, and moments as RFC 3339."""

import json
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.domain.lifecycle import State
from service.store import journal, reports, running
from service.store.tables import TemplateVersion
from tests.store import factories
from tests.store.factories import NOW

HOUR = timedelta(hours=1)


def test_the_status_of_a_new_installation(sessions: sessionmaker[Session]) -> None:
    with sessions() as db:
        assert reports.status(db, now=NOW) == {
            "states": {str(state): 0 for state in State},
            "due": 0,
            "oldest_due_seconds": 0,
            "held": 0,
            "unconfirmed": 0,
            "paused": False,
            "pause_reason": None,
            "paused_senders": {},
            "paused_clinics": {},
            "heartbeats": {},
        }


def test_the_status_counts(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for values in (
            {"due_at": NOW},
            {"due_at": NOW - 2 * HOUR},
            {"due_at": NOW + HOUR},
            {"due_at": None},
            {"due_at": NOW - 3 * HOUR, "held_reason": "paused"},
            {"due_at": NOW - 4 * HOUR, "state": "sent"},
            {"state": "unconfirmed"},
            {"state": "delivered", "held_reason": "left over"},
        ):
            factories.message(db, patient, **values)
        found = reports.status(db, now=NOW)
        assert found["states"] == {
            "planned": 5, "sending": 0, "sent": 1, "delivered": 1, "undelivered": 0,
            "failed": 0, "cancelled": 0, "missed": 0, "unconfirmed": 1,
        }  # fmt: skip
        assert (found["due"], found["oldest_due_seconds"]) == (2, 7200)
        assert (found["held"], found["unconfirmed"]) == (1, 1)
        json.dumps(found)


def test_the_status_says_what_is_paused_and_when_jobs_last_ran(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        factories.clinic(db, key="lake", paused_at=NOW, pause_reason="moving house")
        sender = factories.sender(db, key="second")
        running.pause_sender(db, sender.id, at=NOW, reason="not registered")
        running.pause_all(db, at=NOW, reason="account suspended")
        running.beat(db, job="plan", worker="a", at=NOW - timedelta(seconds=5), took_ms=12, rows=3)
        running.beat(db, job="plan", worker="b", at=NOW - HOUR, took_ms=9, rows=0)
        found = reports.status(db, now=NOW)
        assert (found["paused"], found["pause_reason"]) == (True, "account suspended")
        assert found["paused_senders"] == {"second": "not registered"}
        assert found["paused_clinics"] == {"lake": "moving house"}
        last = {"at": "2026-03-02T14:59:55Z", "age_seconds": 5, "worker": "a", "took_ms": 12, "rows": 3}
        assert found["heartbeats"] == {"plan": last}


def test_the_list_of_messages(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db), phone="+12025550101")
        treatment = factories.session(db, patient)
        message = factories.message(
            db, patient, identity="plan:1:x:0", kind="plan", step="x", template="t", session_id=treatment.id
        )
        assert list(reports.message_list(db)) == [
            {
                "id": message.id,
                "identity": "plan:1:x:0",
                "kind": "plan",
                "step": "x",
                "template": "t",
                "clinic": patient.clinic_id,
                "patient": patient.id,
                "session": treatment.id,
                "to": "+12025550101",
                "state": "planned",
                "reason": None,
                "held_reason": None,
                "due_at": "2026-03-02T15:00:00Z",
                "expires_at": "2026-03-02T23:00:00Z",
                "attempts": 0,
                "provider_sid": None,
                "sent_at": None,
            }
        ]


def test_the_list_is_long_and_can_be_narrowed(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic, another = factories.clinic(db), factories.clinic(db)
        patient, elsewhere = factories.patient(db, clinic), factories.patient(db, another)
        treatment = factories.session(db, patient)
        plain = factories.message(db, patient)
        sent = factories.message(db, patient, state="sent", to_number="+12025550177")
        of_session = factories.message(db, patient, session_id=treatment.id)
        page = factories.message(db, elsewhere, patient_id=None, to_number="+12025550188")

        def listed(**wanted: object) -> list[int]:
            return [row["id"] for row in reports.message_list(db, **wanted)]  # type: ignore[arg-type] # any filter

        assert listed() == [plain.id, sent.id, of_session.id, page.id]
        assert listed(clinic_id=clinic.id) == [plain.id, sent.id, of_session.id]
        assert listed(state=State.SENT) == [sent.id]
        assert listed(patient_id=patient.id, state=State.PLANNED) == [plain.id, of_session.id]
        assert listed(session_id=treatment.id) == [of_session.id]
        assert [row["to"] for row in reports.message_list(db)] == [
            patient.phone, "+12025550177", patient.phone, "+12025550188",
        ]  # fmt: skip


@pytest.mark.parametrize("count", [reports.BATCH + 3])
def test_the_list_has_no_end_of_its_own(sqlite_sessions: sessionmaker[Session], count: int) -> None:
    with sqlite_sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        for _ in range(count):
            factories.message(db, patient)
        assert sum(1 for _ in reports.message_list(db)) == count


def test_the_story_of_a_message(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db)
        patient = factories.patient(db, clinic)
        version = TemplateVersion(
            clinic_id=clinic.id, key="t", language="en", version=4, text="Hello", created_at=NOW, created_by="kim"
        )
        db.add(version)
        db.flush()
        message = factories.message(
            db, patient, state="sent", template="t", template_version_id=version.id, text="Hello", sent_at=NOW
        )
        journal.append(db, "sent", at=NOW, message=message, data={"segments": 1})
        journal.append(db, "moved", at=NOW - HOUR, message=message, reason="spacing")
        found = reports.message_story(db, message.id)
        assert found is not None
        assert found["story"] == [
            {"at": "2026-03-02T14:00:00Z", "kind": "moved", "reason": "spacing", "data": {}},
            {"at": "2026-03-02T15:00:00Z", "kind": "sent", "reason": None, "data": {"segments": 1}},
        ]
        assert set(found["message"]) == set(reports.SHOWN)
        assert found["message"]["template_version"] == 4
        assert found["message"]["sent_at"] == "2026-03-02T15:00:00Z"
        assert next(reports.message_list(db)).items() <= found["message"].items()
        json.dumps(found)


def test_a_message_that_is_not_there_has_no_story(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions() as db:
        assert reports.message_story(db, 4711) is None
