"""What Twilio tells us: reports on texts, and texts from phones. https://www.twilio.com/docs/usage/webhooks

Looked at in this order, each with its answer: size (413), kind (415), signature (403), the text's id (400). Who sends hundreds
without a signature gets 429 before anything is read; what is signed is never turned away. Only then is it kept as it came, and
understood after that; where understanding fails, it is repeated later and Twilio is told that all is well.
On the pretend network nobody may sign, so everything that asks for a signature is answered 403.
"""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response

from service.assembly import App
from service.flows import inbox, receipts
from service.gateways.twilio_signature import verify_signature
from service.web.door import Door, told

FORM = "application/x-www-form-urlencoded"

Fields = list[tuple[str, str]]


def router(app: App) -> APIRouter:
    routes = APIRouter(prefix="/webhooks/twilio")
    tokens = app.settings.twilio.tokens if app.settings.gateway == "twilio" else ()
    door = Door(app.clock)

    def signed_fields(request: Request, body: Annotated[bytes, Depends(door.read_body)]) -> dict[str, str]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise door.refusal(request, 415, "not_a_form")
        fields = _read_form(body)
        url = _address(app.settings.public_base_url or "", request)
        signature = request.headers.get("x-twilio-signature")
        if not verify_signature(url, fields, signature=signature, tokens=tokens):
            raise door.refusal(request, 403, "bad_signature" if signature else "no_signature")
        named = dict(fields)
        if not named.get("MessageSid"):
            raise told(400, "no_message_sid")
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
