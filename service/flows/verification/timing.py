"""Whether a text left while it was of use, and in the hours in which it might."""

from dataclasses import replace
from functools import lru_cache
from zoneinfo import ZoneInfo

from service.domain.anchors import is_direct_reply, permission
from service.domain.careplan import CarePlan, Urgency
from service.domain.case import NOBODY, Case, ClinicFacts
from service.domain.opening_hours import OpeningHours
from service.domain.windows import LEAST_USEFUL, Window, from_words, is_open
from service.flows.verification.agreement import known_at
from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, NOT_ASKED, Judgement, moment
from service.flows.verification.library import UNUSABLE, Place
from service.store.evidence import Attempt

Hours = tuple[Window, ZoneInfo]
UNASKED = ("plan", "staff")
"""Kinds of texts that the patient has not just asked for."""
AT_ANY_HOUR = frozenset({Urgency.SAFETY, Urgency.REPLY})


def after_expiry(of: Dossier, attempt: Attempt) -> Judgement:
    """Where the row still says until when this handing over was of use: planning may have moved the text since."""
    ends = of.text.expires_at
    if ends is None or any(entry.at >= attempt.started_at for entry in of.tells("moved", "revived")):
        return NOT_ASKED
    if attempt.started_at <= ends - LEAST_USEFUL:
        return KEPT
    return f"It left on {moment(attempt.started_at)}, and from a minute before {moment(ends)} on it was of no use any more."


def outside_window(of: Dossier, attempt: Attempt) -> Judgement:
    """Texts that the patient has not just asked for, by the hours that were noted when each left, or else by those of today."""
    if of.text.kind not in UNASKED or of.for_staff or of.text.urgency in AT_ANY_HOUR:
        return NOT_ASKED
    noted = _noted(attempt.hours or "")
    hours = noted or _hours_of_today(of, attempt)
    if hours is None:
        return NOT_ASKED
    if noted is not None and not _within_step(of, attempt, noted[0]):
        return f"It left by hours ({attempt.hours}) that are not within those of its step."
    if is_open(attempt.started_at, *hours):
        return KEPT
    window, zone = hours
    left = attempt.started_at.astimezone(zone)
    return (
        f"It left at {left:%H:%M:%S} on {left:%Y-%m-%d} by the clock of {zone.key}, and texts like it may leave from "
        f"{window.opens:%H:%M} until a minute before {window.closes:%H:%M}."
    )


def _within_step(of: Dossier, attempt: Attempt, kept: Window) -> bool:
    """Of earlier handings over the row does not say any more which plan they followed."""
    return of.step is None or not of.is_last(attempt) or of.step.window.meet(kept) == kept


@lru_cache(maxsize=10_000)
def _noted(words: str) -> Hours | None:
    """The hours that a handing over kept; None where none are noted that anybody could keep."""
    try:
        return from_words(words)
    except UNUSABLE:
        return None


def _hours_of_today(of: Dossier, attempt: Attempt) -> Hours | None:
    """In which hours, on whose clock; None for any hour, or where nobody can say."""
    place = of.place
    if place is None:
        return None
    if of.text.kind == "staff":
        return place.window, place.own_zone or place.zone
    if of.plan is None or of.step is None:
        return None
    case = _case(of, attempt, place=place, plan=of.plan)
    return None if is_direct_reply(of.step, case) else permission(of.step, case)


def _case(of: Dossier, attempt: Attempt, *, place: Place, plan: CarePlan) -> Case:
    """A case with what hours depend on, and nothing else."""
    ledger = known_at(of.ledgers.get(attempt.number, ()), attempt.started_at)
    by_text = any(line.by_text and line.granted and line.clinic_id == attempt.clinic_id for line in ledger)
    patient = replace(NOBODY, zone=place.own_zone, consented_by_text=by_text)
    return Case(_clinic(place), patient, sessions=(), plan=plan)


def _clinic(place: Place) -> ClinicFacts:
    return ClinicFacts(
        id=place.clinic_id,
        zone=place.zone,
        window=place.window,
        sms_name="",
        country="",
        phone="",
        emergency="",
        after_hours="",
        crisis_line=None,
        languages=(),
        hours=OpeningHours(()),
        holidays=frozenset(),
        plan_name="",
        interval_weeks=0,
        transliterate=True,
        live_from=None,
        answers_understood=True,
        rule_hours={},
    )
