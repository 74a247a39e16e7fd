"""Approving texts: a clinician's name and date on each version, without which real patients are never sent it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.careplan import Urgency
from service.domain.composition import TemplateText
from service.domain.errors import AftercareError
from service.domain.lint import Finding
from service.flows import checking
from service.flows.casework import live_plan
from service.flows.holding import release
from service.store import content, journal, tasks
from service.store.tables import Clinic, Message, Task, TemplateVersion

UNAPPROVED_TEXT = "unapproved_text"
"""Held because nobody has approved the version that would be sent."""


class NoSuchText(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no text of that key."""


class RefusedText(AftercareError):  # noqa: N818 -- the name says what happened
    """A text says what it may not, so nothing was approved or taken; ``findings`` say what and where."""

    def __init__(self, findings: Iterable[Finding], *, done: str) -> None:
        self.findings = tuple(findings)
        errors = sum(finding.severity == "error" for finding in self.findings)
        super().__init__(f"Nothing was {done}: {errors} faults have to be mended first.")


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval came to. ``released``: texts that had waited for it."""

    versions: Sequence[TemplateVersion]
    already: int
    released: int


def approve(db: Session, clinic: Clinic, key: str | None, *, by: str, now: datetime) -> Approved:
    """Approve the newest version of a text in each language, or of every text (``key`` None); what was a draft goes live.

    All or nothing. Raises :class:`NoSuchText`, or :class:`RefusedText` where one says what it may not.
    """
    content.lock(db, clinic.id, now=now)
    newest = content.newest_templates(db, clinic.id)
    chosen = {place: version for place, version in newest.items() if key in (None, version.key)}
    if not chosen:
        raise NoSuchText(f"There is no text {key!r}. `aftercare templates list` shows those there are.")
    wanted = {place: version for place, version in chosen.items() if not is_approved(version)}
    findings = [
        finding
        for finding in checking.check_versions(db, clinic, wanted, plan=live_plan(db, clinic.id, now=now)[1])
        if finding.severity == "error"
    ]
    if findings:
        raise RefusedText(findings, done="approved")
    for version in wanted.values():
        _approve(db, version, by=by, now=now)
    released = release(db, UNAPPROVED_TEXT, now=now, clinic_id=clinic.id) if wanted else 0
    return Approved(list(wanted.values()), already=len(chosen) - len(wanted), released=released)


def is_approved(version: TemplateVersion) -> bool:
    """Whether somebody has put a name and a date to it."""
    return bool((version.approved_by or "").strip()) and version.approved_at is not None


def _approve(db: Session, version: TemplateVersion, *, by: str, now: datetime) -> None:
    content.put_live(db, version)
    version.approved_by, version.approved_at = by, now
    what = {"template": version.key, "language": version.language, "version": version.version, "by": by}
    journal.append(db, "text_approved", at=now, clinic_id=version.clinic_id, data=what)
    live = select(TemplateVersion.id).where(
        TemplateVersion.clinic_id == version.clinic_id,
        TemplateVersion.key == version.key,
        TemplateVersion.language == version.language,
    )
    identities = [_identity(version_id) for version_id in db.scalars(live)]
    for task_id in db.scalars(select(Task.id).where(Task.identity.in_(identities), Task.state == "open")).all():
        tasks.close(db, task_id, outcome=f"Version {version.version} was approved.", now=now)


def tell_unapproved(db: Session, message: Message, template: TemplateText, *, now: datetime) -> None:
    """A text is due whose version nobody approved: one task for the version, however many texts wait for it."""
    urgent = message.urgency == Urgency.SAFETY
    tasks.open_task(
        db,
        identity=_identity(template.version_id),
        kind=UNAPPROVED_TEXT,
        clinic_id=message.clinic_id,
        level="red" if urgent else "amber",
        now=now,
        reason=f"The text {template.key} ({template.language}), version {template.version}, is not approved, and patients are "
        "due to get it. It waits, and is missed where it is of no use any more.",
        next_action=f"Let a clinician read it, then: `aftercare templates approve {template.key} --by NAME`. What waits then "
        "leaves by itself.",
    )


def _identity(version_id: int | None) -> str:
    return f"{UNAPPROVED_TEXT}:{version_id}"
