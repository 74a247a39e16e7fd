"""The gateway that the service sends through: the pretend network, watched, so that what truly happened is in the log."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.domain.errors import AftercareError
from service.domain.segments import measure
from service.domain.sms import (
    Accepted,
    Forgotten,
    InboundSms,
    ListedSms,
    Outcome,
    OutgoingSms,
    Receipt,
    Refused,
    SmsGateway,
    Unknown,
)
from service.gateways.simulated_network import AcceptedText, SimulatedNetwork, Span
from service.simulator.clock import VirtualClock
from service.simulator.dice import Dice
from service.simulator.labels import Label
from service.simulator.log import Log

QUICK, SLOW = timedelta(milliseconds=30), timedelta(seconds=9)


@dataclass(frozen=True, slots=True)
class Taken:
    """A text that the network took, and what it is."""

    text: AcceptedText
    label: Label


@dataclass(frozen=True, slots=True)
class Watchers:
    """Whom the carrier tells: ``before`` each text is handed over, and ``after``; with ``taken`` what the network took."""

    before: Callable[[OutgoingSms], None]
    after: Callable[[OutgoingSms], None]
    taken: Callable[[Taken], None]


class Carrier(SmsGateway):
    """Hands texts over one after the other. While the network answers, time goes on."""

    def __init__(
        self, inner: SmsGateway, network: SimulatedNetwork, *, clock: VirtualClock, log: Log, dice: Dice,
        label_of: Callable[[int], Label], watchers: Watchers, mute: Sequence[Span],
    ) -> None:  # fmt: skip
        self._inner, self._network, self._clock, self._log, self._dice = inner, network, clock, log, dice
        self._label_of, self._watchers, self._mute = label_of, watchers, mute
        self._handed_over = 0

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        """Each text is handed over when its outcome is asked for."""
        for sms in messages:
            self._watchers.before(sms)
            known = len(self._network.accepted)
            ((_, outcome),) = self._inner.send_batch([self._by_true_time(sms)])
            self._note(sms, outcome, new=self._newest() if len(self._network.accepted) > known else None)
            self._handed_over += 1
            self._clock.go_on(self._dice.often_short(QUICK, SLOW, "answers after", self._handed_over))
            self._watchers.after(sms)
            yield sms, outcome

    def _by_true_time(self, sms: OutgoingSms) -> OutgoingSms:
        """The network has a clock of its own, which is right; by when a text must leave was said on the service's clock."""
        return replace(sms, leave_by=self._clock.truly(sms.leave_by))

    def _newest(self) -> AcceptedText:
        return next(reversed(self._network.accepted.values()))

    def _note(self, sms: OutgoingSms, outcome: Outcome, new: AcceptedText | None) -> None:
        label, now = self._label_of(sms.message_id), self._clock.now
        if new is not None:
            self._log.note(
                "took",
                now,
                number=sms.to,
                sender=sms.sender.number,
                body=sms.body,
                segments=measure(sms.body).segments,
                attempt=sms.attempt,
                valid_seconds=sms.validity_seconds,
                label=label,
            )
        match outcome:
            case Refused(code=code):
                self._log.note("refused", now, number=sms.to, code=code, label=label)
            case Unknown():
                self._log.note("broke", now, number=sms.to, taken=new is not None, label=label)
            case Accepted():
                pass
        if new is not None:
            self._watchers.taken(Taken(new, label))

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        return self._inner.receipts_for(provider_sids)

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        """As the network's list says, but for the spans in which it does not answer."""
        if any(span.covers(self._clock.now) for span in self._mute):
            raise AftercareError("The pretend network's list does not answer. Nothing is known; ask again later.")
        return self._inner.texts_to(number, since)

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        return self._inner.inbound_since(since)

    def forget(self, provider_sid: str) -> Forgotten:
        return self._inner.forget(provider_sid)

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return self._inner.read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return self._inner.read_inbound(fields)

    def close(self) -> None:
        self._inner.close()
