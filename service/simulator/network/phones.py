"""Phones that text the service: each text reaches the network at once, and the service when it can."""

from datetime import timedelta

from service.flows.inbox import receive_inbound
from service.flows.understanding import StopReplies
from service.gateways.simulated_network import HeardText
from service.simulator.dice import Dice
from service.simulator.log import Entry, stamp
from service.simulator.network.wires import Wires

ON_THE_WAY = timedelta(milliseconds=200), timedelta(minutes=20)


class Phones:
    """What phones said is numbered from 1; ``said`` gives the number by the provider's id."""

    def __init__(self, wires: Wires, dice: Dice, *, stop_replies: StopReplies) -> None:
        self._wires, self._dice = wires, dice
        self._network, self._agenda, self._clock, self._log = wires.network, wires.agenda, wires.clock, wires.log
        self.stop_replies = stop_replies
        self.said: dict[str, int] = {}
        self._not_brought: dict[str, Entry] = {}

    def say(self, number: str, to: str, body: str) -> None:
        """A phone texts one of our senders."""
        now = self._clock.now
        heard = self._network.say(number, to, body=body, now=now)
        no = self.said[heard.sid] = len(self.said) + 1
        entry = self._log.note("said", now, no=no, number=number, to=to, body=body, brought=None)
        self._not_brought[heard.sid] = entry
        if self._dice.falls(0.06, "never brought", no):
            return
        for n in range(2 if self._dice.falls(0.06, "brought twice", no) else 1):
            way = (
                self._dice.often_short(*ON_THE_WAY, "said", no, n)
                if n or self._dice.falls(0.1, "slow", no)
                else ON_THE_WAY[0]
            )
            self._agenda.put(now + way, lambda: self._bring(heard))

    @property
    def unheard(self) -> bool:
        """Whether there are texts that the service can not know of yet."""
        return bool(self._not_brought)

    def fetched(self) -> None:
        """The service has fetched all that there is."""
        for sid in list(self._not_brought):
            self._was_brought(sid)

    def _bring(self, heard: HeardText) -> None:
        sms = self._wires.gateway.read_inbound(heard.fields)
        took_in = self._wires.knock(
            lambda: receive_inbound(
                self._wires.sessions, sms, self._clock.shown, via="webhook", stop_replies=self.stop_replies
            )
        )
        if took_in:
            self._was_brought(heard.sid)

    def _was_brought(self, sid: str) -> None:
        entry = self._not_brought.pop(sid, None)
        if entry is not None:
            entry["brought"] = stamp(self._clock.now)
