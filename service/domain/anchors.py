"""Where a step hangs in time: the moment of its event, when that became known, its offset, its end, its hours."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from service.domain.careplan import (
    Anchor,
    CareDayEnd,
    DaysAt,
    Evening,
    Minutes,
    Offset,
    Step,
    Urgency,
    UselessAfter,
)
from service.domain.case import Case, SessionFacts
from service.domain.windows import Window, local_day, resolve_local

EVENING_FROM, EVENING_TO, CARE_DAY_ENDS = time(20, 0), time(20, 45), time(21, 0)
EVENING_AFTER = timedelta(hours=2)


EVENTS: Mapping[Anchor, tuple[str, Callable[[SessionFacts, Case], datetime | date | None]]] = {
    Anchor.BOOKED: ("booked", lambda session, _: session.booked_at),
    Anchor.MOVED: ("booked", lambda session, _: session.moved_at),
    Anchor.SESSION_START: ("booked", lambda session, _: session.start),
    Anchor.CANCELLED: ("cancelled", lambda session, _: session.cancelled_at),
    Anchor.NO_SHOW: ("no_show", lambda session, _: session.no_show_at),
    Anchor.COMPLETED: ("completed", lambda session, _: session.completed_at),
    Anchor.DUE: ("completed", lambda session, case: case.due_day(session)),
}
"""The events of a session: the status in which it brings texts because of them, and when they were."""


def anchor_moment(step: Step, session: SessionFacts | None, case: Case) -> datetime | date | None:
    """When the step's event happened; None where it did not, or no longer counts, so that the step is not wanted.

    The anchor ``due`` is a day, every other a moment.
    """
    if session is not None and step.anchor in EVENTS and not _stands(EVENTS[step.anchor][0], session, case):
        return None
    return _recorded(step.anchor, session, case)


def _stands(status: str, session: SessionFacts, case: Case) -> bool:
    """Of completed sessions only the newest has open steps."""
    return session.status == status and (status != "completed" or case.is_latest(session))


def _recorded(anchor: Anchor, session: SessionFacts | None, case: Case) -> datetime | date | None:
    """When an event was, whatever became of it since; None where it is not known."""
    if anchor in EVENTS:
        return EVENTS[anchor][1](session, case) if session is not None else None
    return case.patient.added_at if anchor is Anchor.PATIENT_ADDED else case.patient.consented_at


def known_at(step: Step, session: SessionFacts | None, case: Case) -> datetime | None:
    """When the step could be wanted at the earliest, whatever its own time says: before that nobody could send.

    The service must have learned of the event, the patient be textable, and a session booked meanwhile be off again.
    """
    moments = [case.patient.textable_since] if step.needs_consent else []
    if session is not None:
        learned = {
            Anchor.SESSION_START: (session.booked_at, session.moved_at),
            Anchor.COMPLETED: (session.completion_known_at,),
            Anchor.DUE: (session.completion_known_at,),
        }
        moments.extend(learned.get(step.anchor, ()))
        if "not_rebooked" in step.conditions:
            moments.extend(case.let_go_at(session))
    return max((moment for moment in moments if moment is not None), default=None)


def identity(step: Step, session: SessionFacts | None, case: Case) -> str:
    """What makes a planned text this one and no other."""
    if session is None:
        return f"patient:{case.patient.id}:{step.key}"
    if step.anchor is Anchor.CANCELLED:
        n = session.cancels
    elif step.anchor is Anchor.MOVED or step.again_after_move:
        n = session.moves
    else:
        n = 0
    return f"plan:{session.id}:{step.key}:{n}"


def at_offset(offset: Offset | CareDayEnd, anchor: datetime | date, zone: ZoneInfo) -> datetime:
    """The moment an offset points to. ``Evening`` gives its time even when that is too late."""
    day = local_day(anchor, zone) if isinstance(anchor, datetime) else anchor
    match offset:
        case DaysAt(days, at):
            return resolve_local(day + timedelta(days=days), at, zone)
        case CareDayEnd():
            return resolve_local(day, CARE_DAY_ENDS, zone)
        case Evening():
            return max(resolve_local(day, EVENING_FROM, zone), _moment(anchor, zone) + EVENING_AFTER)
        case Minutes(minutes):
            return _moment(anchor, zone) + timedelta(minutes=minutes)
        case _:
            assert_never(offset)


def own_time(step: Step, day: date, zone: ZoneInfo) -> datetime:
    """When a step that was moved to another day goes out: at its own clock time, or when its window opens."""
    return resolve_local(day, step.offset.at if isinstance(step.offset, DaysAt) else step.window.opens, zone)


def own_time_after(step: Step, now: datetime, zone: ZoneInfo) -> datetime:
    """The step's own time on the day after the one that it is."""
    return own_time(step, local_day(now, zone) + timedelta(days=1), zone)


def _moment(anchor: datetime | date, zone: ZoneInfo) -> datetime:
    return anchor if isinstance(anchor, datetime) else resolve_local(anchor, time(0, 0), zone)


def permission(step: Step, case: Case) -> tuple[Window, ZoneInfo] | None:
    """In which hours, on whose clock, the step may be sent; None where clinic and step never meet.

    Aftercare of the day keeps its own hours on the clinic's clock: the patient was there.
    """
    if step.urgency is Urgency.CARE:
        return step.window, case.clinic.zone
    both = step.window.meet(case.clinic.window)
    return None if both is None else (both, case.patient.zone or case.clinic.zone)


def is_direct_reply(step: Step, case: Case) -> bool:
    """Whether the step answers a text that just came: it then keeps no hours."""
    return step.direct_reply_if_texted and case.patient.consented_by_text


def expiry(useless: UselessAfter | None, session: SessionFacts | None, case: Case) -> datetime | None:
    """From when on the step is no use; None: it never expires, or the anchor it counts from is not known."""
    anchor = None if useless is None else _recorded(useless.anchor, session, case)
    return None if useless is None or anchor is None else at_offset(useless.offset, anchor, case.clinic.zone)


def too_late_for_evening(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether an ``Evening`` time lies after 20:45 on the day of completion: the patient may be asleep."""
    return moment > resolve_local(local_day(moment - EVENING_AFTER, zone), EVENING_TO, zone)
