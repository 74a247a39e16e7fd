"""The network's reports on their way to the service: some are lost, some come twice, late, or to a closed door."""

from collections import Counter
from datetime import timedelta

from service.domain.sms import ReceiptState
from service.flows.receipts import receive_receipt
from service.gateways.simulated_network import AcceptedText
from service.simulator.dice import Dice
from service.simulator.labels import Label
from service.simulator.network.carrier import Taken
from service.simulator.network.wires import Wires

ON_THE_WAY = timedelta(milliseconds=50), timedelta(hours=2)


class Postman:
    """Brings what the network reports to the web server's door."""

    def __init__(self, wires: Wires, dice: Dice) -> None:
        self._wires, self._dice = wires, dice
        self._network, self._agenda, self._clock, self._log = wires.network, wires.agenda, wires.clock, wires.log
        self._under_way: dict[str, tuple[Label, set[ReceiptState]]] = {}

    def expect(self, taken: Taken) -> None:
        """The network will report on this text."""
        steps = taken.text.steps
        self._under_way[taken.text.sid] = taken.label, {state for _, state in steps}
        for at, _ in steps:
            self._agenda.put(at, self.collect)
        self._agenda.put(steps[-1][0], lambda: self._give_up(taken.text))

    def collect(self) -> None:
        """Take what the network has to report by now."""
        due = self._network.reports_due(self._clock.now)
        for (sid, state), times in Counter((text.sid, state) for text, state in due).items():
            self._send(self._network.accepted[sid], state, times)

    def _send(self, text: AcceptedText, state: ReceiptState, times: int) -> None:
        label, expected = self._under_way[text.sid]
        expected.discard(state)
        self._note(text, state, label, times=times, lost=False)
        for n in range(times):
            late = self._dice.often_short(*ON_THE_WAY, "report", label, state, n, self._clock.now)
            way = late if self._dice.falls(0.1, "a long way", label, state, n, self._clock.now) else ON_THE_WAY[0]
            self._agenda.put(self._clock.now + way, lambda: self._bring(text, state))

    def _give_up(self, text: AcceptedText) -> None:
        """All has been reported that ever will be."""
        label, expected = self._under_way.pop(text.sid)
        for state in sorted(expected):
            self._note(text, state, label, times=0, lost=True)

    def _note(self, text: AcceptedText, state: ReceiptState, label: Label, *, times: int, lost: bool) -> None:
        code = text.code if state is ReceiptState.UNDELIVERED else None
        now = self._clock.now
        self._log.note("reported", now, state=state, code=code, times=times, lost=lost, label=label)

    def _bring(self, text: AcceptedText, state: ReceiptState) -> None:
        receipt = self._wires.gateway.read_receipt(text.report(state) | {"mid": str(text.text.message_id)})
        self._wires.knock(lambda: receive_receipt(self._wires.sessions, receipt, self._clock.shown))
