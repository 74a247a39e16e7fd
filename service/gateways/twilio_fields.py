"""What Twilio says about one text, read into our words. Pure: no network, no clock.

Callbacks and polled resources say the same under different names; resources are renamed first, so there is one translation.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from service.domain.errors import AftercareError
from service.domain.sms import InboundSms, ListedSms, Receipt, ReceiptState
from service.gateways.twilio_codes import classify_failure

STATES: dict[str, ReceiptState] = {
    "accepted": ReceiptState.ACCEPTED,
    "scheduled": ReceiptState.ACCEPTED,
    "queued": ReceiptState.QUEUED,
    "sending": ReceiptState.SENDING,
    "sent": ReceiptState.SENT,
    # Nowhere explained by Twilio: some of it is with the carrier, and more may be said later.
    "partially_delivered": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.UNDELIVERED,
    "failed": ReceiptState.FAILED,
    "canceled": ReceiptState.CANCELLED,
}
"""Twilio's status words. https://www.twilio.com/docs/messaging/api/message-resource#message-status-values"""

_ENDED_BADLY = {ReceiptState.UNDELIVERED, ReceiptState.FAILED}

_RECEIPT_NAMES = {
    "sid": "MessageSid",
    "status": "MessageStatus",
    "error_code": "ErrorCode",
    "error_message": "ErrorMessage",
    "account_sid": "AccountSid",
    "messaging_service_sid": "MessagingServiceSid",
    "from": "From",
    "to": "To",
    "num_segments": "NumSegments",
    "date_created": "DateCreated",
    "date_sent": "DateSent",
}
_NOT_BY_US = {"inbound", "outbound-reply", "outbound-call"}
"""Directions of texts that no request of ours created: from phones, and Twilio's own answers to STOP."""

_MASKED = re.compile(r"(\+\d+)[^\d]+")
"""A number whose last digits Twilio keeps from everybody, as ``+1555123XXXX``.
https://www.twilio.com/docs/messaging/guides/privacy-message-redaction"""

_INBOUND_NAMES = _RECEIPT_NAMES | {"body": "Body", "num_media": "NumMedia"}


def receipt_fields(resource: Mapping[str, object]) -> dict[str, str]:
    """A Message resource as the fields of a status callback, without the body: a receipt needs none."""
    return _renamed(resource, _RECEIPT_NAMES)


def inbound_fields(resource: Mapping[str, object]) -> dict[str, str]:
    """A Message resource as the fields of an incoming-message webhook."""
    return _renamed(resource, _INBOUND_NAMES)


def _renamed(resource: Mapping[str, object], names: Mapping[str, str]) -> dict[str, str]:
    return {name: str(resource[key]) for key, name in names.items() if resource.get(key) is not None}


def read_receipt(fields: Mapping[str, str]) -> Receipt:
    """Callback fields, with our ``mid`` from the query string, as a receipt. Raises where they name no text."""
    word = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
    state = STATES.get(word, ReceiptState.OTHER)
    return Receipt(
        provider_sid=_sid(fields),
        state=state,
        word=word,
        message_id=_number(fields.get("mid")),
        failure=classify_failure(fields.get("ErrorCode", ""), word) if state in _ENDED_BADLY else None,
        # With a messaging service Twilio says 0 until it has chosen a sender.
        segments=_number(fields.get("NumSegments")) or None,
        fields=fields,
    )


def read_inbound(fields: Mapping[str, str]) -> InboundSms:
    """The fields of a text from a phone. Raises where they name no text."""
    return InboundSms(
        provider_sid=_sid(fields),
        from_number=fields.get("From", ""),
        to_number=fields.get("To", ""),
        messaging_service=fields.get("MessagingServiceSid") or None,
        body=fields.get("Body", ""),
        received_at=_moment(fields.get("DateSent")) or _moment(fields.get("DateCreated")),
        fields=fields,
    )


def read_listed(resource: Mapping[str, object]) -> ListedSms | None:
    """A Message resource of a list as a text of ours; None if it is none. Raises LookupError or ValueError for half a resource.

    Without the number nobody can say whose words they are, so a text with a masked number counts as one without words.
    """
    if resource["direction"] in _NOT_BY_US:
        return None
    to, body = str(resource["to"]), resource.get("body")
    return ListedSms(
        provider_sid=str(resource["sid"]),
        to=to,
        body=str(body) if body and not _MASKED.fullmatch(to) else None,
        created_at=read_moment(resource["date_created"]),
        state=STATES.get(str(resource["status"]), ReceiptState.OTHER),
    )


def may_be_number(shown: str, number: str) -> bool:
    """Whether what a list shows is ``number`` (E.164), however it is written, or what is left of it."""
    masked = _MASKED.fullmatch(shown)
    return number.startswith(masked[1]) if masked else re.sub(r"\D", "", shown) == number.removeprefix("+")


def read_moment(text: object) -> datetime:
    """RFC 2822, in UTC. Raises ValueError for anything else."""
    moment = _moment(str(text))
    if moment is None:
        raise ValueError("no moment")
    return moment


def _sid(fields: Mapping[str, str]) -> str:
    sid = fields.get("MessageSid") or fields.get("SmsSid") or fields.get("SmsMessageSid")
    if not sid:
        raise AftercareError("What Twilio sent names no text (MessageSid is missing). Nothing was changed.")
    return sid


def _number(text: str | None) -> int | None:
    """A plain number that fits a database column, or None: the query string is the outside's to write."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _moment(text: str | None) -> datetime | None:
    """RFC 2822, in UTC whatever the text says of its zone; None for anything else."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
