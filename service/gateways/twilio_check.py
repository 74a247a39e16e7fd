"""Looking whether an account at Twilio is set up to send texts. Sends nothing."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from service.domain.sms import Sender
from service.gateways.twilio_lists import Get
from service.gateways.twilio_transport import NO_ANSWER, sort_failure

_SERVICES = "https://messaging.twilio.com/v1/Services"
_COMPARE = "Compare the Twilio settings with the Twilio console; https://status.twilio.com tells of troubles there."


class Check(NamedTuple):
    """One thing looked at, for people: what it is, whether it is well, what was found, what to do."""

    name: str
    ok: bool
    detail: str
    fix: str


async def check_account(get: Get, account: str, sender: Sender) -> list[Check]:
    """Do the credentials work, and can this sender text? ``account`` is its address, without an ending."""
    checks = [
        await _look_up(get, "twilio account", f"{account}.json", is_well=lambda found: found["status"] == "active")
    ]
    if service := sender.messaging_service:
        checks.append(await _look_up(get, "twilio sender", f"{_SERVICES}/{quote(service)}", is_well=bool))
    elif (number := sender.number) and number.startswith("+"):
        # Alphanumeric senders are not listed anywhere.
        uri = f"{account}/IncomingPhoneNumbers.json?PhoneNumber={quote(number)}"
        checks.append(await _look_up(get, "twilio sender", uri, is_well=_can_text))
    return checks


async def _look_up(get: Get, name: str, uri: str, *, is_well: Callable[[Mapping[str, Any]], bool]) -> Check:
    try:
        ok = is_well(await get(uri))
    except NO_ANSWER as error:
        return Check(name, ok=False, detail=sort_failure(error).reason, fix=_COMPARE)
    return Check(name, ok, detail="in order" if ok else "not able to send texts", fix="" if ok else _COMPARE)


def _can_text(found: Mapping[str, Any]) -> bool:
    return any(number["capabilities"]["sms"] for number in found["incoming_phone_numbers"])
