"""What Twilio tells us: reports on texts, and texts from phones. https://www.twilio.com/docs/usage/webhooks

Looked at in this order, each with its answer: size (413), kind (415), signature (403), the text's id (400). Only then is it
kept as it came, and understood after that; where understanding fails, it is repeated later and Twilio is told that all is well.
On the pretend network nobody may sign, so everything that asks for a signature is answered 403.
"""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from prometheus_client import Counter

from service.assembly import App
from service.flows import inbox, receipts
from service.gateways.twilio_signature import verify_signature

MOST_BYTES = 64 * 1024
FORM = "application/x-www-form-urlencoded"
REFUSED = Counter("aftercare_webhooks_refused_total", "Webhooks that were not accepted", ["why"])
log = structlog.get_logger()

Fields = list[tuple[str, str]]


async def raw_body(request: Request) -> bytes:
    """The body, as far as it may go: what is longer is not even read to its end."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _refusal(413, "too_long")
    return bytes(body)


def router(app: App) -> APIRouter:
    routes = APIRouter(prefix="/webhooks/twilio")
    tokens = app.settings.twilio.tokens if app.settings.gateway == "twilio" else ()

    def signed_fields(request: Request, body: Annotated[bytes, Depends(raw_body)]) -> dict[str, str]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise _refusal(415, "not_a_form")
        fields = _read_form(body)
        url = _address(app.settings.public_base_url or "", request)
        signature = request.headers.get("x-twilio-signature")
        if not verify_signature(url, fields, signature=signature, tokens=tokens):
            raise _refusal(403, "bad_signature" if signature else "no_signature")
        named = dict(fields)
        if not named.get("MessageSid"):
            raise _refusal(400, "no_message_sid")
        return named

    Signed = Annotated[dict[str, str], Depends(signed_fields)]  # noqa: N806 - a type, though made here

    @routes.post("/status", status_code=204)
    def status(request: Request, fields: Signed) -> None:
        receipt = app.gateway.read_receipt(_with_our_id(fields, request))
        receipts.receive_receipt(app.sessions, receipt, app.clock)

    @routes.post("/inbound")
    def inbound(fields: Signed) -> Response:
        sms = app.gateway.read_inbound(fields)
        stop_replies = app.settings.twilio.stop_replies
        inbox.receive_inbound(app.sessions, sms, app.clock, via="webhook", stop_replies=stop_replies)
        return Response("<Response/>", media_type="text/xml")

    return routes


def _refusal(status: int, why: str) -> HTTPException:
    REFUSED.labels(why).inc()
    log.warning("webhook_refused", why=why)
    return HTTPException(status, detail=why)


def _read_form(body: bytes) -> Fields:
    """Blank fields are kept: they are part of what was signed."""
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _address(base: str, request: Request) -> str:
    """The address that Twilio called: ours in public, then path and query byte for byte. The Host header is anybody's."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return f"{base}{path}?{query}" if query else f"{base}{path}"


def _with_our_id(fields: Mapping[str, str], request: Request) -> dict[str, str]:
    """The message's id stands in the query string, where we put it when the text left."""
    mid = request.query_params.get("mid")
    return dict(fields) if mid is None else {**fields, "mid": mid}
