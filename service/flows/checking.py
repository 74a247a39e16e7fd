"""Is a plan usable, and may its texts go to patients? Everything is judged before anything of it is used."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.domain.careplan import CarePlan
from service.domain.composition import TemplateText, Texts
from service.domain.draft import TemplateSpec, Vocabulary
from service.domain.lint import Finding, lint_template
from service.domain.plan_file import PlanError, read_plan
from service.domain.segments import measure, transliterate
from service.domain.templates import UnknownPlaceholder, worst_case
from service.flows.casework import clinic_facts, live_texts
from service.flows.longest import LongestValues
from service.flows.practice import find_clinic, shipped_texts
from service.store import content
from service.store.tables import Clinic, Sender, TemplateVersion

DIGITS = re.compile(r"\+?[0-9]+")
"""What can be texted back: a number or short code. A sender of letters is a name that no phone can answer."""


@dataclass(frozen=True, slots=True)
class InUse:
    """The plan file and the texts that are in use. ``approvals``: who approved a text, and when, by key and language.

    ``drafts`` wait for approval, while the texts in use are sent.
    """

    document: Mapping[str, Any]
    texts: Texts
    approvals: Mapping[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    drafts: Texts = field(default_factory=dict)

    @property
    def template_keys(self) -> frozenset[str]:
        return frozenset(key for key, _ in self.texts)


def shipped() -> InUse:
    """What clinics start with."""
    return InUse(content.shipped_plan(), shipped_texts())


def of_clinic(db: Session, key: str, *, now: datetime) -> InUse:
    """What the clinic of that key uses; the shipped content where it has none yet."""
    clinic = find_clinic(db, key)
    content.ensure_seeded(db, clinic.id, now=now)
    plan, versions = content.live_plan(db, clinic.id), content.live_templates(db, clinic.id)
    return InUse(
        document=plan.document if plan else {},
        texts=live_texts(db, clinic.id),
        approvals={
            place: (version.approved_by, version.approved_at)
            for place, version in versions.items()
            if version.approved_by and version.approved_at
        },
        drafts={
            place: _as_text(version)
            for place, version in content.newest_templates(db, clinic.id).items()
            if version.state == "draft"
        },
    )


def check_plan(document: Any, templates: Collection[str]) -> list[Finding]:
    """Judge a plan file (its JSON values); ``templates`` are the keys of the texts that there are."""
    try:
        plan = read_plan(document)
    except PlanError as error:
        return [_fault(sentence) for sentence in error.faults]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else f"a part has the wrong shape ({error})"
        return [_fault(f"The plan can not be read: {what}.")]
    return list(_without_text(plan, templates))


def check_plan_file(written: bytes, templates: Collection[str]) -> list[Finding]:
    """Judge a plan file as it lies on the disk."""
    try:
        document = json.loads(written.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return [_fault(f"The file is no JSON: {error}.")]
    return check_plan(document, templates)


def _without_text(plan: CarePlan, templates: Collection[str]) -> Iterator[Finding]:
    for step in plan.steps:
        for key in (step.template, *(step.variants or {}).values()):
            if key is not None and key not in templates:
                yield _fault(f"Step {step.key!r} sends {key!r}, and there is no text of that key.", template=key)


def _fault(sentence: str, *, template: str = "") -> Finding:
    return Finding(template, "", "error", "text_missing" if template else "plan", None, sentence)


def check_clinic(db: Session, key: str, *, now: datetime) -> list[Finding]:
    """What the clinic's texts say that they may not, drafts too, with how long they get for its own patients."""
    clinic = find_clinic(db, key)
    content.ensure_seeded(db, clinic.id, now=now)
    return check_versions(db, clinic, content.newest_templates(db, clinic.id), plan=_plan_of(db, clinic.id))


def check_versions(
    db: Session, clinic: Clinic, versions: Mapping[tuple[str, str], TemplateVersion], *, plan: CarePlan
) -> list[Finding]:
    """As :func:`check_texts` does, for a clinic: with its sender, and with the values of all its patients."""
    texts = {place: _as_text(version) for place, version in versions.items()}
    sender = db.get_one(Sender, clinic.sender_id)
    found = check_texts(texts, plan, receives=receives(sender))
    counted = {(finding.template, finding.language) for finding in found if finding.code == "too_long"}
    facts = clinic_facts(db, clinic, answers_understood=True)
    longest = LongestValues(facts, plan, {language for _, language in texts}).gather(db)
    specs = template_specs(plan)
    for (key, language), text in sorted(texts.items()):
        if key in specs and (key, language) not in counted:
            parts, most = longest.segments(text.text, language, plain=text.plain), specs[key].max_segments
            if parts is not None and parts > most:
                found.append(_too_long(text, parts, most=most, native=not facts.transliterate))
    return found


def receives(sender: Sender) -> bool:
    """Whether phones can answer what leaves from there."""
    return sender.messaging_service is not None or sender.number is None or DIGITS.fullmatch(sender.number) is not None


def _too_long(text: TemplateText, parts: int, *, most: int, native: bool) -> Finding:
    """Letters outside GSM-7 are a clinic's own choice, and their price is known."""
    message = (
        f"With this clinic's names, numbers and patients this gets {parts} texts long; {most} are meant. Shorten it."
    )
    return Finding(text.key, text.language, "warning" if native else "error", "too_long_here", None, message)


def _as_text(version: TemplateVersion) -> TemplateText:
    shipped = shipped_texts().get((version.key, "en"))
    return TemplateText(
        key=version.key,
        language=version.language,
        version=version.version,
        version_id=version.id,
        text=version.text,
        plain=shipped is not None and shipped.plain,
    )


def _plan_of(db: Session, clinic_id: int) -> CarePlan:
    version = content.live_plan(db, clinic_id)
    return read_plan(version.document if version else {})


def check_texts(texts: Texts, plan: CarePlan, *, receives: bool = True) -> list[Finding]:
    """What the texts say that they may not, and how long they can get with the plan's longest values."""
    words, specs = replace(vocabulary(plan), receives=receives), template_specs(plan)
    findings = []
    for (key, language), template in sorted(texts.items()):
        if key in specs:
            findings += lint_template(key, language, template.text, spec=specs[key], vocabulary=words)
        else:
            unknown = (
                "Nothing is known of what this text is for, so it was not checked, and no answer of ours sends it."
            )
            findings.append(Finding(key, language, "warning", "unknown_template", None, unknown))
    return findings


def parts_at_most(text: str, plan: CarePlan) -> int | None:
    """How many segments the text takes with the longest values; None where it names something that has no value."""
    try:
        return measure(worst_case(transliterate(text), plan.max_lengths)).segments
    except UnknownPlaceholder:
        return None


def template_specs(plan: CarePlan) -> dict[str, TemplateSpec]:
    """What each text is for, by its key."""
    return {
        about["key"]: TemplateSpec(
            category=about["category"],
            expects=about["expects"],
            asks=frozenset(about["asks"]),
            max_segments=about["max_segments"],
            anchors=frozenset(
                step.anchor for step in plan.steps if about["key"] in (step.template, *(step.variants or {}).values())
            ),
        )
        for about in content.shipped_templates()["templates"]
    }


def vocabulary(plan: CarePlan) -> Vocabulary:
    """The words that texts are made of, and those that mean something to people, carriers and clinicians."""
    shipped = content.shipped_templates()
    return Vocabulary(
        max_lengths=plan.max_lengths,
        reply_words=shipped["reply_words"],
        carrier_words=frozenset(shipped["carrier_words"]),
        keep_prescribed=plan.safety_phrases["keep_prescribed"],
    )
