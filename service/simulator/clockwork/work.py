"""What there is to do for the service's ticks, read from its tables in one look: so that only ticks with work are run."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, exists, false, func, select
from sqlalchemy.orm import Session

from service.flows.receipts import NO_LONGER_ASKED
from service.store import messages
from service.store.columns import UtcDateTime
from service.store.inbox import NEW
from service.store.messages import PLANNED, SENDING, UNSETTLED
from service.store.tables import Message, Patient, RawReceipt, Task

BROUGHT_BY_THEN = timedelta(minutes=6)
"""So old a text should have its reports: after that the network is asked."""


@dataclass(frozen=True, slots=True)
class Work:
    """Moments are by the service's clock.

    ``due``, ``expires``, ``task_due``: the earliest of them. ``claimed``: the oldest claim that nobody has settled.
    ``doubted``: when the first unconfirmed text was handed over that nobody has asked about; ``asked_again``: when the first
    one is to be asked about again. ``young``, ``unreported``: when the first text was whose
    reports are still on their way, and the last one whose reports should be here.
    """

    due: datetime | None
    expires: datetime | None
    marked: bool
    task_due: datetime | None
    claimed: datetime | None
    doubted: datetime | None
    asked_again: datetime | None
    young: datetime | None
    unreported: datetime | None
    raw_receipts: bool
    raw_texts: bool


def look(db: Session, *, now: datetime) -> Work:
    """What there is to do at ``now``, or will be."""
    moments = {"brought": now - BROUGHT_BY_THEN, "asked": now - NO_LONGER_ASKED}
    return Work(due=messages.next_due_at(db), **db.execute(FOUND, moments).mappings().one())


def _of(moment: ColumnElement[datetime | None], *which: ColumnElement[bool]) -> ColumnElement[datetime | None]:
    return select(moment).where(*which).scalar_subquery()


def _moment(name: str) -> ColumnElement[datetime]:
    return bindparam(name, type_=UtcDateTime())


DOUBTED = Message.state == "unconfirmed", Message.sent_at > _moment("asked")
HAS_TURN = func.coalesce(Message.attempt_at > Message.sent_at, false())
UNREPORTED = UNSETTLED, Message.provider_sid.is_not(None)
FOUND = select(
    _of(func.min(Message.expires_at), PLANNED).label("expires"),
    exists().where(Patient.marked).label("marked"),
    _of(func.min(Task.due_at), Task.state == "planned").label("task_due"),
    _of(func.min(Message.claimed_at), SENDING).label("claimed"),
    _of(func.min(Message.sent_at), *DOUBTED, ~HAS_TURN).label("doubted"),
    _of(func.min(Message.attempt_at), *DOUBTED, HAS_TURN).label("asked_again"),
    _of(func.min(Message.sent_at), *UNREPORTED, Message.sent_at > _moment("brought")).label("young"),
    _of(func.max(Message.sent_at), *UNREPORTED, Message.sent_at.between(_moment("asked"), _moment("brought"))).label(
        "unreported"
    ),
    exists().where(RawReceipt.applied_at.is_(None)).label("raw_receipts"),
    exists().where(NEW).label("raw_texts"),
)
