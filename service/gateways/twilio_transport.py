"""How requests reach Twilio, and what a request that went wrong says about the text in it.

The SDK's own asynchronous transport ignores its timeout, stops at 100 connections and sends a create again after a 5xx when asked
to retry (measured with 9.13): only the one method that the SDK calls is written here.
"""

import logging
from base64 import b64encode
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.base.version import Version
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from service.domain.breakers import UNREACHABLE
from service.domain.clock import Clock
from service.domain.sms import Blame, Refused, Unknown
from service.gateways.twilio_codes import sort_rejection

TWILIO = "https://api.twilio.com"

CONNECT_SECONDS = 3.0
_LONGEST_WAIT = 3600.0
"""Seconds; whoever asks for more is broken, and a text must not wait for ever."""
_SMALLEST_CODE = 10000
"""Twilio's codes have five digits or more; the SDK puts the HTTP status where an answer has none."""


NO_ANSWER = (TwilioException, aiohttp.ClientError, TimeoutError, ValueError, TypeError, LookupError)
"""What a question ends in that brought no answer, or none that could be read."""


class TooManyRequestsError(TwilioException):
    """HTTP 429. The SDK would drop the header that says how long to wait."""

    def __init__(self, code: str, *, retry_after_seconds: float | None) -> None:
        super().__init__(f"HTTP 429, code {code}")
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class TooLateError(TwilioException):
    """The request was held back: its time to begin was over. Not one byte of it was written."""

    def __init__(self) -> None:
        super().__init__("The time in which the request might begin is over.")


@dataclass(slots=True)
class Departure:
    """Until when a request may begin. ``missed`` once it was held back."""

    clock: Clock
    leave_by: datetime
    missed: bool = False

    def check(self) -> None:
        """Raises where it is too late."""
        if self.clock() > self.leave_by:
            self.missed = True
            raise TooLateError


DEPARTURE: ContextVar[Departure | None] = ContextVar("departure", default=None)
"""Of the request that the running task makes: the SDK has no place to hand it through."""


async def _before_it_is_written(_session: object, context: SimpleNamespace, _what: object) -> None:
    """A process may be frozen while it connects, for minutes: aiohttp asks here once more, with nothing between this and the socket.

    For a request with a body (3.14: ``StreamWriter.write``): headers wait for the first piece of it, and the hook runs before both.
    """
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.check()


def _last_look() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(_before_it_is_written)
    return config


class Transport(AsyncHttpClient):
    """Every request has one deadline for the whole of it. To be made on the running loop, and closed there."""

    def __init__(
        self, base_url: str, *, timeout_seconds: float, connections: int, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        super().__init__(logging.getLogger("twilio.transport"), is_async=True, timeout=timeout_seconds)
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds, connect=min(connect_seconds, timeout_seconds)),
            trace_configs=[_last_look()],
        )

    def request(self, *args: Any, **options: Any) -> Any:
        """What the SDK awaits; its own declaration does not say so."""
        return self._ask(*args, **options)

    async def _ask(
        self,
        method: str,
        uri: str,
        *,
        params: Mapping[str, str] | None,
        data: Mapping[str, object] | None,
        headers: Mapping[str, str],
        auth: tuple[str, str],
        **_: object,
    ) -> Response:
        signed = {**headers, "Authorization": _basic(auth)}
        async with self._session.request(
            method,
            self._address(uri),
            params=params,
            data=data,
            headers=signed,
            allow_redirects=False,
            trace_request_ctx=DEPARTURE.get(),
        ) as answer:
            response = Response(answer.status, await answer.text(errors="replace"), answer.headers)
        if response.status_code == 429:
            error = Version.exception(method, uri, response, "Too many requests")
            raise TooManyRequestsError(str(error.code), retry_after_seconds=_retry_after(answer.headers))
        return response

    def _address(self, uri: str) -> str:
        """The SDK knows Twilio's hosts only."""
        if self._base_url == TWILIO:
            return uri
        asked = urlsplit(uri)
        return f"{self._base_url}{asked.path}" + (f"?{asked.query}" if asked.query else "")

    async def close(self) -> None:
        await self._session.close()


def _basic(auth: tuple[str, str]) -> str:
    return "Basic " + b64encode(":".join(auth).encode()).decode()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, or a date, which is read against the answer's own: clocks differ."""
    wanted = headers.get("Retry-After", "").strip()
    if wanted.isascii() and wanted.isdecimal():
        return min(float(wanted), _LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(wanted) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, seconds), _LONGEST_WAIT)


def sort_failure(error: Exception) -> Refused | Unknown:
    """What became of a text whose request ended in an error: refused only where Twilio certainly did not take it."""
    match error:
        case TooManyRequestsError():
            return sort_rejection(error.code, status=429, retry_after_seconds=error.retry_after_seconds)
        case TwilioRestException() | TwilioServiceException() if _speaks_for_twilio(error):
            return sort_rejection(str(error.code), status=error.status)
        case TwilioRestException() | TwilioServiceException():
            # A proxy's page, perhaps in place of Twilio's own answer: even a 404 proves nothing.
            return Unknown(f"Something between us and Twilio answered (HTTP {error.status}).")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | aiohttp.InvalidURL():
            # Name not found, refused, too slow or no TLS: no connection came about, so nothing has left the house.
            return Refused(
                Blame.RETRY, UNREACHABLE, "Twilio could not be reached.", "Nothing: it is tried again by itself."
            )
        case TimeoutError():
            return Unknown("Twilio did not answer in time.")
        case aiohttp.ClientError():
            return Unknown("The connection broke before Twilio's answer.")
        case _:
            return Unknown(f"Twilio's answer could not be read ({type(error).__name__}).")


def has_answered(error: Exception) -> bool:
    """Whether Twilio answered a request that ended so, be it with a no, or with what nobody can read."""
    if isinstance(error, TwilioRestException | TwilioServiceException):
        status: object = error.status
        return _speaks_for_twilio(error) and isinstance(status, int) and status < 500
    return not isinstance(error, aiohttp.ClientError | TimeoutError)


def _speaks_for_twilio(error: TwilioRestException | TwilioServiceException) -> bool:
    # Both may come from the body of the answer, whatever their declared type.
    code: object = error.code
    status: object = error.status
    return isinstance(code, int) and code >= _SMALLEST_CODE and isinstance(status, int) and status >= 400
