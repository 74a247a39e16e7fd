"""Taking a plan or texts from a file: judged whole, compared with what is in use, and made a new version. Or nothing is."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.domain.composition import Texts
from service.domain.errors import AftercareError
from service.domain.lint import Finding
from service.domain.plan_file import read_plan
from service.domain.segments import tidy
from service.flows import checking
from service.flows.approving import RefusedText, is_approved
from service.flows.casework import live_plan
from service.store import content, journal
from service.store.tables import Clinic, TemplateVersion

Places = Mapping[tuple[str, str], str]
"""Words by key and language."""


class NoTexts(AftercareError):  # noqa: N818 -- the name says what is missing
    """The file holds no texts that could be read."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What a plan file changes: steps by key, and other parts by name. ``version`` None where nothing differs."""

    version: int | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextChange:
    """What a file of texts changes: ``waiting`` are versions that wait for approval while the approved one is sent."""

    new: tuple[TemplateVersion, ...]
    waiting: int
    unchanged: int
    warnings: tuple[Finding, ...]


def apply_plan(db: Session, clinic: Clinic, written: bytes, *, by: str, now: datetime) -> PlanChange:
    """Let the clinic follow the plan in the file from now on. Raises :class:`RefusedText` with what is wrong with it."""
    content.lock(db, clinic.id, now=now)
    before, used = content.live_plan(db, clinic.id), checking.of_clinic(db, clinic.key, now=now)
    if findings := checking.check_plan_file(written, used.template_keys):
        raise RefusedText(findings, done="taken")
    document, old = json.loads(written.decode("utf-8-sig")), before.document if before else {}
    if findings := _worse(used.texts, old, document):
        raise RefusedText(findings, done="taken")
    if old == document:
        return PlanChange(None, (), (), (), ())
    version = content.add_plan(db, clinic.id, document, now=now, by=by)
    change = _compared(old, document, version=version.version)
    what = {"by": by, "version": change.version, "added": change.added, "removed": change.removed}
    journal.append(db, "plan_applied", at=now, clinic_id=clinic.id, data=what | {"changed": change.changed})
    return change


def _worse(texts: Texts, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Finding]:
    """What the texts may not say under the new plan and might under the old one: where they stand, how long values get."""
    known = [] if checking.check_plan(old, {key for key, _ in texts}) else checking.check_texts(texts, read_plan(old))
    found = checking.check_texts(texts, read_plan(new))
    return [finding for finding in found if finding.severity == "error" and finding not in known]


def _compared(old: Mapping[str, Any], new: Mapping[str, Any], *, version: int) -> PlanChange:
    steps = [{step["key"]: step for step in document.get("steps", ())} for document in (old, new)]
    before, after = steps
    return PlanChange(
        version=version,
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
        changed=tuple(key for key in after if key in before and after[key] != before[key]),
        parts=tuple(sorted(p for p in old.keys() | new.keys() if p != "steps" and old.get(p) != new.get(p))),
    )


def texts_document(db: Session, clinic: Clinic, *, now: datetime) -> dict[str, Any]:
    """The clinic's texts for a file, drafts in the place of what they are to replace."""
    content.ensure_seeded(db, clinic.id, now=now)
    by_key: dict[str, dict[str, str]] = {}
    for (key, language), version in sorted(content.newest_templates(db, clinic.id).items()):
        by_key.setdefault(key, {})[language] = version.text
    return {"templates": [{"key": key, "text": texts} for key, texts in by_key.items()]}


def apply_texts(db: Session, clinic: Clinic, written: bytes, *, by: str, now: datetime) -> TextChange:
    """Make a new version, which nobody has approved, of each text that differs. Texts that the file does not name stay.

    Where the version in use is approved it stays so until the new one is. Raises :class:`NoTexts`, or
    :class:`RefusedText` where a text says what it may not.
    """
    content.lock(db, clinic.id, now=now)
    wanted, newest = _read_texts(written), content.newest_templates(db, clinic.id)
    differing = {place: text for place, text in wanted.items() if place not in newest or newest[place].text != text}
    live = content.live_templates(db, clinic.id)
    new = {
        (key, language): content.add_draft(db, clinic.id, key=key, language=language, text=text, now=now, by=by)
        for (key, language), text in differing.items()
    }
    findings = checking.check_versions(db, clinic, new, plan=live_plan(db, clinic.id, now=now)[1]) if new else []
    if any(finding.severity == "error" for finding in findings):
        raise RefusedText(findings, done="taken")
    for place, version in new.items():
        if place not in live or not is_approved(live[place]):
            content.put_live(db, version)
        what = {"template": version.key, "language": version.language, "version": version.version, "by": by}
        journal.append(db, "text_written", at=now, clinic_id=clinic.id, data=what)
    waiting = sum(version.state == "draft" for version in new.values())
    return TextChange(tuple(new.values()), waiting, len(wanted) - len(new), tuple(findings))


def _read_texts(written: bytes) -> Places:
    try:
        document = json.loads(written.decode("utf-8-sig"))
        return dict(_places(document))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise NoTexts(
            'Nothing was taken: the file is not like {"templates": [{"key": "pre_1d", "text": {"en": "…"}}]}, as '
            f"`aftercare templates export` writes it ({type(error).__name__}: {error})."
        ) from error


def _places(document: Any) -> Iterator[tuple[tuple[str, str], str]]:
    for template in document["templates"]:
        for language, text in template["text"].items():
            yield (str(template["key"]), str(language)), tidy(text)
