"""Our own Twilio on the loopback: HTTP before the pretend phone network, answers and faults alike. Needs a service on plain HTTP.

By hand: ``python -m tests.fakes.twilio_server --port 8400 --inbound-url http://127.0.0.1:8000/webhooks/twilio/inbound``, then
``curl -d From=+15551230001 -d To=+15550009999 -d Body=STOP http://127.0.0.1:8400/say`` texts the service from a phone.
"""

import argparse
import asyncio
import http.client
import re
import sys
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from urllib.parse import parse_qs, urldefrag, urlencode, urlsplit
from uuid import uuid4

from aiohttp import web
from twilio.request_validator import RequestValidator

from service.domain.clock import Clock
from service.domain.segments import measure
from service.domain.sms import Accepted, Outcome, OutgoingSms, ReceiptState, Refused, Sender, Unknown
from service.gateways.simulated import AcceptedText, HeardText, SimulatedNetwork
from service.gateways.simulated_network import FINAL

ACCOUNT_SID = "AC" + "1" * 32
SERVICE_SID = "MG" + "2" * 32
KEY_SID = "SK" + "3" * 32
KEY_SECRET = "key-secret"
AUTH_TOKEN = "auth-token"
OUR_NUMBER = "+15550009999"

Resource = dict[str, object]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_WELCOME = {
    "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    for user, password in ((KEY_SID, KEY_SECRET), (ACCOUNT_SID, AUTH_TOKEN))
}
_ROOT = "/2010-04-01/Accounts/{account}"
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_HTTP_STATUS = {"20429": 429, "20003": 401, "20404": 404, "20503": 503, "20009": 409, "70051": 403}
_PAGE = "<html><body>Sorry</body></html>"


class Breakage(StrEnum):
    """How a create looks from outside when the network breaks before or after taking the text."""

    SERVER_ERROR = "503 with Twilio's error"
    BAD_GATEWAY = "502 with a page"
    NOT_FOUND_PAGE = "404 with a page, as a proxy gives it"
    MOVED = "307 to the same address"
    UNREADABLE = "201 with half an answer"
    WITHOUT_ID = "201 without an id"
    CUT_OFF = "connection cut without an answer"
    SILENCE = "no answer until released"


_BROKEN_ANSWERS = {
    Breakage.BAD_GATEWAY: (502, _PAGE),
    Breakage.NOT_FOUND_PAGE: (404, _PAGE),
    Breakage.MOVED: (307, ""),
    Breakage.UNREADABLE: (201, '{"sid": "SM'),
    Breakage.WITHOUT_ID: (201, "{}"),
}


class Paging(StrEnum):
    """How lists go from page to page."""

    SOUND = "each text once"
    OVERLAPPING = "each page begins with the last text of the one before"
    REPEATING = "the first page again and again"
    BREAKING = "no second page, but an error"
    EMPTY = "an empty page that is not the last"
    DOWN = "no page at all, but an error"
    KEPT = "403 with a page, as a proxy gives it that keeps lists from us"


@dataclass(frozen=True, slots=True)
class Callback:
    """One webhook, signed, as it leaves Twilio."""

    url: str
    fields: Mapping[str, str]
    signature: str

    def post(self) -> int:
        """The HTTP status of the answer; 0 where nobody listens."""
        where = urlsplit(self.url)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": self.signature}
        connection = http.client.HTTPConnection(where.netloc, timeout=15)
        try:
            connection.request("POST", f"{where.path}?{where.query}", urlencode(self.fields), headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


@dataclass
class FakeTwilio:
    """One account. What it took is in ``network.accepted``; ``creates`` are the raw fields of each request to send.

    ``shown_as`` changes what is shown of each text: masked numbers, words left out, half a resource.
    """

    network: SimulatedNetwork
    clock: Clock
    port: int = 0
    inbound_url: str | None = None
    breakage: Breakage = Breakage.SERVER_ERROR
    paging: Paging = Paging.SOUND
    shown_as: Callable[[Resource], Resource] = dict
    creates: list[dict[str, str]] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    may_delete: bool = True
    met_silence: threading.Event = field(default_factory=threading.Event)
    _heard: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["FakeTwilio"]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="fake twilio", daemon=True)
        thread.start()
        self._loop, self._released = loop, asyncio.Event()
        runner = asyncio.run_coroutine_threadsafe(self._start(), loop).result()
        try:
            yield self
        finally:
            self.release()
            asyncio.run_coroutine_threadsafe(self._end(runner), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _end(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        await asyncio.sleep(0)  # connections that were closed are gone with the loop's next turn

    def release(self) -> None:
        """Let requests that met :attr:`Breakage.SILENCE` end."""
        self._loop.call_soon_threadsafe(self._released.set)

    async def _start(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post(f"{_ROOT}/Messages.json", self._create)
        app.router.add_get(f"{_ROOT}/Messages.json", self._list)
        app.router.add_get(f"{_ROOT}/Messages/{{sid}}.json", self._fetch)
        app.router.add_delete(f"{_ROOT}/Messages/{{sid}}.json", self._delete)
        app.router.add_post(f"{_ROOT}/Messages/{{sid}}.json", self._redact)
        app.router.add_get(f"{_ROOT}.json", self._account)
        app.router.add_get(f"{_ROOT}/IncomingPhoneNumbers.json", self._numbers)
        app.router.add_get("/v1/Services/{sid}", self._service)
        app.router.add_get("/v1/Services/{sid}/PhoneNumbers", self._numbers_of_service)
        app.router.add_get("/v1/Services/{sid}/Compliance/Usa2p", self._campaigns)
        app.router.add_post("/say", self._say)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024).start()
        self.port = runner.addresses[0][1]
        return runner

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/say":
            if request.headers.get("Authorization") not in _WELCOME:
                return _error("20003")
            if request.match_info.get("account", ACCOUNT_SID) != ACCOUNT_SID:
                return _error("20404")
        if request.method == "GET" and self.network.is_out(self.clock()):
            return web.Response(status=502, text=_PAGE, content_type="text/html")
        return await handler(request)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        self.creates.append(fields)
        if code := _fault(fields):
            return _error(code)
        outcome = self.network.submit(_text(fields), self.clock(), callback=fields.get("StatusCallback"))
        return await self._answer(request, outcome)

    async def _answer(self, request: web.Request, outcome: Outcome) -> web.StreamResponse:
        match outcome:
            case Accepted():
                return web.json_response(self._outgoing(self.network.accepted[outcome.provider_sid]), status=201)
            case Refused():
                return _error(outcome.code, retry_after_seconds=outcome.retry_after_seconds)
            case Unknown():
                return await self._break(request)

    async def _break(self, request: web.Request) -> web.StreamResponse:
        if self.breakage in _BROKEN_ANSWERS:
            status, body = _BROKEN_ANSWERS[self.breakage]
            return web.Response(status=status, text=body, headers={"Location": request.path_qs})
        if self.breakage is Breakage.CUT_OFF:
            assert request.transport is not None
            request.transport.abort()
        if self.breakage is Breakage.SILENCE:
            self.met_silence.set()
            await self._released.wait()
        return _error("20503")

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        taken = self.network.accepted.get(request.match_info["sid"])
        return web.json_response(self._outgoing(taken)) if taken else _error("20404")

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        """As at Twilio a text on its way stays, and so does every text where the key may not delete."""
        sid, now = request.match_info["sid"], self.clock()
        if not self.may_delete:
            return _error("70051")
        if not self._has(sid):
            return _error("20404")
        return web.Response(status=204) if self.network.forget(sid, now) else _error("20009")

    async def _redact(self, request: web.Request) -> web.StreamResponse:
        """An empty Body empties the text; nothing else may be said of it."""
        taken, fields = self.network.accepted.get(request.match_info["sid"]), await request.post()
        if taken is None:
            return _error("20404")
        if dict(fields) != {"Body": ""} or taken.state(self.clock()) not in FINAL:
            return _error("20009")
        emptied = replace(taken, text=replace(taken.text, body=""))
        self.network.accepted[taken.sid] = emptied
        return web.json_response(self._outgoing(emptied))

    def _has(self, sid: str) -> bool:
        return sid in self.network.accepted or any(heard.sid == sid and heard.fields for heard in self.network.heard)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        self.lists.append(request.query_string)
        size, page = int(query.get("PageSize", 50)), int(query.get("Page", 0))
        if self.paging is Paging.DOWN or (page and self.paging is Paging.BREAKING):
            return _error("20503")
        if self.paging is Paging.KEPT:
            return web.Response(status=403, text=_PAGE, content_type="text/html")
        found = [resource for resource in map(self.shown_as, self._resources()) if _fits(resource, query)]
        start = {Paging.OVERLAPPING: page * (size - 1), Paging.REPEATING: 0}.get(self.paging, page * size)
        shown = [] if self.paging is Paging.EMPTY else found[start : start + size]
        further = start + size < len(found) or self.paging in {Paging.REPEATING, Paging.EMPTY}
        following = urlencode({**query, "Page": page + 1, "PageToken": f"PA{shown[-1].get('sid')}" if shown else ""})
        return web.json_response(
            {
                "messages": shown,
                "page": page,
                "page_size": size,
                "uri": request.path_qs,
                "next_page_uri": f"{request.path}?{following}" if further else None,
            }
        )

    async def _account(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"sid": ACCOUNT_SID, "status": "active", "type": "Full"})

    async def _numbers(self, request: web.Request) -> web.StreamResponse:
        ours: Resource = {"phone_number": OUR_NUMBER, "capabilities": {"sms": True, "mms": False, "voice": False}}
        ours |= {"sms_url": self.inbound_url} if self.inbound_url else {}
        return web.json_response(
            {"incoming_phone_numbers": [ours] if request.query.get("PhoneNumber") in {None, OUR_NUMBER} else []}
        )

    async def _service(self, request: web.Request) -> web.StreamResponse:
        sid = request.match_info["sid"]
        hears = {"inbound_request_url": self.inbound_url} if self.inbound_url else {}
        return web.json_response({"sid": sid, **hears}) if sid == SERVICE_SID else _error("20404")

    async def _numbers_of_service(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"phone_numbers": [{"sid": "PN" + "5" * 32, "phone_number": OUR_NUMBER}]})

    async def _campaigns(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"compliance": [{"campaign_status": "VERIFIED"}]})

    async def _say(self, request: web.Request) -> web.StreamResponse:
        said = await request.post()
        heard = self.network.say(str(said["From"]), str(said["To"]), body=str(said["Body"]), now=self.clock())
        return web.json_response({"sid": heard.sid}, status=201)

    def _resources(self) -> list[Resource]:
        """All texts, newest first."""
        outgoing = [(text.at, self._outgoing(text)) for text in self.network.listed(self.clock())]
        incoming = [(text.at, _incoming(text)) for text in tuple(self.network.heard) if text.fields]
        return [resource for _, resource in sorted(outgoing + incoming, key=lambda each: each[0], reverse=True)]

    def _outgoing(self, taken: AcceptedText) -> Resource:
        now = self.clock()
        service = taken.text.sender.messaging_service
        sent_at, _ = taken.steps[0]
        state = taken.state(now)
        waits_for_sender = service is not None and state is ReceiptState.QUEUED
        return {
            "account_sid": ACCOUNT_SID,
            "api_version": "2010-04-01",
            "body": "" if self.network.config.redacted else taken.text.body,
            "date_created": format_datetime(taken.at),
            "date_updated": format_datetime(now),
            "date_sent": format_datetime(sent_at) if sent_at <= now else None,
            "direction": "outbound-api",
            "error_code": int(taken.code) if taken.code and state is ReceiptState.UNDELIVERED else None,
            "error_message": None,
            "from": taken.text.sender.number or (None if waits_for_sender else OUR_NUMBER),
            "messaging_service_sid": service,
            "num_media": "0",
            "num_segments": "0" if waits_for_sender else str(measure(taken.text.body).segments),
            "price": None,
            "price_unit": "USD",
            "sid": taken.sid,
            "status": "accepted" if waits_for_sender else state.value,
            "to": taken.text.to,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{taken.sid}.json",
        }

    def callbacks_due(self) -> list[Callback]:
        """Status callbacks and texts from phones that Twilio posts by now, once each, in the order in which they leave."""
        reports = self.network.reports_due(self.clock())
        callbacks = [_signed(taken.callback, taken.report(state)) for taken, state in reports if taken.callback]
        if self.inbound_url:
            unheard = self.network.heard[self._heard :]
            self._heard += len(unheard)
            callbacks += [_signed(self.inbound_url, text.fields) for text in unheard]
        return callbacks

    def deliver_callbacks(self) -> list[int]:
        """Post them all; the HTTP statuses of the answers."""
        return [callback.post() for callback in self.callbacks_due()]


def _error(code: str, *, retry_after_seconds: float | None = None) -> web.Response:
    status = _HTTP_STATUS.get(code, 400)
    more = {"message": "Refused by the fake", "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    headers = {"Retry-After": f"{retry_after_seconds:.0f}"} if retry_after_seconds is not None else {}
    return web.json_response({"code": int(code), "status": status, **more}, status=status, headers=headers)


def _fault(fields: Mapping[str, str]) -> str | None:
    """The code for what Twilio refuses by the look of the request alone."""
    callback = urlsplit(fields.get("StatusCallback", "https://example.org"))
    checks = {
        "21211": _E164.fullmatch(fields.get("To", "")),
        "21602": fields.get("Body"),
        "21603": fields.get("From") or fields.get("MessagingServiceSid"),
        "21617": len(fields.get("Body", "")) <= 1600,
        "21624": 1 <= int(fields.get("ValidityPeriod", 36000)) <= 36000,
        "21609": callback.scheme in {"http", "https"} and callback.hostname and "_" not in callback.hostname,
    }
    return next((code for code, is_well in checks.items() if not is_well), None)


def _text(fields: Mapping[str, str]) -> OutgoingSms:
    query = parse_qs(urlsplit(fields.get("StatusCallback", "")).query)
    return OutgoingSms(
        message_id=int(query.get("mid", ["0"])[0]),
        attempt=0,
        to=fields["To"],
        body=fields["Body"],
        sender=Sender(number=fields.get("From"), messaging_service=fields.get("MessagingServiceSid")),
        validity_seconds=int(fields.get("ValidityPeriod", 36000)),
        leave_by=datetime.max.replace(tzinfo=UTC),
    )


def _incoming(heard: HeardText) -> Resource:
    return {
        "account_sid": ACCOUNT_SID,
        "body": heard.fields["Body"],
        "date_created": heard.fields["DateSent"],
        "date_sent": heard.fields["DateSent"],
        "direction": "inbound",
        "error_code": None,
        "from": heard.fields["From"],
        "messaging_service_sid": heard.fields.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": "1",
        "sid": heard.sid,
        "status": "received",
        "to": heard.fields["To"],
    }


def _fits(resource: Mapping[str, object], query: Mapping[str, str]) -> bool:
    """Twilio filters by number and by the day on which a text was sent."""
    sent = resource["date_sent"]
    day = datetime.strptime(str(sent), "%a, %d %b %Y %H:%M:%S %z").date().isoformat() if sent else ""
    return (
        query.get("To", resource.get("to")) == resource.get("to")
        and query.get("From", resource["from"]) == resource["from"]
        and (day[:10] == query["DateSent"][:10] if "DateSent" in query else True)
        and (query["DateSent>"][:10] <= day if "DateSent>" in query else True)
        and ("" < day <= query["DateSent<"][:10] if "DateSent<" in query else True)
    )


def _signed(url: str, fields: Mapping[str, str]) -> Callback:
    """The fragment is Twilio's own and no part of the request."""
    address, _ = urldefrag(url)
    sent = {**fields, "AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01"}
    return Callback(address, sent, str(RequestValidator(AUTH_TOKEN).compute_signature(address, sent)))


def _wall_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - run by hand, this file is its own composition root


def main() -> None:
    options = argparse.ArgumentParser(description="Our own Twilio on the loopback.")
    options.add_argument("--port", type=int, default=8400)
    options.add_argument("--inbound-url", help="where texts from phones are posted")
    chosen = options.parse_args()
    server = FakeTwilio(SimulatedNetwork(uuid4().hex), _wall_clock, port=chosen.port, inbound_url=chosen.inbound_url)
    with server.running(), suppress(KeyboardInterrupt):
        sys.stdout.write(
            f"AFTERCARE_GATEWAY=twilio\nAFTERCARE_TWILIO__BASE_URL={server.url}\n"
            f"AFTERCARE_TWILIO__ACCOUNT_SID={ACCOUNT_SID}\nAFTERCARE_TWILIO__API_KEY_SID={KEY_SID}\n"
            f"AFTERCARE_TWILIO__API_KEY_SECRET={KEY_SECRET}\nAFTERCARE_TWILIO__AUTH_TOKEN={AUTH_TOKEN}\n"
            f"AFTERCARE_TWILIO__FROM_NUMBER={OUR_NUMBER}\n"
        )
        sys.stdout.flush()
        stop = threading.Event()
        while not stop.wait(0.5):
            server.deliver_callbacks()


if __name__ == "__main__":
    main()
