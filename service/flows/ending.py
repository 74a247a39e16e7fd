"""Texts that do not leave: held for a while, dropped, or missed, each with its reason in row and journal."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from service.domain.case import Case
from service.domain.eligibility import PASSING, Defer, Drop, Miss, missed_because
from service.domain.lifecycle import State
from service.flows.casework import load_cases
from service.flows.policy import SendingPolicy
from service.flows.telling import tell_missed
from service.store import journal, tasks
from service.store.tables import Message

NEEDS_STAFF = {
    "no_number": "Enter the patient's mobile number, or phone.",
    "number_blocked": "This number does not take texts. Ask the patient for another one.",
    "country_not_allowed": "Numbers of this country are not texted. Phone the patient, or allow the country.",
}


def hold(db: Session, message: Message, decision: Defer, *, now: datetime) -> None:
    """Leave it planned and look again later; the reason shows as long as it holds."""
    if decision.reason not in PASSING and decision.reason != message.held_reason:
        journal.append(db, "held", at=now, message=message, reason=decision.reason)
    message.state, message.claim_token, message.claimed_at = State.PLANNED, None, None
    message.attempt_at = decision.until
    if decision.reason not in PASSING or message.held_reason is None:
        # A night that falls while a text is held says nothing about why it was not sent by day.
        message.held_reason = decision.reason


def drop(db: Session, message: Message, decision: Drop, *, now: datetime) -> None:
    """End it unsent, because it is not wanted, or not allowed."""
    _end(message, State.CANCELLED, decision.reason, now)
    journal.append(db, "skipped", at=now, message=message, reason=decision.reason)
    if (action := NEEDS_STAFF.get(decision.reason)) is not None:
        tasks.open_about(
            db,
            message,
            identity=f"{decision.reason}:{message.patient_id}:{message.session_id}",
            kind=decision.reason,
            level="amber" if message.priority < 2 else "routine",
            now=now,
            reason="A text of the care plan can not be sent to this patient.",
            next_action=action,
        )


def miss(db: Session, message: Message, decision: Miss, *, case: Case | None, now: datetime) -> None:
    """End it because it is no use any more."""
    _end(message, State.MISSED, decision.reason, now)
    journal.append(db, "missed", at=now, message=message, reason=decision.reason)
    step = case.plan.step(message.step) if case else None
    if case is not None:
        tell_missed(db, case, identity=message.identity, step=step, now=now, reason=decision.reason)


def end_missed(db: Session, overdue: Sequence[Message], *, now: datetime, policy: SendingPolicy) -> None:
    """Miss every one of these planned texts."""
    ids = {m.patient_id for m in overdue if m.patient_id is not None}
    cases = load_cases(db, ids, now=now, answers_understood=policy.answers_understood)
    for message in overdue:
        because = missed_because(message.held_reason)
        miss(db, message, Miss(because), case=cases.get(message.patient_id or 0), now=now)


def put_back(message: Message) -> None:
    """Undo a claim that the sender has no room for; nothing else about the text changes."""
    message.state, message.claim_token, message.claimed_at = State.PLANNED, None, None


def _end(message: Message, state: State, reason: str, now: datetime) -> None:
    message.state, message.reason, message.settled_at = state, reason, now
    message.claim_token, message.claimed_at, message.held_reason = None, None, None
