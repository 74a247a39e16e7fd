"""One text as it leaves: the right language, filled without a hole, spelled for the network, measured."""

from datetime import timedelta

import pytest

from service.domain.composition import NoTemplate, TemplateText, TooLong, compose, compose_free, pick
from service.domain.templates import EmptyValue
from service.store.content import shipped_templates
from tests.domain.cases import DAY, START, at, booked, case, clinic, completed, patient, template

TEXTS = {(t["key"], lang): template(t["key"], lang) for t in shipped_templates()["templates"] for lang in t["text"]}
NATIVE = clinic(transliterate=False)


def text(words: str, language: str = "en", *, plain: bool = False) -> TemplateText:
    return TemplateText("some", language, 3, 33, words, plain=plain)


@pytest.mark.parametrize(
    ("language", "languages", "found"),
    [
        ("tr", ("en",), "tr"),
        ("es-MX", ("en", "tr"), "es"),
        ("TR_tr", ("en",), "tr"),
        ("de", ("es", "en"), "es"),
        ("de", ("fr", "tr"), "tr"),
    ],
    ids=["stored language", "its Mexican form", "odd spelling", "clinic's first", "clinic's first that has the text"],
)
def test_the_text_is_in_the_patients_language_else_in_the_clinics(
    language: str, languages: tuple[str, ...], found: str
) -> None:
    about = case(patient=patient(language=language), clinic=clinic(languages=languages))
    assert pick(TEXTS, "pre_1d", about).language == found


def test_a_regional_text_of_the_clinics_own_goes_before_the_general_one() -> None:
    regional = text("hola", "es-MX")
    about = case(patient=patient(language="es-MX"))
    assert pick({**TEXTS, ("pre_1d", "es-MX"): regional}, "pre_1d", about) is regional


def test_a_text_that_is_not_there_is_said_so_by_name() -> None:
    about = case(patient=patient(language="de"), clinic=clinic(languages=("fr",)))
    with pytest.raises(NoTemplate, match="no live text 'pre_1d' in 'de'"):
        pick(TEXTS, "pre_1d", about)


def test_a_text_as_it_leaves() -> None:
    written = compose(TEXTS["pre_1d", "en"], case(booked()), session=booked(), at=START - DAY)
    assert written.text == (
        "Lakeside Clinic: your session is Wed 17 Jun at 2:00 PM, about 20 min. Reply C to confirm or R to change. "
        "Any change in your health or medicines? Call first: +1 555-010-0199. Bring your headache diary."
    )
    assert (written.encoding, written.segments, written.language, written.version) == ("GSM-7", 2, "en", 1)
    assert len(written.body_hash) == 64


def test_the_same_text_has_the_same_hash_and_another_another() -> None:
    one, same, other = (compose_free(words, case()).body_hash for words in ("Call us.", "Call us.", "Call us!"))
    assert one == same != other


def test_a_clinic_that_writes_natively_pays_for_it_but_not_where_one_part_must_do() -> None:
    about = case(clinic=NATIVE, patient=patient(language="tr"))
    native = compose(text("Başınız yüksekte uyuyun", "tr"), about, session=None, at=START)
    assert (native.text, native.encoding) == ("Başınız yüksekte uyuyun", "UCS-2")
    plain = compose(text("Başınız yüksekte uyuyun", "tr", plain=True), about, session=None, at=START)
    assert (plain.text, plain.encoding) == ("Basiniz yüksekte uyuyun", "GSM-7")


def test_odd_signs_that_editors_paste_cost_nothing() -> None:
    found = compose_free("Don’t worry – call us…", case(clinic=NATIVE))
    assert (found.text, found.encoding) == ("Don't worry - call us...", "GSM-7")


def test_a_text_that_a_person_wrote_has_no_version() -> None:
    found = compose_free("Please call us.", case(patient=patient(language="es")))
    assert (found.version, found.version_id, found.language, found.segments) == (None, None, "es", 1)


def test_a_text_with_a_hole_is_not_written() -> None:
    with pytest.raises(EmptyValue, match="until"):
        compose(TEXTS["aftercare_1", "en"], case(booked()), session=booked(), at=START)


@pytest.mark.parametrize(("length", "fits"), [(1600, True), (1601, False)])
def test_a_text_is_never_longer_than_a_network_takes(length: int, fits: bool) -> None:
    if fits:
        assert compose_free("x" * length, case()).segments == 11
    else:
        with pytest.raises(TooLong, match=f"the text has {length} characters"):
            compose_free("x" * length, case())


def test_which_texts_tell_the_patient_when_the_session_starts() -> None:
    naming = {key for (key, language), found in TEXTS.items() if language == "en" and found.names_start}
    assert {"booking_confirm", "session_moved", "pre_7d", "pre_7d_explicit", "pre_1d"} <= naming
    assert not naming & {"baseline_days", "aftercare_1", "repeat_due", "checkin_d3"}


@pytest.mark.parametrize("language", ["en", "es", "tr"])
@pytest.mark.parametrize("step", ["aftercare_1", "aftercare_late", "aftercare_2", "evening_head_up", "allclear_24h"])
def test_care_texts_name_the_clinic_and_the_emergency_number_and_fit_two_parts(step: str, language: str) -> None:
    about = case(completed(), patient=patient(language=language))
    written = compose(TEXTS[step, language], about, session=completed(), at=START + DAY)
    assert written.text.startswith("Lakeside Clinic")
    assert "911" in written.text
    assert (written.encoding, written.segments <= 2) == ("GSM-7", True)


def test_a_text_is_written_as_of_the_moment_it_leaves() -> None:
    about, question = case(completed()), TEXTS["checkin_d3", "en"]
    soon = compose(question, about, session=completed(), at=at("2026-06-20 11:00"))
    later = compose(question, about, session=completed(), at=at("2026-06-22 11:00") + timedelta(minutes=1))
    assert "3 days since" in soon.text
    assert "5 days since" in later.text
