"""The plan and the texts of a clinic: the shipped ones, and the versions that are live."""

import json
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from sqlalchemy import exists, insert, select
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


def _shipped(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(resources.files("service").joinpath("content", name).read_text("utf-8"))
    return document
