"""What planning writes: the difference between what the plan wants and what stands in the table."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.case import Case
from service.domain.expansion import Entry
from service.domain.lifecycle import OUT_OF_HOUSE, State
from service.domain.reconciliation import Difference, Row, difference
from tests.domain.cases import DAY, HOUR, START, booked, case, changed, clinic, completed, shipped, wanted

NOW = START - 20 * DAY
MINUTE = timedelta(minutes=1)
STEP = "pre_7d"
"""A step whose late-booking word is ``next_window``."""
BOOKED_STEP = "booked"
"""A step that is skipped when its time has passed."""


def entry(key: str = STEP, about: Case | None = None, **changes: Any) -> Entry:
    found = wanted(about or case(booked()))[key]
    return replace(found, **changes)


def row(of: Entry, **changes: Any) -> Row:
    """The row that was written for an entry."""
    session_id = of.session.id if of.session else None
    written = Row(
        id=1,
        identity=of.identity,
        step=of.step.key,
        session_id=session_id,
        state="planned",
        reason=None,
        nominal_at=of.nominal_at,
        due_at=of.due_at,
        expires_at=of.expires_at,
        attempts=0,
        settled_at=None,
    )
    return replace(written, **changes)


def compare(entries: list[Entry], *rows: Row, about: Case | None = None, now: datetime = NOW) -> Difference:
    return difference(about or case(booked()), entries, {r.identity: r for r in rows}, now=now)


NOTHING = Difference((), (), (), (), ())


# what stands as it should


def test_what_is_not_there_yet_is_new() -> None:
    assert compare([entry()]) == replace(NOTHING, new=(entry(),))


def test_what_stands_at_its_time_is_kept() -> None:
    assert compare([entry()], row(entry())) == replace(NOTHING, kept=((row(entry()), entry()),))


def test_a_step_that_the_plan_skips_is_new_with_its_reason() -> None:
    skipped = entry().skip("condition:told")
    assert compare([skipped]).new == (skipped,)


# what moves


@pytest.mark.parametrize("time", ["nominal_at", "due_at", "expires_at"])
def test_what_stands_at_another_time_is_moved(time: str) -> None:
    before = row(entry(), **{time: START - DAY})
    assert compare([entry()], before) == replace(NOTHING, moved=((before, entry()),))


def test_what_the_plan_no_longer_sends_is_withdrawn_with_its_reason() -> None:
    skipped = entry().skip("opted_out")
    assert compare([skipped], row(entry())) == replace(NOTHING, withdrawn=((row(entry()), "opted_out"),))


@pytest.mark.parametrize("state", sorted(OUT_OF_HOUSE | {State.FAILED}))
@pytest.mark.parametrize("there", [True, False], ids=["wanted", "not wanted"])
def test_what_left_the_house_is_never_touched(state: State, there: bool) -> None:
    gone = row(entry(), state=state, attempts=1, due_at=START, settled_at=NOW)
    assert compare([entry()] if there else [], gone) == NOTHING


@pytest.mark.parametrize("state", [State.CANCELLED, State.MISSED])
def test_what_has_ended_and_is_not_wanted_stays_as_it_ended(state: State) -> None:
    assert compare([], row(entry(), state=state, reason="opted_out", settled_at=NOW)) == NOTHING
    skipped = entry().skip("no_consent")
    assert compare([skipped], row(entry(), state=state, reason="opted_out", settled_at=NOW)) == NOTHING


# what comes back

DUE = entry().due_at
assert DUE is not None


@pytest.mark.parametrize(
    ("ended", "now", "back"),
    [
        pytest.param({}, NOW, True, id="cancelled long before its time"),
        pytest.param({"state": State.MISSED, "reason": "expired"}, NOW, True, id="missed at an earlier time"),
        pytest.param({"due_at": None, "reason": "no_consent"}, NOW, True, id="never had a time, because of consent"),
        pytest.param({"reason": "staff: phoned"}, NOW, False, id="stopped by staff"),
        pytest.param({"attempts": 1}, NOW, False, id="handed to the provider before"),
        pytest.param({}, DUE + MINUTE, True, id="wanted again a minute after its time, which it did not live to see"),
        pytest.param({"settled_at": DUE + MINUTE}, DUE + HOUR, False, id="dropped when its time had come"),
        pytest.param({"settled_at": DUE}, DUE + HOUR, False, id="dropped at the moment of its time"),
        pytest.param({"settled_at": DUE, "due_at": None}, DUE, True, id="wanted from the moment on at which it ended"),
        pytest.param({"settled_at": None}, NOW, True, id="ended nobody knows when"),
        pytest.param(
            {"settled_at": DUE + MINUTE, "looked_at": DUE + DAY},
            DUE,
            True,
            id="withdrawn while it was held until a later look",
        ),
        pytest.param({"settled_at": DUE + MINUTE, "looked_at": DUE}, DUE, False, id="dropped when it was looked at"),
    ],
)
def test_a_text_comes_back_for_a_time_it_has_not_had(ended: dict[str, Any], now: datetime, back: bool) -> None:
    before = row(entry(), **{"state": State.CANCELLED, "reason": "opted_out", "settled_at": NOW - DAY} | ended)
    expected = ((before, entry()),) if back else ()
    assert compare([entry()], before, now=now) == replace(NOTHING, revived=expected)


def test_a_task_that_was_withdrawn_comes_back_too() -> None:
    wanted_again = wanted(case(booked()))["not_confirmed"]
    before = row(wanted_again, state="withdrawn", reason="moved", settled_at=NOW)
    assert compare([wanted_again], before).revived == ((before, wanted_again),)


def test_a_text_that_was_missed_comes_back_when_its_session_moves_on() -> None:
    later = entry(about=case(booked(START + 30 * DAY, known=NOW)))
    before = row(entry(), state=State.MISSED, reason="paused", settled_at=START - DAY)
    assert compare([later], before, now=START).revived == ((before, later),)


# what the plan did not have when its time came


@pytest.mark.parametrize(
    ("key", "after", "skipped"),
    [
        pytest.param(BOOKED_STEP, -MINUTE, None, id="before its time"),
        pytest.param(BOOKED_STEP, timedelta(0), None, id="at its time"),
        pytest.param(BOOKED_STEP, MINUTE, "late", id="skipped when late"),
        pytest.param(STEP, MINUTE, None, id="sent when late"),
    ],
)
def test_a_step_that_the_plan_only_has_now_is_late_like_any_other(
    key: str, after: timedelta, skipped: str | None
) -> None:
    found = entry(key)
    assert found.due_at is not None
    (new,) = compare([found], now=found.due_at + after).new
    assert new.skipped == skipped
    assert (new.due_at is None) is (skipped is not None)


@pytest.mark.parametrize(("left", "skipped"), [(MINUTE, None), (MINUTE - timedelta(microseconds=1), "late")])
def test_a_step_that_the_plan_only_has_when_it_is_useless_is_late_and_not_missed(
    left: timedelta, skipped: str | None
) -> None:
    """Nobody failed to send it: staff are not asked to phone about every session there ever was."""
    expires_at = entry().expires_at
    assert expires_at is not None
    (new,) = compare([entry()], now=expires_at - left).new
    assert new.skipped == skipped


def test_a_withdrawn_step_does_not_come_back_when_it_is_useless() -> None:
    before = row(entry(), state=State.CANCELLED, reason="plan_changed", settled_at=NOW)
    assert compare([entry()], before, now=START) == NOTHING


# why a text is no longer wanted

WITHOUT = replace(shipped().plan, steps=tuple(step for step in shipped().plan.steps if step.key != STEP))
MOVED_ON = booked(moved_at=NOW, moves=1)


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        pytest.param(case(MOVED_ON), "moved", id="the session moved, and the step is planned anew"),
        pytest.param(case(booked(status="cancelled")), "session_cancelled", id="cancelled"),
        pytest.param(case(booked(status="no_show")), "session_no_show", id="the patient did not come"),
        pytest.param(case(booked(status="not_done")), "session_not_done", id="not done"),
        pytest.param(case(booked(status="entered_in_error")), "session_entered_in_error", id="entered in error"),
        pytest.param(case(completed()), "session_completed", id="a step before the session, which is over"),
        pytest.param(
            case(completed(START - DAY), completed(id=2)), "newer_session", id="a later session has begun a new cycle"
        ),
        pytest.param(case(), "no_longer_wanted", id="the session is another patient's now"),
        pytest.param(
            case(booked(), plan=changed(shipped().document, "onset", plans=[])), "moved", id="another step is off"
        ),
        pytest.param(case(booked(), plan=WITHOUT), "plan_changed", id="not a step any more"),
        pytest.param(case(booked(), clinic=clinic(plan_name="lite")), "plan_changed", id="not in the clinic's plan"),
        pytest.param(case(booked(), plan=changed(shipped().document, STEP, plans=[])), "plan_changed", id="off"),
    ],
)
def test_why_a_text_is_no_longer_wanted(about: Case, reason: str) -> None:
    assert compare([], row(entry()), about=about).withdrawn == ((row(entry()), reason),)


# comparing again


def written(rows: Mapping[str, Row], found: Difference, now: datetime) -> dict[str, Row]:
    """The table after a difference was written."""
    after = dict(rows)
    for new in found.new:
        ended = State.MISSED if new.skipped == "expired" else State.CANCELLED
        state = ended if new.skipped else State.PLANNED
        settled = now if new.skipped else None
        after[new.identity] = row(new, state=state, reason=new.skipped, settled_at=settled)
    for before, to in (*found.moved, *found.revived):
        after[before.identity] = row(to, id=before.id)
    for before, reason in found.withdrawn:
        after[before.identity] = replace(before, state=State.CANCELLED, reason=reason, settled_at=now)
    return after


HOURS = st.integers(-30 * 24, 30 * 24).map(lambda hours: START + hours * HOUR)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Entry], dict[str, Row]]:
    """Entries of a plan, and rows that some other plan, in some other life, may have left."""
    entries = list(wanted(case(booked())).values())
    rows = {}
    for number, one in enumerate(draw(st.lists(st.sampled_from(entries), unique_by=lambda e: e.identity))):
        state = draw(st.sampled_from([*State, "withdrawn"]))
        due = draw(st.none() | HOURS)
        settled = None if state == State.PLANNED else draw(HOURS)
        reason = draw(st.sampled_from([None, "late", "opted_out", "staff: phoned"]))
        attempts = draw(st.integers(0, 2))
        left = row(one, id=number, state=state, due_at=due, settled_at=settled, reason=reason, attempts=attempts)
        rows[one.identity] = left
    kept = draw(st.lists(st.sampled_from(entries), unique_by=lambda e: e.identity))
    return [e if draw(st.booleans()) else e.skip("condition:told") for e in kept], rows


@given(table=tables(), now=HOURS)
def test_what_was_written_once_is_not_written_again(table: tuple[list[Entry], dict[str, Row]], now: datetime) -> None:
    entries, rows = table
    about = case(booked())
    first = difference(about, entries, rows, now=now)
    second = difference(about, entries, written(rows, first, now), now=now)
    assert (second.new, second.moved, second.revived, second.withdrawn) == ((), (), (), ())


@given(table=tables(), now=HOURS)
def test_every_row_is_named_once_and_only_unsent_ones(table: tuple[list[Entry], dict[str, Row]], now: datetime) -> None:
    entries, rows = table
    found = difference(case(booked()), entries, rows, now=now)
    named = [r for r, _ in (*found.kept, *found.moved, *found.revived, *found.withdrawn)]
    assert len(named) == len({r.identity for r in named})
    assert all(r.state in (State.PLANNED, State.CANCELLED, State.MISSED, "withdrawn") for r in named)
    assert not {e.identity for e in found.new} & rows.keys()
