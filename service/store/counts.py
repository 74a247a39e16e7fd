"""What is counted for the metrics: totals over everything there is, so that they outlive every process."""

from datetime import timedelta

from sqlalchemy import extract, func, literal_column, select
from sqlalchemy.orm import Session

from service.store.tables import Inbound, Message, SendAttempt, Task

# Spelled out and not bound, so that both databases see that the partial index holds all that is asked for.
PAGE = Message.kind == literal_column("'page'")


def attempts_by_outcome(db: Session) -> dict[str, int]:
    """How often texts were handed over: accepted, refused, unknown, or under_way."""
    counted = db.execute(select(SendAttempt.outcome, func.count()).group_by(SendAttempt.outcome))
    return {"accepted": 0, "refused": 0, "unknown": 0} | {outcome or "under_way": n for outcome, n in counted}


def inbound_by_level(db: Session) -> dict[str, int]:
    """How many texts came from phones, by the level of the task that each gave rise to; ``none`` where it asked for nobody."""
    answered = func.count(Task.inbound_id.distinct())
    counted = db.execute(select(Task.level, answered).where(Task.inbound_id.is_not(None)).group_by(Task.level))
    levels = dict(counted.all())
    texts = select(func.count()).select_from(Inbound).scalar_subquery()
    unanswered = db.scalar(select(texts - select(answered).scalar_subquery()))
    return levels | {"none": unanswered} if unanswered else levels


def page_delays(db: Session) -> tuple[int, timedelta]:
    """How many pages to staff went out, and how long after they were due, all together; on SQLite in whole seconds each."""
    late = extract("epoch", Message.sent_at) - extract("epoch", Message.due_at)
    pages, seconds = db.execute(select(func.count(late), func.sum(late)).where(PAGE)).one()
    return pages, timedelta(seconds=float(seconds or 0))
