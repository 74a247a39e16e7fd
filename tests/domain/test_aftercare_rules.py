"""Every aftercare rule reaches every patient in their language before the first night, or at once where it is heard of late."""

from datetime import datetime, time, timedelta
from functools import cache

import pytest

from service.domain.case import Case
from service.domain.composition import compose, pick
from service.domain.expansion import expand
from service.store.content import shipped_plan, shipped_templates
from tests.domain.cases import (
    BOOKS,
    DAY,
    HOUR,
    START,
    Book,
    at,
    booked,
    case,
    clinic,
    completed,
    on_both_plans,
    patient,
    template,
    wanted,
)
from tests.domain.naive_clock import first_valid, next_open

MINUTE = timedelta(minutes=1)
NEW_YORK = "America/New_York"
TEXTS = {(t["key"], lang): template(t["key"], lang) for t in shipped_templates()["templates"] for lang in t["text"]}

WORDS = {
    "bend": {"en": "do not bend your head forward", "es": "no agache la cabeza", "tr": "başı öne eğmeyin"},
    "exercise": {"en": "no hard exercise", "es": "sin ejercicio fuerte", "tr": "ağır spor yapmayın"},
    "face": {"en": "no big face movements", "es": "ni gestos grandes de la cara", "tr": "yüzünüzü çok oynatmayın"},
    "rub": {"en": "do not rub the treated spots", "es": "no frote la zona", "tr": "yerlerini ovmayın"},
    "heat": {"en": "no heat", "es": "sin calor", "tr": "ısıtmayın"},
    "sun": {"en": "no direct sun", "es": "ni sol directo", "tr": "direkt güneşe çıkmayın"},
    "alcohol": {"en": "no alcohol", "es": "sin alcohol", "tr": "alkol"},
    "aspirin": {
        "en": "no aspirin on your own. Keep taking aspirin or blood thinners your doctor ordered.",
        "es": "ni aspirina por su cuenta. Siga con la aspirina o anticoagulante que le recetó su médico.",
        "tr": "kendi başınıza aspirin almayın. Doktorun verdiği aspirin veya kan sulandırıcıya devam edin.",
    },
    "head_up": {
        "en": "with your head raised",
        "es": "duerma con la cabeza elevada",
        "tr": "başınız yüksekte uyuyun",
    },
}
"""How each rule is said to a patient; aspirin never without the sentence that keeps what a doctor ordered."""
IN_PART_TWO = frozenset({"alcohol", "aspirin"})
QUARTERS = [datetime(2026, 6, 17) + n * timedelta(minutes=15) for n in range(96)]  # noqa: DTZ001 -- wall times
DELAYS = [timedelta(0), 5 * MINUTE, HOUR, 3 * HOUR, 9 * HOUR, 16 * HOUR, 30 * HOUR]


@cache
def aftercare(wall: datetime, delay: timedelta, book: str) -> dict[str, datetime]:
    """When each text goes out for a session that ended at a wall time and was recorded after a delay."""
    done = at(f"{wall:%Y-%m-%d %H:%M}")
    plan = next(one.plan for one in BOOKS if one.name == book)
    entries = expand(case(completed(done, known=done + delay), plan=plan))
    return {entry.step.template: entry.due_at for entry in entries if entry.step.template and entry.due_at}


def reached(rule: str, texts: dict[str, datetime], language: str) -> datetime | None:
    """When the patient first reads the rule, in words of their language."""
    return min((due for key, due in texts.items() if rule in TEXTS[key, language].rules), default=None)


def test_the_words_are_those_of_the_rules_that_there_are() -> None:
    assert set(WORDS) == {rule["key"] for rule in shipped_plan()["rules"]}


@pytest.mark.parametrize("rule", [rule["key"] for rule in shipped_plan()["rules"]])
def test_the_texts_that_carry_a_rule_are_those_that_the_plan_names(rule: str) -> None:
    carried = next(r["carried_by"] for r in shipped_plan()["rules"] if r["key"] == rule)
    assert {key for (key, _), text in TEXTS.items() if rule in text.rules} == set(carried)


@pytest.mark.parametrize("language", ["en", "es", "tr"])
@pytest.mark.parametrize("rule", WORDS)
def test_a_text_that_carries_a_rule_says_it_in_plain_words(rule: str, language: str) -> None:
    carrying = [text.text for (_, lang), text in TEXTS.items() if lang == language and rule in text.rules]
    assert carrying
    assert [text for text in carrying if WORDS[rule][language].lower() not in text.lower()] == []


@on_both_plans
@pytest.mark.parametrize("language", ["en", "es", "tr"])
@pytest.mark.parametrize("rule", WORDS)
def test_a_rule_reaches_the_patient_whenever_the_session_ends_and_is_recorded(
    rule: str, language: str, book: Book
) -> None:
    for wall in QUARTERS:
        for delay in DELAYS:
            first = reached(rule, aftercare(wall, delay, book.name), language)
            assert first == _in_time(rule, at(f"{wall:%Y-%m-%d %H:%M}"), delay, book), (wall.time(), delay)


def _in_time(rule: str, done: datetime, delay: timedelta, book: Book) -> datetime | None:
    """Ten minutes after the end, or as soon as it is heard of and the care window opens; part two follows part one."""
    at_once = _care_opens(max(done + 10 * MINUTE + book.minutes_later, done + delay))
    if at_once > done + 20 * HOUR - MINUTE:
        return None
    return _care_opens(at_once + 2 * MINUTE) if rule in IN_PART_TWO else at_once


def _care_opens(moment: datetime) -> datetime:
    return next_open(moment, time(8), time(21), NEW_YORK, every=15)


@on_both_plans
def test_before_the_first_night_means_before_nine_in_the_evening(book: Book) -> None:
    bedtime = first_valid(START.date(), time(21), NEW_YORK)
    for wall in (wall for wall in QUARTERS if wall.time() <= time(20, 30)):
        texts = aftercare(wall, timedelta(0), book.name)
        assert all((reached(rule, texts, "en") or DAY + bedtime) < bedtime for rule in WORDS), wall.time()


@on_both_plans
def test_aftercare_that_can_not_be_sent_any_more_is_put_before_staff(book: Book) -> None:
    entries = wanted(case(completed(known=START + 20 * HOUR), book=book), book=book)
    ended = [entries[key] for key in ("aftercare_late", "aftercare_2")]
    assert [(entry.skipped, entry.step.on_missed_task) for entry in ended] == [("expired", True)] * 2


@on_both_plans
@pytest.mark.parametrize(
    ("done", "known", "first", "second"),
    [
        ("2026-06-17 05:00", None, "2026-06-17 08:00", "2026-06-17 08:02"),
        ("2026-06-17 14:00", "2026-06-17 17:30", "2026-06-17 17:30", "2026-06-17 17:32"),
        ("2026-06-17 20:30", "2026-06-17 20:57", "2026-06-17 20:57", "2026-06-17 20:59"),
        ("2026-06-17 20:30", "2026-06-17 20:58", "2026-06-17 20:58", "2026-06-18 08:00"),
        ("2026-06-17 20:30", "2026-06-17 20:59", "2026-06-17 20:59", "2026-06-18 08:00"),
        ("2026-06-17 20:30", "2026-06-17 21:00", "2026-06-18 08:00", "2026-06-18 08:02"),
        ("2026-06-17 14:00", "2026-06-17 23:00", "2026-06-18 08:00", "2026-06-18 08:02"),
        ("2026-06-17 14:00", "2026-06-18 09:30", "2026-06-18 09:30", "2026-06-18 09:32"),
    ],
    ids=[
        "before the window opens",
        "recorded in the afternoon",
        "both parts just in time",
        "no room for part two tonight",
        "a minute before nine",
        "recorded at nine",
        "recorded at night",
        "recorded the next morning",
    ],
)
def test_part_two_follows_two_minutes_after_part_one(
    done: str, known: str | None, first: str, second: str, book: Book
) -> None:
    session = completed(at(done), known=at(known) if known else None)
    entries = wanted(case(session, book=book), book=book)
    part_one = entries["aftercare_1"].due_at or entries["aftercare_late"].due_at
    assert (part_one, entries["aftercare_2"].due_at) == (at(first), at(second))


@on_both_plans
@pytest.mark.parametrize(
    ("done", "known", "which"),
    [
        ("2026-06-17 14:00", "2026-06-17 20:59", "aftercare_1"),
        ("2026-06-17 14:00", "2026-06-17 21:00", "aftercare_late"),
        ("2026-06-17 20:30", None, "aftercare_1"),
        ("2026-06-17 20:50", None, "aftercare_late"),
        ("2026-06-17 23:50", None, "aftercare_late"),
        ("2026-06-17 00:10", None, "aftercare_1"),
    ],
    ids=[
        "recorded a minute before nine",
        "recorded at nine",
        "done in the evening",
        "done as the window closes",
        "done at night",
        "done after midnight: heard of in the morning of the same day",
    ],
)
def test_tonight_is_only_said_on_the_day_itself(done: str, known: str | None, which: str, book: Book) -> None:
    entries = wanted(case(completed(at(done), known=at(known) if known else None), book=book), book=book)
    sent = {key for key in ("aftercare_1", "aftercare_late") if entries[key].due_at}
    assert sent == {which}
    missed = "condition:day_not_missed" if which == "aftercare_late" else "condition:day_missed"
    assert {entries[key].skipped for key in ("aftercare_1", "aftercare_late")} == {None, missed}


def test_the_day_is_missed_where_consent_comes_too_late() -> None:
    agreed = patient(textable_since=at("2026-06-17 22:00"))
    entries = wanted(case(completed(), patient=agreed))
    assert entries["aftercare_late"].due_at == at("2026-06-18 08:00")


@on_both_plans
@pytest.mark.parametrize(
    ("done", "known", "goes"),
    [
        ("2026-06-17 09:00", None, "2026-06-17 20:00"),
        ("2026-06-17 18:00", None, "2026-06-17 20:00"),
        ("2026-06-17 18:01", None, "2026-06-17 20:01"),
        ("2026-06-17 18:45", None, "2026-06-17 20:45"),
        ("2026-06-17 18:46", None, "evening"),
        ("2026-06-17 22:30", None, "evening"),
        ("2026-06-17 14:00", "2026-06-17 20:30", "late"),
        ("2026-06-17 14:00", "2026-06-17 22:30", "condition:day_not_missed"),
    ],
    ids=[
        "at eight",
        "two hours after six",
        "two hours after the end",
        "at a quarter to nine, the last",
        "a minute later: part one has said it",
        "past midnight",
        "recorded after eight",
        "recorded at night",
    ],
)
def test_a_second_reminder_to_sleep_with_the_head_raised(done: str, known: str | None, goes: str, book: Book) -> None:
    found = wanted(case(completed(at(done), known=at(known) if known else None), book=book), book=book)["evening"]
    assert (found.skipped or found.due_at) == (at(goes) if goes[0] == "2" else goes)


@pytest.mark.parametrize("language", ["en", "es", "tr"])
def test_a_clinic_with_two_days_without_alcohol_says_so_in_every_text(language: str) -> None:
    strict = clinic(rule_hours={"alcohol": 48})
    about = case(completed(), clinic=strict, patient=patient(language=language))
    one, two = (_written(key, about) for key in ("aftercare_1", "aftercare_2"))
    assert {"en": "Until Thu 2:00 PM", "es": "Hasta jue 14:00", "tr": "18 Haz 14:00 zam"}[language] in one
    assert {"en": "until Fri 2:00 PM", "es": "hasta vie 14:00", "tr": "19 Haz 14:00 zam"}[language] in two
    all_clear = _written("allclear_24h", about, after=DAY)
    assert {"en": "heat, sun.", "es": "calor, sol.", "tr": "isi, günes."}[language] in all_clear
    assert not {"alcohol", "alkol"} & set(all_clear.replace(".", "").replace(",", "").split())


@pytest.mark.parametrize("language", ["en", "es", "tr"])
def test_an_all_clear_never_ends_aspirin_or_the_first_night(language: str) -> None:
    text = _written("allclear_24h", case(completed(), patient=patient(language=language)), after=DAY)
    assert "aspirin" not in text
    assert text.split(":")[2].split(".")[0].count(",") == 6


def _written(key: str, about: Case, *, after: timedelta = 10 * MINUTE) -> str:
    moment = START + after
    return compose(pick(TEXTS, key, about), about, session=about.sessions[0], at=moment).text


def test_nothing_of_the_aftercare_goes_out_for_a_session_that_is_only_booked() -> None:
    assert not {entry.step.key for entry in expand(case(booked()))} & {"aftercare_1", "aftercare_2", "evening"}
