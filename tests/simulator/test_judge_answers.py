"""The judge on texts from phones: who is heard, who is answered, and how often."""

from typing import Any

import pytest

from tests.simulator.chronicle import NUMBER, OTHER_NUMBER, SENDER, Chronicle, a_good_session, rules, written

END = "2026-03-04 12:00"


def _asked(body: str, *, task: str | None = "reply", **said: Any) -> tuple[Chronicle, int]:
    """After the confirmation of the booking the phone says something, and a person learns of it."""
    story = a_good_session()
    no = story.says("2026-03-03 12:00", body, **said)
    if task is not None:
        story.task(task, "2026-03-03 12:00:02", session=None, answers=no)
    return story, no


@pytest.mark.parametrize(
    "body",
    ["I can not breathe", "llámenme por favor", "3", "HELP", "ayuda", "BOOK", "R", "the bleeding won't stop"],
)
def test_a_text_that_nobody_heard_shows(body: str) -> None:
    story, _ = _asked(body, task=None)

    verdict = story.judged(END)

    assert rules(verdict) == {"unheard"}
    assert verdict.violations[0].patient == "p1"


@pytest.mark.parametrize("body", ["C", "ok", "Evet", "t."])
def test_a_confirmation_needs_nobody(body: str) -> None:
    story, _ = _asked(body, task=None)

    assert story.judged(END).violations == []


def test_a_text_that_never_reached_the_service_can_not_be_heard() -> None:
    story, _ = _asked("I can not breathe", task=None)
    story.entries[-1][1]["brought"] = None

    assert story.judged(END).violations == []


def test_one_answer_to_one_text_is_right() -> None:
    story, no = _asked("who is this?")
    story.answered("2026-03-03 12:00:03", "unknown_reply", no)

    assert story.judged(END).violations == []


def test_two_answers_to_one_text_show() -> None:
    story, no = _asked("who is this?")
    story.answered("2026-03-03 12:00:03", "unknown_reply", no)
    story.answered("2026-03-03 12:04:03", "unknown_reply", no)

    assert rules(story.judged(END)) == {"two_replies_to_one_text"}


def test_two_different_answers_show_unless_one_is_for_safety() -> None:
    story, no = _asked("HELP", task="reply_help")
    story.answered("2026-03-03 12:00:03", "help", no)
    story.answered("2026-03-03 12:00:05", "red_flag", no)
    assert rules(story.judged(END)) == {"two_replies_to_one_text"}

    story, no = _asked("stop, I can not breathe")
    story.answered("2026-03-03 12:00:03", "red_flag", no)

    assert story.judged(END).violations == []


def test_two_unknown_replies_within_twelve_hours_show() -> None:
    story, no = _asked("who is this?")
    story.answered("2026-03-03 12:00:03", "unknown_reply", no)
    again = story.says("2026-03-03 18:00", "hello?")
    story.task("reply", "2026-03-03 18:00:02", answers=again)
    assert story.judged(END).violations == []

    story.answered("2026-03-03 18:00:03", "unknown_reply", again)

    assert rules(story.judged(END)) == {"unknown_reply_again"}


WRONG_ANSWERS: dict[str, tuple[str, str, dict[str, Any], set[str]]] = {
    "an opt-out is confirmed to who did not opt out": ("who is this?", "stop_confirm", {}, {"wrong_answer"}),
    "help to who asked for none": ("who is this?", "help", {}, {"wrong_answer"}),
    "an answer to another phone": ("who is this?", "unknown_reply", {"number": OTHER_NUMBER}, {"wrong_number"}),
    "another clinic's words": (
        "who is this?",
        "unknown_reply",
        {"body": written("unknown_reply", clinic="Harbour Clinic")},
        {"wrong_clinic"},
    ),
    "words that nobody approved": ("HELP", "help", {"body": "What do you want?"}, {"wrong_words"}),
}


@pytest.mark.parametrize(("body", "template", "changed", "broken"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_a_wrong_answer_shows(body: str, template: str, changed: dict[str, Any], broken: set[str]) -> None:
    story, no = _asked(body)
    story.answered("2026-03-03 12:00:03", template, no, **changed)

    assert rules(story.judged(END)) == broken


def test_an_answer_to_nothing_shows() -> None:
    story = a_good_session()
    story.answered("2026-03-03 12:00:03", "help", 7)

    assert rules(story.judged(END)) == {"answer_to_nothing"}


def test_an_opt_out_is_confirmed_within_minutes() -> None:
    story, no = _asked("STOP")
    story.answered("2026-03-03 12:00:03", "stop_confirm", no)
    assert story.judged(END).violations == []

    story, no = _asked("STOP")
    story.answered("2026-03-03 13:00", "stop_confirm", no)
    assert rules(story.judged(END)) == {"late"}


def test_who_opts_out_the_week_before_a_session_is_asked_about_it() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if entry["at"] < "2026-03-12"]
    no = story.says("2026-03-12 12:00", "CANCEL")
    assert rules(story.judged("2026-03-12 20:00")) == {"unheard"}

    story.task("opted_out_before_session", "2026-03-12 12:00:01", answers=no)

    assert story.judged("2026-03-12 20:00").violations == []


def test_texts_are_on_again_after_start() -> None:
    story = a_good_session()
    for at, body in (("2026-03-03 12:00", "STOP"), ("2026-03-05 12:00", "Unstop")):
        no = story.says(at, body)
        story.answered(f"{at}:04", "stop_confirm" if body == "STOP" else "start_confirm", no)

    assert story.judged("2026-03-17 20:00").violations == []


def test_start_confirm_without_consent_shows() -> None:
    story = Chronicle()
    story.clinic("2026-03-01 06:00")
    no = story.says("2026-03-03 12:00", "START", number=OTHER_NUMBER)
    story.answered("2026-03-03 12:00:04", "start_confirm", no, patient=None, number=OTHER_NUMBER)

    assert rules(story.judged(END)) == {"sent_without_consent"}


def test_a_yes_to_the_request_for_consent_is_one() -> None:
    """Staff noted that the patient may be asked by text; the answer brings the welcome at any hour, and the rest."""
    story = Chronicle()
    story.clinic("2026-03-01 06:00")
    story.patient("2026-03-02 15:00", may_ask=True)
    story.session("2026-03-02 15:00", start="2026-03-18 15:00", end="2026-03-18 15:20")
    story.took("2026-03-02 15:00:04", "optin", None)
    story.says("2026-03-04 05:00", "Yes!")
    story.took("2026-03-04 05:01:02", "welcome", None)
    assert story.judged("2026-03-06 12:00").violations == []

    story.took("2026-03-03 16:00", "baseline")

    assert "sent_without_consent" in rules(story.judged("2026-03-06 12:00"))


def test_a_stop_and_a_start_within_seconds_leave_it_open() -> None:
    """Nobody knows for sure which came first, so that a text is neither owed nor wrong."""
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if entry["at"] < "2026-03-03"]
    story.says("2026-03-03 12:00:30", "START", brought="2026-03-03 12:00:31")
    story.says("2026-03-03 12:00", "STOP", brought="2026-03-03 12:00:40")
    assert story.judged("2026-03-08 12:00").violations == []

    story.took("2026-03-06 17:00", "baseline")

    assert story.judged("2026-03-08 12:00").violations == []


def test_whoever_speaks_is_answered_on_the_line_they_used() -> None:
    story, no = _asked("who is this?", to=SENDER, number=NUMBER)
    story.answered("2026-03-03 12:00:03", "unknown_reply", no, sender="+15550100009")

    assert rules(story.judged(END)) >= {"wrong_number"}
