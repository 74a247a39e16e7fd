"""After a restore from backup: everything the provider has taken since then is compared with what this database knows.

A text of ours that the provider has already is settled as sent. Where it can not be told which one it was, all that it may
have been are put before a person: none of them leaves by itself. Sending is held meanwhile.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.composition import Composed
from service.domain.eligibility import Look
from service.domain.errors import AftercareError
from service.domain.lifecycle import State
from service.domain.proof import EARLIER, LATER
from service.domain.sms import ListedSms, SmsGateway
from service.flows import guard
from service.flows.casework import live_plan, live_texts, load_cases
from service.flows.doubts import attach
from service.flows.inbox import poll_inbound
from service.flows.planner import plan_pending
from service.flows.policy import SendingPolicy
from service.flows.telling import tell_unconfirmed
from service.flows.understanding import ANSWER_FOR, StopReplies
from service.flows.writing import write_text
from service.store import attempts, doubts, journal, messages
from service.store.tables import Installation, Message, Patient

ASKED_AT_ONCE = 500
EARLY, LATE = timedelta(hours=1), timedelta(days=1)
"""A text that left so long before or after the time that our row has for it may have been that row's."""
RESTORED = "found_after_restore"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Compared:
    """Counts of texts: listed by the provider since then; known already; ``attached`` to rows of ours; put before a person
    (``held``); that no row explains. ``inbound``: new texts from phones.
    """

    listed: int
    known: int
    attached: int
    held: int
    unexplained: int
    inbound: int


@dataclass(frozen=True, slots=True)
class Restoring:
    """With what is compared."""

    sessions: sessionmaker[Session]
    gateway: SmsGateway
    clock: Clock
    policy: SendingPolicy
    stop_replies: StopReplies


def recover_since(restoring: Restoring, since: datetime) -> Compared:
    """Compare with all that the provider has taken since then; may be repeated. Raises where its list can not be read whole."""
    sessions, clock = restoring.sessions, restoring.clock
    with sessions.begin() as db:
        guard.hold(db, guard.Cause.RESTORE, since=since, now=clock())
        later = Installation.inbound_polled_to > since
        db.execute(update(Installation).where(later).values(inbound_polled_to=since))
    # First what phones said: its answers left, too, and their rows have to be there to be found.
    inbound = poll_inbound(sessions, restoring.gateway, clock, stop_replies=restoring.stop_replies)
    plan_pending(sessions, clock, answers_understood=restoring.policy.answers_understood)
    listed = restoring.gateway.texts_to(None, since)
    unknown = _unknown(sessions, listed)
    counted: Counter[str] = Counter()
    for number in dict.fromkeys(sms.to for sms in unknown):
        with sessions.begin() as db:
            counted += _compare(db, number, [sms for sms in unknown if sms.to == number], restoring)
    done = Compared(
        len(listed), len(listed) - len(unknown), counted["attached"], counted["held"], counted["unexplained"], inbound
    )
    with sessions.begin() as db:
        data = {"since": since.isoformat(), "listed": done.listed, "known": done.known, "attached": done.attached}
        data |= {"held": done.held, "unexplained": done.unexplained}
        journal.append(db, "recovered", at=clock(), reason="compared with the provider's list", data=data)
    log.info("recovered", listed=done.listed, attached=done.attached, held=done.held, unexplained=done.unexplained)
    return done


def _unknown(sessions: sessionmaker[Session], listed: Sequence[ListedSms]) -> list[ListedSms]:
    """Those that no row of ours has the id of, the oldest first."""
    known: set[str] = set()
    with sessions() as db:
        for start in range(0, len(listed), ASKED_AT_ONCE):
            known |= doubts.known_ids(db, [sms.provider_sid for sms in listed[start : start + ASKED_AT_ONCE]])
    return sorted((sms for sms in listed if sms.provider_sid not in known), key=lambda sms: sms.created_at)


def _compare(db: Session, number: str, listed: Sequence[ListedSms], restoring: Restoring) -> Counter[str]:
    """Each text to one number: certain matches first, so that what is left over is in doubt for as few rows as may be."""
    messages.lock_numbers(db, [number])
    counted: Counter[str] = Counter()
    left_over, held = [], set[int]()
    for sms in listed:
        if _attach_open(db, sms, restoring) or _attach_planned(db, sms, restoring):
            counted["attached"] += 1
        else:
            left_over.append(sms)
    for sms in left_over:
        for message in _candidates(db, sms):
            _doubt(db, message, sms, restoring)
        # Those that an earlier comparison, or another text of this one, has put before a person explain it as well.
        if doubted := {message.id for message in _in_doubt(db, sms)}:
            held |= doubted
        else:
            counted["unexplained"] += 1
            data = {"number": number[-2:], "created_at": sms.created_at.isoformat()}
            journal.append(
                db, "unexplained", at=restoring.clock(), data=data, outside_key=f"unexplained:{sms.provider_sid}"
            )
    counted["held"] = len(held)
    return counted


def _attach_open(db: Session, sms: ListedSms, restoring: Restoring) -> bool:
    """What was on its way, or in doubt, when the backup was made."""
    for attempt, message in doubts.open_attempts(db, sms.to, since=sms.created_at - LATER):
        in_time = attempt.started_at - EARLIER <= sms.created_at <= attempt.started_at + LATER
        is_newest = message.state in (State.SENDING, State.UNCONFIRMED) and message.attempts == attempt.n
        if is_newest and in_time and sms.body and _words(sms.body) == _words(attempt.text):
            message.claim_token = None
            attach(db, message, sms, now=restoring.clock())
            return True
    return False


def _attach_planned(db: Session, sms: ListedSms, restoring: Restoring) -> bool:
    """What would have read so, had it been written at that moment."""
    if not sms.body:
        return False
    for message in _candidates(db, sms):
        told_start = message.told_start
        composed = _written(db, message, sms.created_at, restoring.policy)
        if composed is not None and _words(composed.text) == _words(sms.body):
            _hand_over(db, message, sms, composed, now=restoring.clock())
            attach(db, message, sms, now=restoring.clock())
            return True
        message.told_start = told_start
    return False


def _candidates(db: Session, sms: ListedSms) -> list[Message]:
    """Rows of ours that may be the text: to that number, not sent as far as we know, due near to when it was created."""
    return _near(db, sms, Message.state.in_((State.PLANNED, State.MISSED)))


def _in_doubt(db: Session, sms: ListedSms) -> list[Message]:
    """Rows before a person that may be the text; where it has no words also what was on its way when the backup was made."""
    doubted = and_(Message.state == State.UNCONFIRMED, Message.reason == RESTORED)
    on_its_way = Message.state.in_((State.SENDING, State.UNCONFIRMED))
    return _near(db, sms, doubted if sms.body else on_its_way)


def _near(db: Session, sms: ListedSms, in_state: ColumnElement[bool]) -> list[Message]:
    """Rows in such a state to the number of the text and of about its time; locked, in the order in which they are due."""
    own = select(Patient.id).where(Patient.phone == sms.to)
    # A planned text goes to the number that the patient has, whatever an earlier attempt went to.
    to_own = or_(Message.to_number.is_(None), Message.kind == "plan")
    to_it = or_(Message.to_number == sms.to, and_(to_own, Message.patient_id.in_(own)))
    # An answer that is made anew is due after the restore; but its end counts from the question.
    in_its_hour = Message.expires_at.between(sms.created_at - LATER, sms.created_at + ANSWER_FOR + EARLIER)
    in_its_day = Message.due_at.between(sms.created_at - LATE, sms.created_at + EARLY)
    is_answer = Message.kind == "reply"
    near = or_(and_(is_answer, in_its_hour), and_(~is_answer, in_its_day))
    rows = select(Message).where(to_it, near, in_state).order_by(Message.due_at, Message.id).with_for_update()
    return list(db.scalars(rows, execution_options={"populate_existing": True}))


def _written(db: Session, message: Message, at: datetime, policy: SendingPolicy) -> Composed | None:
    """The text as it would have left then; None where it can not be written."""
    ids = [message.patient_id] if message.patient_id is not None else []
    case = load_cases(db, ids, now=at, answers_understood=policy.answers_understood).get(message.patient_id or 0)
    look = None
    if case is not None:
        session = next((each for each in case.sessions if each.id == message.session_id), None)
        look = Look(case, case.plan.step(message.step), session, None, message.expires_at)
    try:
        return write_text(db, message, look, texts=live_texts(db, message.clinic_id), now=at)
    except AftercareError:
        return None


def _hand_over(db: Session, message: Message, sms: ListedSms, composed: Composed | None, *, now: datetime) -> None:
    """Note the handing over that the backup does not know of; how it ended is for the caller to say."""
    if message.state == State.MISSED:
        messages.change_state(db, message, State.PLANNED, settled_at=None)
    # Never the words of the list: found in it again, they would end the doubt as if it had been this text.
    text = composed.text if composed else message.text or ""
    written = composed or Composed(text=text, language="", version=None, version_id=None, encoding="GSM-7", segments=1)
    plan = live_plan(db, message.clinic_id, now=now)[0] if message.kind == "plan" else None
    messages.change_state(
        db, message, State.SENDING, attempts=message.attempts + 1, to_number=sms.to, text=text, held_reason=None,
        claimed_at=sms.created_at, told_start=message.told_start, plan_version_id=plan,
        language=composed.language if composed else message.language,
        template_version_id=composed.version_id if composed else None,
        encoding=composed.encoding if composed else None, segments=composed.segments if composed else None,
    )  # fmt: skip
    attempts.add(
        db,
        [
            {
                "message_id": message.id,
                "clinic_id": message.clinic_id,
                "patient_id": message.patient_id,
                "n": message.attempts,
                "number": sms.to,
                "sender_id": message.sender_id,
                "text": text,
                "body_hash": written.body_hash,
                "encoding": written.encoding,
                "segments": written.segments,
                "counts": message.kind in ("plan", "staff"),
                "started_at": sms.created_at,
            }
        ],
    )
    journal.append(db, "restored", at=now, message=message, reason=RESTORED, data={"attempt": message.attempts})


def _words(body: str) -> str:
    """What happens to blanks and line ends on the way says nothing."""
    return " ".join(body.split())


def _doubt(db: Session, message: Message, sms: ListedSms, restoring: Restoring) -> None:
    """It may be the text that the provider has: a person finds out. Noted are the words that we would have sent."""
    now = restoring.clock()
    _hand_over(db, message, sms, _written(db, message, sms.created_at, restoring.policy), now=now)
    doubts.finish(
        db, message, "unknown", detail="The provider took a text to this number that may be this one.", now=now
    )
    messages.change_state(db, message, State.UNCONFIRMED, reason=RESTORED, sent_at=now)
    journal.append(db, "unconfirmed", at=now, message=message, reason=RESTORED, data={"attempt": message.attempts})
    tell_unconfirmed(db, message, now=now)


def release(restoring: Restoring, *, by: str, account: str) -> bool:
    """Sending goes on. False if nothing was held."""
    with restoring.sessions.begin() as db:
        return guard.let_go(db, by=by, account=account, now=restoring.clock())
