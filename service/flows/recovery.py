"""Finding out about texts that may have left: claims whose worker has died, and sends whose answer was lost.

Until a doubt is as old as the wait, only a callback ends it. Then the provider's list is asked, with no transaction open; at
twice the wait a list that can be trusted proves the contrary too, and without proof a person decides.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain import proof
from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.lifecycle import State
from service.domain.proof import EARLIER, GIVE_UP, Attach, Doubt, Evidence, NoProof, NotSent, TooEarly, Verdict
from service.domain.sms import LEAVE_WITHIN, ListedSms, SmsGateway
from service.flows.doubts import attach, not_listed
from service.flows.telling import tell_sent_twice, tell_unconfirmed
from service.store import doubts, journal, messages
from service.store.doubts import OpenAttempt
from service.store.tables import Message

STALE = LEAVE_WITHIN + timedelta(seconds=25)
"""No request of a claim can be under way so long after it: one begins within the first and ends in the gateway's deadline of 10 s."""
BATCH = 200
RUN = timedelta(seconds=20)
"""How long one run asks the provider; the next one goes on."""
AT_ONCE = 50
"""Numbers whose turns are taken together: each look for the next ones reads all that is in doubt."""
log = structlog.get_logger()


def recover(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, wait: timedelta) -> int:
    """Take stale claims away, then settle what can be settled of all doubts; returns how many texts were worked on."""
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
    """The doubt began with the claim: the worker may have died at any moment since."""
    messages.change_state(
        db, message, State.UNCONFIRMED, reason="worker_lost", claim_token=None, sent_at=message.claimed_at
    )
    doubts.finish(db, message, "unknown", detail="The worker that was sending it was lost.", now=now)
    journal.append(db, "unconfirmed", at=now, message=message, reason="worker_lost", data={"attempt": message.attempts})
    log.warning("claim_rescued", message=message.id, attempt=message.attempts)


def settle_doubts(sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, wait: timedelta) -> int:
    """Ask the provider number by number, the most urgent first; a list that breaks ends the run, and the next one tries again.

    Returns how many texts were settled or put before a person.
    """
    began, settled = clock(), 0
    inquiry = _Inquiry(sessions, gateway, clock, wait)
    while numbers := inquiry.next_numbers():
        for asked, number in enumerate(numbers):
            if clock() >= began + RUN:
                inquiry.give_back(numbers[asked:])
                return settled
            try:
                answer = inquiry.ask(number)
            except AftercareError as error:
                log.warning("list_not_available", why=str(error))
                inquiry.give_back(numbers[asked + 1 :])
                return settled + _tell_people(sessions, until=began - 2 * wait, in_turn=None, clock=clock)
            settled += _settle(sessions, answer, clock, wait=wait)
    # Only what nobody asks about: what is asked about at this moment, by another worker too, may yet be settled.
    return settled + _tell_people(sessions, until=began - 2 * wait, in_turn=began, clock=clock)


class _Answer(NamedTuple):
    """What the provider lists to a number since then, and when it was asked."""

    number: str
    since: datetime
    asked_at: datetime
    listed: list[ListedSms]
    trusted: bool


class _Inquiry:
    """One run of asking. What is found out about the list as a whole is found out once."""

    def __init__(self, sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, wait: timedelta) -> None:
        self._sessions, self._gateway, self._clock, self._wait = sessions, gateway, clock, wait
        self._trusted: bool | None = None
        self._taken_at = clock()

    def next_numbers(self) -> list[str]:
        """Numbers whose turn it is. Their doubts' next turn is noted at once, so that nobody else asks the same meanwhile."""
        self._taken_at = now = self._clock()
        with self._sessions.begin() as db:
            due = doubts.next_to_ask(db, now=now, after=now - GIVE_UP, until=now - self._wait, limit=AT_ONCE)
            for message in due:
                message.attempt_at = proof.ask_next(message.sent_at or now, now=now, wait=self._wait)
            return list(dict.fromkeys(message.to_number for message in due if message.to_number is not None))

    def give_back(self, numbers: Sequence[str]) -> None:
        """Nobody has asked about these: their turn is still what it was."""
        with self._sessions.begin() as db:
            doubts.let_ask(db, numbers, at=self._taken_at)

    def ask(self, number: str) -> _Answer:
        """Raises where the provider shows no list."""
        asked_at = self._clock()
        with self._sessions.begin() as db:
            known = [_doubt(each) for each in doubts.open_attempts(db, number, since=asked_at - GIVE_UP)]
        since = min((doubt.started_at for doubt in known), default=asked_at) - EARLIER
        # Only for proof of the contrary, which needs a doubt old enough, lists have to be trusted; and before this one is read.
        is_ripe = any(doubt.since is not None and doubt.since <= asked_at - 2 * self._wait for doubt in known)
        trusted = is_ripe and self._trusts_lists(since)
        return _Answer(number, since, asked_at, self._gateway.texts_to(number, since), trusted)

    def _trusts_lists(self, since: datetime) -> bool:
        """Whether lists by number show at this moment what is there: the newest text that certainly left has to be in its own.

        Where none has left lately, a list of everything must show no text without words.
        """
        if self._trusted is None:
            now = self._clock()
            with self._sessions.begin() as db:
                sample = doubts.newest_accepted(db, after=now - GIVE_UP, until=now - self._wait)
            if sample is None:
                self._trusted = all(sms.body for sms in self._gateway.texts_to(None, since))
            else:
                listed = self._gateway.texts_to(sample.number, sample.started_at - EARLIER)
                self._trusted = proof.shows(listed, sample.provider_sid or "", body=sample.text)
            log.info("list_looked_at", trusted=self._trusted)
        return self._trusted


def _settle(sessions: sessionmaker[Session], answer: _Answer, clock: Clock, *, wait: timedelta) -> int:
    """Judge what is still open: callbacks may have come while the list was read."""
    with sessions.begin() as db:
        rows = doubts.open_attempts(db, answer.number, since=answer.since)
        known = doubts.known_ids(db, [sms.provider_sid for sms in answer.listed])
        evidence = Evidence(answer.listed, known, answer.trusted)
        verdicts = proof.judge([_doubt(row) for row in rows], evidence, now=answer.asked_at, wait=wait)
        by_id, now = {row.message.id: row.message for row in rows}, clock()
        return sum(_act(db, by_id[message_id], verdict, now=now) for message_id, verdict in verdicts.items())


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
