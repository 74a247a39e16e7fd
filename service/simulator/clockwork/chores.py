"""What the worker does at each of its ticks: the real flows, wired for the simulated world."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import SmsGateway
from service.flows import dispatcher, inbox, planner, receipts, recovery
from service.flows.policy import SendingPolicy
from service.flows.understanding import StopReplies
from service.simulator.clock import VirtualClock

WAIT = timedelta(seconds=90)
"""How long the report of an uncertain text is waited for before the network is asked."""


@dataclass(slots=True)
class Chores:
    """A worker of the service. ``fetched`` is told once every text from a phone is there.

    ``asked_at`` is when the network was last asked about texts without a report.
    """

    sessions: sessionmaker[Session]
    gateway: SmsGateway
    clock: VirtualClock
    policy: SendingPolicy
    stop_replies: StopReplies
    fetched: Callable[[], object]
    asked_at: datetime | None = field(default=None, init=False)

    def by_name(self) -> dict[str, Callable[[], int]]:
        return {
            "plan": self.plan,
            "dispatch": self.dispatch,
            "understand": self.understand,
            "fetch": self.fetch,
            "receipts": self.receipts,
            "recover": self.recover,
        }

    def plan(self) -> int:
        understood = self.policy.answers_understood
        return planner.plan_pending(self.sessions, self.clock.shown, answers_understood=understood)

    def dispatch(self) -> int:
        return dispatcher.dispatch_due(self.sessions, self.gateway, self.clock.shown, self.policy, wait=self.rest)

    def rest(self, seconds: float) -> bool:
        """Before the database is tried again; nobody has asked the worker to stop meanwhile."""
        self.clock.go_on(timedelta(seconds=seconds))
        return False

    def understand(self) -> int:
        return inbox.understand_pending(self.sessions, self.clock.shown, stop_replies=self.stop_replies)

    def fetch(self) -> int:
        new = inbox.poll_inbound(self.sessions, self.gateway, self.clock.shown, stop_replies=self.stop_replies)
        self.fetched()
        return new

    def receipts(self) -> int:
        began = self.clock.shown()
        worked_in = receipts.apply_pending(self.sessions, self.gateway, self.clock.shown)
        found = receipts.poll_receipts(self.sessions, self.gateway, self.clock.shown, last=self.asked_at)
        self.asked_at = began
        return worked_in + found

    def recover(self) -> int:
        return recovery.recover(self.sessions, self.gateway, self.clock.shown, wait=WAIT)
