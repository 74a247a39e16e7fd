"""The first act of sending: take what one sender may send, look at each text once more, write it, and note that it will leave.

The sender's row is held meanwhile: what one worker hands over, every other sees in rate, day and turns.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from secrets import token_hex

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain import rates, sms
from service.flows import breakers
from service.flows.breakers import Way
from service.flows.desk import Desk, block, room
from service.flows.looking import Looking, day_is_full
from service.flows.policy import SendingPolicy
from service.flows.spending import Purse, open_purse
from service.store import attempts, messages, running
from service.store.tables import Message, Sender

BATCH = 500
TO_TRY = 20
"""So many texts are looked at for one that may leave now."""
SOON = timedelta(seconds=30)
"""Where none of them may, the next ones are looked at after this long."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought: the texts that leave now, and how many rows were looked at.

    ``asks``: nothing leaves before the provider was asked whether it is there.
    """

    token: str
    outgoing: Sequence[sms.OutgoingSms] = ()
    looked: int = 0
    asks: bool = False


def claim_and_compose(
    db: Session, sender_id: int, *, now: datetime, policy: SendingPolicy, has_answered: bool = False, most: int = BATCH
) -> Claim:
    """Claim what the sender may send now, decide about each text, and write the attempt rows of those that leave.

    ``has_answered``: the provider was asked, as an earlier :class:`Claim` wanted. Nothing where another worker is at it.
    """
    taken = _take(db, sender_id, now=now, policy=policy, has_answered=has_answered, most=most)
    if taken is None or taken.gate.way is Way.ASK:
        return Claim(token_hex(16), asks=taken is not None)
    claimed = taken.messages
    for message in claimed:
        # What an earlier attempt would have told is not said yet: the look must not find it and think it was.
        message.told_start = message.sent_at = None
    sender, gate = taken.sender, taken.gate
    stopped = breakers.held_as(db, sender) if gate.way is Way.HELD else None
    looking = Looking(db, claimed, sender=sender, stopped=stopped, purse=taken.purse, now=now, policy=policy)
    desk = Desk(db, looking, now=now, policy=policy, most=most if gate.stop is None else 1)
    with db.no_autoflush:  # nothing that is asked on the way depends on what is decided on the way
        outgoing = list(_in_turn(taken, desk))
    if gate.stop is not None and not outgoing:
        running.put_off_try(db, gate.stop, until=now + SOON)
    db.flush()
    attempts.add(db, desk.attempts)
    return Claim(taken.token, outgoing, len(claimed) - desk.put_back)


def set_aside(
    db: Session, sender_id: int, *, now: datetime, policy: SendingPolicy, has_answered: bool = False
) -> Claim:
    """Hold the sender's one text that is first, whatever is wrong with the facts about it, and tell staff."""
    taken = _take(db, sender_id, now=now, policy=policy, has_answered=has_answered, most=1)
    if taken is None:
        return Claim(token_hex(16))
    for message in taken.messages:
        block(db, message, "The facts about this text can not be used by the service.", now=now)
    return Claim(taken.token, looked=len(taken.messages))


@dataclass(frozen=True, slots=True)
class _Taken:
    """A sender that is held, what it may do, and what was claimed of it, by priority."""

    sender: Sender
    gate: breakers.Gate
    token: str
    purse: Purse
    waiting: Sequence[deque[Message]]

    @property
    def messages(self) -> list[Message]:
        return [message for of_priority in self.waiting for message in of_priority]


def _take(
    db: Session, sender_id: int, *, now: datetime, policy: SendingPolicy, has_answered: bool, most: int
) -> _Taken | None:
    """None where another worker holds the sender: it does what there is to do."""
    own = select(Sender).where(Sender.id == sender_id)
    sender = db.scalar(own.with_for_update(skip_locked=True, key_share=True))
    if sender is None:
        return None
    gate, token = breakers.gate(db, sender, now=now, has_answered=has_answered), token_hex(16)
    purse = open_purse(db, now=now, policy=policy)
    if gate.way is Way.ASK:
        return _Taken(sender, gate, token, purse, ())
    if gate.stop is not None:
        claim = messages.claim_to_risk if gate.way is Way.RISK else messages.claim_to_try
        since, limit = gate.stop.paused_at or now, min(TO_TRY, most)
        one_of = claim(db, sender_id=sender.id, since=since, now=now, limit=limit, token=token)
        return _Taken(sender, gate, token, purse, (deque(one_of),))
    no_more = gate.way is Way.HELD or purse.lacks(1) or day_is_full(sender, now)
    waiting = _by_priority(db, sender, gate.way, no_more=no_more, now=now, token=token, most=most)
    return _Taken(sender, gate, token, purse, list(waiting))


def _by_priority(
    db: Session, sender: Sender, way: Way, *, no_more: bool, now: datetime, token: str, most: int
) -> Iterator[deque[Message]]:
    """Claim what the sender has room for, the most urgent first, and of each priority what may have a turn.

    What may not leave now is looked at, too, and held; ``no_more``: so is all that is not urgent.
    """
    left, taken = min(max(ceil(room(sender, now)), 0), most), 0
    turns = left // rates.AHEAD_OF_A_TURN + 1 if left and most > 1 else 0
    for priority in messages.PRIORITIES:
        to_hold = way is Way.HELD or (priority == messages.PRIORITIES[-1] and no_more)
        limit = most - taken if to_hold else max(left, turns)
        if limit <= 0:
            continue
        due = messages.claim_due(db, sender_id=sender.id, priority=priority, now=now, limit=limit, token=token)
        left, taken = left - len(due), taken + len(due)
        yield deque(due)


def _in_turn(taken: _Taken, desk: Desk) -> Iterator[sms.OutgoingSms]:
    """Work off what was claimed, the most urgent first; the turns are of what waited longest of all that is less urgent."""
    sender = taken.sender
    while rows := [row for row in taken.waiting if row]:
        first, *others = rows
        later = min(others, key=lambda row: (row[0].attempt_at, row[0].id)) if others else None
        row = later if later is not None and rates.is_turn(sender.ahead) else first
        message = row.popleft()
        if (out := desk.work(message)) is None:
            continue
        yield out
        if later is not None:
            count = rates.after_turn if row is later else rates.after_going_ahead
            sender.ahead = count(sender.ahead, message.segments or 1)
