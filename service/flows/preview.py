"""What a patient would be sent, and when: the plan's own computation over a case that somebody describes.

The two halves of a session are judged each as of its own time, as planning does: what hangs on the booking while the session
is booked, what hangs on the completion once it is completed, on days that the first half left free.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from service.domain.case import NOBODY, Case, SessionFacts
from service.domain.composition import Composed, NoTemplate, TemplateText, compose, pick
from service.domain.consent import Standing
from service.domain.errors import AftercareError
from service.domain.expansion import Entry, expand
from service.domain.forecast import forecast
from service.flows.practice import Practice, sample_practice
from service.flows.preview_options import Asked, OptionError, Options, check_names, read_case, read_text, read_zone

PRIVACY = "neutral"
EARLIER, THIS, NEXT = 1, 2, 3
"""The sessions of a preview, by id."""


class CannotPreview(AftercareError):  # noqa: N818 -- the name says what happened
    """A text of the case can not be written; the text names the step."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One text: when it would leave and what it would say, or why not (``skipped``). ``local`` is ``due_at`` in the clinic's zone."""

    step: str
    template: str
    template_version: int | None
    due_at: datetime | None
    local: datetime | None
    expires_at: datetime | None
    text: str | None
    encoding: str | None
    segments: int | None
    skipped: str | None


def preview(options: Options, practices: Callable[[str], Practice]) -> list[Foreseen]:
    """Every text of the described case in the order of due time; ``practices`` finds a clinic by its key.

    Raises :class:`OptionError` for a description that can not be used and :class:`CannotPreview` for a text that can not be
    written.
    """
    check_names(options)
    zone, key = read_zone(options, "time_zone"), read_text(options, "clinic")
    if key is not None:
        practice = practices(key)
    elif zone is not None:
        practice = sample_practice(zone)
    else:
        raise OptionError("--time-zone is missing. Write it like America/New_York.")
    asked = read_case(options, zone=zone or practice.facts.zone, plans=practice.plan.plans)
    return foresee(asked, practice)


def foresee(asked: Asked, practice: Practice) -> list[Foreseen]:
    """Every text that ``asked`` brings a patient of ``practice``, skipped ones included, in the order of due time."""
    case = _case(asked, practice)
    entries = _expanded(asked, case, practice)
    likely = forecast(case, entries, names_start=lambda entry: _names_start(entry, case, practice))
    ordered = sorted(likely, key=lambda e: (cast("datetime", e.due_at or e.nominal_at), e.step.order))
    return [_foreseen(entry, case, practice) for entry in ordered]


def _expanded(asked: Asked, case: Case, practice: Practice) -> list[Entry]:
    before, after = _while_booked(asked, case), _once_completed(asked, case)
    entries = [] if before is None else expand(replace(before, plan=practice.before))
    if after is not None:
        taken = {e.identity: e.due_at for e in entries if e.due_at and e.step.counts_for_day}
        entries += expand(replace(after, plan=practice.after), already_out=taken)
    return entries


def _case(asked: Asked, practice: Practice) -> Case:
    """A patient who agreed, with no session yet."""
    clinic = replace(practice.facts, plan_name=asked.plan) if asked.plan else practice.facts
    patient = replace(
        NOBODY,
        phone=clinic.phone,
        language=asked.language or clinic.languages[0],
        zone=asked.patient_zone,
        privacy=PRIVACY,
        standing=Standing.GRANTED,
        textable_since=asked.now or asked.booked_at or asked.completed_at,
    )
    return Case(clinic=clinic, patient=patient, sessions=(), plan=practice.plan)


def _while_booked(asked: Asked, case: Case) -> Case | None:
    if asked.scheduled_at is None:
        return None
    session = SessionFacts(id=THIS, status="booked", start=asked.scheduled_at, booked_at=asked.booked_at)
    return replace(case, sessions=(*_earlier(asked, case, session.start), session))


def _once_completed(asked: Asked, case: Case) -> Case | None:
    done = asked.completed_at
    if done is None:
        return None
    session = SessionFacts(
        id=THIS, status="completed", start=asked.scheduled_at or done, completed_at=done, completion_known_at=done
    )
    later = [] if asked.next_session is None else [SessionFacts(id=NEXT, status="booked", start=asked.next_session)]
    return replace(case, sessions=(*_earlier(asked, case, done), session, *later))


def _earlier(asked: Asked, case: Case, moment: datetime) -> list[SessionFacts]:
    """The completed session that makes this a repeat; being older it brings no texts of its own."""
    if asked.first_session:
        return []
    then = moment - timedelta(days=case.interval_days)
    return [SessionFacts(id=EARLIER, status="completed", start=then, completed_at=then, completion_known_at=then)]


def _foreseen(entry: Entry, case: Case, practice: Practice) -> Foreseen:
    written = None if entry.due_at is None else _written(entry, case, practice, at=entry.due_at)
    return Foreseen(
        step=entry.step.key,
        template=_key(entry),
        template_version=written.version if written else _version(entry, case, practice),
        due_at=entry.due_at,
        local=entry.due_at.astimezone(case.clinic.zone) if entry.due_at else None,
        expires_at=entry.expires_at,
        text=written.text if written else None,
        encoding=written.encoding if written else None,
        segments=written.segments if written else None,
        skipped=entry.skipped,
    )


def _written(entry: Entry, case: Case, practice: Practice, *, at: datetime) -> Composed:
    try:
        template = pick(practice.texts, _key(entry), case)
        return compose(template, case, session=entry.session, at=at)
    except AftercareError as error:
        raise CannotPreview(f"Step {entry.step.key!r}: {error}") from error


def _names_start(entry: Entry, case: Case, practice: Practice) -> bool:
    template = _template(entry, case, practice)
    return template is not None and template.names_start


def _version(entry: Entry, case: Case, practice: Practice) -> int | None:
    template = _template(entry, case, practice)
    return None if template is None else template.version


def _template(entry: Entry, case: Case, practice: Practice) -> TemplateText | None:
    """None where there is none: a step that is off needs no text."""
    try:
        return pick(practice.texts, _key(entry), case)
    except NoTemplate:
        return None


def _key(entry: Entry) -> str:
    return cast("str", entry.step.template_for(PRIVACY))
