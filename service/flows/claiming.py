"""The first act of sending: take what is due, look at each text once more, write it, and note that it will leave."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from secrets import token_hex
from typing import Any, assert_never

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from service.domain import rates, sms
from service.domain.careplan import Urgency
from service.domain.composition import Composed, Texts
from service.domain.eligibility import HELD_FOR, Decision, Defer, Drop, Look, Miss, Send, decide, decide_direct
from service.domain.errors import AftercareError
from service.domain.phone import country_of
from service.flows import ending
from service.flows.casework import live_texts
from service.flows.looking import NOT_WRITABLE, Looking, day_is_full
from service.flows.policy import SendingPolicy
from service.flows.writing import write_text
from service.store import attempts, messages, running, tasks
from service.store.tables import Message, Sender

BATCH = 500
SAME_TEXT = timedelta(hours=12)
TO_PATIENTS = ("plan", "staff")
"""Kinds of texts that patients have not asked for: they keep hours and count for the caps."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought: the texts that leave now, and how many rows were looked at."""

    token: str
    outgoing: list[sms.OutgoingSms]
    looked: int


def claim_and_compose(db: Session, *, now: datetime, policy: SendingPolicy, most: int = BATCH) -> Claim:
    """Claim up to ``most`` of each of as many senders, decide about each, and write the attempt rows of those that leave."""
    token = token_hex(16)
    senders = {sender.id: sender for sender in _senders_with_work(db, now, most)}
    claimed = [m for sender in senders.values() for m in _take(db, sender, now, token, most=most)]
    for message in claimed:
        # What an earlier attempt would have told is not said yet: the look must not find it and think it was.
        message.told_start = message.sent_at = None
    desk = _Desk(db, senders, Looking(db, claimed, now=now, policy=policy), now, policy)
    with db.no_autoflush:  # nothing that is asked on the way depends on what is decided on the way
        outgoing = [out for message in claimed if (out := desk.work(message)) is not None]
    db.flush()
    attempts.add(db, desk.attempts)
    return Claim(token, outgoing, len(claimed) - desk.put_back)


def set_aside(db: Session, *, now: datetime) -> Claim:
    """Hold the one text that is due first, whatever is wrong with the facts about it, and tell staff."""
    token = token_hex(16)
    senders = list(_senders_with_work(db, now, 1))
    claimed = [m for sender in senders for m in _take(db, sender, now, token, most=1)]
    for message in claimed:
        block(db, message, "The facts about this text can not be used by the service.", now=now)
    return Claim(token, [], len(claimed))


def _senders_with_work(db: Session, now: datetime, most: int) -> Iterator[Sender]:
    """Senders with something due, locked: what one worker hands over, every other sees in the rate."""
    due = exists().where(
        messages.PLANNED,
        Message.sender_id == Sender.id,
        Message.priority.in_(messages.PRIORITIES),
        Message.attempt_at <= now,
    )
    busy = list(db.scalars(select(Sender.id).where(due).order_by(Sender.id).limit(most)))
    if busy:
        locked = select(Sender).where(Sender.id.in_(busy)).order_by(Sender.id)
        yield from db.scalars(locked.with_for_update(skip_locked=True, key_share=True))


def _take(db: Session, sender: Sender, now: datetime, token: str, *, most: int) -> list[Message]:
    """Claim what the sender has room for, the most urgent first. What it may not send now is looked at, too, and held."""
    to_hold = sender.paused_at is not None or running.installation(db).paused_at is not None
    room = rates.room(now=now, free_at=sender.free_at, per_second=sender.segments_per_second)
    taken: list[Message] = []
    for priority in messages.PRIORITIES:
        is_full = priority == messages.PRIORITIES[-1] and day_is_full(sender, now)
        limit = most if is_full or to_hold else min(most, ceil(room))
        if (left := limit - len(taken)) > 0:
            taken += messages.claim_due(db, sender_id=sender.id, priority=priority, now=now, limit=left, token=token)
    return taken


class _Desk:
    """Where each claimed text is decided about and written, one after the other."""

    def __init__(
        self, db: Session, senders: dict[int, Sender], looking: Looking, now: datetime, policy: SendingPolicy
    ) -> None:
        self._db, self._senders, self._looking, self._now, self._policy = db, senders, looking, now, policy
        self._texts: dict[int, Texts] = {}
        self._bodies: set[tuple[int, str, str]] = set()
        self.attempts: list[dict[str, Any]] = []
        self.put_back = 0

    def work(self, message: Message) -> sms.OutgoingSms | None:
        """Decide about one text; what leaves is returned."""
        if self._looking.paused(message) is None and self._room(self._senders[message.sender_id]) <= 0:
            ending.put_back(message)
            self.put_back += 1
            return None
        fault = self._looking.cases.faults.get(message.patient_id or 0)
        if fault is not None and message.kind in TO_PATIENTS:
            block(self._db, message, str(fault), now=self._now)
            return None
        look = self._looking.at(message)
        decision = self._decide(message, look)
        match decision:
            case Send():
                return self._send(message, look, decision)
            case Defer():
                ending.hold(self._db, message, decision, now=self._now)
            case Drop():
                ending.drop(self._db, message, decision, now=self._now)
            case Miss():
                ending.miss(self._db, message, decision, case=look.case if look else None, now=self._now)
            case _:
                assert_never(decision)
        return None

    def _room(self, sender: Sender) -> float:
        return rates.room(now=self._now, free_at=sender.free_at, per_second=sender.segments_per_second)

    def _decide(self, message: Message, look: Look | None) -> Decision:
        if look is None or message.kind not in TO_PATIENTS:
            return decide_direct(self._looking.directly_at(message), self._now)
        if message.kind == "plan" and look.step is None:
            return Drop("plan_changed")
        return decide(look, self._now)

    def _send(self, message: Message, look: Look | None, decision: Send) -> sms.OutgoingSms | None:
        try:
            texts = self._texts_of(message.clinic_id)
            composed = write_text(self._db, message, look, texts=texts, now=self._now)
            number = _number(message, look)
            reason = self._forbidden(message, number) or self._repeated(message, number, composed, look)
        except AftercareError as error:
            block(self._db, message, str(error), now=self._now)
            return None
        if reason is not None:
            ending.drop(self._db, message, Drop(reason), now=self._now)
            return None
        return self._hand_over(message, composed, number, decision)

    def _texts_of(self, clinic_id: int) -> Texts:
        if clinic_id not in self._texts:
            self._texts[clinic_id] = live_texts(self._db, clinic_id)
        return self._texts[clinic_id]

    def _forbidden(self, message: Message, number: str) -> str | None:
        home = self._looking.clinic_of(message).country
        return self._policy.forbids(number, country=country_of(number), home=home)

    def _repeated(self, message: Message, number: str, composed: Composed, look: Look | None) -> str | None:
        """The same words to the same patient within 12 hours help nobody; answers to two texts may be the same.

        What was called off in between is news again.
        """
        if message.kind != "plan" or message.patient_id is None:
            return None
        body = (message.patient_id, number, composed.body_hash)
        if body in self._bodies or messages.same_text_since(
            self._db,
            patient_id=message.patient_id,
            number=number,
            body_hash=composed.body_hash,
            since=max([self._now - SAME_TEXT, *_called_off(look)]),
            other_than_message=message.id,
        ):
            return "same_text"
        self._bodies.add(body)
        return None

    def _hand_over(self, message: Message, composed: Composed, number: str, decision: Send) -> sms.OutgoingSms:
        sender = self._senders[message.sender_id]
        self._count(sender, composed.segments)
        message.attempts += 1
        message.to_number, message.text, message.language = number, composed.text, composed.language
        message.template_version_id, message.held_reason = composed.version_id, None
        message.encoding, message.segments = composed.encoding, composed.segments
        if message.kind == "plan":
            message.plan_version_id = self._looking.cases.clinics[message.clinic_id].version_id
        if message.kind in TO_PATIENTS and message.patient_id is not None:
            self._looking.counted(message.patient_id)
        self.attempts.append(_attempt(message, composed, self._now))
        return sms.OutgoingSms(
            message_id=message.id,
            attempt=message.attempts,
            to=number,
            body=composed.text,
            sender=sms.Sender(number=sender.number, messaging_service=sender.messaging_service),
            validity_seconds=decision.validity_seconds,
        )

    def _count(self, sender: Sender, segments: int) -> None:
        """Let the sender's rate and its day know of segments that leave now."""
        per_second, today = sender.segments_per_second, rates.carriers_day(self._now)
        sender.free_at = rates.through_at(segments, now=self._now, free_at=sender.free_at, per_second=per_second)
        sender.day, sender.day_segments = today, segments + (sender.day_segments if sender.day == today else 0)


def block(db: Session, message: Message, because: str, *, now: datetime) -> None:
    """Hold a text that can not be written, and tell staff: mended in time, it still goes out."""
    ending.hold(db, message, Defer(now + HELD_FOR, NOT_WRITABLE), now=now)
    tasks.open_task(
        db,
        identity=f"{NOT_WRITABLE}:{message.id}",
        kind=NOT_WRITABLE,
        clinic_id=message.clinic_id,
        patient_id=message.patient_id,
        session_id=message.session_id,
        message_id=message.id,
        level="red" if message.urgency == Urgency.SAFETY else "amber",
        now=now,
        reason=because,
        next_action="Correct the clinic, the session or the text; it is then sent by itself while it is of use.",
    )


def _called_off(look: Look | None) -> list[datetime]:
    """When the patient was told that the session does not take place."""
    return [told.at for told in look.session.told if told.called_off] if look and look.session else []


def _number(message: Message, look: Look | None) -> str:
    """A planned text goes to the number that the patient has now, whatever number an earlier attempt went to."""
    own = look.case.patient.phone if look else None
    return (own if message.kind == "plan" else message.to_number or own) or ""


def _attempt(message: Message, composed: Composed, now: datetime) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "clinic_id": message.clinic_id,
        "patient_id": message.patient_id,
        "n": message.attempts,
        "number": message.to_number,
        "sender_id": message.sender_id,
        "text": composed.text,
        "body_hash": composed.body_hash,
        "encoding": composed.encoding,
        "segments": composed.segments,
        "counts": message.kind in TO_PATIENTS,
        "started_at": now,
    }
