"""Counting as the network counts, and putting texts into letters it counts cheaply."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.segments import (
    GSM_BASIC,
    GSM_EXTENSION,
    Measured,
    Policy,
    measure,
    odd_characters,
    prepare,
    tidy,
    transliterate,
)

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "segments.json").read_text("utf-8"))["vectors"]
GSM = "".join(sorted(GSM_BASIC | GSM_EXTENSION))
# The letters of the languages written in Latin script: Western, Central European, Turkish, Romanian, Welsh, Vietnamese.
LATIN = "".join(
    char
    for code in (
        *range(0x41, 0x180),
        0x18F,
        0x259,
        *range(0x1CD, 0x1DD),
        *range(0x1F8, 0x21C),
        *range(0x1E00, 0x1E9B),
        0x1E9E,
        *range(0x1EA0, 0x1EFA),
    )
    if (char := chr(code)).isalpha() and char not in "ªºµ"
)

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
latin_text = st.text(st.sampled_from(LATIN + "\u0300\u0301\u0307\u0327 .,"), max_size=60)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_text_is_measured_as_the_provider_s_calculator_does(vector: dict[str, Any]) -> None:
    expected = Measured(vector["encoding"], vector["segments"], vector["units"])
    assert measure(vector["text"]) == expected


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 152 + "€" + "a" * 10, 2),
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ş" * 66 + "\r\n" + "ş" * 66, 2),
        ("ş" * 66 + "👍" + "ş" * 10, 2),
        ("ş" + "e" + "\u0301" * 200, 4),
        ("e" + "\u0301" * 67 + "ş" * 66, 2),
    ],
    ids=[
        "a euro sign never lies across two segments",
        "the second segment is full",
        "the gap before the euro sign costs a third segment",
        "a line break may be cut between its two signs",
        "an emoji never lies across two segments",
        "a letter with more accents than a segment holds is cut all the same",
        "and what is left of it shares a segment with the next letters",
    ],
)
def test_what_must_stay_whole_stays_whole(text: str, segments: int) -> None:
    assert measure(text).segments == segments


@given(any_text)
def test_never_fewer_segments_than_the_units_need(text: str) -> None:
    measured = measure(text)
    alone, of_several = (160, 153) if measured.encoding == "GSM-7" else (70, 67)
    assert measured.segments >= (1 if measured.units <= alone else -(-measured.units // of_several))


@given(any_text)
def test_one_character_outside_the_alphabet_decides_the_encoding(text: str) -> None:
    assert (measure(text).encoding == "UCS-2") == bool(odd_characters(text))


@given(st.text(st.sampled_from(GSM), max_size=500))
def test_plain_texts_cost_one_septet_a_letter_and_two_an_extension(text: str) -> None:
    measured = measure(text)
    assert measured.encoding == "GSM-7"
    assert measured.units == len(text) + sum(char in GSM_EXTENSION for char in text)


@pytest.mark.parametrize(
    ("pasted", "tidied"),
    [
        ("“Don’t”", '"Don\'t"'),
        ("10–14 — fine", "10-14 - fine"),
        ("wait…", "wait..."),
        ("call\u00a0us", "call us"),
        ("5\u202fmg\u3000a\tday", "5 mg a day"),
        ("co\u00adop\u200b\u2060\ufeff", "coop"),
        ("\u202a+90 532\u202c", "+90 532"),
        ("man\u0303ana", "mañana"),
        ("one\r\ntwo\u2028three", "one\ntwo\nthree"),
        ("«hola» l`eau", '"hola" l\'eau'),
        ("1½ tablets ÷ 2 × 5 µg", "1½ tablets ÷ 2 × 5 µg"),
        ("38°C, ñ, ç", "38°C, ñ, ç"),
    ],
    ids=[
        "curly quotes",
        "dashes",
        "ellipsis",
        "no-break space is one space",
        "every odd space and tab is one space",
        "invisible signs go",
        "marks that address books put around numbers go",
        "accents are composed",
        "line ends",
        "guillemets and backticks",
        "signs of a dose stay for lint to refuse",
        "letters and degrees stay",
    ],
)
def test_tidying(pasted: str, tidied: str) -> None:
    assert tidy(pasted) == tidied


@given(any_text)
def test_tidying_twice_changes_nothing_more(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


@pytest.mark.parametrize(
    ("native", "plain"),
    [
        ("Şimdi, Çarşı, gücün, İyi", "Simdi, Çarsi, gücün, Iyi"),
        ("Clínica, mañana, ¿cuándo?", "Clinica, mañana, ¿cuando?"),
        ("élève à Zürich, Æ ß", "élève à Zürich, Æ ß"),
        ("Łódź, þing, Œuvre, ẞ", "Lodz, thing, OEuvre, SS"),
        ("hâlâ i\u0307yi x\u0302", "hala iyi x"),
        ("½ ÷ × µ 38°C", "½ ÷ × µ 38°C"),
        ("Да, Ώρα, 你好, 👍", "Да, Ώρα, 你好, 👍"),
    ],
    ids=[
        "Turkish keeps ü ö Ç",
        "Spanish keeps ñ ¿",
        "letters of the alphabet stay",
        "letters without a plain twin",
        "loose accents go with their letter",
        "signs of a dose stay",
        "other scripts stay",
    ],
)
def test_transliteration(native: str, plain: str) -> None:
    assert transliterate(native) == plain


@given(latin_text)
def test_latin_letters_always_fit_the_alphabet_afterwards(text: str) -> None:
    assert odd_characters(transliterate("a" + text)) == []


@given(any_text)
def test_transliterating_twice_changes_nothing_more(text: str) -> None:
    assert transliterate(transliterate(text)) == transliterate(text)


@given(st.text(st.sampled_from(GSM)))
def test_texts_within_the_alphabet_are_left_alone(text: str) -> None:
    assert transliterate(text) == text


@pytest.mark.parametrize(
    ("policy", "sent"), [("transliterate", "Seansiniz 10-14"), ("native", "Seansınız 10-14")], ids=["plain", "native"]
)
def test_the_clinic_chooses_plain_or_native_letters(policy: Policy, sent: str) -> None:
    assert prepare("Seansınız 10–14", policy) == sent


def test_odd_characters_are_shown_with_their_place() -> None:
    assert odd_characters("38°C ½ ñ") == [(2, "°"), (5, "½")]
