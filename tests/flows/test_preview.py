"""What a patient of a described case would get, computed by hand for the shipped plan and a clinic in New York."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.flows.practice import NoSuchClinic, Practice, sample_practice, stored_practice
from service.flows.preview import CannotPreview, Foreseen, preview
from service.flows.preview_options import OptionError
from service.store.tables import Clinic, TemplateVersion

NEW_YORK = "America/New_York"
START, END = "2026-09-30T14:30", "2026-09-30T14:50"
NOW = datetime(2026, 9, 1, tzinfo=UTC)


def no_database(key: str) -> Practice:
    raise AssertionError(f"nobody asked for clinic {key!r}")


def asked(**options: object) -> list[Foreseen]:
    return preview({"time_zone": NEW_YORK, **options}, no_database)


def told(**options: object) -> dict[str, str]:
    """What becomes of each step: the clinic's wall time without its year, or the reason why it is skipped."""
    return {line.step: line.skipped or f"{line.local:%m-%d %H:%M}" for line in asked(**options)}


def line_of(step: str, **options: object) -> Foreseen:
    (found,) = (line for line in asked(**options) if line.step == step)
    return found


REPEAT = {
    "booked": "09-01 12:10",
    "baseline": "condition:first_session",
    "baseline_nudge": "condition:first_session",
    "pre_7d": "09-23 10:00",
    "count_before": "09-25 11:00",
    "count_before_nudge": "09-27 11:00",
    "pre_1d": "09-29 10:00",
    "aftercare_1": "09-30 15:00",
    "aftercare_late": "condition:day_missed",
    "aftercare_2": "09-30 15:02",
    "evening": "09-30 20:00",
    "allclear": "10-01 14:50",
    "d3": "10-03 11:00",
    "d10": "off",
    "onset": "10-14 11:00",
    "count_w4": "10-28 11:00",
    "count_w4_nudge": "10-30 11:00",
    "count_w8": "11-25 11:00",
    "count_w8_nudge": "11-27 11:00",
    "wearing_off": "12-05 11:00",
    "repeat_due": "12-09 10:30",
    "count_w12": "12-18 11:00",
    "count_w12_nudge": "12-20 11:00",
    "repeat_overdue": "12-30 10:30",
}
"""Booked on 1 September at noon for 30 September 14:30, done at 14:50; due again on 23 December."""
BOOKED = {"booked_at": "2026-09-01T12:00", "scheduled_at": START}
FIRST_HALF = {step: when for step, when in REPEAT.items() if step in list(REPEAT)[:7]}
SECOND_HALF = {step: when for step, when in REPEAT.items() if step not in FIRST_HALF}


def test_a_repeat_session_from_its_booking_to_its_repetition() -> None:
    assert told(**BOOKED, completed_at=END) == REPEAT


def test_texts_come_in_the_order_of_due_time_and_skipped_ones_at_their_own_time() -> None:
    assert [line.step for line in asked(**BOOKED, completed_at=END)] == list(REPEAT)


def test_only_steps_whose_anchor_is_known_are_listed() -> None:
    assert told(**BOOKED) == FIRST_HALF
    assert told(completed_at=END) == SECOND_HALF
    # Nobody said when it was booked, so nothing is late, and there is no booking to confirm.
    assert told(scheduled_at=START) == {step: when for step, when in FIRST_HALF.items() if step != "booked"}


CASES: dict[str, tuple[Mapping[str, object], Mapping[str, str]]] = {
    "a first session asks for the baseline instead of the count": (
        {**BOOKED, "first_session": True},
        {
            "baseline": "09-18 11:00",
            "baseline_nudge": "09-20 11:00",
            "count_before": "condition:repeat_session",
            "count_before_nudge": "condition:repeat_session",
            "pre_1d": "09-29 10:00",
        },
    ),
    "the lite plan": (
        {**BOOKED, "completed_at": END, "plan": "lite"},
        {
            **dict.fromkeys(REPEAT, "off"),
            "pre_1d": "09-29 10:00",
            "aftercare_1": "09-30 15:00",
            "aftercare_late": "condition:day_missed",
            "aftercare_2": "09-30 15:02",
            "evening": "09-30 20:00",
            "onset": "10-14 11:00",
            "repeat_due": "12-09 10:30",
            "repeat_overdue": "12-30 10:30",
        },
    ),
    "the next session stands in the book": (
        {"completed_at": END, "next_session": "2026-12-21T09:00"},
        {
            **SECOND_HALF,
            **dict.fromkeys(("repeat_due", "count_w12", "count_w12_nudge", "repeat_overdue"), "condition:not_rebooked"),
        },
    ),
    # Its own texts would fall on these days: a week before on the last count, two days before that on "fading".
    "the next session's own texts take no day": (
        {"completed_at": END, "next_session": "2026-12-12T09:00"},
        {"wearing_off": "12-05 11:00", "count_w8_nudge": "11-27 11:00"},
    ),
    "booked in the night: confirmed when texting hours begin": (
        {"booked_at": "2026-09-01T21:30", "scheduled_at": START},
        {"booked": "09-02 09:00"},
    ),
    "booked on the day of the week's reminder: the reminder comes a day later": (
        {"booked_at": "2026-09-23T09:00", "scheduled_at": START},
        {"booked": "09-23 09:10", "pre_7d": "09-24 10:00", "count_before": "09-25 11:00"},
    ),
    "booked three days ahead: no room for the week's reminder": (
        {"booked_at": "2026-09-27T10:00", "scheduled_at": START},
        {
            "booked": "09-27 10:10",
            "pre_7d": "spacing",
            "count_before": "late",
            "count_before_nudge": "condition:not_answered",
            "pre_1d": "09-29 10:00",
        },
    ),
    "booked two days ahead for the evening: the day before would repeat what was just told": (
        {"booked_at": "2026-09-28T17:00", "scheduled_at": "2026-09-30T18:30"},
        {"booked": "09-28 17:10", "pre_1d": "condition:not_just_told"},
    ),
    "booked the afternoon before: told at once": (
        {"booked_at": "2026-09-29T15:00", "scheduled_at": START},
        {"booked": "expired", "pre_7d": "expired", "pre_1d": "09-29 15:00"},
    ),
    "booked the evening before: told in the morning": (
        {"booked_at": "2026-09-29T20:00", "scheduled_at": START},
        {"pre_1d": "09-30 09:00"},
    ),
    "booked less than three hours ahead: too late for any reminder": (
        {"booked_at": "2026-09-30T11:30", "scheduled_at": START},
        {
            **dict.fromkeys(("booked", "pre_7d", "pre_1d"), "expired"),
            **dict.fromkeys(("count_before", "count_before_nudge"), "late"),
        },
    ),
    "the service learns of the booking ten days later": (
        {**BOOKED, "now": "2026-09-11T12:00"},
        {"booked": "late", "pre_7d": "09-23 10:00"},
    ),
    # The reminder takes the day of the question, the question the next, and the nudge would come only a day after it.
    "known a day late for the week's reminder: everything after it gives way": (
        {"scheduled_at": START, "now": "2026-09-24T12:00"},
        {"pre_7d": "09-25 10:00", "count_before": "09-26 11:00", "count_before_nudge": "condition:not_answered"},
    ),
    "known only once it is over: nothing of what should have come before": (
        {"scheduled_at": START, "completed_at": END},
        {
            **dict.fromkeys(("pre_7d", "pre_1d"), "expired"),
            **dict.fromkeys(("count_before", "count_before_nudge"), "late"),
            "aftercare_1": "09-30 15:00",
        },
    ),
    "done at 17:00: the evening text at eight": ({"completed_at": "2026-09-30T17:00"}, {"evening": "09-30 20:00"}),
    "done at 18:44: the evening text two hours later": (
        {"completed_at": "2026-09-30T18:44"},
        {"evening": "09-30 20:44"},
    ),
    "done at 18:45: the last evening text": ({"completed_at": "2026-09-30T18:45"}, {"evening": "09-30 20:45"}),
    "done at 18:46: no evening text": (
        {"completed_at": "2026-09-30T18:46"},
        {"evening": "evening", "aftercare_1": "09-30 18:56", "aftercare_2": "09-30 18:58"},
    ),
    "done at 20:48: part one still the same day, part two in the morning": (
        {"completed_at": "2026-09-30T20:48"},
        {"aftercare_1": "09-30 20:58", "aftercare_late": "condition:day_missed", "aftercare_2": "10-01 08:00"},
    ),
    "done at 20:49: part one in the last minute": (
        {"completed_at": "2026-09-30T20:49"},
        {"aftercare_1": "09-30 20:59"},
    ),
    "done at 20:50: both parts in the morning": (
        {"completed_at": "2026-09-30T20:50"},
        {
            "aftercare_1": "condition:day_not_missed",
            "aftercare_late": "10-01 08:00",
            "aftercare_2": "10-01 08:02",
            "evening": "evening",
            "allclear": "10-02 09:00",
        },
    ),
    "recorded an hour late: at once and two minutes later": (
        {"completed_at": END, "now": "2026-09-30T16:00"},
        {"aftercare_1": "09-30 16:00", "aftercare_2": "09-30 16:02", "evening": "09-30 20:00"},
    ),
    "recorded after eight: the evening text is late": (
        {"completed_at": END, "now": "2026-09-30T20:30"},
        {"aftercare_1": "09-30 20:30", "aftercare_2": "09-30 20:32", "evening": "late"},
    ),
    "recorded in the night: the late texts when the morning's hours begin": (
        {"completed_at": END, "now": "2026-10-01T01:00"},
        {
            "aftercare_1": "condition:day_not_missed",
            "aftercare_late": "10-01 08:00",
            "aftercare_2": "10-01 08:02",
            "evening": "condition:day_not_missed",
            "allclear": "10-01 14:50",
        },
    ),
    "recorded 19 hours 40 minutes later: the late texts at once": (
        {"completed_at": END, "now": "2026-10-01T10:30"},
        {"aftercare_late": "10-01 10:30", "aftercare_2": "10-01 10:32"},
    ),
    "recorded 20 hours later: too late for the rules": (
        {"completed_at": END, "now": "2026-10-01T10:50"},
        {"aftercare_late": "expired", "aftercare_2": "expired", "allclear": "10-01 14:50"},
    ),
    "recorded three days later at noon: asked a day later at its own time": (
        {"completed_at": END, "now": "2026-10-03T12:00"},
        {"allclear": "late", "d3": "10-04 11:00", "onset": "10-14 11:00"},
    ),
    "recorded a month later: the counts keep three weeks' distance": (
        {"completed_at": END, "now": "2026-11-01T12:00"},
        {
            "d3": "expired",
            "onset": "expired",
            "count_w4": "11-02 11:00",
            "count_w4_nudge": "late",
            "count_w8": "11-25 11:00",
        },
    ),
    "the clocks go back in the night after: limits end after 24 real hours": (
        {"completed_at": "2026-10-31T18:00"},
        {"aftercare_1": "10-31 18:10", "evening": "10-31 20:00", "allclear": "11-01 17:00", "d3": "11-03 11:00"},
    ),
    "the clocks go forward in the night after: limits end after 24 real hours": (
        {"completed_at": "2026-03-07T12:00"},
        {"allclear": "03-08 13:00", "evening": "03-07 20:00", "onset": "03-21 11:00"},
    ),
    "a completion at a time that the clock skipped: the first moment after": (
        {"completed_at": "2026-03-08T02:30"},
        {"aftercare_1": "03-08 08:00", "aftercare_2": "03-08 08:02", "allclear": "03-09 09:00"},
    ),
    "a patient further west waits for the hours there; aftercare of the day does not": (
        {**BOOKED, "completed_at": END, "patient_time_zone": "America/Los_Angeles"},
        {
            **REPEAT,
            "pre_7d": "09-23 12:00",
            "count_before": "09-25 13:00",
            "count_before_nudge": "09-27 13:00",
            "pre_1d": "09-29 12:00",
            **{
                step: f"{REPEAT[step][:5]} 13:00"
                for step in (
                    "d3",
                    "onset",
                    "count_w4",
                    "count_w4_nudge",
                    "count_w8",
                    "count_w8_nudge",
                    "wearing_off",
                    "repeat_due",
                    "count_w12",
                    "count_w12_nudge",
                    "repeat_overdue",
                )
            },
        },
    ),
    "a patient on the other side of the world gets the texts on the evening or morning there": (
        {"completed_at": END, "patient_time_zone": "Asia/Tokyo"},
        {"aftercare_1": "09-30 15:00", "allclear": "10-01 20:00", "d3": "10-03 21:00"},
    ),
}


@pytest.mark.parametrize(("options", "expected"), CASES.values(), ids=CASES.keys())
def test_when_each_text_goes_out(options: Mapping[str, object], expected: Mapping[str, str]) -> None:
    found = told(**options)
    assert {step: found[step] for step in expected} == expected


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        pytest.param("2026-09-30T14:50", "2026-09-30T18:50:00+00:00", id="wall time of the clinic"),
        pytest.param("2026-09-30 14:50:30", "2026-09-30T18:50:30+00:00", id="with a space and seconds"),
        pytest.param("2026-09-30T14:50Z", "2026-09-30T14:50:00+00:00", id="UTC"),
        pytest.param("2026-09-30T14:50+02:00", "2026-09-30T12:50:00+00:00", id="an offset of its own"),
        pytest.param("2026-03-08T02:30", "2026-03-08T07:00:00+00:00", id="skipped by the clock: first moment after"),
        pytest.param("2026-11-01T01:30", "2026-11-01T05:30:00+00:00", id="shown twice by the clock: the first"),
    ],
)
def test_how_moments_are_read(written: str, moment: str) -> None:
    allclear = line_of("allclear", completed_at=written)
    assert allclear.expires_at == datetime.fromisoformat(moment) + timedelta(hours=48)


def test_a_text_says_when_and_what() -> None:
    found = line_of("aftercare_1", completed_at="2026-10-31T18:00")
    assert found.template == "aftercare_1"
    assert found.template_version == 1
    assert found.due_at == datetime(2026, 10, 31, 22, 10, tzinfo=UTC)
    assert found.local is not None
    assert found.local.isoformat() == "2026-10-31T18:10:00-04:00"
    assert found.expires_at == datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
    assert found.text is not None
    assert "Lakeside Head Clinic" in found.text
    assert "Sun 5:00 PM" in found.text
    assert (found.encoding, found.segments, found.skipped) == ("GSM-7", 2, None)


def test_a_skipped_text_says_only_why() -> None:
    found = line_of("aftercare_late", completed_at=END)
    assert found.skipped == "condition:day_missed"
    assert found.template_version == 1
    assert found.expires_at == datetime(2026, 10, 1, 14, 50, tzinfo=UTC)
    assert (found.due_at, found.local, found.text, found.encoding, found.segments) == (None,) * 5


@pytest.mark.parametrize(
    ("language", "words"),
    [
        pytest.param("tr", "30 Eyl Çar", id="Turkish"),
        pytest.param("es", "mié 30 sep", id="Spanish"),
        pytest.param("es-MX", "mié 30 sep", id="the Spanish of Mexico"),
        pytest.param("TR_tr", "30 Eyl Çar", id="a tag in another spelling"),
        pytest.param(None, "Wed 30 Sep", id="no language: the clinic's first"),
    ],
)
def test_texts_in_the_language_of_the_patient(language: str | None, words: str) -> None:
    text = line_of("pre_7d", **BOOKED, language=language).text
    assert text is not None
    assert words in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "no session to preview"),
        ({"booked_at": START}, "no session to preview"),
        ({"completed_at": "tomorrow"}, "--completed-at 'tomorrow' is no moment"),
        ({"completed_at": "2026-09-30"}, "--completed-at '2026-09-30' is no moment"),
        ({"completed_at": "0201-09-30T10:00"}, "--completed-at '0201-09-30T10:00' is no moment"),
        ({"completed_at": 17}, "--completed-at 17 is not a text"),
        ({"completed_at": ""}, "--completed-at '' is not a text"),
        ({"completed_at": END, "first_session": "yes"}, "--first-session 'yes' is neither true nor false"),
        ({"completed_at": END, "plan": "full"}, "--plan 'full' is not there. There are lite, standard"),
        ({"completed_at": END, "language": "zz"}, "--language 'zz' is not there. There are en, es, tr"),
        ({"completed_at": END, "language": "zz-MX"}, "--language 'zz-MX' is not there. There are en, es, tr"),
        ({"completed_at": END, "language": "-es"}, "--language '-es' is not there"),
        ({"completed_at": END, "language": 7}, "--language 7 is not a text"),
        ({"completed_at": END, "time_zone": None}, "--time-zone is missing"),
        ({"completed_at": END, "time_zone": "New York"}, "--time-zone 'New York' is no time zone"),
        ({"completed_at": END, "patient_time_zone": "../UTC"}, "--patient-time-zone '../UTC' is no time zone"),
        ({"completed_at": END, "time_zone": "America"}, "--time-zone 'America' is no time zone"),
        ({"complete_at": END}, "'complete_at' is no option"),
    ],
)
def test_a_description_that_can_not_be_used_is_refused(options: Mapping[str, object], reason: str) -> None:
    with pytest.raises(OptionError) as refused:
        asked(**options)
    assert reason in str(refused.value)


MOMENTS = st.timedeltas(timedelta(0), timedelta(days=730)).map(lambda later: datetime(2026, 1, 1, tzinfo=UTC) + later)


@given(
    completed=MOMENTS,
    lead=st.timedeltas(timedelta(0), timedelta(days=60)),
    learned=st.timedeltas(timedelta(0), timedelta(days=100)),
    patient=st.sampled_from([None, "Pacific/Auckland", "Asia/Kolkata", "America/Los_Angeles"]),
    first=st.booleans(),
)
def test_whatever_the_case_every_text_is_useful_in_its_hours_and_alone_on_its_day(
    completed: datetime, lead: timedelta, learned: timedelta, patient: str | None, first: bool
) -> None:
    booked = completed - lead
    lines = asked(
        booked_at=booked.isoformat(),
        scheduled_at=(completed - timedelta(minutes=20)).isoformat(),
        completed_at=completed.isoformat(),
        now=(booked + learned).isoformat(),
        patient_time_zone=patient,
        first_session=first,
    )
    plan, practice_zone = sample_practice(ZoneInfo(NEW_YORK)).plan, ZoneInfo(NEW_YORK)
    days: Counter[object] = Counter()
    fixed = set()
    for line in lines:
        assert (line.due_at is None) == (line.text is None) == (line.skipped is not None)
        step = plan.step(line.step)
        if line.due_at is None or line.local is None or step is None:
            continue
        assert line.expires_at is not None
        assert line.due_at <= line.expires_at - timedelta(seconds=60)
        there = practice_zone if step.urgency == "care" or patient is None else ZoneInfo(patient)
        assert step.window.opens <= line.due_at.astimezone(there).time() < step.window.closes
        if step.fixed:
            fixed.add(line.local.date())
        else:
            days[line.local.date()] += 1
    assert all(count == 1 and day not in fixed for day, count in days.items())


@pytest.fixture
def clinic(sqlite_sessions: sessionmaker[Session]) -> sessionmaker[Session]:
    """A database with a Turkish clinic on the lite plan."""
    with sqlite_sessions.begin() as db:
        db.add(
            Clinic(
                key="goel",
                name="Göl",
                sms_name="Göl Kliniği",
                time_zone="Europe/Istanbul",
                country="TR",
                phone="+902125550199",
                emergency="112",
                languages="tr,en",
                plan="lite",
                live_from=datetime(2026, 9, 30, tzinfo=UTC),
            )
        )
    return sqlite_sessions


def of_clinic(sessions: sessionmaker[Session], **options: object) -> dict[str, Foreseen]:
    def find(key: str) -> Practice:
        with sessions.begin() as db:
            return stored_practice(db, key, now=NOW)

    return {line.step: line for line in preview({"clinic": "goel", **options}, find)}


def test_a_clinic_of_the_database_with_its_zone_plan_language_and_first_day(clinic: sessionmaker[Session]) -> None:
    found = of_clinic(clinic, booked_at="2026-09-01T12:00", scheduled_at=START, completed_at=END)
    assert found["pre_1d"].skipped == "past"
    assert found["booked"].skipped == "off"
    assert found["aftercare_1"].due_at == datetime(2026, 9, 30, 12, 0, tzinfo=UTC)
    assert found["aftercare_1"].text is not None
    assert found["aftercare_1"].text.startswith("Göl Klinigi: seans")


def test_naive_times_are_read_in_the_named_zone_and_shown_in_the_clinics(clinic: sessionmaker[Session]) -> None:
    found = of_clinic(clinic, completed_at="2026-10-01T08:00", time_zone="UTC")["aftercare_1"]
    assert found.local is not None
    assert found.local.isoformat() == "2026-10-01T11:10:00+03:00"


def test_a_clinic_that_is_not_there(clinic: sessionmaker[Session]) -> None:
    with pytest.raises(NoSuchClinic, match="no clinic 'lake'"):
        of_clinic(clinic, clinic="lake", completed_at=END)


def test_a_text_that_can_not_be_written_is_named(clinic: sessionmaker[Session]) -> None:
    with clinic.begin() as db:
        db.execute(update(Clinic).values(emergency=""))
    with pytest.raises(CannotPreview, match=r"Step 'aftercare_1': .* no value for emergency"):
        of_clinic(clinic, completed_at=END)


def test_a_step_that_is_off_needs_no_text(clinic: sessionmaker[Session]) -> None:
    of_clinic(clinic, completed_at=END)
    with clinic.begin() as db:
        db.execute(update(TemplateVersion).where(TemplateVersion.key == "wearing_off").values(state="retired"))
        db.execute(update(TemplateVersion).where(TemplateVersion.key == "checkin_onset").values(state="retired"))
    with pytest.raises(AftercareError, match=r"Step 'onset': .*no live text 'checkin_onset'"):
        of_clinic(clinic, completed_at=END)
    with clinic.begin() as db:
        db.execute(update(TemplateVersion).where(TemplateVersion.key == "checkin_onset").values(state="live"))
    found = of_clinic(clinic, completed_at=END)["wearing_off"]
    assert (found.skipped, found.template, found.template_version) == ("off", "wearing_off", None)
