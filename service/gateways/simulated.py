"""The gateway to the pretend phone network: for trying the service out, for simulations and for tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.sms import (
    TOO_LATE,
    Forgotten,
    InboundSms,
    ListedSms,
    Outcome,
    OutgoingSms,
    Receipt,
    ReceiptState,
    SmsGateway,
)
from service.gateways.simulated_network import AcceptedText, HeardText, NetworkConfig, SimulatedNetwork, Span
from service.gateways.twilio_fields import read_inbound, read_receipt

__all__ = ["AcceptedText", "HeardText", "NetworkConfig", "SimulatedGateway", "SimulatedNetwork", "Span"]


class SimulatedGateway(SmsGateway):
    """The network in this process, without HTTP between."""

    def __init__(self, network: SimulatedNetwork, clock: Clock) -> None:
        self._network = network
        self._clock = clock

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        """Each text is handed over when its outcome is asked for."""
        for message in messages:
            now = self._clock()
            yield message, TOO_LATE if now > message.leave_by else self._network.submit(message, now)

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        """A text the network does not remember (another process took it) is delivered, as every text there is in the end."""
        for sid in provider_sids:
            now = self._clock()
            if self._network.is_out(now):
                return
            yield read_receipt(self._report(sid, now))

    def _report(self, sid: str, now: datetime) -> dict[str, str]:
        if taken := self._network.accepted.get(sid):
            return taken.report(taken.state(now)) | {"mid": str(taken.text.message_id)}
        return {"MessageSid": sid, "MessageStatus": ReceiptState.DELIVERED.value}

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        """Of this process's network alone. Raises during an outage."""
        now = self._clock()
        if self._network.is_out(now):
            raise AftercareError("The pretend network is out and shows no list. Nothing was changed; ask again later.")
        asked = [text for text in self._network.listed(now) if text.at >= since and number in (None, text.text.to)]
        return [self._listed(text, now) for text in asked]

    def _listed(self, taken: AcceptedText, now: datetime) -> ListedSms:
        body = None if self._network.config.redacted else taken.text.body
        return ListedSms(taken.sid, taken.text.to, body, taken.at, taken.state(now))

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        """Raises during an outage: what was texted meanwhile is there afterwards."""
        if self._network.is_out(self._clock()):
            raise AftercareError(
                "The pretend network is out. Texts from phones wait there; ask again from the same moment."
            )
        for heard in tuple(self._network.heard):
            if heard.fields and heard.at >= since:
                yield read_inbound(heard.fields)

    def forget(self, provider_sid: str) -> Forgotten:
        """A text on its way stays until it has arrived or failed, as at Twilio."""
        if not self._network.forget(provider_sid, self._clock()):
            raise AftercareError("The pretend network does not let go of this text yet. It is asked again later.")
        return Forgotten.GONE

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return read_inbound(fields)

    def close(self) -> None:
        """Nothing is held open."""
