"""What may not stand in a template, and that nothing of it stands in the texts we ship."""

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.careplan import Anchor
from service.domain.draft import TemplateSpec, Vocabulary
from service.domain.lint import Finding, lint_template
from service.domain.segments import measure, tidy, transliterate
from service.domain.templates import worst_case

CONTENT = files("service.content")
PLAN: dict[str, Any] = json.loads((CONTENT / "care_plan.json").read_text("utf-8"))
SHIPPED: dict[str, Any] = json.loads((CONTENT / "default_templates.json").read_text("utf-8"))
KEEP: dict[str, str] = PLAN["safety_phrases"]["keep_prescribed"]
VOCABULARY = Vocabulary(
    max_lengths={variable["name"]: variable["max_length"] for variable in PLAN["variables"]},
    reply_words=SHIPPED["reply_words"],
    carrier_words=frozenset(SHIPPED["carrier_words"]),
    keep_prescribed=KEEP,
)


def anchors_of(template: str) -> frozenset[Anchor]:
    return frozenset(
        Anchor(step["anchor"])
        for step in PLAN["steps"]
        if template in {step.get("template"), *step.get("variants", {}).values()}
    )


def spec_of(template: dict[str, Any]) -> TemplateSpec:
    return TemplateSpec(
        category=template["category"],
        expects=template["expects"],
        asks=frozenset(template["asks"]),
        max_segments=template["max_segments"],
        anchors=anchors_of(template["key"]),
    )


CASES = [
    pytest.param(template, language, id=f"{template['key']}-{language}")
    for template in SHIPPED["templates"]
    for language in template["text"]
]


@pytest.mark.parametrize(("template", "language"), CASES)
def test_every_shipped_text_is_clean(template: dict[str, Any], language: str) -> None:
    text = template["text"][language]
    assert tidy(text) == text
    assert lint_template(template["key"], language, text, spec=spec_of(template), vocabulary=VOCABULARY) == []


@pytest.mark.parametrize(("template", "language"), CASES)
def test_a_shipped_text_that_loses_its_emergency_line_is_found(template: dict[str, Any], language: str) -> None:
    text = template["text"][language].replace("{{ emergency }}", "us").replace("{{ crisis_line }}", "us")
    findings = lint_template(template["key"], language, text, spec=spec_of(template), vocabulary=VOCABULARY)
    after_session = template["category"] in {"aftercare", "repeat", "reply", "safety"} or (
        template["category"] == "checkin" and template["key"] != "baseline_days"
    )
    assert ("emergency_missing" in {finding.code for finding in findings}) == after_session


def lint(text: str, language: str = "en", **spec: Any) -> list[Finding]:
    """Lint a text that has its clinic name, as a booking text unless told otherwise."""
    asks = frozenset(spec.pop("asks", ()))
    full = TemplateSpec(**{"category": "booking", "expects": "none", "max_segments": 2, **spec}, asks=asks)
    named = text if "{{ clinic }}" in text else f"{text} {{{{ clinic }}}}"
    return lint_template("mine", language, named, spec=full, vocabulary=VOCABULARY)


def found(text: str, language: str = "en", **spec: Any) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.position) for finding in lint(text, language, **spec)]


@pytest.mark.parametrize(
    ("text", "code", "position", "says"),
    [
        ("{{ clinc }} calls", "unknown_variable", 0, "Did you mean {{ clinic }}?"),
        ("See you {{ Due Date }}", "unknown_variable", 8, "Did you mean {{ due_date }}?"),
        ("Hi {{ patient_surname_2 }}", "unknown_variable", 3, "Choose one from the list."),
        ("Hi { date }}", "braces", 3, "A curly bracket stands alone"),
        ("Call 1½ times", "dose_sign", 6, "vulgar fraction one half"),
        ("2 × 2", "dose_sign", 2, "multiplication sign"),
        ("38°C", "odd_character", 2, "degree sign"),
        ("Well done 👍🏽", "odd_character", 10, "thumbs up sign"),
        ("Да", "odd_character", 0, "cyrillic capital letter de"),
        ("Be here at 10:30", "raw_time", 11, "'10:30' looks like a time"),
        ("Saat 10.30 gibi", "raw_time", 5, "'10.30'"),
        ("Be here at 5 pm", "raw_time", 11, "'5 pm'"),
        ("On 2026-09-30", "raw_time", 3, "'2026-09-30'"),
        ("El 30/09/2026", "raw_time", 3, "'30/09/2026'"),
        ("See https://example.org", "link", 4, "Links look like fraud"),
        ("See WWW.example.org", "link", 4, "Links look like fraud"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_may_not_stand_in_any_text(text: str, code: str, position: int, says: str) -> None:
    first = lint(text)[0]
    assert (first.severity, first.code, first.position) == ("error", code, position)
    assert says in first.message


def test_a_finding_names_its_template_and_language() -> None:
    assert lint("Hi {", "es") == [
        Finding("mine", "es", "error", "braces", 3, "A curly bracket stands alone. Variables are written {{ name }}.")
    ]


@pytest.mark.parametrize(
    "text", ["Count 10-14 days", "Call 800 911 2000", "1. Rest", "From 0 to 28", "Room 12, floor 3."]
)
def test_numbers_that_are_no_times(text: str) -> None:
    assert found(text) == []


def test_positions_count_in_the_text_as_it_is_stored() -> None:
    assert found("“Wait…” 38°C") == [("odd_character", 12)]


def test_an_empty_text_is_found() -> None:
    findings = lint_template(
        "mine", "en", " \u00a0", spec=TemplateSpec("booking", "none", frozenset(), 2), vocabulary=VOCABULARY
    )
    assert [finding.code for finding in findings] == ["empty", "clinic_missing"]


@pytest.mark.parametrize(
    ("category", "expects", "asks", "missing"),
    [
        ("system", "none", [], False),
        ("system", "none", ["stop"], True),
        ("system", "free", [], True),
        ("booking", "none", [], True),
    ],
    ids=["the last word to a wrong number", "help", "answer to an unclear text", "booking"],
)
def test_every_text_names_the_clinic(category: str, expects: str, asks: list[str], missing: bool) -> None:
    spec = TemplateSpec(category, expects, frozenset(asks), 2)
    findings = lint_template("mine", "en", "Sorry.", spec=spec, vocabulary=VOCABULARY)
    assert ("clinic_missing" in {finding.code for finding in findings}) is missing


@pytest.mark.parametrize(
    ("category", "anchors", "severity"),
    [
        ("aftercare", [], "error"),
        ("repeat", [], "error"),
        ("reply", [], "error"),
        ("safety", [], "error"),
        ("checkin", [Anchor.COMPLETED, Anchor.SESSION_START], "error"),
        ("checkin", [Anchor.DUE], "error"),
        ("pre", [Anchor.COMPLETED], "error"),
        ("checkin", [], "warning"),
        ("checkin", [Anchor.SESSION_START], None),
        ("pre", [Anchor.SESSION_START], None),
        ("booking", [], None),
        ("consent", [], None),
    ],
    ids=[
        "aftercare",
        "repeat",
        "acknowledgement",
        "safety",
        "check-in after the session",
        "check-in when the next is due",
        "any text sent after the session",
        "check-in no step sends yet",
        "question before the session",
        "reminder",
        "booking",
        "consent",
    ],
)
def test_between_two_sessions_every_text_says_whom_to_call(
    category: str, anchors: list[Anchor], severity: str | None
) -> None:
    findings = lint("Hello. {{ phone }}", category=category, anchors=frozenset(anchors))
    assert [(finding.code, finding.severity) for finding in findings] == (
        [("emergency_missing", severity)] if severity else []
    )
    for line in ("{{ emergency }}", "{{ crisis_line }}"):
        assert lint(f"{{{{ phone }}}} Call {line}.", category=category, anchors=frozenset(anchors)) == []


@pytest.mark.parametrize(
    ("category", "missing"),
    [("reply", True), ("safety", True), ("aftercare", False), ("pre", False), ("system", False)],
)
def test_an_answer_says_where_to_call(category: str, missing: bool) -> None:
    assert (("phone_missing", None) in found("Call {{ emergency }}.", category=category)) is missing
    for phone in ("{{ phone }}", "{{ urgent_phone }}"):
        assert found(f"Call {{{{ emergency }}}} or {phone}.", category=category) == []


@pytest.mark.parametrize(
    ("text", "language", "position"),
    [
        ("No aspirin until tonight.", "en", 3),
        ("Avoid blood thinners.", "en", 6),
        ("Avoid IBUPROFEN.", "en", 6),
        ("Sin aspirinas hoy.", "es", 4),
        ("Sin anticoagulantes ni ibuprofeno.", "es", 4),
        ("Aspirin almayın.", "tr", 0),
        ("Kan sulandırıcı almayın.", "tr", 0),
        ("KAN SULANDIRICI yok.", "tr", 0),
        ("No kan sulandırıcı today.", "en", 3),
        ("No Eliquis today.", "en", 3),
    ],
)
def test_a_drug_stands_only_beside_the_safety_sentence(text: str, language: str, position: int) -> None:
    assert found(text, language) == [("keep_prescribed_missing", position)]
    assert found(f"{text} {KEEP[language]}", language) == []
    assert found(f"{text} {KEEP[language][:-5]}.", language) == [("keep_prescribed_missing", position)]


def test_without_a_safety_sentence_in_its_language_no_text_names_a_drug() -> None:
    [finding] = lint("Pas d'aspirine.", "fr")
    assert finding.code == "keep_prescribed_missing"
    assert "does not exist in 'fr' yet" in finding.message


@pytest.mark.parametrize(
    ("text", "language", "position"),
    [
        ("Stop taking aspirin", "en", 0),
        ("Please do not stop your blood thinner", "en", 14),
        ("Stop all medicines", "en", 0),
        ("Discontinue Plavix", "en", 0),
        ("Hoy deje de tomar la aspirina", "es", 4),
        ("Suspenda sus medicinas", "es", 0),
        ("Aspirini bırakın", "tr", 9),
        ("İlaçlarınızı kesin", "tr", 13),
        ("İlacı BIRAKIN", "tr", 6),
    ],
)
def test_no_text_stops_a_medicine(text: str, language: str, position: int) -> None:
    assert ("stop_medicine", position) in found(f"{text}. {KEEP[language]}", language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Any change in your medicines? Call us. It will stop soon", "en"),
        ("Your medicines: call us, STOP to end texts", "en"),
        ("Traiga sus medicinas. No deje de venir", "es"),
        ("İlaçlarınız için kesin bilgi alın", "tr"),
    ],
    ids=["another sentence", "the opt-out word", "another sentence in Spanish", "kesin as certain"],
)
def test_harmless_words_near_medicines(text: str, language: str) -> None:
    assert found(text, language, asks=["stop"])[:1] in ([], [("reply_word_missing", None)])


@pytest.mark.parametrize(
    ("text", "language", "asks", "code", "position"),
    [
        ("Reply CANCEL to cancel", "en", [], "carrier_word", 6),
        ("reply cancel", "en", [], "carrier_word", 6),
        ("Send END", "en", [], "carrier_word", 5),
        ("CANCELAR para cambiar", "es", [], "carrier_word", 0),
        ("Durdurmak için İPTAL yazın", "tr", [], "carrier_word", 15),
        ("STOP yazın", "tr", ["stop"], "carrier_word", 0),
        ("Reply YES to confirm", "en", ["consent"], "yes_outside_consent", 6),
        ("Reply yes to confirm", "en", ["confirm"], "yes_outside_consent", 6),
        ("Responda SI", "es", ["confirm"], "yes_outside_consent", 9),
        ("EVET yazın", "tr", ["confirm"], "yes_outside_consent", 0),
        ("Reply R to change", "en", ["confirm"], "reply_word_unasked", 6),
        ("STOP to end texts", "en", [], "reply_word_unasked", 0),
        ("Reply BOOK", "en", [], "reply_word_unasked", 6),
        ("Değiştirmek için D yazın", "tr", [], "reply_word_unasked", 17),
        ("Reply OKAY", "en", [], "reply_word_unknown", 6),
        ("Reply with 'T' now", "en", [], "reply_word_unknown", 12),
        ("TAMAM yazın", "tr", [], "reply_word_unknown", 0),
        ("Reply 1 if fine", "en", [], "reply_word_unasked", 6),
        ("Better = 1, 2 = worse", "en", [], "reply_word_unasked", 12),
        ("Yan etki için 4 yazın", "tr", [], "reply_word_unasked", 14),
    ],
    ids=str,
)
def test_answers_a_text_may_not_ask_for(text: str, language: str, asks: list[str], code: str, position: int) -> None:
    errors = [
        (finding.code, finding.position) for finding in lint(text, language, asks=asks) if finding.severity == "error"
    ]
    assert errors == [(code, position)]


@pytest.mark.parametrize(
    ("text", "language", "category", "asks"),
    [
        ("Reply YES to agree, STOP to refuse", "en", "consent", ["consent", "stop"]),
        ("Responda C o R", "es", "pre", ["confirm", "change"]),
        ("Onay için T, değiştirmek için D yazın", "tr", "pre", ["confirm", "change"]),
        ("Reply 1 = fine or 2", "en", "pre", ["digits"]),
        ("Reply with a number from 0 to 28", "en", "pre", ["number"]),
        ("Your session is cancelled, the end. Responda si puede", "en", "pre", []),
        ("Reply no later than Monday", "en", "pre", []),
        ("EMERGENCY? Do it NOW, SMS us", "en", "pre", []),
    ],
    ids=[
        "consent",
        "Spanish letters",
        "Turkish letters",
        "digits",
        "a number",
        "small words",
        "reply no later",
        "loud words that are no answers",
    ],
)
def test_answers_a_text_may_ask_for(text: str, language: str, category: str, asks: list[str]) -> None:
    assert found(text, language, category=category, asks=asks) == []


DEAF = replace(VOCABULARY, receives=False)


def unanswered(text: str, language: str, **spec: Any) -> list[tuple[str, str, int | None]]:
    values: dict[str, Any] = {"category": "pre", "expects": "none", "asks": frozenset(), "max_segments": 2}
    full = TemplateSpec(**values | spec)
    named = f"{text} {{{{ clinic }}}}"
    found = lint_template("mine", language, named, spec=full, vocabulary=DEAF)
    return [(f.code, f.severity, f.position) for f in found if f.code == "no_replies"]


@pytest.mark.parametrize(
    ("text", "language", "position"),
    [
        ("Reply R to change", "en", 0),
        ("Please reply with one number", "en", 7),
        ("Thanks. STOP to end texts", "en", 8),
        ("Responda con un número", "es", 0),
        ("Gracias. ALTO para salir", "es", 9),
        ("Lütfen bir sayı yazın", "tr", 16),
        ("Çıkış: DUR.", "tr", 7),
    ],
    ids=str,
)
def test_nobody_is_asked_to_answer_a_sender_that_can_not_receive(text: str, language: str, position: int) -> None:
    assert unanswered(text, language) == [("no_replies", "error", position)]


@pytest.mark.parametrize(
    ("text", "language"),
    [("Your session is over. Call {{ phone }}.", "en"), ("Llame al {{ phone }}.", "es"), ("Bizi arayın.", "tr")],
)
def test_a_text_that_gives_another_way_suits_every_sender(text: str, language: str) -> None:
    assert unanswered(text, language) == []


def test_a_text_whose_purpose_is_an_answer_is_a_warning_without_one() -> None:
    assert unanswered("How are you?", "en", asks=frozenset({"digits"})) == [("no_replies", "warning", None)]


def test_an_answer_that_is_asked_for_but_not_offered_is_a_warning() -> None:
    [finding] = lint("Please confirm.", asks=["confirm", "digits"])
    assert (finding.severity, finding.code) == ("warning", "reply_word_missing")
    assert "does not offer C" in finding.message


@pytest.mark.parametrize(
    ("text", "language", "position"),
    [("Bunu sık yapın", "tr", 5), ("SIK SIK", "tr", 0), ("Bir şık seçin", "tr", 4), ("Sıkıntı olursa", "tr", 0)],
    ids=["often", "in capitals", "an option", "trouble"],
)
def test_turkish_words_that_turn_obscene_without_their_letters(text: str, language: str, position: int) -> None:
    assert ("turns_obscene", position) in found(text, language)
    assert ("turns_obscene", position) not in found(text, "es")


def test_other_turkish_words_are_left_alone() -> None:
    assert found("Şikayet, sikke, ışık, basık: çok düzenli", "tr") == []


@pytest.mark.parametrize(
    ("letters", "most", "too_long"),
    [(139, 1, False), (140, 1, True), (285, 2, False), (286, 2, True)],
    ids=["one text full", "one too many for one", "two texts full", "one too many for two"],
)
def test_length_is_counted_with_the_longest_values(letters: int, most: int, too_long: bool) -> None:
    text = "ş" * letters + " {{ clinic }}"
    assert (("too_long", None) in found(text, max_segments=most)) is too_long


pieces = st.sampled_from(
    [*"aşé€½ 1=:{}\n…", "{{ clinic }}", "{{ date }}", "{{ x }}", "STOP", "aspirin", "reply ", " yazın"]
)


@given(st.lists(pieces).map("".join), st.sampled_from(["en", "es", "tr", "fr"]))
def test_whatever_is_written_is_judged_within_it(text: str, language: str) -> None:
    for finding in lint(text, language):
        assert finding.position is None or finding.position < len(tidy(text))


@given(st.text(st.sampled_from("aşığé10 .,"), max_size=400))
def test_a_text_without_errors_never_costs_more_than_it_may(text: str) -> None:
    if not lint(text, max_segments=1):
        longest = worst_case(transliterate(f"{tidy(text)} {{{{ clinic }}}}"), VOCABULARY.max_lengths)
        assert measure(longest).segments == 1
