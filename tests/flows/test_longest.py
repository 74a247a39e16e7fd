"""How long texts get for the patients and sessions that there are, and with the sender that there is."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.domain.lint import Finding
from service.flows import checking
from service.flows.practice import shipped_plan
from service.store import content
from service.store.tables import Clinic
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


def made(sessions: Sessions, **over: Any) -> str:
    """A clinic with the shipped texts, and a session of each of two patients."""
    with sessions.begin() as db:
        clinic = factories.clinic(db, **over)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        for weeks in (None, 16):
            patient = factories.patient(db, clinic, interval_weeks=weeks)
            factories.session(db, patient, scheduled_end=NOW + timedelta(days=14, minutes=30))
            factories.session(db, patient, completed_at=NOW, status="completed", scheduled_start=NOW)
        return clinic.key


def draft(sessions: Sessions, key: str, words: str, language: str = "en", template: str = "booking_confirm") -> None:
    with sessions.begin() as db:
        clinic = db.query(Clinic).filter_by(key=key).one()
        content.add_draft(db, clinic.id, key=template, language=language, text=words, now=NOW, by="test")


def check(sessions: Sessions, key: str) -> list[Finding]:
    with sessions.begin() as db:
        return checking.check_clinic(db, key, now=NOW)


def test_the_shipped_texts_suit_a_usual_clinic(sessions: Sessions) -> None:
    assert check(sessions, made(sessions)) == []


def test_a_draft_is_checked_too(sqlite_sessions: Sessions) -> None:
    key = made(sqlite_sessions)
    draft(sqlite_sessions, key, "{{ clinic }}: R to change {{ datum }}. STOP to end.")
    assert [(f.template, f.code) for f in check(sqlite_sessions, key)] == [("booking_confirm", "unknown_variable")]


def test_numbers_of_the_clinic_that_are_longer_than_any_should_be(sqlite_sessions: Sessions) -> None:
    key = made(sqlite_sessions, emergency="112 or the nearest emergency room of any hospital in town")
    found = check(sqlite_sessions, key)
    assert {(f.code, f.severity) for f in found} == {("too_long_here", "error")}
    assert ("red_flag", "en") in {(f.template, f.language) for f in found}
    assert "gets 2 texts long; 1 are meant" in next(f.message for f in found if f.template == "red_flag")


def test_a_clinic_that_keeps_its_letters_is_told_the_price(sqlite_sessions: Sessions) -> None:
    found = check(sqlite_sessions, made(sqlite_sessions, encoding="native"))
    assert {(f.code, f.severity) for f in found} == {("too_long_here", "warning")}
    assert {f.language for f in found} <= {"es", "tr"}
    assert "red_flag" not in {f.template for f in found}  # in one part always


@pytest.mark.parametrize(("name", "found"), [("Lakeside Clinic", []), ("Göksu Kliniği", ["too_long_here"])])
def test_one_letter_of_a_name_or_a_day_makes_the_whole_text_longer(
    sqlite_sessions: Sessions, name: str, found: list[str]
) -> None:
    key = made(sqlite_sessions, encoding="native", sms_name=name)
    words = "{{ clinic }}: " + "x" * 150 + " STOP to end texts. R to change."
    draft(sqlite_sessions, key, words)
    of_it = [f.code for f in check(sqlite_sessions, key) if (f.template, f.language) == ("booking_confirm", "en")]
    assert of_it == found


def test_a_text_is_counted_once(sqlite_sessions: Sessions) -> None:
    key = made(sqlite_sessions)
    draft(sqlite_sessions, key, "{{ clinic }}: R to change. STOP to end. " + "x" * 400)
    assert [f.code for f in check(sqlite_sessions, key)] == ["too_long"]


@pytest.mark.parametrize(
    ("number", "service", "receives"),
    [
        ("LAKESIDE", None, False),
        ("Lake 21", None, False),
        ("+13125550100", None, True),
        ("72345", None, True),
        (None, None, True),
        ("LAKESIDE", "MG1", True),
    ],
    ids=["a name", "a name with digits", "a number", "a short code", "not set yet", "a service chooses"],
)
def test_which_senders_can_be_answered(
    sqlite_sessions: Sessions, number: str | None, service: str | None, receives: bool
) -> None:
    with sqlite_sessions.begin() as db:
        sender = factories.sender(db, number=number, messaging_service=service)
        assert checking.receives(sender) is receives
        sender_id = sender.id
    found = check(sqlite_sessions, made(sqlite_sessions, sender_id=sender_id))
    assert ("no_replies" in {f.code for f in found}) is not receives


def test_all_values_of_the_plan_are_of_the_clinic_or_at_their_longest(sqlite_sessions: Sessions) -> None:
    key = made(sqlite_sessions)
    names = " ".join(f"{{{{ {name} }}}}" for name in shipped_plan().max_lengths)
    draft(sqlite_sessions, key, f"R to change. STOP. {names} {names}")
    assert [f.code for f in check(sqlite_sessions, key)] == ["too_long"]
