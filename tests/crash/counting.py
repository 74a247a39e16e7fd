"""What came of it: the provider's own list against the rows."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, sessionmaker

from service.store.tables import Message, SendAttempt, Task
from tests.crash.provider import Taken

TAKEN = ("sent", "delivered")
NOT_MEANT = (*TAKEN, "cancelled")


@dataclass(frozen=True, slots=True)
class Count:
    """How many texts went wrong, and how.

    ``doubled``: the provider took more than were to be sent. ``lost``: due, and it took none, or fewer than were to be sent.
    ``unrecorded``: it took them, and no row has its id, or that of another text. ``open``: rows that say that the text is
    under way, and attempts without an end. ``tasks``: a person is to find out, although the provider's list answers.
    """

    doubled: int = 0
    lost: int = 0
    unrecorded: int = 0
    open: int = 0
    tasks: int = 0


ALL_WELL = Count()


def count(sessions: sessionmaker[Session], taken: Collection[Taken], *, due_at: datetime) -> Count:
    """Of all texts that were due at ``due_at``, and those that fell due later and left."""
    with sessions() as db:
        rows = db.scalars(select(Message).where(Message.state.in_(TAKEN))).all()
        recorded = Counter(Taken(row.provider_sid or "", row.to_number or "", row.text or "") for row in rows)
        to_be_sent = Counter((each.to, each.body) for each in recorded.elements())
        got = Counter((each.to, each.body) for each in taken)
        not_sent = select(func.count()).where(Message.due_at <= due_at, Message.state.not_in(NOT_MEANT))
        return Count(
            doubled=(got - to_be_sent).total(),
            lost=(to_be_sent - got).total() + _number(db, not_sent),
            unrecorded=(Counter(taken) - recorded).total(),
            open=_open(db),
            tasks=_number(db, select(func.count()).where(Task.kind == "unconfirmed", Task.state == "open")),
        )


def _open(db: Session) -> int:
    in_hands = select(func.count()).where(Message.state.in_(["sending", "unconfirmed"]))
    endless = select(func.count()).where(or_(SendAttempt.outcome.is_(None), SendAttempt.outcome == "unknown"))
    return _number(db, in_hands) + _number(db, endless)


def _number(db: Session, query: Select[Any]) -> int:
    return int(db.scalar(query) or 0)
