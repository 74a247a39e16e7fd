"""Bare answers: what is taken at its word, and what never is."""

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.replies import Keywords, Kind, Reading, normalise, read_reply

CONTENT = files("service.content")
PLAN: dict[str, Any] = json.loads((CONTENT / "care_plan.json").read_text("utf-8"))
REPLY_WORDS: dict[str, dict[str, str]] = json.loads((CONTENT / "default_templates.json").read_text("utf-8"))[
    "reply_words"
]
KEYWORDS = Keywords.from_plan({kind: words for kind, words in PLAN["keywords"].items() if kind != "note"})
QUESTIONS = [None, "none", "free", "choice_1_3", "int_0_28", "confirm_change", "book", "book_no", "yes_stop"]


def kind_of(text: str, expects: str | None = None) -> Kind:
    return read_reply(text, keywords=KEYWORDS, expects=expects, reply_words=REPLY_WORDS).kind


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("STOP", "stop"),
        (" “Stop”!! 🛑 ", "stop"),
        ("Opt\u00a0 out.", "opt out"),
        ("opt-out", "opt-out"),
        ("ÇIK", "cik"),
        ("çık", "cik"),
        ("DEĞİŞTİR", "degistir"),
        ("deg\u0306is\u0327tir", "degistir"),
        ("Sí.", "si"),
        ("ＳＴＯＰ", "stop"),
        ("st\u00adop\u200b", "stop"),
        ("1️⃣", "1"),
        ("🙏👍", ""),
        ("", ""),
    ],
    ids=[
        "capitals",
        "quotes, marks and emoji around",
        "hard and double spaces",
        "hyphen inside",
        "Turkish capital without dot",
        "Turkish small without dot",
        "Turkish capital with dot",
        "loose accents",
        "Spanish accent",
        "wide letters",
        "invisible signs",
        "keycap",
        "emoji only",
        "nothing",
    ],
)
def test_normalising(typed: str, plain: str) -> None:
    assert normalise(typed) == plain


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize("expects", QUESTIONS)
@pytest.mark.parametrize(
    ("kind", "word"), [(kind, word) for kind in ("stop", "help", "start") for word in PLAN["keywords"][kind]]
)
def test_keywords_come_first_whatever_was_asked(kind: Kind, word: str, expects: str | None) -> None:
    for typed in (word, word.upper(), f" {word.capitalize()}! 🙏"):
        assert kind_of(typed, expects) == kind


@pytest.mark.parametrize(
    "text", ["İPTAL", "iptal", "IPTAL", "ÇIK", "Çık!", "RET", "REVOKE", "OPTOUT", "Opt out", "ALTO.", "Dur"]
)
def test_opt_out_in_any_language_and_spelling(text: str) -> None:
    assert kind_of(text) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "The bleeding won't stop",
        "should I stop the pills?",
        "Stop please",
        "my pain does not stop 😢",
        "I stopped my aspirin",
        "I cannot stop shaking, help",
        "help me please",
        "dur durak bilmiyor",
        "no puedo parar de vomitar",
        "the end",
        "please stop texting me",
        "👍",
        "",
    ],
)
@pytest.mark.parametrize("expects", QUESTIONS)
def test_a_sentence_is_never_taken_for_its_keyword(text: str, expects: str | None) -> None:
    assert kind_of(text, expects) == "other"


@pytest.mark.parametrize(
    ("text", "expects", "kind"),
    [
        ("C", "confirm_change", "confirm"),
        ("c.", "confirm_change", "confirm"),
        ("T", "confirm_change", "confirm"),
        ("Yes.", "confirm_change", "confirm"),
        ("Y!", "confirm_change", "confirm"),
        ("Yep", "confirm_change", "confirm"),
        ("ok 👍", "confirm_change", "confirm"),
        ("Sí", "confirm_change", "confirm"),
        ("TAMAM", "confirm_change", "confirm"),
        ("evet", "confirm_change", "confirm"),
        ("R", "confirm_change", "change"),
        ("d", "confirm_change", "change"),
        ("DEĞİŞTİR", "confirm_change", "change"),
        ("Cambiar", "confirm_change", "change"),
        ("change!", "confirm_change", "change"),
        ("YES", "yes_stop", "consent"),
        ("sí", "yes_stop", "consent"),
        ("Evet", "yes_stop", "consent"),
        ("BOOK", "book", "book"),
        ("cita", "book", "book"),
        ("Randevu", "book_no", "book"),
        ("NO", "book_no", "decline"),
        ("Hayır", "book_no", "decline"),
    ],
)
def test_the_answer_that_was_asked_for(text: str, expects: str, kind: Kind) -> None:
    assert kind_of(text, expects) == kind


@pytest.mark.parametrize(
    ("text", "expects"),
    [
        ("C", None),
        ("yes", None),
        ("yes", "free"),
        ("yes", "choice_1_3"),
        ("yes", "book"),
        ("no", "book"),
        ("no", "yes_stop"),
        ("ok", "yes_stop"),
        ("y", "yes_stop"),
        ("C", "yes_stop"),
        ("book", "confirm_change"),
        ("no", "confirm_change"),
        ("C and R", "confirm_change"),
        ("C but I am pregnant", "confirm_change"),
        ("1", "choice_1_3"),
        ("12", "int_0_28"),
        ("NO", "a question of a later plan"),
    ],
    ids=[
        "letter without a question",
        "yes without a question",
        "yes to a text that asks nothing",
        "yes to a choice",
        "yes to booking",
        "no to booking alone",
        "no to consent is for a person",
        "ok is no consent",
        "y is no consent",
        "a letter is no consent",
        "another question's answer",
        "no to a reminder",
        "two answers",
        "an answer and more",
        "digits are for triage",
        "numbers are for triage",
        "an unknown question",
    ],
)
def test_anything_else_is_for_triage_or_a_person(text: str, expects: str | None) -> None:
    assert kind_of(text, expects) == "other"


def test_the_recognised_word_is_shown() -> None:
    assert read_reply(" ÇIK! ", keywords=KEYWORDS, expects=None, reply_words=REPLY_WORDS) == Reading("stop", "cik")
    assert read_reply("hm", keywords=KEYWORDS, expects=None, reply_words=REPLY_WORDS) == Reading("other")


def test_a_keyword_of_signs_alone_matches_nothing() -> None:
    """Else every thumbs-up would be an opt-out."""
    keywords = Keywords.from_plan({"stop": ["🛑", "stop"], "help": ["?"], "start": [], "start_in_context": []})
    assert read_reply("👍", keywords=keywords, expects=None, reply_words={}).kind == "other"


def test_a_word_in_several_lists_stops_rather_than_helps_or_starts() -> None:
    keywords = Keywords.from_plan({"stop": ["a"], "help": ["a", "b"], "start": ["a", "b"], "start_in_context": []})
    kinds = [read_reply(text, keywords=keywords, expects=None, reply_words={}).kind for text in "ab"]
    assert kinds == ["stop", "help"]


def test_reply_words_may_lack_a_role() -> None:
    assert read_reply("yes", keywords=KEYWORDS, expects="confirm_change", reply_words={}).kind == "confirm"


@given(st.from_regex(r"[a-z]{3,9}( [a-z]{1,9}){0,4}", fullmatch=True), st.sampled_from(QUESTIONS))
def test_a_word_before_the_keyword_makes_it_a_sentence(before: str, expects: str | None) -> None:
    assert kind_of(f"{before} stop!", expects) == "other"
