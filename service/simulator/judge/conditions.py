"""The conditions of steps, each judged by what truly happened; None where the papers leave it open."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from service.simulator.judge.case import Case, Told, key_of
from service.simulator.judge.plan import Step
from service.simulator.judge.visits import Visit
from service.simulator.judge.walls import day_of
from service.simulator.judge.wording import ended

JUST_TOLD = timedelta(hours=20)
RECENT_DAYS = 21
FIFTEEN_MONTHS = timedelta(days=457)
WHEN_PLANNED = frozenset(
    {"no_consent", "first_session", "repeat_session", "told", "time_changed", "a_rule_ended", "not_rebooked"}
)
"""They follow from the sessions as they stand, so that a step failing one takes no day (docs/decisions/0002)."""


def failing(step: Step, visit: Visit | None, case: Case, *, at: datetime, quick: bool) -> list[str]:
    """Conditions that are known when planning and do not hold for a text at ``at``; of a text perhaps sent the quick reader assumes it was."""
    known = [name for name in step.conditions if name in WHEN_PLANNED]
    others, own = case, key_of(step, visit)
    if known and any(not told.sure and told.key == own for told in case.told):
        # What an earlier attempt of this very text would have told is not said yet.
        others = replace(case, told=tuple(told for told in case.told if told.sure or told.key != own))
    return [name for name in known if not _PLANNED[name](visit, others, at, quick)]


def announcements(visit: Visit, case: Case, *, quick: bool) -> list[Told]:
    """What the patient was told of this session's time, in order."""
    return [told for told in case.told if told.visit == visit.key and (told.sure or quick)]


def _no_consent(_visit: Visit | None, case: Case, _at: datetime, _quick: bool) -> bool:  # noqa: FBT001 -- a table of like functions
    return case.standing in {"no_consent", "unclear"} and case.patient.may_ask


def _told(visit: Visit | None, case: Case, _at: datetime, quick: bool) -> bool:  # noqa: FBT001 -- see above
    return visit is not None and any(not told.off for told in announcements(visit, case, quick=quick))


def _time_changed(visit: Visit | None, case: Case, at: datetime, quick: bool) -> bool:  # noqa: FBT001 -- see above
    """Of texts that were perhaps sent since the last that was sent for sure, the quick reader takes any for the last."""
    if visit is None or not _told(visit, case, at, quick):
        return False
    said = announcements(visit, case, quick=quick)
    sure = max((place for place, told in enumerate(said) if told.sure), default=0)
    return any(told.off or told.start != visit.start for told in said[sure:])


def _a_rule_ended(visit: Visit | None, case: Case, at: datetime, _quick: bool) -> bool:  # noqa: FBT001 -- see above
    return any(ended(visit, case.clinic, case.plan, at))


def _not_rebooked(visit: Visit | None, case: Case, _at: datetime, _quick: bool) -> bool:  # noqa: FBT001 -- see above
    return visit is not None and not any(other.status == "booked" for other in case.later(visit))


def _first(visit: Visit | None, case: Case, _at: datetime, _quick: bool) -> bool:  # noqa: FBT001 -- see above
    return visit is not None and case.done_before(visit) == 0


_PLANNED: Mapping[str, Callable[[Visit | None, Case, datetime, bool], bool]] = {
    "no_consent": _no_consent,
    "first_session": _first,
    "repeat_session": lambda visit, case, at, quick: not _first(visit, case, at, quick),
    "told": _told,
    "time_changed": _time_changed,
    "a_rule_ended": _a_rule_ended,
    "not_rebooked": _not_rebooked,
}


def not_just_told(visit: Visit, told: Iterable[Told], at: datetime) -> bool:
    """No text naming this same start time went out in the last 20 hours."""
    return not any(
        t.visit == visit.key and t.start == visit.start and not t.off and timedelta() <= at - t.at < JUST_TOLD
        for t in told
    )


def no_recent_count(asked: Iterable[datetime], at: datetime, case: Case) -> bool:
    """No headache-day question went out less than 21 calendar days ago."""
    today: date = day_of(at, case.zone)
    return all((today - day_of(before, case.zone)).days >= RECENT_DAYS for before in asked if before < at)


def review_due(visit: Visit, case: Case, at: datetime) -> bool:
    """The second or third completed session, or fifteen months since the first."""
    done = sorted(other.done for other in case.completed() if other.done is not None)
    return case.done_before(visit) in (1, 2) or (bool(done) and at - done[0] >= FIFTEEN_MONTHS)
