"""The last look: whether a claimed text may leave at this moment. One answer, one reason, no exception.

``decide`` is for texts to patients (of the plan, or written by staff), ``decide_direct`` for all that keeps no hours:
answers to a text that came, and texts to the phones of staff.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.anchors import anchor_moment, is_direct_reply, own_time_after, permission
from service.domain.careplan import Caps, Step, Urgency
from service.domain.case import Case, SessionFacts
from service.domain.conditions import Circumstances, holds
from service.domain.consent import Standing
from service.domain.windows import LEAST_USEFUL, Window, is_open, next_opening, window_end

LONGEST_VALIDITY = timedelta(seconds=36_000)
HELD_FOR = timedelta(minutes=15)
REPLAN_FOR, REPLAN_AGAIN = timedelta(seconds=2), timedelta(seconds=30)
"""How long planning gets; where it is not done by then, it is slow, or somebody has to mend something first."""
PART_FOR = timedelta(seconds=20)
PASSING = frozenset({"window", "after_step", "replanning"})
"""Reasons to wait that are part of the plan's way: no news to anybody, and never why a text was missed."""
TO_ANYBODY = frozenset({"stop_confirm", "wrong_number", "help", "unknown_reply"})
"""Answers that need no consent; neither do answers to alarming texts."""


@dataclass(frozen=True, slots=True)
class Send:
    """It may leave now and is good for ``validity_seconds``; ``hours`` are those that it keeps, None if none."""

    validity_seconds: int
    hours: tuple[Window, ZoneInfo] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: look again at ``until``. The message stays planned and shows the reason."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Not at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class Miss:
    """Its useful time is over."""

    reason: str


Decision = Send | Defer | Drop | Miss


@dataclass(frozen=True, slots=True)
class Look:
    """Everything the last look asks about. ``step`` and ``session`` are None for what staff wrote to a patient."""

    case: Case
    step: Step | None
    session: SessionFacts | None
    circumstances: Circumstances | None
    expires_at: datetime | None
    marked: bool = False
    paused: str | None = None
    number_blocked: bool = False
    sent_24h: int = 0
    sent_7d: int = 0
    waits_for_part: bool = False
    day_taken: bool = False
    held_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DirectLook:
    """What is asked about a text that keeps no hours. ``standing`` is that of its number with clinic and sender."""

    kind: str
    template: str | None
    urgency: str
    number: str | None
    standing: Standing
    expires_at: datetime | None
    paused: str | None = None
    number_blocked: bool = False
    held_reason: str | None = None


def decide(look: Look, now: datetime) -> Decision:
    """Whether a planned text may leave: facts first, then usefulness, then holds, then the clock."""
    if look.marked:
        return Defer(now + (REPLAN_FOR if look.held_reason is None else REPLAN_AGAIN), "replanning")
    if look.expires_at is not None and now > look.expires_at - LEAST_USEFUL:
        return Miss(missed_because(look.held_reason))
    if (reason := _unwanted(look)) is not None:
        return Drop(reason)
    if (held := _held(look, now)) is not None:
        return held
    return _by_the_clock(look, now)


def decide_direct(look: DirectLook, now: datetime) -> Decision:
    """Whether an answer, or a text to staff, may leave: it waits for no window and no cap."""
    ends = now + LONGEST_VALIDITY if look.expires_at is None else min(look.expires_at, now + LONGEST_VALIDITY)
    if ends - now < LEAST_USEFUL:
        return Miss(missed_because(look.held_reason))
    if (reason := _unwelcome(look)) is not None:
        return Drop(reason)
    if look.paused is not None:
        return Defer(now + HELD_FOR, look.paused)
    return Send(int((ends - now).total_seconds()))


def missed_because(held_reason: str | None) -> str:
    """Why a text was not sent while it was of use: what held it back last, if that says anything."""
    return "expired" if held_reason is None or held_reason in PASSING else held_reason


def _unwelcome(look: DirectLook) -> str | None:
    if look.number is None:
        return "no_number"
    if look.kind != "reply":
        return "number_blocked" if look.number_blocked else None
    # A number that has just texted takes texts, whatever a network said of it before.
    to_anybody = look.urgency == Urgency.SAFETY or look.template in TO_ANYBODY
    return None if to_anybody or look.standing is Standing.GRANTED else look.standing.value


def _unwanted(look: Look) -> str | None:
    patient, step = look.case.patient, look.step
    asks_consent = step is not None and not step.needs_consent
    if patient.blocked is not None and not (asks_consent and patient.status == "active" and patient.phone):
        return patient.blocked
    if look.number_blocked:
        return "number_blocked"
    if step is None or look.circumstances is None:
        return None
    if anchor_moment(step, look.session, look.case) is None:
        return f"session_{look.session.status}" if look.session else "no_longer_wanted"
    now = look.circumstances
    failed = next((name for name in step.conditions if not holds(name, now)), None)
    return None if failed is None else f"condition:{failed}"


def _held(look: Look, now: datetime) -> Defer | None:
    if look.paused is not None:
        return Defer(now + HELD_FOR, look.paused)
    if look.session is not None and look.session.id in look.case.held_sessions():
        return Defer(now + HELD_FOR, "two_sessions")
    if look.waits_for_part:
        return Defer(now + PART_FOR, "after_step")
    if capped(look, look.case.plan.caps):
        return Defer(now + HELD_FOR, "cap")
    if look.day_taken and look.step is not None and look.step.counts_for_day and not look.step.fixed:
        return Defer(own_time_after(look.step, now, look.case.clinic.zone), "spacing")
    return None


def capped(look: Look, caps: Caps) -> bool:
    """Whether the patient has had as many texts as the plan allows; aftercare of the day is never held back."""
    if look.step is not None and look.step.urgency is not Urgency.ROUTINE:
        return False
    return look.sent_24h >= caps.per_24h or look.sent_7d >= caps.per_7d


def _by_the_clock(look: Look, now: datetime) -> Decision:
    ends = [now + LONGEST_VALIDITY, *([look.expires_at] if look.expires_at else [])]
    hours = None
    if look.step is None or not is_direct_reply(look.step, look.case):
        hours = _hours(look)
        if hours is None:
            return Drop("window")
        if not is_open(now, *hours):
            return Defer(next_opening(now, *hours), "window")
        ends.append(window_end(now, *hours) or now)
    return Send(int((min(ends) - now).total_seconds()), hours)


def _hours(look: Look) -> tuple[Window, ZoneInfo] | None:
    """In which hours it may be sent, on whose clock: what staff write themselves keeps the clinic's."""
    if look.step is not None:
        return permission(look.step, look.case)
    return look.case.clinic.window, look.case.patient.zone or look.case.clinic.zone
