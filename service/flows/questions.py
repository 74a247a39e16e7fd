"""What patients were asked by text and have not answered yet, as the plan that each text followed says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.replies import Keywords
from service.flows.lines import Line
from service.store import content
from service.store.messages import MAYBE_SENT
from service.store.tables import Message, PlanVersion, SendAttempt

NOT_QUESTIONS = frozenset({"none", "free"})
LOOK_BACK = 60
"""Texts to one number among which the last question to each of its patients is looked for."""
CLOCKS_DIFFER = timedelta(minutes=1)
"""A provider notes when it got an answer on its own clock, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text that asks for an answer, the newest of one patient. ``late``: the plan no longer takes an answer for sure."""

    message: Message
    expects: str
    late: bool


def last_questions(db: Session, line: Line, *, said_at: datetime) -> list[Question]:
    """The last question that each patient of the line was asked on this number before ``said_at``."""
    texts = (
        select(Message, SendAttempt.started_at)
        .join(SendAttempt, SendAttempt.message_id == Message.id)
        .where(
            SendAttempt.number == line.number,
            SendAttempt.sender_id == line.sender_id,
            SendAttempt.patient_id.in_([patient.id for patient in line.patients]),
            SendAttempt.started_at <= said_at + CLOCKS_DIFFER,
            MAYBE_SENT,
        )
        .order_by(SendAttempt.started_at.desc(), SendAttempt.id.desc())
        .limit(LOOK_BACK)
    )
    found: dict[int | None, Question] = {}
    for message, asked_at in db.execute(texts):
        if message.patient_id in found:
            continue
        plan = _plan_of(db, message)
        expects = _expects(message, plan)
        if expects not in NOT_QUESTIONS:
            found[message.patient_id] = Question(message, expects, late=said_at - asked_at > _time_to_live(plan))
    return list(found.values())


def keywords_of(db: Session, clinic_ids: Collection[int]) -> Keywords:
    """The opt-out, help and opt-in words of all these clinics together."""
    words: dict[str, set[str]] = {}
    for clinic_id in clinic_ids:
        for kind, listed in _live_document(db, clinic_id)["keywords"].items():
            if kind != "note":
                words.setdefault(kind, set()).update(listed)
    return Keywords.from_plan(words)


def _plan_of(db: Session, message: Message) -> Mapping[str, Any]:
    followed = db.get(PlanVersion, message.plan_version_id) if message.plan_version_id is not None else None
    return followed.document if followed else _live_document(db, message.clinic_id)


def _live_document(db: Session, clinic_id: int) -> Mapping[str, Any]:
    live = content.live_plan(db, clinic_id)
    return live.document if live else content.shipped_plan()


def _expects(message: Message, plan: Mapping[str, Any]) -> str:
    """What a text waits for: its step says it, and for texts outside the plan the shipped text of its key."""
    if message.step is not None:
        return next((str(step["expects"]) for step in plan["steps"] if step["key"] == message.step), "none")
    shipped = content.shipped_templates()["templates"]
    return next((str(text["expects"]) for text in shipped if text["key"] == message.template), "none")


def _time_to_live(plan: Mapping[str, Any]) -> timedelta:
    questions = plan.get("questions") or content.shipped_plan()["questions"]
    return timedelta(minutes=questions["answer_ttl_minutes"])
