"""The pretend phone network: takes texts, reports on them, hears texts from phones. No text leaves the house.

What looks like chance is drawn from hashes of the seed and the text, so a run can be repeated and the order of arrival of other
texts changes nothing. It speaks Twilio's codes and field names, because it stands in Twilio's place.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from threading import Lock

from service.domain.segments import measure
from service.domain.sms import Accepted, Outcome, OutgoingSms, ReceiptState, Unknown
from service.gateways.twilio_codes import TOO_MANY_REQUESTS, refused

REFUSED_NUMBERS: Mapping[str, str] = {
    "+15005550001": "21211",
    "+15005550002": "21612",
    "+15005550003": "21408",
    "+15005550004": "21610",
    "+15005550009": "21614",
}
"""Twilio's magic numbers to text. https://www.twilio.com/docs/iam/test-credentials"""
REFUSED_SENDERS: Mapping[str, str] = {"+15005550001": "21212", "+15005550007": "21606", "+15005550008": "21611"}
"""Twilio's magic numbers to text from."""
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
"""What Twilio itself takes for an opt-out and its end: the whole text, in any case."""

FINAL = frozenset({ReceiptState.DELIVERED, ReceiptState.UNDELIVERED, ReceiptState.FAILED})


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` up to, not including, ``end``."""

    start: datetime
    end: datetime

    def covers(self, now: datetime) -> bool:
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """How the network behaves; as it stands every possible number gets its text. Shares are 0 to 1 of the texts.

    ``busy`` is refused for now, ``fails_before`` breaks without taking the text, ``fails_after`` takes it and breaks before
    saying so; the caller cannot tell the last two apart. During ``bursts`` all are busy, during ``outages`` nothing works.
    No ``stop_words`` means a network that leaves opt-outs to us. ``redacted`` keeps the words of no text, and a text shows in
    lists only ``list_lag`` after it was taken.
    """

    seed: int = 0
    refused_numbers: Mapping[str, str] = field(default_factory=lambda: REFUSED_NUMBERS)
    refused_senders: Mapping[str, str] = field(default_factory=lambda: REFUSED_SENDERS)
    stop_words: frozenset[str] = STOP_WORDS
    busy: float = 0.0
    retry_after_seconds: int = 1
    fails_before: float = 0.0
    fails_after: float = 0.0
    bursts: Sequence[Span] = ()
    outages: Sequence[Span] = ()
    receipt_delay: timedelta = timedelta(seconds=2)
    undelivered: float = 0.0
    undelivered_code: str = "30003"
    receipts_lost: float = 0.0
    receipts_doubled: float = 0.0
    receipts_swapped: float = 0.0
    redacted: bool = False
    list_lag: timedelta = timedelta()


DEFAULT = NetworkConfig()


@dataclass(frozen=True, slots=True)
class AcceptedText:
    """A text the network took, and how far it will have come when. ``code`` says why it does not arrive."""

    sid: str
    text: OutgoingSms
    at: datetime
    callback: str | None
    steps: tuple[tuple[datetime, ReceiptState], ...]
    code: str | None

    def state(self, now: datetime) -> ReceiptState:
        return next((state for at, state in reversed(self.steps) if at <= now), ReceiptState.QUEUED)

    def report(self, state: ReceiptState) -> dict[str, str]:
        """The fields of a status callback (its ``mid`` stands in the address, or is added by whoever knows it)."""
        sender = self.text.sender
        fields = {
            "MessageSid": self.sid,
            "MessageStatus": state.value,
            "From": sender.number,
            "MessagingServiceSid": sender.messaging_service,
            "To": self.text.to,
            "ErrorCode": self.code if state is ReceiptState.UNDELIVERED else None,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class HeardText:
    """A text from a phone. ``fields`` are those of an incoming-message webhook."""

    sid: str
    at: datetime
    fields: Mapping[str, str]


class SimulatedNetwork:
    """``nonce`` makes ids unique among networks: give a fresh one to each process, a fixed one where a run is repeated."""

    def __init__(self, nonce: str, config: NetworkConfig = DEFAULT) -> None:
        self.config = config
        self.accepted: dict[str, AcceptedText] = {}
        self.heard: list[HeardText] = []
        self._nonce = nonce
        self._handed_over: Counter[str] = Counter()
        self._opted_out: set[tuple[str, str]] = set()
        self._reports: list[tuple[datetime, int, str, ReceiptState]] = []
        self._count = itertools.count()
        self._lock = Lock()

    def submit(self, text: OutgoingSms, now: datetime, *, callback: str | None = None) -> Outcome:
        """Hand over one text. What is in :attr:`accepted` afterwards is the truth, whatever the outcome says."""
        with self._lock:
            this = self._identify(text)
            if code := self._refusal(text):
                return refused(code)
            if self._is_busy(this, now):
                return refused(TOO_MANY_REQUESTS, retry_after_seconds=self.config.retry_after_seconds)
            if self.is_out(now) or self._falls("fails before", this, self.config.fails_before):
                return Unknown("The pretend network broke before it took the text.")
            taken = self._take(text, this, now=now, callback=callback)
            if self._falls("fails after", this, self.config.fails_after):
                return Unknown("The pretend network took the text and broke before it said so.")
            return Accepted(taken.sid, measure(text.body).segments)

    def is_out(self, now: datetime) -> bool:
        return any(span.covers(now) for span in self.config.outages)

    def listed(self, now: datetime) -> list[AcceptedText]:
        """What a list of sent texts shows by now, the newest first."""
        shown = [text for text in tuple(self.accepted.values()) if text.at + self.config.list_lag <= now]
        return sorted(shown, key=lambda text: text.at, reverse=True)

    def forget(self, sid: str, now: datetime) -> bool:
        """Let go of a text, ours or a phone's; False, and it stays, while it is on its way or nothing works.

        Of a phone's the place stays, without a word: others are counted from it.
        """
        with self._lock:
            taken = self.accepted.get(sid)
            if self.is_out(now) or (taken is not None and taken.state(now) not in FINAL):
                return False
            self.accepted.pop(sid, None)
            self.heard[:] = [replace(heard, fields={}) if heard.sid == sid else heard for heard in self.heard]
            self._reports = [report for report in self._reports if report[2] != sid]
            heapq.heapify(self._reports)
            return True

    def reports_due(self, now: datetime) -> list[tuple[AcceptedText, ReceiptState]]:
        """The reports the network sends by itself, once each, in the order in which they leave."""
        due = []
        with self._lock:
            while self._reports and self._reports[0][0] <= now:
                _, _, sid, state = heapq.heappop(self._reports)
                due.append((self.accepted[sid], state))
        return due

    def say(
        self, from_number: str, to_number: str, *, body: str, now: datetime, messaging_service: str | None = None
    ) -> HeardText:
        """A phone texts one of our senders."""
        with self._lock:
            sid = self._sid(f"heard {len(self.heard)}")
            fields = {
                "MessageSid": sid,
                "From": from_number,
                "To": to_number,
                "Body": body,
                "DateSent": format_datetime(now),
            }
            if messaging_service:
                fields["MessagingServiceSid"] = messaging_service
            heard = HeardText(sid, now, fields)
            self.heard.append(heard)
            self._note_opt_out(heard)
            return heard

    def _note_opt_out(self, heard: HeardText) -> None:
        word = heard.fields["Body"].strip().upper()
        sender = heard.fields.get("MessagingServiceSid") or heard.fields["To"]
        if word in self.config.stop_words:
            self._opted_out.add((heard.fields["From"], sender))
        elif word in START_WORDS:
            self._opted_out.discard((heard.fields["From"], sender))

    def _identify(self, text: OutgoingSms) -> str:
        """What makes this handing over this one and no other, whatever ids the sender gives: the same may be handed over again."""
        what = f"{text.to}|{text.body}"
        self._handed_over[what] += 1
        return f"{what}|{self._handed_over[what]}"

    def _sid(self, what: str) -> str:
        return "SM" + sha256(f"{self._nonce}|{what}".encode()).hexdigest()[:32]

    def _falls(self, what: str, this: str, share: float) -> bool:
        drawn = sha256(f"{self.config.seed}|{what}|{this}".encode()).digest()[:6]
        return int.from_bytes(drawn) < share * 2**48

    def _refusal(self, text: OutgoingSms) -> str | None:
        """The code of what the network always refuses."""
        sender = text.sender.messaging_service or text.sender.number or ""
        if code := self.config.refused_senders.get(sender):
            return code
        if code := self.config.refused_numbers.get(text.to):
            return code
        return "21610" if (text.to, sender) in self._opted_out else None

    def _is_busy(self, this: str, now: datetime) -> bool:
        return any(span.covers(now) for span in self.config.bursts) or self._falls("busy", this, self.config.busy)

    def _take(self, text: OutgoingSms, this: str, *, now: datetime, callback: str | None) -> AcceptedText:
        config = self.config
        arrives = not self._falls("undelivered", this, config.undelivered)
        last = ReceiptState.DELIVERED if arrives else ReceiptState.UNDELIVERED
        steps = (now + config.receipt_delay / 2, ReceiptState.SENT), (now + config.receipt_delay, last)
        code = None if arrives else config.undelivered_code
        taken = AcceptedText(self._sid(this), text, now, callback, steps, code)
        self.accepted[taken.sid] = taken
        self._plan_reports(taken, this)
        return taken

    def _plan_reports(self, taken: AcceptedText, this: str) -> None:
        config = self.config
        (early, first), (late, last) = taken.steps
        if self._falls("swapped", this, config.receipts_swapped):
            early, late = late, early
        for at, state in ((early, first), (late, last)):
            if not self._falls(f"{state} lost", this, config.receipts_lost):
                copies = 2 if self._falls(f"{state} doubled", this, config.receipts_doubled) else 1
                for _ in range(copies):
                    heapq.heappush(self._reports, (at, next(self._count), taken.sid, state))
