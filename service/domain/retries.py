"""When to try again after a refusal that blames nobody; pure, so that it survives restarts and can be shown."""

from datetime import datetime, timedelta
from hashlib import sha256

FIRST, LONGEST = timedelta(seconds=2), timedelta(minutes=10)
AFTER_FAILURE = timedelta(hours=2)
"""A phone that was off is worth another try some hours later, not some seconds."""
CARRIER_TRIES = 2
ASKED_AT = (
    *(timedelta(seconds=age) for age in (5, 15, 30, 60, 120, 300, 900)),
    *(timedelta(hours=age) for age in range(1, 72)),
)
"""The ages at which a text without a final report is asked about: soon while news is likely, then each hour for three days."""


def next_attempt_at(now: datetime, *, message_id: int, attempts: int, retry_after_seconds: float | None) -> datetime:
    """Twice as long each time, from 2 s to 10 min, up to a quarter more by message so that not all come at once."""
    wait = min(FIRST * (1 << min(attempts - 1, 12)), LONGEST)
    if retry_after_seconds is not None:
        wait = max(wait, timedelta(seconds=retry_after_seconds))
    return now + wait * (1 + _spread(message_id, attempts) / 4)


def after_failed_delivery(now: datetime, *, message_id: int, attempts: int) -> datetime | None:
    """When to send once more after the carrier failed for a passing reason; None when it was tried often enough."""
    if attempts >= CARRIER_TRIES:
        return None
    return now + AFTER_FAILURE * (1 + _spread(message_id, attempts) / 4)


def asked_again(last: datetime, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """Which texts are asked about at ``now``, if the last time was at ``last``: those that reached an age of :data:`ASKED_AT` since.

    As spans of the moment a text left, after the first and up to the second, the oldest first and none touching another.
    """
    spans: list[tuple[datetime, datetime]] = []
    for age in reversed(ASKED_AT):
        after, until = last - age, now - age
        if spans and after <= spans[-1][1]:
            after, _ = spans.pop()
        spans.append((after, until))
    return tuple(spans) if last < now else ()


def _spread(message_id: int, attempts: int) -> float:
    """A number in [0, 1) that is the same every time for the same attempt."""
    return int.from_bytes(sha256(f"{message_id}:{attempts}".encode()).digest()[:4]) / 2**32
