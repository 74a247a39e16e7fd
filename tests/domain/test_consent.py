"""Whether a number may be texted: what the ledger of agreements and withdrawals says, for every clinic on the number."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.consent import ConsentEntry, Standing, first_granted_at, granted_from, standing

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HERE, THERE = 1, 2
"""Two clinics."""
OURS, OTHER = 10, 20
"""Two senders; both clinics send from the first."""


def entry(granted: bool, *, clinic: int = HERE, sender: int | None = OURS, after: int = 0, **more: Any) -> ConsentEntry:
    return ConsentEntry(clinic_id=clinic, sender_id=sender, granted=granted, at=NOON + after * MINUTE, **more)


def stands(*entries: ConsentEntry, clinic: int = HERE, sender: int = OURS, after: int = 60) -> Standing:
    return standing(entries, clinic_id=clinic, sender_id=sender, now=NOON + after * MINUTE)


YES, STOP = entry(True), entry(False, after=1)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((), Standing.NONE),
        ((YES,), Standing.GRANTED),
        ((YES, STOP), Standing.REVOKED),
        ((STOP,), Standing.REVOKED),
        ((YES, STOP, entry(True, after=2)), Standing.GRANTED),
        ((entry(True, after=2), YES, STOP), Standing.GRANTED),
        ((entry(True, sender=None), entry(False, sender=None, after=1)), Standing.REVOKED),
        ((YES, entry(False)), Standing.REVOKED),
        ((entry(True, after=120),), Standing.NONE),
        ((YES, entry(False, after=120)), Standing.REVOKED),
    ],
    ids=[
        "never asked",
        "agreed",
        "agreed, then STOP",
        "refused at the first question",
        "agreed, STOP, agreed again",
        "written down out of order",
        "agreed and withdrawn at the desk",
        "both in one moment: the later line counts",
        "only agreed in future",
        "withdrawn on a clock that is ahead",
    ],
)
def test_what_the_ledger_says(entries: tuple[ConsentEntry, ...], found: Standing) -> None:
    assert stands(*entries) is found


def test_consent_given_to_one_clinic_is_none_for_another() -> None:
    assert stands(YES, clinic=THERE) is Standing.NONE


def test_a_stop_holds_for_every_clinic_that_shares_the_sender() -> None:
    agreed_there = entry(True, clinic=THERE)
    assert stands(agreed_there, YES, STOP, clinic=THERE) is Standing.REVOKED


def test_a_stop_to_another_sender_is_none_for_this_one() -> None:
    agreed_there = entry(True, clinic=THERE, sender=OTHER)
    assert stands(agreed_there, YES, STOP, clinic=THERE, sender=OTHER) is Standing.GRANTED


def test_a_new_yes_to_one_clinic_is_none_to_the_other_that_was_told_to_stop() -> None:
    again_there = entry(True, clinic=THERE, after=5)
    assert stands(YES, STOP, again_there, clinic=THERE) is Standing.GRANTED
    assert stands(YES, STOP, again_there, clinic=HERE) is Standing.REVOKED


def test_a_new_yes_to_one_clinic_lifts_no_stop_for_a_third() -> None:
    agreed_before, again_there = entry(True, clinic=3, after=-9), entry(True, clinic=THERE, after=5)
    assert stands(agreed_before, STOP, again_there, clinic=3) is Standing.REVOKED


def test_paper_signed_at_the_desk_does_not_lift_a_stop_that_the_carrier_also_keeps() -> None:
    assert stands(YES, STOP, entry(True, sender=None, after=5)) is Standing.REVOKED


entries = st.lists(
    st.builds(
        ConsentEntry,
        clinic_id=st.sampled_from([HERE, THERE]),
        sender_id=st.sampled_from([None, OURS, OTHER]),
        granted=st.booleans(),
        at=st.integers(0, 50).map(lambda m: NOON + m * MINUTE),
    )
)


@given(before=entries)
def test_after_a_stop_nothing_said_before_counts(before: list[ConsentEntry]) -> None:
    for clinic in (HERE, THERE):
        assert stands(*before, entry(False, after=51), clinic=clinic) is Standing.REVOKED


@given(before=entries)
def test_after_a_yes_to_this_clinic_on_this_sender_nothing_said_before_counts(before: list[ConsentEntry]) -> None:
    assert stands(*before, entry(True, after=51)) is Standing.GRANTED


@given(before=entries)
def test_nobody_is_texted_who_never_agreed_to_this_clinic(before: list[ConsentEntry]) -> None:
    found = stands(*before)
    assert found is not Standing.GRANTED or any(e.granted and e.clinic_id == HERE for e in before)


def test_since_when_a_clinic_has_had_consent() -> None:
    later, other = entry(True, after=9), entry(True, clinic=THERE, after=-5)
    assert first_granted_at([later, STOP, YES, other], clinic_id=HERE) == NOON
    assert first_granted_at([STOP], clinic_id=HERE) is None


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((), None),
        ((YES,), 60),
        ((YES, STOP), None),
        ((entry(True, after=120),), 120),
        ((entry(True, after=900), entry(True, after=120)), 120),
        ((YES, entry(True, after=120)), 60),
        ((STOP, entry(True, after=120)), 120),
        ((entry(False, after=200), entry(True, after=120)), None),
        ((entry(True, clinic=THERE, after=120),), None),
    ],
    ids=[
        "never asked",
        "agreed already",
        "agreed, then STOP",
        "agreed on a clock that is ahead",
        "the earlier of two",
        "agreed already, and once more ahead",
        "STOP, then agreed on a clock that is ahead",
        "agreed ahead, and withdrawn even later",
        "agreed with another clinic",
    ],
)
def test_from_when_on_a_number_may_be_texted(entries: tuple[ConsentEntry, ...], found: int | None) -> None:
    moment = granted_from(entries, clinic_id=HERE, sender_id=OURS, now=NOON + 60 * MINUTE)
    assert moment == (None if found is None else NOON + found * MINUTE)
