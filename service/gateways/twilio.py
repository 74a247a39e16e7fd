"""The gateway to Twilio, on Twilio's own SDK. Its asynchronous client runs on one event loop in one thread, hidden in here.

Creating a message is not idempotent and knows no idempotency key (https://www.twilio.com/docs/messaging/api/message-resource):
nothing in this file hands a text over twice, and whatever leaves doubt becomes :class:`Unknown`.
"""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import aiohttp
import structlog
from twilio.base.exceptions import TwilioException
from twilio.base.version import Version
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from service.domain.errors import AftercareError
from service.domain.sms import (
    Accepted,
    Blame,
    InboundSms,
    Outcome,
    OutgoingSms,
    Receipt,
    Refused,
    Sender,
    SmsGateway,
    Unknown,
)
from service.gateways.twilio_fields import inbound_fields, read_inbound, read_receipt, receipt_fields
from service.gateways.twilio_signature import verify_signature
from service.gateways.twilio_transport import TWILIO, Transport, sort_failure

__all__ = ["Check", "TwilioConfig", "TwilioGateway", "verify_signature"]

_log = structlog.get_logger()
_T = TypeVar("_T")
_Outcomes = SimpleQueue[tuple[OutgoingSms, Outcome]]

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_SERVICES = "https://messaging.twilio.com/v1/Services"
_COMPARE = "Compare the Twilio settings with the Twilio console; https://status.twilio.com tells of troubles there."
_PAGE_SIZE = "1000"
_FETCHED_AT_ONCE = 50
_CALLBACK_OPTIONS = "#rc=4&rp=5xx,ct,rt"
"""Four repeats of a callback that fails, instead of one where the connection fails.
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""

_NO_ANSWER = (TwilioException, aiohttp.ClientError, TimeoutError, ValueError, TypeError, LookupError)
_CLOSING = Refused(
    Blame.RETRY, "closing", "The service was stopping; the text was not sent.", "Nothing: it is tried again by itself."
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
    connections: int = 200


class Check(NamedTuple):
    """One thing looked at, for people: what it is, whether it is well, what was found, what to do."""

    name: str
    ok: bool
    detail: str
    fix: str


class TwilioGateway(SmsGateway):
    """Safe to use from several threads. Every method but ``send_batch`` waits for its answers."""

    def __init__(self, config: TwilioConfig) -> None:
        # Below WARNING the SDK writes addresses with phone numbers into the log.
        logging.getLogger("twilio").setLevel(logging.WARNING)
        self._config = config
        self._account = f"{TWILIO}/2010-04-01/Accounts/{config.account_sid}"
        self._slots = asyncio.Semaphore(config.connections)
        self._sending: set[asyncio.Task[None]] = set()
        self._gate, self._closing = threading.Lock(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="twilio", daemon=True)
        self._thread.start()
        self._transport = self._wait_for(self._connect())
        self._client = Client(config.username, config.password, config.account_sid, http_client=self._transport)

    async def _connect(self) -> Transport:
        config = self._config
        return Transport(config.base_url, timeout_seconds=config.timeout_seconds, connections=config.connections)

    def _wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

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
        try:
            created = await self._client.messages.create_async(
                to=message.to,
                from_=message.sender.number,
                messaging_service_sid=message.sender.messaging_service,
                body=message.body,
                validity_period=message.validity_seconds,
                status_callback=self._callback(message.message_id),
            )
        except Exception as error:  # noqa: BLE001 - the text may have left: nothing but its outcome may say what went wrong
            return sort_failure(error)
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

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        """Raises after the last text it could fetch where the list broke off: ask again from the same moment."""
        found: dict[str, InboundSms] = {}
        error = self._wait_for(self._list_inbound(since.replace(microsecond=0), found))
        yield from sorted(found.values(), key=lambda sms: sms.received_at or since)
        if error:
            raise AftercareError(
                f"Twilio's list of texts from patients broke off: {sort_failure(error).reason} Those that came are safe, "
                "the others wait at Twilio. Ask again from the same moment."
            ) from error

    async def _list_inbound(self, since: datetime, found: dict[str, InboundSms]) -> Exception | None:
        """Fill ``found``. Twilio filters by day only, and its times are whole seconds."""
        page: str | None = f"{self._account}/Messages.json"
        params: dict[str, object] | None = {"DateSent>": f"{since:%Y-%m-%d}", "PageSize": _PAGE_SIZE}
        seen: set[str] = set()
        try:
            while page:
                answer = await self._get(page, params)
                new = [each for each in answer["messages"] if each["sid"] not in seen]
                seen.update(each["sid"] for each in new)
                texts = [read_inbound(inbound_fields(each)) for each in new if each.get("direction") == "inbound"]
                found.update(
                    {sms.provider_sid: sms for sms in texts if sms.received_at is None or sms.received_at >= since}
                )
                # A page that repeats what is known would be followed for ever.
                page, params = self._next_page(answer) if new else None, None
        except _NO_ANSWER as error:
            return error
        return None

    def _next_page(self, answer: Mapping[str, Any]) -> str | None:
        uri = answer.get("next_page_uri")
        return f"{TWILIO}/{str(uri).lstrip('/')}" if uri else None

    async def _get(self, uri: str, params: dict[str, object] | None = None) -> dict[str, Any]:
        async with self._slots:
            answer = await self._client.request_async("GET", uri, params=params)
        if answer.status_code != 200:
            raise Version.exception("GET", uri, answer, "Not found")
        return dict(json.loads(answer.text))

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return read_inbound(fields)

    def check(self, sender: Sender) -> list[Check]:
        """Do the credentials work, and can this sender text? Sends nothing."""
        return self._wait_for(self._check(sender))

    async def _check(self, sender: Sender) -> list[Check]:
        checks = [
            await self._look_up("twilio account", f"{self._account}.json", lambda found: found["status"] == "active")
        ]
        if service := sender.messaging_service:
            checks.append(await self._look_up("twilio sender", f"{_SERVICES}/{quote(service)}", bool))
        elif (number := sender.number) and number.startswith("+"):
            # Alphanumeric senders are not listed anywhere.
            uri = f"{self._account}/IncomingPhoneNumbers.json?PhoneNumber={quote(number)}"
            checks.append(await self._look_up("twilio sender", uri, _can_text))
        return checks

    async def _look_up(self, name: str, uri: str, is_well: Callable[[Mapping[str, Any]], bool]) -> Check:
        try:
            ok = is_well(await self._get(uri))
        except _NO_ANSWER as error:
            return Check(name, ok=False, detail=sort_failure(error).reason, fix=_COMPARE)
        return Check(name, ok, detail="in order" if ok else "not able to send texts", fix="" if ok else _COMPARE)

    def close(self) -> None:
        """Requests under way are waited for, one deadline at most; texts that had to wait come back as not sent."""
        with self._gate:
            if self._closing:
                return
            self._closing = True
        self._wait_for(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending)
        await self._transport.close()


def _taken(created: MessageInstance) -> Outcome:
    if not (created.sid and _SID.fullmatch(created.sid)):
        return Unknown("Twilio's answer names no text.")
    segments = str(created.num_segments)
    # With a messaging service Twilio says 0 until it has chosen a sender.
    return Accepted(created.sid, int(segments) or None if segments.isdecimal() else None)


def _can_text(found: Mapping[str, Any]) -> bool:
    return any(number["capabilities"]["sms"] for number in found["incoming_phone_numbers"])
