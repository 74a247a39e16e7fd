"""What goes to a phone network and what comes back, in our own words.

No provider's codes or status words appear here: gateways translate at the door.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from service.domain.errors import AftercareError

LEAVE_WITHIN = timedelta(seconds=20)
"""From its claim a text may leave for this long: whoever was frozen meanwhile must not send what others may have taken over."""


@dataclass(frozen=True, slots=True)
class Sender:
    """From where a text leaves: exactly one of a number (E.164 or alphanumeric) and a messaging service id."""

    number: str | None = None
    messaging_service: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """One text on its way out. ``message_id`` comes back in receipts; ``validity_seconds`` is 60..36000.

    After ``leave_by`` its request must not begin any more: the claim may have passed to somebody else.
    """

    message_id: int
    attempt: int
    to: str
    body: str
    sender: Sender
    validity_seconds: int
    leave_by: datetime


class Blame(StrEnum):
    """Whom a refusal concerns, and so what has to stop."""

    RETRY = "retry"
    """Nobody: not processed, try again later."""
    RECIPIENT = "recipient"
    """The number: nothing more goes there until it changes."""
    OPTED_OUT = "opted_out"
    """The person behind the number has withdrawn at the provider."""
    MESSAGE = "message"
    """This text alone can not be sent."""
    SENDER = "sender"
    """Our sending number or service: it pauses until someone has looked."""
    ACCOUNT = "account"
    """Our account with the provider: all sending pauses until someone has looked."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the text and gave it an id. ``segments`` as the provider counts, when it already knows."""

    provider_sid: str
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider certainly did not take the text. ``code`` is the provider's, kept for people and for the record."""

    blame: Blame
    code: str
    reason: str
    next_action: str
    retry_after_seconds: float | None = None

    @property
    def because(self) -> str:
        """The reason as staff read it, with the provider's code."""
        return f"{self.reason} ({self.code})"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider may or may not have taken the text (time-out, cut connection, 5xx): never to be resent blindly."""

    reason: str


Outcome = Accepted | Refused | Unknown

TOO_LATE = Refused(
    Blame.RETRY,
    "late",
    "The text did not leave soon enough after it was taken up, so it was held back.",
    "Nothing: it is tried again by itself.",
)
"""The outcome of a text whose time to leave was over before its request began."""


class ReceiptState(StrEnum):
    """How far the provider says a text has come, in the order of rank."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a text did not arrive, in words for staff. ``temporary`` allows one more try while it is still useful."""

    blame: Blame
    code: str
    reason: str
    next_action: str
    temporary: bool = False

    @property
    def because(self) -> str:
        """The reason as staff read it, with the provider's code."""
        return f"{self.reason} ({self.code})"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One report of a provider on one text. ``message_id`` is ours when the report carried it.

    ``word`` is the provider's own status word and ``fields`` everything it said: both are only stored.
    """

    provider_sid: str
    state: ReceiptState
    word: str
    message_id: int | None = None
    failure: Failure | None = None
    segments: int | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InboundSms:
    """A text from a phone to one of our senders. ``fields`` is everything the provider said, unknown fields included."""

    provider_sid: str
    from_number: str
    to_number: str
    messaging_service: str | None
    body: str
    received_at: datetime | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedSms:
    """A text from us in the provider's own list. ``body`` is None where the provider keeps no words (redaction)."""

    provider_sid: str
    to: str
    body: str | None
    created_at: datetime
    state: ReceiptState


class Forgotten(StrEnum):
    """What became of the provider's copy of a text that is to go."""

    GONE = "gone"
    """Nothing of it is left there, or never was."""
    REDACTED = "redacted"
    """The provider keeps the text without its words."""


class ListRefusedError(AftercareError):
    """The provider answered and showed no list, or none that can be read: it is there, and proves nothing."""


class GatewayClosedError(AftercareError):
    """The service is stopping and asks the provider nothing any more."""


class SmsGateway(Protocol):
    """A phone network. One call a batch; each outcome is given as soon as it is known, in any order."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        """Send every text once and yield exactly one outcome for each. Never raises for one text's sake."""
        ...

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        """Ask how far the given texts have come; a text the provider does not know, or cannot tell of now, is left out."""
        ...

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        """Every text of ours to ``number`` (None: to anybody) that the provider created at or after ``since`` (UTC).

        All of them, or an :class:`AftercareError`: a list that broke off proves nothing. It is a
        :class:`ListRefusedError` where the provider answered all the same.
        """
        ...

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        """Every text received at or after ``since`` (UTC), oldest first, page by page; repeats are possible."""
        ...

    def forget(self, provider_sid: str) -> Forgotten:
        """Delete the provider's copy of a text, of ours or of a phone; its words alone where no more is allowed.

        Raises an :class:`AftercareError` that says why where it can not be done now, as of a text still on its way.
        """
        ...

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        """Translate a report as it came (the fields of a callback, or of :attr:`Receipt.fields`). Pure."""
        ...

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        """Translate a text from a phone as it came. Pure."""
        ...

    def close(self) -> None:
        """Let go of connections and threads. Texts already handed over are waited for."""
        ...
