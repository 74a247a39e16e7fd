"""Looking whether an account at Twilio is set up to send texts, and its sender registered. Sends nothing."""

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import phonenumbers
from phonenumbers import PhoneNumberType

from service.domain.sms import Sender
from service.gateways.twilio_lists import Get
from service.gateways.twilio_transport import NO_ANSWER, has_answered, sort_failure

_MESSAGING = "https://messaging.twilio.com/v1"
_COMPARE = "Compare the Twilio settings with the Twilio console; https://status.twilio.com tells of troubles there."
_REGISTER = (
    "Finish the registration in the Twilio console (Messaging, Regulatory compliance): until then carriers in the US "
    "block texts from there (30032, 30034)."
)


class Check(NamedTuple):
    """One thing looked at, for people: what it is, whether it is well, what was found, what to do."""

    name: str
    ok: bool
    detail: str
    fix: str


class _Found(NamedTuple):
    """What a look brought; ``fix`` is empty where all is well."""

    detail: str
    fix: str = ""


_Look = Coroutine[None, None, _Found]
_NOT_TOLD = _Found("Twilio does not tell it to this key: see in the console that the sender is registered")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A sender to look at: its address at Twilio, and where texts from phones should come to (None: they are fetched)."""

    get: Get
    uri: str
    inbound_url: str | None


async def check_account(get: Get, account: str, sender: Sender, *, inbound_url: str | None = None) -> list[Check]:
    """Do the credentials work, may this sender text, do answers come to us? ``account`` is its address, without an ending."""
    checks = [await _told("twilio account", _account(get, account))]
    if service := sender.messaging_service:
        asked = _Asked(get, f"{_MESSAGING}/Services/{quote(service)}", inbound_url)
        checks += await _of_sender(_service(asked), _service_registered(asked), _service_hears(asked))
    elif (number := sender.number) and number.startswith("+"):
        # Alphanumeric senders are not listed anywhere.
        asked = _Asked(get, f"{account}/IncomingPhoneNumbers.json?PhoneNumber={quote(number)}", inbound_url)
        checks += await _of_sender(_number(asked), _number_registered(asked), _number_hears(asked))
    return checks


async def _of_sender(able: _Look, registered: _Look, hears: _Look) -> list[Check]:
    """All three, though not every key is told of a registration."""
    return [
        await _told("twilio sender", able),
        await _told("twilio registration", registered, without_answer=_NOT_TOLD),
        await _told("twilio inbound", hears),
    ]


async def _told(name: str, look: _Look, *, without_answer: _Found | None = None) -> Check:
    try:
        found = await look
    except NO_ANSWER as error:
        found = without_answer or _Found(sort_failure(error).reason, _COMPARE)
    return Check(name, not found.fix, found.detail, found.fix)


async def _account(get: Get, account: str) -> _Found:
    """A standard API key may send, yet not see the account itself: https://www.twilio.com/docs/iam/api-keys"""
    try:
        status = (await get(f"{account}.json"))["status"]
    except NO_ANSWER as error:
        if not has_answered(error):
            raise
        await get(f"{account}/Messages.json?PageSize=1")
        return _Found("in order, as far as this key may see")
    return _Found("in order") if status == "active" else _Found(f"the account is {status}", _COMPARE)


async def _service(asked: _Asked) -> _Found:
    await asked.get(asked.uri)
    return _Found("in order")


async def _number(asked: _Asked) -> _Found:
    numbers = (await asked.get(asked.uri))["incoming_phone_numbers"]
    if any(number["capabilities"]["sms"] for number in numbers):
        return _Found("in order")
    return _Found("not able to send texts" if numbers else "not a number of this account", _COMPARE)


async def _service_registered(asked: _Asked) -> _Found:
    """https://www.twilio.com/docs/messaging/api/usapptoperson-resource"""
    numbers = (await asked.get(f"{asked.uri}/PhoneNumbers?PageSize=400"))["phone_numbers"]
    faults = await _toll_free_faults(asked.get, numbers)
    if any(_is_us_local(number) for number in numbers):
        campaigns = (await asked.get(f"{asked.uri}/Compliance/Usa2p"))["compliance"]
        states = sorted({str(campaign["campaign_status"]) for campaign in campaigns})
        if "VERIFIED" not in states:
            faults.append(f"the campaign of its US numbers is {', '.join(states) or 'missing'}")
    return _Found("; ".join(faults), _REGISTER) if faults else _Found("in order")


async def _number_registered(asked: _Asked) -> _Found:
    """What Twilio tells of a number alone: campaigns belong to messaging services."""
    numbers = (await asked.get(asked.uri))["incoming_phone_numbers"]
    if faults := await _toll_free_faults(asked.get, numbers):
        return _Found("; ".join(faults), _REGISTER)
    if any(_is_us_local(number) for number in numbers):
        return _Found(
            "not told for a number alone: see in the console that its messaging service has a verified campaign"
        )
    return _Found("in order")


async def _service_hears(asked: _Asked) -> _Found:
    """https://www.twilio.com/docs/messaging/api/service-resource"""
    found = await asked.get(asked.uri)
    if found.get("use_inbound_webhook_on_number"):
        return _Found("told by each number of the service: see in the console that it names ours")
    return _heard_at(found, "inbound_request_url", asked.inbound_url)


async def _number_hears(asked: _Asked) -> _Found:
    numbers = (await asked.get(asked.uri))["incoming_phone_numbers"]
    return _heard_at(next(iter(numbers), {}), "sms_url", asked.inbound_url)


def _heard_at(found: Mapping[str, Any], name: str, ours: str | None) -> _Found:
    if ours is None:
        return _Found("texts from patients are fetched by asking")
    if name not in found:
        return _Found("Twilio does not tell where texts from patients go: see in the console")
    if found[name] == ours:
        return _Found("texts from patients come to us")
    fix = f"Set the webhook for incoming messages in the Twilio console to {ours}, method POST."
    return _Found(f"texts from patients go to {found[name] or 'no address'}, and come here only when asked for", fix)


async def _toll_free_faults(get: Get, numbers: Iterable[Mapping[str, Any]]) -> list[str]:
    """https://www.twilio.com/docs/messaging/api/tollfree-verification-resource"""
    faults = []
    for number in filter(_is_toll_free, numbers):
        uri = f"{_MESSAGING}/Tollfree/Verifications?TollfreePhoneNumberSid={quote(number['sid'])}"
        states = sorted({str(each["status"]) for each in (await get(uri))["verifications"]})
        if "TWILIO_APPROVED" not in states:
            ending = str(number["phone_number"])[-4:]
            faults.append(f"the verification of the toll-free number …{ending} is {', '.join(states) or 'missing'}")
    return faults


def _is_toll_free(number: Mapping[str, Any]) -> bool:
    parsed = phonenumbers.parse(number["phone_number"])
    return parsed.country_code == 1 and phonenumbers.number_type(parsed) == PhoneNumberType.TOLL_FREE


def _is_us_local(number: Mapping[str, Any]) -> bool:
    parsed = phonenumbers.parse(number["phone_number"])
    return phonenumbers.region_code_for_number(parsed) == "US" and not _is_toll_free(number)
