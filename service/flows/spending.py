"""What texting costs in a day, and when it is enough: then only what is urgent, and answers, still leave.

The day is the carriers' (from midnight US Pacific), as for the daily cap of segments: each sender's row counts it already.
What a text really cost is known days later, if at all; so each segment counts with the price that the settings name.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain import rates
from service.flows.policy import SEGMENT_PRICE, SendingPolicy
from service.store import tasks
from service.store.tables import Message, Sender

SPEND_LIMIT = "spend_limit"


@dataclass(slots=True)
class Purse:
    """What may still be paid for today while one claim is worked off. ``left`` None: whatever it costs."""

    left: Decimal | None
    price: Decimal

    def lacks(self, segments: int) -> bool:
        """Whether so many segments would cost more than is left."""
        return self.left is not None and self.price * segments > self.left

    def pay(self, segments: int) -> None:
        """Take out what so many segments cost; what is urgent leaves although nothing is left."""
        if self.left is not None:
            self.left -= self.price * segments


def open_purse(db: Session, *, now: datetime, policy: SendingPolicy) -> Purse:
    """What is left of the day's limit, over all senders.

    Workers of two senders do not wait for each other here: each may go over the limit by what the other hands over in the
    same moment, a few seconds' texts.
    """
    limit, price = policy.daily_spend_limit, policy.segment_price
    return Purse(None if limit is None else limit - spent_today(db, now=now, price=price), price)


def spent_today(db: Session, *, now: datetime, price: Decimal = SEGMENT_PRICE) -> Decimal:
    """What was handed over in the carriers' day costs by estimate, at ``price`` a segment; one row a sender is read."""
    handed_over = select(func.sum(Sender.day_segments)).where(Sender.day == rates.carriers_day(now))
    return price * (db.scalar(handed_over) or 0)


def tell_spent(db: Session, message: Message, *, policy: SendingPolicy, now: datetime) -> None:
    """Put it before the staff of the text's clinic, once a day."""
    limit = policy.daily_spend_limit
    tasks.open_task(
        db,
        identity=f"{SPEND_LIMIT}:{message.clinic_id}:{rates.carriers_day(now)}",
        kind=SPEND_LIMIT,
        clinic_id=message.clinic_id,
        level="amber",
        now=now,
        reason=f"The limit of {limit} a day for texts is reached. Aftercare, safety texts and answers still leave; all "
        "others wait until midnight US Pacific, when the carriers' day ends, and those that are of no use by then are missed.",
        next_action="See with `aftercare message list` what is held for spend_limit. If the day is as it should be, whoever "
        "runs the service raises AFTERCARE_DAILY_SPEND_LIMIT and restarts it; the texts then leave by themselves.",
    )
