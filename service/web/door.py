"""Before the signature is looked at: how long a body may be, and how often somebody may knock without a good one.

Signed calls are never counted: dropping one would lose a reply. Behind a proxy everybody comes from its address, the provider
too; that is why only what is no good is ever turned away.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

import structlog
from fastapi import HTTPException, Request
from prometheus_client import Counter

from service.domain.clock import Clock

MOST_BYTES = 64 * 1024
REFUSED = Counter("aftercare_webhooks_refused_total", "Webhooks that were not accepted", ["why"])

BURST = 600
PER_SECOND = 10.0
MOST_ADDRESSES = 10_000
"""Who comes from more addresses than that makes us forget the oldest, and is let through to the signature again."""
log = structlog.get_logger()


class Door:
    """One for all webhooks of a process."""

    def __init__(self, clock: Clock) -> None:
        self._strangers = Strangers(clock)

    async def read_body(self, request: Request) -> bytes:
        """The body, as far as it may go: what is longer is not even read to its end."""
        if "x-twilio-signature" not in request.headers and self._strangers.is_tired_of(_who(request)):
            raise self.refusal(request, 429, "too_many")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise self.refusal(request, 413, "too_long")
        return bytes(body)

    def refusal(self, request: Request, status: int, why: str) -> HTTPException:
        """What to raise. It is written down until its sender has had its fill: a flood shall not fill the disk."""
        if self._strangers.note(_who(request)):
            return told(status, why)
        REFUSED.labels("too_many").inc()
        return HTTPException(429, detail="too_many")


def told(status: int, why: str) -> HTTPException:
    """What to raise, counted and written down."""
    REFUSED.labels(why).inc()
    log.warning("webhook_refused", why=why)
    return HTTPException(status, detail=why)


def _who(request: Request) -> str:
    return request.client.host if request.client else ""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: datetime


class Strangers:
    """A bucket of tokens for each address, in this process alone; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._gate = clock, threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def is_tired_of(self, address: str) -> bool:
        """Whether the address has used up what it may send without a signature."""
        with self._gate:
            bucket = self._buckets.get(address)
            return bucket is not None and self._filled(bucket) < 1

    def note(self, address: str) -> bool:
        """Count a call that was no good. False where the address has had its fill: then nothing more is said of it."""
        with self._gate:
            bucket = self._buckets.setdefault(address, _Bucket(BURST, self._clock()))
            self._buckets.move_to_end(address)
            if len(self._buckets) > MOST_ADDRESSES:
                self._buckets.popitem(last=False)
            left = self._filled(bucket)
            bucket.left, bucket.at = max(left - 1, 0), self._clock()
            return left >= 1

    def _filled(self, bucket: _Bucket) -> float:
        passed = abs((self._clock() - bucket.at).total_seconds())
        return min(bucket.left + passed * PER_SECOND, BURST)
