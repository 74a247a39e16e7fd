"""A phone network that says what a test wrote down for it, and breaks where the test says so."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from service.domain.errors import AftercareError
from service.domain.sms import Forgotten, InboundSms, ListedSms, Outcome, OutgoingSms, Receipt, SmsGateway
from service.gateways.twilio_fields import read_inbound, read_receipt


class BrokenOffError(RuntimeError):
    """The list of the provider broke off."""


class ScriptedGateway(SmsGateway):
    """``inbound`` is listed oldest first; after ``breaks_after`` of them the list breaks off. ``sent`` is its list of our texts."""

    def __init__(self) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.asked: list[list[str]] = []
        self.inbound: list[InboundSms] = []
        self.since: list[datetime] = []
        self.breaks_after: int | None = None
        self.sent: list[ListedSms] = []
        self.lists: list[tuple[str | None, datetime]] = []
        self.lists_work = True

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        raise AssertionError("nothing here sends")

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        sids = list(provider_sids)
        self.asked.append(sids)
        yield from (self.receipts[sid] for sid in sids if sid in self.receipts)

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        self.lists.append((number, since))
        if not self.lists_work:
            raise AftercareError("The list broke off.")
        return [sms for sms in self.sent if number in (None, sms.to) and sms.created_at >= since]

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        self.since.append(since)
        for n, sms in enumerate(self.inbound):
            if n == self.breaks_after:
                raise BrokenOffError
            if (sms.received_at or datetime.max.replace(tzinfo=UTC)) >= since:
                yield sms

    def forget(self, provider_sid: str) -> Forgotten:
        raise AssertionError("nothing here forgets")

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return read_inbound(fields)

    def close(self) -> None:
        """Nothing is held open."""


def said(
    word: str, *, sid: str = "SM1", code: str = "", mid: int | None = None, segments: int | None = None
) -> Receipt:
    """A report as Twilio would send it."""
    fields = {"MessageSid": sid, "MessageStatus": word, "ErrorCode": code}
    if mid is not None:
        fields["mid"] = str(mid)
    if segments is not None:
        fields["NumSegments"] = str(segments)
    return read_receipt(fields)
