"""A clinic to look at: its facts, plan and texts together, be it one of the database or the built-in sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from functools import cache
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.careplan import Anchor, CarePlan
from service.domain.case import ClinicFacts
from service.domain.composition import TemplateText, Texts
from service.domain.errors import AftercareError
from service.domain.opening_hours import parse_hours
from service.domain.plan_file import read_plan
from service.domain.windows import Window
from service.flows import casework
from service.store import content
from service.store.tables import Clinic

BEFORE = frozenset({Anchor.BOOKED, Anchor.SESSION_START})
AFTER = frozenset({Anchor.COMPLETED, Anchor.DUE})


class NoSuchClinic(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no clinic of that key."""


@dataclass(frozen=True, slots=True)
class Practice:
    """A clinic as far as texts are concerned. ``before`` and ``after`` are the plan's texts up to a session and from its end."""

    facts: ClinicFacts
    plan: CarePlan
    texts: Texts
    before: CarePlan
    after: CarePlan


def practice(facts: ClinicFacts, plan: CarePlan, *, texts: Texts) -> Practice:
    """Put together what a preview needs of a clinic; worth keeping for many previews."""
    return Practice(facts, plan, texts, before=_texts_on(BEFORE, plan), after=_texts_on(AFTER, plan))


def _texts_on(anchors: frozenset[Anchor], plan: CarePlan) -> CarePlan:
    return replace(plan, steps=tuple(step for step in plan.steps if step.anchor in anchors and step.is_text))


def stored_practice(db: Session, key: str, *, now: datetime) -> Practice:
    """The clinic of that key, with its live plan and texts. Raises :class:`NoSuchClinic`, or a fault of its data."""
    clinic = find_clinic(db, key)
    _, plan = casework.live_plan(db, clinic.id, now=now)
    facts = casework.clinic_facts(db, clinic, answers_understood=True)
    return practice(facts, plan, texts=casework.live_texts(db, clinic.id))


def find_clinic(db: Session, key: str) -> Clinic:
    """The clinic of that key. Raises :class:`NoSuchClinic`."""
    clinic = db.scalar(select(Clinic).where(Clinic.key == key))
    if clinic is None:
        raise NoSuchClinic(f"There is no clinic {key!r}. See `aftercare clinic show` for those there are.")
    return clinic


@cache
def sample_practice(zone: ZoneInfo) -> Practice:
    """An invented clinic in ``zone`` with the shipped plan and texts."""
    facts = ClinicFacts(
        id=0,
        sms_name="Lakeside Head Clinic",
        zone=zone,
        country="US",
        phone="+15550100199",
        emergency="911",
        after_hours="+15550100142",
        crisis_line="988",
        languages=("en", "es", "tr"),
        hours=parse_hours("Mon-Fri 08:00-17:00"),
        holidays=frozenset(),
        window=Window(time(9), time(19)),
        plan_name="standard",
        interval_weeks=12,
        transliterate=True,
        live_from=None,
        answers_understood=True,
        rule_hours={},
    )
    return practice(facts, shipped_plan(), texts=shipped_texts())


@cache
def shipped_plan() -> CarePlan:
    """The plan that clinics start with."""
    return read_plan(content.shipped_plan())


@cache
def shipped_texts() -> Mapping[tuple[str, str], TemplateText]:
    """The texts that clinics start with, each as version 1."""
    return {
        (template["key"], language): TemplateText(
            key=template["key"],
            language=language,
            version=1,
            version_id=None,
            text=text,
            rules=tuple(template.get("rules", ())),
            plain=template["max_segments"] == 1,
        )
        for template in content.shipped_templates()["templates"]
        for language, text in template["text"].items()
    }
