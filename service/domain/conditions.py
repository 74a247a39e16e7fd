"""The conditions a plan may put on a step, each one pure function of the circumstances.

The same functions serve planning (those that follow from the sessions alone), the last look before sending, and
previews.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from service.domain.case import Case, SessionFacts, Told
from service.domain.consent import Standing

JUST_TOLD = timedelta(hours=20)
RECENT_COUNT = timedelta(days=21)
REVIEW_AFTER = timedelta(days=457)
"""Fifteen months since the first session."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a condition may ask about: the case, the session it concerns, and the moment it is judged for."""

    case: Case
    session: SessionFacts | None
    at: datetime
    day: date
    day_missed: bool = False
    told: tuple[Told, ...] = ()
    last_count_day: date | None = None
    asked_before: bool = False
    nudge_wanted: bool = False

    def after(self, *, told: Iterable[Told] = (), last_count_day: date | None = None) -> "Circumstances":
        """The same, after more texts have gone out."""
        return replace(self, told=(*self.told, *told), last_count_day=last_count_day or self.last_count_day)


def holds(name: str, now: Circumstances) -> bool:
    """Whether the condition ``name`` holds. KeyError for a name that no plan can have."""
    return CONDITIONS[name](now)


def _session(now: Circumstances) -> SessionFacts:
    if now.session is None:
        raise ValueError("this condition needs a session; the step hangs on none")
    return now.session


def _no_consent(now: Circumstances) -> bool:
    patient = now.case.patient
    return patient.standing is Standing.NONE and patient.may_ask and not now.asked_before


def _first_session(now: Circumstances) -> bool:
    return now.case.completed_before(_session(now)) == 0


def _announcements(now: Circumstances) -> list[Told]:
    return [told for told in now.told if not told.called_off]


def _not_just_told(now: Circumstances) -> bool:
    start = _session(now).start
    return not any(told.start == start and now.at - told.at < JUST_TOLD for told in _announcements(now))


def _time_changed(now: Circumstances) -> bool:
    if not _announcements(now):
        return False
    last = max(now.told, key=lambda told: told.at)
    return last.called_off or last.start != _session(now).start


def _no_recent_count(now: Circumstances) -> bool:
    return now.last_count_day is None or now.day - now.last_count_day >= RECENT_COUNT


def _authorisation_ends(now: Circumstances) -> bool:
    ends, due = now.case.patient.authorisation_ends, now.case.due_day(_session(now))
    return ends is not None and due is not None and ends < due + timedelta(days=14)


def _review_due(now: Circumstances) -> bool:
    done = now.case.completed()
    first = done[0].completed_at if done else None
    before = now.case.completed_before(_session(now))
    return before in (1, 2) or (first is not None and now.at - first >= REVIEW_AFTER)


def _until_answers_are_understood(_now: Circumstances) -> bool:
    """Nobody has answered, declined or complained, as far as the service can tell from texts."""
    return True


CONDITIONS: Mapping[str, Callable[[Circumstances], bool]] = {
    "no_consent": _no_consent,
    "first_session": _first_session,
    "repeat_session": lambda now: not _first_session(now),
    "no_baseline": _until_answers_are_understood,
    "no_recent_count": _no_recent_count,
    "not_answered": lambda now: now.nudge_wanted,
    "not_confirmed": lambda now: _session(now).confirmed_start != _session(now).start,
    "not_just_told": _not_just_told,
    "told": lambda now: bool(_announcements(now)),
    "time_changed": _time_changed,
    "day_missed": lambda now: now.day_missed,
    "day_not_missed": lambda now: not now.day_missed,
    "a_rule_ended": lambda now: bool(now.case.ended_rules(_session(now), now.at)),
    "no_open_case": _until_answers_are_understood,
    "not_rebooked": lambda now: not now.case.rebooked(_session(now)),
    "not_declined": _until_answers_are_understood,
    "authorisation_ends": _authorisation_ends,
    "review_due": _review_due,
}

OF_THE_PATIENT = frozenset(
    {"no_consent", "no_baseline", "no_recent_count", "not_answered", "no_open_case", "not_declined"}
)
"""Conditions that a step which hangs on no session may have."""

KNOWN_WHEN_PLANNED = frozenset(
    {
        "no_consent",
        "first_session",
        "repeat_session",
        "told",
        "time_changed",
        "day_missed",
        "day_not_missed",
        "a_rule_ended",
        "not_rebooked",
    }
)
"""Conditions that follow from the case as it stands: planning skips the step, and plans again when the case changes."""
