"""Working one report of a provider into the message it is about: in any order, as often as it comes."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.lifecycle import MOVES, State, advance
from service.domain.retries import after_failed_delivery
from service.domain.sms import Blame, Failure, Receipt, ReceiptState
from service.domain.windows import LEAST_USEFUL
from service.flows.casework import load_cases
from service.flows.refusals import draw_consequences
from service.flows.telling import end_doubt, tell_left_after_all, tell_missed, tell_sent_twice
from service.store import journal, messages, patients
from service.store.tables import Message, SendAttempt

ENDED_BADLY = frozenset({State.UNDELIVERED, State.FAILED})
UNSENT = frozenset({State.CANCELLED, State.MISSED})
log = structlog.get_logger()


def apply_receipt(db: Session, receipt: Receipt, *, now: datetime) -> bool:
    """Move the message as far as the report says, and draw the consequences once. False if it is about no text of ours."""
    message = message_of(db, receipt.provider_sid, message_id=receipt.message_id)
    if message is None:
        return False
    attempts = _attempts(db, message)
    attempt = _attempt_of(db, message, attempts, receipt, now)
    if not _note(db, message, attempt, receipt, now):
        return True
    _compare_segments(db, message, receipt, now)
    found = State(message.state)
    # Of an earlier attempt only its success says anything about the text: another one is under way.
    if attempt is _standing(attempts) or receipt.state is ReceiptState.DELIVERED:
        _move(db, message, receipt, now)
    if receipt.failure is not None and message.state != State.DELIVERED:
        draw_consequences(db, message, receipt.failure, now=now)
    if State(message.state) in ENDED_BADLY - {found}:
        _after_failure(db, message, receipt.failure, attempts=attempts, now=now)
    log.info("receipt_applied", message=message.id, state=message.state, word=receipt.word)
    return True


def message_of(db: Session, provider_sid: str, *, message_id: int | None) -> Message | None:
    """The message that a provider's id belongs to, or else our own id, locked."""
    by_attempt = select(SendAttempt.message_id).where(SendAttempt.provider_sid == provider_sid).limit(1)
    by_message = select(Message.id).where(Message.provider_sid == provider_sid).limit(1)
    ours = db.scalar(by_attempt) or db.scalar(by_message) or message_id
    locked = select(Message).where(Message.id == ours).with_for_update()
    return db.scalar(locked, execution_options={"populate_existing": True})


def _attempts(db: Session, message: Message) -> list[SendAttempt]:
    """The newest first."""
    of_message = select(SendAttempt).where(SendAttempt.message_id == message.id)
    newest_first = of_message.order_by(SendAttempt.n.desc())
    return list(db.scalars(newest_first, execution_options={"populate_existing": True}))


def _standing(attempts: Sequence[SendAttempt]) -> SendAttempt | None:
    """The attempt by which a text stands or falls: the newest that was not refused."""
    return next((attempt for attempt in attempts if attempt.outcome != "refused"), attempts[0] if attempts else None)


def _attempt_of(
    db: Session, message: Message, attempts: Sequence[SendAttempt], receipt: Receipt, now: datetime
) -> SendAttempt | None:
    """The attempt that the report is about. Where the answer to an attempt was lost, the report brings its id."""
    named = next((attempt for attempt in attempts if attempt.provider_sid == receipt.provider_sid), None)
    if named is not None or not attempts:
        return named
    nameless = [attempt for attempt in attempts if attempt.provider_sid is None]
    found = next((attempt for attempt in nameless if attempt.outcome != "refused"), next(iter(nameless), None))
    if found is None:
        tell_sent_twice(db, message, now=now)
    else:
        _learn(db, message, found, receipt=receipt, now=now)
        if found is _standing(attempts):
            _has_left(db, message, found, now=now)
        else:
            # It was held to be proven that this one had not left, and the text was sent again.
            tell_sent_twice(db, message, now=now)
    return found


def _learn(db: Session, message: Message, attempt: SendAttempt, *, receipt: Receipt, now: datetime) -> None:
    known = attempt.outcome == "accepted"  # a person had decided so
    attempt.provider_sid, attempt.outcome = receipt.provider_sid, "accepted"
    attempt.finished_at = attempt.finished_at or now
    if not known:
        data = {"attempt": attempt.n, "segments": attempt.segments}
        journal.append(db, "sent", at=now, message=message, reason="learned_from_receipt", data=data)
    taken = "The provider reported on the text: it had taken it."
    end_doubt(db, message, attempt=attempt.n, outcome=taken, now=now)


def _has_left(db: Session, message: Message, attempt: SendAttempt, *, now: datetime) -> None:
    """Whatever was planned or feared meanwhile. Without its token, a settle that comes later does nothing."""
    message.provider_sid = attempt.provider_sid
    if message.sent_at is None or message.state == State.UNCONFIRMED:
        message.sent_at = attempt.started_at
    if message.state == State.PLANNED:
        # It was held to be proven that it had not left, and it waits to be sent again.
        messages.change_state(db, message, State.SENDING)
    if State.SENT in MOVES[State(message.state)]:
        messages.change_state(
            db, message, State.SENT, claim_token=None, claimed_at=None, held_reason=None, settled_at=now
        )
    elif message.state in UNSENT:
        tell_left_after_all(db, message, now=now)


def _note(db: Session, message: Message, attempt: SendAttempt | None, receipt: Receipt, now: datetime) -> bool:
    """False if the very same report was worked in before."""
    code = receipt.failure.code if receipt.failure else ""
    return journal.append(
        db,
        "receipt",
        at=now,
        message=message,
        reason=receipt.failure.because if receipt.failure else None,
        data={"word": receipt.word, "state": receipt.state, "attempt": attempt.n if attempt else None},
        outside_key=f"receipt:{receipt.provider_sid}:{receipt.word}:{code}",
    )


def _compare_segments(db: Session, message: Message, receipt: Receipt, now: datetime) -> None:
    if receipt.segments is None:
        return
    message.billed_segments = receipt.segments
    if message.segments is not None and message.segments != receipt.segments:
        counts = {"ours": message.segments, "billed": receipt.segments}
        if journal.append(
            db,
            "segments_differ",
            at=now,
            message=message,
            data=counts,
            outside_key=f"segments:{receipt.provider_sid}:{receipt.segments}",
        ):
            log.warning("segments_differ", message=message.id, **counts)


def _move(db: Session, message: Message, receipt: Receipt, now: datetime) -> None:
    found = State(message.state)
    reached = advance(found, receipt.state)
    if reached is not found:
        # Without its token, a settle that comes later does nothing.
        because = receipt.failure.because if receipt.failure else None
        messages.change_state(
            db, message, reached, reason=because, claim_token=None, claimed_at=None, held_reason=None, settled_at=now
        )


def _after_failure(
    db: Session, message: Message, failure: Failure | None, *, attempts: Sequence[SendAttempt], now: datetime
) -> None:
    """Once more, while it is of use; else staff speak to the patient where the plan wants it."""
    if failure is not None and attempts:
        attempts[0].code, attempts[0].detail = failure.code, failure.reason
    again = _next_try(message, failure, attempts, now)
    if again is not None:
        messages.change_state(
            db, message, State.PLANNED, attempt_at=again, held_reason="retry", settled_at=None, provider_sid=None
        )
        journal.append(db, "retry", at=now, message=message, data={"to": again.isoformat()})
        patients.mark(db, message.patient_id)
    elif message.patient_id is not None and (failure is None or failure.blame is not Blame.MESSAGE):
        # For a fault of the text itself staff have a task that says so.
        case = load_cases(db, [message.patient_id], now=now).get(message.patient_id)
        if case is not None:
            step, because = case.plan.step(message.step), message.reason or "not delivered"
            tell_missed(db, case, identity=message.identity, step=step, now=now, reason=because)


def _next_try(
    message: Message, failure: Failure | None, attempts: Sequence[SendAttempt], now: datetime
) -> datetime | None:
    if failure is None or not failure.temporary:
        return None
    tries = sum(attempt.outcome == "accepted" for attempt in attempts)
    again = after_failed_delivery(now, message_id=message.id, attempts=tries)
    if again is None or message.expires_at is None or again <= message.expires_at - LEAST_USEFUL:
        return again
    return None
