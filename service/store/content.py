"""The plan and the texts of a clinic: the shipped ones, and the versions that are live or wait to be."""

import json
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.orm import Session

from service.store.inserts import insert_new
from service.store.tables import Clinic, PlanVersion, TemplateVersion


@cache
def shipped_plan() -> dict[str, Any]:
    """The plan file that clinics start with; shared by all callers, so only to be read."""
    return _shipped("care_plan.json")


@cache
def shipped_templates() -> dict[str, Any]:
    """The texts that clinics start with, and the words for answers; shared by all callers, so only to be read."""
    return _shipped("default_templates.json")


def unseeded(db: Session) -> list[int]:
    """Clinics that have no plan yet, such as one that another program wrote."""
    return list(db.scalars(select(Clinic.id).where(~exists().where(PlanVersion.clinic_id == Clinic.id))))


def ensure_seeded(db: Session, clinic_id: int, *, now: datetime) -> bool:
    """Give a clinic that has no plan the shipped content, as for one that another program wrote; False if it has one."""
    if db.scalar(select(exists().where(PlanVersion.clinic_id == clinic_id))):
        return False
    return seed_defaults(db, clinic_id, now=now, by="shipped")


def seed_defaults(db: Session, clinic_id: int, *, now: datetime, by: str) -> bool:
    """Version 1 of the plan and of every text in every language: live, and approved by nobody yet.

    False if the clinic has a version 1, be it that another worker was quicker by a moment.
    """
    if (
        insert_new(
            db, PlanVersion, clinic_id=clinic_id, version=1, document=shipped_plan(), created_at=now, created_by=by
        )
        is None
    ):
        return False
    texts = [
        {"key": template["key"], "language": language, "text": text}
        for template in shipped_templates()["templates"]
        for language, text in template["text"].items()
    ]
    first = {"clinic_id": clinic_id, "version": 1, "state": "live", "created_at": now, "created_by": by}
    db.execute(insert(TemplateVersion), [first | text for text in texts])
    return True


def live_plan(db: Session, clinic_id: int) -> PlanVersion | None:
    """The version of the plan that the clinic follows; None before its content was seeded."""
    return db.scalar(select(PlanVersion).where(PlanVersion.clinic_id == clinic_id, PlanVersion.live))


def live_templates(db: Session, clinic_id: int) -> dict[tuple[str, str], TemplateVersion]:
    """The version of each text that the clinic sends, by key and language; approved or not."""
    live = select(TemplateVersion).where(TemplateVersion.clinic_id == clinic_id, TemplateVersion.state == "live")
    return {(version.key, version.language): version for version in db.scalars(live)}


def newest_templates(db: Session, clinic_id: int) -> dict[tuple[str, str], TemplateVersion]:
    """Of each text the version that is, or is to be, sent: the draft that waits for approval, else the live one."""
    waiting = select(TemplateVersion).where(TemplateVersion.clinic_id == clinic_id, TemplateVersion.state == "draft")
    drafts = db.scalars(waiting.order_by(TemplateVersion.version))
    return live_templates(db, clinic_id) | {(version.key, version.language): version for version in drafts}


def lock(db: Session, clinic_id: int, *, now: datetime) -> None:
    """Let nobody else change what the clinic says, until the transaction ends; a clinic without content gets the shipped."""
    db.execute(select(Clinic.id).where(Clinic.id == clinic_id).with_for_update())
    ensure_seeded(db, clinic_id, now=now)


def add_plan(db: Session, clinic_id: int, document: dict[str, Any], *, now: datetime, by: str) -> PlanVersion:
    """A new version of the plan, which the clinic follows from now on."""
    versions = select(func.max(PlanVersion.version)).where(PlanVersion.clinic_id == clinic_id)
    last = db.scalar(versions) or 0
    db.execute(update(PlanVersion).where(PlanVersion.clinic_id == clinic_id, PlanVersion.live).values(live=False))
    version = PlanVersion(
        clinic_id=clinic_id, version=last + 1, document=document, live=True, created_at=now, created_by=by
    )
    db.add(version)
    db.flush()
    return version


def add_draft(
    db: Session, clinic_id: int, *, key: str, language: str, text: str, now: datetime, by: str
) -> TemplateVersion:
    """A new version of a text that nobody is sent yet; a draft before it is given up."""
    own = TemplateVersion.clinic_id == clinic_id, TemplateVersion.key == key, TemplateVersion.language == language
    last = db.scalar(select(func.max(TemplateVersion.version)).where(*own)) or 0
    db.execute(update(TemplateVersion).where(*own, TemplateVersion.state == "draft").values(state="retired"))
    draft = TemplateVersion(
        clinic_id=clinic_id, key=key, language=language, version=last + 1, text=text, state="draft",
        created_at=now, created_by=by,
    )  # fmt: skip
    db.add(draft)
    db.flush()
    return draft


def put_live(db: Session, version: TemplateVersion) -> None:
    """From now on this version is sent, and no other of the text in its language."""
    own = (
        TemplateVersion.clinic_id == version.clinic_id,
        TemplateVersion.key == version.key,
        TemplateVersion.language == version.language,
    )
    others = update(TemplateVersion).where(*own, TemplateVersion.id != version.id, TemplateVersion.state == "live")
    db.execute(others.values(state="retired"))
    version.state = "live"
    db.flush()


def _shipped(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(resources.files("service").joinpath("content", name).read_text("utf-8"))
    return document
