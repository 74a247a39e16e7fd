"""The desk of a claim: each claimed text is decided about once more, written, and noted to leave, one after the other."""

from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy.orm import Session

from service.domain import rates, sms
from service.domain.careplan import Urgency
from service.domain.composition import Composed, Texts
from service.domain.eligibility import HELD_FOR, Decision, Defer, Drop, Look, Miss, Send, decide, decide_direct
from service.domain.errors import AftercareError
from service.domain.phone import country_of
from service.domain.windows import in_words
from service.flows import ending
from service.flows.approving import UNAPPROVED_TEXT, tell_unapproved
from service.flows.casework import live_texts
from service.flows.looking import NOT_WRITABLE, Looking
from service.flows.policy import SendingPolicy
from service.flows.spending import SPEND_LIMIT, tell_spent
from service.flows.writing import NotApproved, write_text
from service.store import messages, tasks
from service.store.tables import Message, Sender

SAME_TEXT = timedelta(hours=12)
TO_PATIENTS = ("plan", "staff")
"""Kinds of texts that patients have not asked for: they keep hours and count for the caps."""


class Desk:
    """Where the texts of one sender are decided about and written. ``most``: how many of them may leave."""

    def __init__(self, db: Session, looking: Looking, *, now: datetime, policy: SendingPolicy, most: int) -> None:
        self._db, self._looking, self._now, self._policy, self._most = db, looking, now, policy, most
        self._sender = looking.sender
        self._texts: dict[int, Texts] = {}
        self._bodies: set[tuple[int, str, str]] = set()
        self.attempts: list[dict[str, Any]] = []
        self.put_back = 0

    def work(self, message: Message) -> sms.OutgoingSms | None:
        """Decide about one text; what leaves is returned."""
        if self._looking.paused(message) is None and not self._has_room():
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
                self._hold(message, decision)
            case Drop():
                ending.drop(self._db, message, decision, now=self._now)
            case Miss():
                ending.miss(self._db, message, decision, case=look.case if look else None, now=self._now)
            case _:
                assert_never(decision)
        return None

    def _has_room(self) -> bool:
        return len(self.attempts) < self._most and room(self._sender, self._now) > 0

    def _decide(self, message: Message, look: Look | None) -> Decision:
        if look is None or message.kind not in TO_PATIENTS:
            return decide_direct(self._looking.directly_at(message), self._now)
        if message.kind == "plan" and look.step is None:
            return Drop("plan_changed")
        return decide(look, self._now)

    def _send(self, message: Message, look: Look | None, decision: Send) -> sms.OutgoingSms | None:
        try:
            texts = self._texts_of(message.clinic_id)
            approval = self._policy.approval
            composed = write_text(self._db, message, look, texts=texts, now=self._now, approval=approval)
            if (no_more := self._looking.no_more_today(message, segments=composed.segments)) is not None:
                self._hold(message, Defer(self._now + HELD_FOR, no_more))
                return None
            number = _number(message, look)
            reason = self._forbidden(message, number) or self._repeated(message, number, composed, look)
        except NotApproved as lacking:
            self._hold(message, Defer(self._now + HELD_FOR, UNAPPROVED_TEXT))
            tell_unapproved(self._db, message, lacking.template, now=self._now)
            return None
        except AftercareError as error:
            block(self._db, message, str(error), now=self._now)
            return None
        if reason is not None:
            ending.drop(self._db, message, Drop(reason), now=self._now)
            return None
        return self._hand_over(message, composed, number, decision)

    def _hold(self, message: Message, decision: Defer) -> None:
        if decision.reason == SPEND_LIMIT != message.held_reason:
            tell_spent(self._db, message, policy=self._policy, now=self._now)
        ending.hold(self._db, message, decision, now=self._now)

    def _texts_of(self, clinic_id: int) -> Texts:
        if clinic_id not in self._texts:
            self._texts[clinic_id] = live_texts(self._db, clinic_id)
        return self._texts[clinic_id]

    def _forbidden(self, message: Message, number: str) -> str | None:
        home = self._looking.clinic_of(message).country
        return self._policy.forbids(number, country=country_of(number), home=home)

    def _repeated(self, message: Message, number: str, composed: Composed, look: Look | None) -> str | None:
        """The same words to the same patient within 12 hours help nobody; answers to two texts may be the same.

        What was told in between of another time, or called off, makes it news again.
        """
        if message.kind != "plan" or message.patient_id is None:
            return None
        body = (message.patient_id, number, composed.body_hash)
        if body in self._bodies or messages.same_text_since(
            self._db,
            patient_id=message.patient_id,
            number=number,
            body_hash=composed.body_hash,
            since=max([self._now - SAME_TEXT, *_other_news(look)]),
            other_than_message=message.id,
        ):
            return "same_text"
        self._bodies.add(body)
        return None

    def _hand_over(self, message: Message, composed: Composed, number: str, decision: Send) -> sms.OutgoingSms:
        self._count(composed.segments)
        self._looking.paid(composed.segments)
        message.attempts += 1
        message.to_number, message.text, message.language = number, composed.text, composed.language
        message.template_version_id, message.held_reason = composed.version_id, None
        message.encoding, message.segments = composed.encoding, composed.segments
        if message.kind == "plan":
            message.plan_version_id = self._looking.cases.clinics[message.clinic_id].version_id
        if message.kind in TO_PATIENTS:
            self._looking.counted(message)
        self.attempts.append(_attempt(message, composed, decision, self._now))
        return sms.OutgoingSms(
            message_id=message.id,
            attempt=message.attempts,
            to=number,
            body=composed.text,
            sender=sms.Sender(number=self._sender.number, messaging_service=self._sender.messaging_service),
            validity_seconds=decision.validity_seconds,
            leave_by=self._now + sms.LEAVE_WITHIN,
        )

    def _count(self, segments: int) -> None:
        """Let the sender's rate and its day know of segments that leave now."""
        sender, today = self._sender, rates.carriers_day(self._now)
        per_second = sender.segments_per_second
        sender.free_at = rates.through_at(segments, now=self._now, free_at=sender.free_at, per_second=per_second)
        sender.day, sender.day_segments = today, segments + (sender.day_segments if sender.day == today else 0)


def room(sender: Sender, now: datetime) -> float:
    """Segments that the sender may hand over now."""
    return rates.room(now=now, free_at=sender.free_at, per_second=sender.segments_per_second)


def block(db: Session, message: Message, because: str, *, now: datetime) -> None:
    """Hold a text that can not be written, and tell staff: mended in time, it still goes out."""
    ending.hold(db, message, Defer(now + HELD_FOR, NOT_WRITABLE), now=now)
    tasks.open_about(
        db,
        message,
        identity=f"{NOT_WRITABLE}:{message.id}",
        kind=NOT_WRITABLE,
        level="red" if message.urgency == Urgency.SAFETY else "amber",
        now=now,
        reason=because,
        next_action="Correct the clinic, the session or the text; it is then sent by itself while it is of use.",
    )


def _other_news(look: Look | None) -> list[datetime]:
    """When the patient was told of another time of the session, or that it does not take place."""
    if look is None or look.session is None:
        return []
    start = look.session.start
    return [told.at for told in look.session.told if told.called_off or told.start != start]


def _number(message: Message, look: Look | None) -> str:
    """A planned text goes to the number that the patient has now, whatever number an earlier attempt went to."""
    own = look.case.patient.phone if look else None
    return (own if message.kind == "plan" else message.to_number or own) or ""


def _attempt(message: Message, composed: Composed, decision: Send, now: datetime) -> dict[str, Any]:
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
        "hours": None if decision.hours is None else in_words(*decision.hours),
        "started_at": now,
    }
