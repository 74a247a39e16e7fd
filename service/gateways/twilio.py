"""The gateway to Twilio, on Twilio's own SDK. Its asynchronous client runs on one event loop in one thread, hidden in here.

Creating a message is not idempotent and knows no idempotency key (https://www.twilio.com/docs/messaging/api/message-resource):
nothing in this file hands a text over twice, and whatever leaves doubt becomes :class:`Unknown`.
"""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import quote

import structlog
from twilio.base.version import Version
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from service.domain.breakers import CLOSING
from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.sms import (
    TOO_LATE,
    Accepted,
    Blame,
    Forgotten,
    GatewayClosedError,
    InboundSms,
    ListedSms,
    ListRefusedError,
    Outcome,
    OutgoingSms,
    Receipt,
    Refused,
    Sender,
    SmsGateway,
    Unknown,
)
from service.gateways.twilio_check import Check, check_account
from service.gateways.twilio_fields import read_inbound, read_moment, read_receipt, receipt_fields
from service.gateways.twilio_forgetting import forget
from service.gateways.twilio_lists import RepeatedPageError, list_inbound, list_outgoing
from service.gateways.twilio_signature import verify_signature
from service.gateways.twilio_transport import (
    CONNECT_SECONDS,
    DEPARTURE,
    NO_ANSWER,
    TWILIO,
    Departure,
    Transport,
    has_answered,
    sort_failure,
)

__all__ = ["Check", "TwilioConfig", "TwilioGateway", "verify_signature"]

_log = structlog.get_logger()
_T = TypeVar("_T")
_Outcomes = SimpleQueue[tuple[OutgoingSms, Outcome]]

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_FETCHED_AT_ONCE = 50
_CALLBACK_OPTIONS = "#rc=4&rp=5xx,ct,rt"
"""Four repeats of a callback that fails, instead of one where the connection fails.
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""

_CLOSING = Refused(
    Blame.RETRY, CLOSING, "The service was stopping; the text was not sent.", "Nothing: it is tried again by itself."
)


@dataclass(frozen=True, slots=True)
class TwilioConfig:
    """``username`` and ``password``: an API key and its secret, or the account and its token. No callbacks without a base URL."""

    account_sid: str
    username: str
    password: str = field(repr=False)
    base_url: str = TWILIO
    public_base_url: str | None = None
    timeout_seconds: float = 10.0
    connect_seconds: float = CONNECT_SECONDS
    connections: int = 200


class TwilioGateway(SmsGateway):
    """Safe to use from several threads. Every method but ``send_batch`` waits for its answers."""

    def __init__(self, config: TwilioConfig, clock: Clock) -> None:
        # Below WARNING the SDK writes addresses with phone numbers into the log.
        logging.getLogger("twilio").setLevel(logging.WARNING)
        self._config, self._clock = config, clock
        self._account = f"{TWILIO}/2010-04-01/Accounts/{config.account_sid}"
        self._texts = f"{self._account}/Messages.json"
        self._slots = asyncio.Semaphore(config.connections)
        self._sending: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[Any]] = set()
        self._gate, self._closing = threading.Lock(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="twilio", daemon=True)
        self._thread.start()
        self._transport = self._wait_for(self._connect())
        self._client = Client(config.username, config.password, config.account_sid, http_client=self._transport)

    async def _connect(self) -> Transport:
        config = self._config
        return Transport(
            config.base_url,
            timeout_seconds=config.timeout_seconds,
            connect_seconds=config.connect_seconds,
            connections=config.connections,
        )

    def _wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        with self._gate:
            if self._closing:
                work.close()
                raise _closed()
            asked = asyncio.run_coroutine_threadsafe(self._ask(work), self._loop)
        try:
            return asked.result()
        except CancelledError:
            raise _closed() from None

    async def _ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.ensure_future(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return await task

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        """Begins at once; texts that nobody asks about any more are sent all the same."""
        batch = tuple(messages)
        outcomes: _Outcomes = SimpleQueue()
        with self._gate:
            if self._closing:
                return iter([(message, _CLOSING) for message in batch])
            self._loop.call_soon_threadsafe(self._begin, batch, outcomes)
        return (outcomes.get() for _ in batch)

    def _begin(self, batch: Sequence[OutgoingSms], outcomes: _Outcomes) -> None:
        for message in batch:
            task = self._loop.create_task(self._send_into(outcomes, message))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_into(self, outcomes: _Outcomes, message: OutgoingSms) -> None:
        # The deadline of a request must not run while it waits for its turn: a text that never left would count as unknown.
        async with self._slots:
            outcomes.put((message, _CLOSING if self._closing else await self._send(message)))

    async def _send(self, message: OutgoingSms) -> Outcome:
        departure = Departure(self._clock, message.leave_by)
        DEPARTURE.set(departure)
        try:
            departure.check()
            created = await self._client.messages.create_async(
                to=message.to,
                from_=message.sender.number,
                messaging_service_sid=message.sender.messaging_service,
                body=message.body,
                validity_period=message.validity_seconds,
                status_callback=self._callback(message.message_id),
            )
        except Exception as error:  # noqa: BLE001 - the text may have left: nothing but its outcome may say what went wrong
            return TOO_LATE if departure.missed else sort_failure(error)
        return _taken(created)

    def _callback(self, message_id: int) -> str | None:
        base = self._config.public_base_url
        return base and f"{base.rstrip('/')}/webhooks/twilio/status?mid={message_id}{_CALLBACK_OPTIONS}"

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        sids = iter(provider_sids)
        while chunk := tuple(islice(sids, _FETCHED_AT_ONCE)):
            yield from self._wait_for(self._fetch_receipts(chunk))

    async def _fetch_receipts(self, sids: Sequence[str]) -> list[Receipt]:
        answers = await asyncio.gather(*map(self._fetch_receipt, sids), return_exceptions=True)
        receipts = [answer for answer in answers if isinstance(answer, Receipt)]
        if errors := {type(answer).__name__ for answer in answers if isinstance(answer, BaseException)}:
            _log.warning("twilio.receipts_left_out", count=len(answers) - len(receipts), errors=sorted(errors))
        return receipts

    async def _fetch_receipt(self, sid: str) -> Receipt:
        return read_receipt(receipt_fields(await self._get(f"{self._account}/Messages/{quote(sid, safe='')}.json")))

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        """Complete, or it raises: whatever breaks on the way proves nothing."""
        listing = list_outgoing(self._get, self._texts, number=number, since=since.replace(microsecond=0))
        try:
            return self._wait_for(listing)
        except NO_ANSWER as error:
            refused = ListRefusedError if has_answered(error) else AftercareError
            raise refused(
                f"Twilio's list of sent texts could not be read: {sort_failure(error).reason} Nothing was changed; a list "
                "that breaks off proves nothing. Ask again later."
            ) from error

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        """Raises after the last text it could fetch where the list broke off: ask again from the same moment."""
        found: dict[str, InboundSms] = {}
        broken: Exception | None = None
        try:
            self._wait_for(list_inbound(self._get, self._texts, since=since.replace(microsecond=0), found=found))
        except RepeatedPageError:
            _log.warning("twilio.list_repeats")
        except NO_ANSWER as error:
            broken = error
        yield from sorted(found.values(), key=lambda sms: sms.received_at or since)
        if broken:
            raise AftercareError(
                f"Twilio's list of texts from patients broke off: {sort_failure(broken).reason} Those that came are safe, "
                "the others wait at Twilio. Ask again from the same moment."
            ) from broken

    async def _get(self, uri: str, params: dict[str, object] | None = None) -> dict[str, Any]:
        async with self._slots:
            answer = await self._client.request_async("GET", uri, params=params)
        if answer.status_code != 200:
            raise Version.exception("GET", uri, answer, "Not found")
        return dict(json.loads(answer.text))

    def forget(self, provider_sid: str) -> Forgotten:
        """One request, or two where the key may not delete."""
        uri = f"{self._account}/Messages/{quote(provider_sid, safe='')}.json"
        try:
            return self._wait_for(forget(self._ask_for, uri))
        except NO_ANSWER as error:
            raise AftercareError(
                f"Twilio was asked to delete its copy of a text: {sort_failure(error).reason} It is asked again later."
            ) from error

    async def _ask_for(self, method: str, uri: str, *, data: dict[str, object] | None = None) -> Response:
        async with self._slots:
            return await self._client.request_async(method, uri, data=data)

    def their_time(self) -> datetime | None:
        """What Twilio's answers are dated, to the second; None where it does not answer."""
        try:
            answer = self._wait_for(self._ask_for("GET", f"{self._account}.json"))
            return read_moment((answer.headers or {}).get("Date"))
        except NO_ANSWER:
            return None

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return read_inbound(fields)

    def check(self, sender: Sender) -> list[Check]:
        """Do the credentials work, may this sender text, and do answers come to us? Sends nothing."""
        base = self._config.public_base_url
        inbound_url = f"{base}/webhooks/twilio/inbound" if base else None
        return self._wait_for(check_account(self._get, self._account, sender, inbound_url=inbound_url))

    def close(self) -> None:
        """Texts under way are waited for, one deadline at most; those that had to wait come back as not sent. Questions end."""
        with self._gate:
            if self._closing:
                return
            self._closing = True
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        for question in self._asking:
            question.cancel()
        if under_way := self._sending | self._asking:
            await asyncio.wait(under_way)
        await self._transport.close()


def _closed() -> GatewayClosedError:
    return GatewayClosedError(
        "The service is stopping and asks Twilio nothing any more. Nothing was changed; ask again later."
    )


def _taken(created: MessageInstance) -> Outcome:
    if not (created.sid and _SID.fullmatch(created.sid)):
        return Unknown("Twilio's answer names no text.")
    segments = str(created.num_segments)
    # With a messaging service Twilio says 0 until it has chosen a sender.
    return Accepted(created.sid, int(segments) or None if segments.isdecimal() else None)
