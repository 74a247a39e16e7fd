"""Lists of texts at Twilio, page by page.

Twilio filters by number and by the day on which a text was sent, and its times are whole seconds: what was asked for is
picked out here. https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from service.domain.sms import InboundSms, ListedSms
from service.gateways.twilio_fields import inbound_fields, may_be_number, read_inbound, read_listed, read_moment
from service.gateways.twilio_transport import TWILIO

Resource = dict[str, Any]

PAGE_SIZE = "1000"


class Get(Protocol):
    """Asks Twilio for one document."""

    def __call__(self, uri: str, params: dict[str, object] | None = None) -> Awaitable[Resource]: ...


class RepeatedPageError(ValueError):
    """A page brought nothing new, and yet it is not the last: followed further, the list might never end."""


async def list_inbound(get: Get, uri: str, *, since: datetime, found: dict[str, InboundSms]) -> None:
    """Fill ``found``, as far as the list goes: what was fetched before it breaks off is there all the same."""

    def take(page: list[Resource]) -> bool:
        texts = [read_inbound(inbound_fields(each)) for each in page if each.get("direction") == "inbound"]
        found.update({sms.provider_sid: sms for sms in texts if sms.received_at is None or sms.received_at >= since})
        return True

    await _follow(get, uri, {"DateSent>": f"{since:%Y-%m-%d}", "PageSize": PAGE_SIZE}, take=take)


async def list_outgoing(get: Get, uri: str, *, number: str | None, since: datetime) -> list[ListedSms]:
    """Every text of ours that was created since then, to ``number`` where one is given.

    A text not sent yet has no sent date and would be missed by that filter, so pages are read until one is wholly older.
    """
    found: list[ListedSms] = []

    def take(page: list[Resource]) -> bool:
        texts = [sms for each in page if (sms := read_listed(each)) and sms.created_at >= since]
        found.extend(sms for sms in texts if number is None or may_be_number(sms.to, number))
        return any(_reaches(each, since) for each in page)

    params: dict[str, object] = {"PageSize": PAGE_SIZE} if number is None else {"To": number, "PageSize": PAGE_SIZE}
    await _follow(get, uri, params, take=take)
    return found


def _reaches(resource: Mapping[str, Any], since: datetime) -> bool:
    """Whether a text of this age may have younger ones behind it, be the list sorted by creation or by sending."""
    sent = resource.get("date_sent")
    return any(read_moment(date) >= since for date in (resource["date_created"], sent) if date)


async def _follow(
    get: Get, uri: str, params: dict[str, object] | None, *, take: Callable[[list[Resource]], bool]
) -> None:
    """Hand each page's texts that are new to ``take``, until it wants no more. Raises what a page that is none raises."""
    page: str | None = uri
    seen: set[str] = set()
    while page:
        answer = await get(page, params)
        new = [each for each in answer["messages"] if each["sid"] not in seen]
        following = _next_page(answer)
        if not new and (answer["messages"] or following):
            raise RepeatedPageError
        seen.update(each["sid"] for each in new)
        page, params = following if take(new) else None, None


def _next_page(answer: Mapping[str, Any]) -> str | None:
    uri = answer.get("next_page_uri")
    return f"{TWILIO}/{str(uri).lstrip('/')}" if uri else None
