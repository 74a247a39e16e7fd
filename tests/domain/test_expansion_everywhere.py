"""Every time of the plan, in every zone and on every night of a changing clock, against a second computation of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.careplan import CarePlan
from service.domain.expansion import expand
from service.domain.plan_file import read_plan
from tests.domain.cases import (
    ALL_ZONES,
    BOOKS,
    DAY,
    HOUR,
    Book,
    ClockChange,
    booked,
    case,
    clinic,
    completed,
    different_clock_changes,
    on_both_plans,
    patient,
)
from tests.domain.naive_clock import MINUTE
from tests.domain.naive_plan import Facts, Judged, judged, without_spacing

moments = st.datetimes(datetime(2026, 2, 1), datetime(2027, 10, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone
minutes = st.integers(-3 * 1440, 3 * 1440).map(lambda n: n * MINUTE)
zones = st.sampled_from(ALL_ZONES)


@st.composite
def lives(draw: st.DrawFn) -> Facts:
    """Some session somewhere: booked early or late, done early or late, heard of at once or days later."""
    start = draw(moments).replace(second=0, microsecond=0)
    heard = start - draw(st.integers(0, 60 * 1440)) * MINUTE
    return Facts(
        zone=draw(zones),
        patient_zone=draw(st.none() | zones),
        start=start,
        booked=heard,
        textable=draw(st.none() | minutes.map(lambda after: heard + after)),
        live_from=draw(st.none() | minutes.map(lambda after: start + 4 * after)),
        repeat=draw(st.booleans()),
        rule_hours=draw(st.sampled_from([24, 30, 48])),
    )


def after(facts: Facts, *, took: timedelta, unheard: timedelta) -> Facts:
    """The same session once it took place, recorded after a while."""
    return replace(facts, done=facts.start + took, known=facts.start + took + unheard)


@cache
def unspaced(name: str) -> CarePlan:
    return read_plan(without_spacing(next(book for book in BOOKS if book.name == name).document))


def planned(facts: Facts, book: Book) -> dict[str, Judged]:
    """What the service plans for that session, every text at its own time."""
    plan = unspaced(book.name)
    limits = {rule.key: facts.rule_hours for rule in plan.rules if rule.in_allclear}
    where = clinic(zone=ZoneInfo(facts.zone), live_from=facts.live_from, rule_hours=limits)
    who = patient(zone=ZoneInfo(facts.patient_zone) if facts.patient_zone else None, textable_since=facts.textable)
    this = booked(facts.start, known=facts.booked)
    if facts.done is not None:
        this = completed(facts.done, known=facts.known, start=facts.start)
    earlier = [completed(min(facts.start, facts.done or facts.start) - 84 * DAY, id=2)] if facts.repeat else []
    entries = expand(case(*earlier, this, plan=plan, clinic=where, patient=who))
    return {e.step.key: (e.due_at, e.skipped) for e in entries if e.session is this and e.step.is_text}


@on_both_plans
@settings(max_examples=250)
@given(facts=lives(), took=st.integers(-60, 600), unheard=st.integers(0, 30 * 60))
def test_every_text_is_due_when_the_words_of_the_plan_say(book: Book, facts: Facts, took: int, unheard: int) -> None:
    document = without_spacing(book.document)
    assert planned(facts, book) == judged(document, facts)
    once_done = after(facts, took=took * MINUTE, unheard=unheard * MINUTE)
    assert planned(once_done, book) == judged(document, once_done)


@on_both_plans
@pytest.mark.parametrize("change", different_clock_changes(), ids=str)
def test_texts_of_the_days_around_a_changing_clock(book: Book, change: ClockChange) -> None:
    document = without_spacing(book.document)
    for hours in (-34, -25, -14, -3, 0, 9, 21):
        start = change.moment + hours * HOUR
        done = Facts(change.zone, start, start - 30 * DAY, done=start, known=start)
        assert planned(done, book) == judged(document, done), start
    for days in (1, 3, 5, 7, 10, 12):
        start = change.moment + days * DAY + 9 * HOUR
        ahead = Facts(change.zone, start, start - 30 * DAY, repeat=days < 6)
        assert planned(ahead, book) == judged(document, ahead), start
