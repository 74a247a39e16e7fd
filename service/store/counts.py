"""What is counted for the metrics: totals over everything there is, so that they outlive every process."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables import Inbound, Message, SendAttempt, Task


def attempts_by_outcome(db: Session) -> dict[str, int]:
    """How often texts were handed over: accepted, refused, unknown, or under_way."""
    counted = db.execute(select(SendAttempt.outcome, func.count()).group_by(SendAttempt.outcome))
    return {"accepted": 0, "refused": 0, "unknown": 0} | {outcome or "under_way": n for outcome, n in counted}


def inbound_by_level(db: Session) -> dict[str, int]:
    """How many texts came from phones, by the level of the task that each gave rise to; ``none`` where it asked for nobody."""
    texts = select(Task.level, func.count(Inbound.id.distinct())).select_from(Inbound)
    counted = db.execute(texts.join(Task, Task.inbound_id == Inbound.id, isouter=True).group_by(Task.level))
    return {level or "none": n for level, n in counted}


def page_delays(db: Session) -> tuple[int, timedelta]:
    """How many pages to staff went out, and how long after they were due, all together."""
    pages = select(Message.due_at, Message.sent_at).where(Message.kind == "page", Message.sent_at.is_not(None))
    delays = [sent - due for due, sent in db.execute(pages) if due is not None and sent is not None]
    return len(delays), sum(delays, timedelta())
