"""Claims whose worker has died: their texts may have left, so they become ``unconfirmed`` and wait for proof."""

from datetime import timedelta

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.lifecycle import State
from service.flows.telling import tell_unconfirmed
from service.store import journal, messages

STALE = timedelta(minutes=2)
"""No worker holds a claim this long: sending is bounded by the gateway's deadline of seconds."""
BATCH = 200
log = structlog.get_logger()


def rescue_stale_claims(sessions: sessionmaker[Session], clock: Clock) -> int:
    """Take claims away that nobody will settle; returns how many."""
    rescued = 0
    while True:
        now = clock()
        with sessions.begin() as db:
            stale = messages.stale_claims(db, before=now - STALE, limit=BATCH)
            for message in stale:
                messages.change_state(
                    db, message, State.UNCONFIRMED, reason="worker_lost", claim_token=None, sent_at=message.claimed_at
                )
                journal.append(db, "unconfirmed", at=now, message=message, reason="worker_lost")
                tell_unconfirmed(db, message, now=now)
                log.warning("claim_rescued", message=message.id, attempt=message.attempts)
        if not stale:
            return rescued
        rescued += len(stale)
