"""Calling our own webhook at its public address, signed as Twilio signs. Nothing is kept of it: the call names no text.

What a proxy changes on the way (path, query, host, headers, body) shows here before it costs a patient's answer.
"""

import http.client
import ssl
from typing import NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from service.gateways.twilio_signature import sign

SECONDS = 10.0
_PATH = "/webhooks/twilio/status?mid=0"
_FIELDS = {"SmsStatus": "sent", "ApiVersion": "2010-04-01"}
_OUR_ANSWER = b"no_message_sid"
_READ_AT_MOST = 2000

_AS_HERE = (
    "Give the web process the same AFTERCARE_TWILIO__AUTH_TOKEN and AFTERCARE_PUBLIC_BASE_URL as here, restart it, and let the "
    "proxy pass path, query and body on unchanged."
)
_ROUTE = (
    "Let the proxy pass /webhooks/twilio/ on to the web process with its whole path, for POST, and without a login."
)
_WEB = "The proxy answers, the web process behind it does not: start it, and compare the proxy's target with AFTERCARE_WEB__PORT."
_FIXES = {
    400: "Something before the service answered. " + _ROUTE,
    401: _ROUTE,
    404: _ROUTE,
    405: _ROUTE,
    413: "Let the proxy pass on bodies of up to 64 kB.",
    415: "Let the proxy pass the header Content-Type on unchanged.",
    429: "The proxy limits calls to /webhooks/twilio/: take that away. Or the service does, after many with a wrong signature: "
    "its log tells of them as webhook_refused.",
    500: "Read the log of the web process.",
    502: _WEB,
    503: _WEB,
    504: _WEB,
}


class Called(NamedTuple):
    """Whether our webhook was reached and took our signature; ``detail`` follows the address, ``fix`` says what to do."""

    ok: bool
    detail: str
    fix: str = ""


def call_ourselves(base_url: str, *, token: str, seconds: float = SECONDS) -> Called:
    """Post to the webhook for reports. Redirects are not followed: Twilio's signature would not outlive them."""
    url = f"{base_url}{_PATH}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": sign(url, _FIELDS, token=token),
    }
    connection = _connection(urlsplit(url), seconds)
    try:
        connection.request("POST", f"{urlsplit(url).path}?{urlsplit(url).query}", urlencode(_FIELDS), headers)
        answer = connection.getresponse()
        return _judge(answer.status, answer.read(_READ_AT_MOST), moved_to=answer.getheader("Location"))
    except (OSError, http.client.HTTPException) as why:
        return _not_reached(why)
    finally:
        connection.close()


def _connection(where: SplitResult, seconds: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    return kind(where.hostname or "", where.port, timeout=seconds)


def _judge(status: int, body: bytes, *, moved_to: str | None) -> Called:
    if status == 400 and _OUR_ANSWER in body:
        return Called(ok=True, detail="is reached from here, and signatures are accepted")
    if status == 403:
        return _refused(body)
    if 300 <= status < 400:
        fix = "Set AFTERCARE_PUBLIC_BASE_URL to where it leads, or end the redirect: Twilio's signature is for one address only."
        return Called(ok=False, detail=f"redirects to {moved_to or 'another address'} (HTTP {status})", fix=fix)
    return Called(ok=False, detail=f"answered HTTP {status}", fix=_FIXES.get(status, _ROUTE))


def _refused(body: bytes) -> Called:
    if b"no_signature" in body:
        fix = "Let the proxy pass the header X-Twilio-Signature on."
        return Called(ok=False, detail="is reached, but the signature was lost on the way (HTTP 403)", fix=fix)
    if b"bad_signature" in body:
        return Called(ok=False, detail="is reached, but the signature was not accepted (HTTP 403)", fix=_AS_HERE)
    fix = "A firewall or a login before the service refuses: let Twilio's calls to /webhooks/twilio/ through."
    return Called(ok=False, detail="answered HTTP 403, and not from the service", fix=fix)


def _not_reached(why: Exception) -> Called:
    match why:
        case ssl.SSLCertVerificationError():
            fix = "Renew the certificate, or let the proxy send the whole chain: Twilio refuses it as well."
            return Called(ok=False, detail=f"has a certificate that is not trusted ({why.verify_message})", fix=fix)
        case ssl.SSLError():
            fix = "Let the proxy speak TLS 1.2 or newer on that port."
            return Called(ok=False, detail="does not speak TLS as it should", fix=fix)
        case TimeoutError():
            fix = "Open the port in the firewall, and see that the address leads to this machine."
            return Called(ok=False, detail="did not answer in time", fix=fix)
        case ConnectionRefusedError():
            fix = "Start the proxy, and compare its port with AFTERCARE_PUBLIC_BASE_URL."
            return Called(ok=False, detail="refuses connections", fix=fix)
        case OSError():
            fix = "Correct the name in AFTERCARE_PUBLIC_BASE_URL or in the DNS, and see that this machine reaches the internet."
            return Called(ok=False, detail=f"cannot be reached ({why.strerror or type(why).__name__})", fix=fix)
        case _:
            return Called(ok=False, detail="answered, but not in HTTP", fix=_ROUTE)
