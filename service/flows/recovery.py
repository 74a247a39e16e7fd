"""Finding out about texts that may have left: claims whose worker has died, and sends whose answer was lost.

Until a doubt is as old as the wait, only a callback ends it. Then the provider's list is asked, with no transaction open; at
twice the wait a list that can be trusted proves the contrary too, and without proof a person decides.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain import proof
from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.lifecycle import State
from service.domain.proof import GIVE_UP, Attach, Doubt, Evidence, NoProof, NotSent, TooEarly, Verdict
from service.domain.sms import LEAVE_WITHIN, GatewayClosedError, ListedSms, SmsGateway
from service.flows.doubts import attach, not_listed
from service.flows.receipts import apply_pending
from service.flows.telling import tell_sent_twice, tell_unconfirmed
from service.store import doubts, inbox, journal, messages
from service.store.doubts import OpenAttempt
from service.store.tables import Message
from service.store.trouble import is_passing

STALE = LEAVE_WITHIN + timedelta(seconds=25)
"""No request of a claim can be under way so long after it: one begins within the first and ends in the gateway's deadline of 10 s."""
BATCH = 200
RUN = timedelta(seconds=20)
"""How long one run asks the provider; the next one goes on."""
ASKED_AT_ONCE = 16
"""Numbers that the provider is asked about together."""
LEASE = timedelta(minutes=1)
"""Longer than it takes to ask about them and to settle what the answers prove."""
LOOK_BACK = timedelta(hours=6)
"""So long before the oldest doubt a list begins: what our clock, or the provider's, dates wrongly is to be seen in it."""
log = structlog.get_logger()


def recover(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, wait: timedelta) -> int:
    """Take stale claims away, then settle what can be settled of all doubts; returns how many texts were worked on."""
    # What the provider has reported already ends a doubt without a question.
    apply_pending(sessions, gateway, clock)
    return rescue_stale_claims(sessions, clock) + settle_doubts(sessions, gateway, clock, wait=wait)


def rescue_stale_claims(sessions: sessionmaker[Session], clock: Clock) -> int:
    """Take claims away that nobody will settle; returns how many."""
    rescued = 0
    while True:
        now = clock()
        with sessions.begin() as db:
            stale = messages.stale_claims(db, before=now - STALE, limit=BATCH)
            for message in stale:
                _rescue(db, message, now=now)
        if not stale:
            return rescued
        rescued += len(stale)


def _rescue(db: Session, message: Message, *, now: datetime) -> None:
    """The doubt begins now: how long ago the claim truly was is told by clocks, and one of them may just have jumped."""
    messages.change_state(db, message, State.UNCONFIRMED, reason="worker_lost", claim_token=None, sent_at=now)
    doubts.finish(db, message, "unknown", detail="The worker that was sending it was lost.", now=now)
    journal.append(db, "unconfirmed", at=now, message=message, reason="worker_lost", data={"attempt": message.attempts})
    log.warning("claim_rescued", message=message.id, attempt=message.attempts)


def settle_doubts(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, wait: timedelta) -> int:
    """Ask the provider about each number, the most urgent first; where it shows no list at all the next run tries again.

    Returns how many texts were settled or put before a person.
    """
    began, settled = clock(), 0
    inquiry = _Inquiry(sessions, gateway, clock, wait)
    while clock() < began + RUN:
        if not (numbers := inquiry.next_numbers()):
            # Only what nobody asks about: what is asked about at this moment, by another worker too, may yet be settled.
            return settled + _tell_people(sessions, until=began - 2 * wait, in_turn=began, clock=clock)
        try:
            settled += inquiry.ask_and_settle(numbers)
        except GatewayClosedError:
            return settled
        if inquiry.in_vain is not None:
            log.warning("list_not_available", why=str(inquiry.in_vain))
            return settled + _tell_people(sessions, until=began - 2 * wait, in_turn=None, clock=clock)
    return settled


class _Question(NamedTuple):
    """What did the provider create to a number since then? Asked at a moment at which its lists were ``trusted``, or not."""

    number: str
    since: datetime
    asked_at: datetime
    trusted: bool


class _Inquiry:
    """One run of asking. What is found out about the list as a whole is found out once.

    ``in_vain`` is set where the provider showed no list of any number that it was asked about last.
    """

    def __init__(self, sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, wait: timedelta) -> None:
        self._sessions, self._gateway, self._clock, self._wait = sessions, gateway, clock, wait
        self._trusted: bool | None = None
        self.in_vain: AftercareError | None = None

    def next_numbers(self) -> list[str]:
        """Numbers whose turn it is; for a minute nobody else asks about them, nor do we if we do not come to it."""
        now = self._clock()
        with self._sessions.begin() as db:
            due = doubts.next_to_ask(db, now=now, after=now - GIVE_UP, until=now - self._wait, limit=ASKED_AT_ONCE)
            for message in due:
                message.attempt_at = now + LEASE
            return list(dict.fromkeys(message.to_number for message in due if message.to_number is not None))

    def ask_and_settle(self, numbers: Sequence[str]) -> int:
        """Ask about all of them at once, and settle what the answers prove; returns how many texts that was."""
        settled, errors = 0, list[AftercareError]()
        questions = [self._question(number) for number in numbers]
        with ThreadPoolExecutor(len(questions)) as pool:
            for question, answer in zip(
                questions, pool.map(lambda each: self._ask(each.number, each.since), questions), strict=True
            ):
                settled += self._settle(question, answer)
                errors += [answer] if isinstance(answer, AftercareError) else []
        if len(errors) == len(numbers):
            self.in_vain = errors[0]
        return settled

    def _question(self, number: str) -> _Question:
        asked_at = self._clock()
        with self._sessions.begin() as db:
            known = [_doubt(each) for each in doubts.open_attempts(db, number, since=asked_at - GIVE_UP)]
        since = min((doubt.started_at for doubt in known), default=asked_at) - LOOK_BACK
        # Only for proof of the contrary, which needs a doubt old enough, lists have to be trusted; and before this one is read.
        is_ripe = any(doubt.since is not None and doubt.since <= asked_at - 2 * self._wait for doubt in known)
        if is_ripe and self._trusted is None:
            self._trusted = self._shows_what_is_there(since)
            log.info("list_looked_at", trusted=self._trusted)
        return _Question(number, since, asked_at, is_ripe and bool(self._trusted))

    def _shows_what_is_there(self, since: datetime) -> bool:
        """Whether lists by number hide nothing at this moment: the newest text that certainly left has to be in its own.

        Where none has left lately, a list of everything must show no text without words.
        """
        now = self._clock()
        with self._sessions.begin() as db:
            sample = doubts.newest_accepted(db, after=now - GIVE_UP, until=now - self._wait)
        number, since = (None, since) if sample is None else (sample.number, sample.started_at - LOOK_BACK)
        listed = self._ask(number, since)
        if isinstance(listed, AftercareError):
            return False
        if sample is None:
            return all(sms.body for sms in listed)
        return proof.shows(listed, sample.provider_sid or "", body=sample.text)

    def _ask(self, number: str | None, since: datetime) -> list[ListedSms] | AftercareError:
        try:
            return self._gateway.texts_to(number, since)
        except GatewayClosedError:
            raise
        except AftercareError as error:
            return error

    def _settle(self, question: _Question, answer: list[ListedSms] | AftercareError) -> int:
        """What one number's texts do to the service costs no other its turn."""
        try:
            return self._judge(question, answer)
        except Exception as error:
            if is_passing(error):
                raise
            log.error("doubt_not_settled", error=type(error).__name__)  # noqa: TRY400 -- words may hold numbers
            return 0

    def _judge(self, question: _Question, answer: list[ListedSms] | AftercareError) -> int:
        """Judge what is still open: callbacks may have come meanwhile. A list that is not shown proves nothing."""
        listed, trusted = ([], False) if isinstance(answer, AftercareError) else (answer, question.trusted)
        with self._sessions.begin() as db:
            rows = doubts.open_attempts(db, question.number, since=question.since)
            evidence = Evidence(listed, doubts.known_ids(db, [sms.provider_sid for sms in listed]), trusted)
            verdicts = proof.judge([_doubt(row) for row in rows], evidence, now=question.asked_at, wait=self._wait)
            # What the provider reported and nobody has worked in yet will tell.
            reported = inbox.reported(db, verdicts)
            by_id, now = {row.message.id: row.message for row in rows}, self._clock()
            for key in verdicts:
                by_id[key].attempt_at = proof.ask_next(by_id[key].sent_at or now, now=now, wait=self._wait)
            return sum(
                _act(db, by_id[key], verdict, now=now) for key, verdict in verdicts.items() if key not in reported
            )


def _doubt(row: OpenAttempt) -> Doubt:
    """Only the newest attempt of an unconfirmed text may be settled here."""
    attempt, message = row
    in_doubt = message.state == State.UNCONFIRMED and message.attempts == attempt.n
    return Doubt(message.id, attempt.text, attempt.started_at, message.sent_at if in_doubt else None)


def _act(db: Session, message: Message, verdict: Verdict, *, now: datetime) -> bool:
    """Whether the doubt ended, or was put before a person for the first time."""
    match verdict:
        case Attach(listed, sent_twice):
            attach(db, message, listed, now=now)
            if sent_twice:
                tell_sent_twice(db, message, now=now)
        case NotSent():
            not_listed(db, message, now=now)
        case NoProof():
            return tell_unconfirmed(db, message, now=now)
        case TooEarly():
            return False
        case _:
            assert_never(verdict)
    log.info("doubt_settled", message=message.id, attempt=message.attempts, state=message.state)
    return True


def _tell_people(sessions: sessionmaker[Session], *, until: datetime, in_turn: datetime | None, clock: Clock) -> int:
    """Put before staff what is in doubt since ``until`` or longer, each attempt once; of ``in_turn`` only whose turn has come."""
    told = 0
    while True:
        with sessions.begin() as db:
            waiting = doubts.untold(db, until=until, in_turn=in_turn, limit=BATCH)
            for message in waiting:
                tell_unconfirmed(db, message, now=clock())
        if not waiting:
            return told
        told += len(waiting)
