"""What everything on the network's side needs."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import SmsGateway
from service.gateways.simulated_network import SimulatedNetwork
from service.simulator.agenda import Act, Agenda
from service.simulator.clock import VirtualClock
from service.simulator.log import Log


@dataclass(frozen=True, slots=True)
class Wires:
    """``gateway`` only reads what came. ``knock`` has the service's web server do something; False where it did not."""

    network: SimulatedNetwork
    gateway: SmsGateway
    sessions: sessionmaker[Session]
    knock: Callable[[Act], bool]
    agenda: Agenda
    clock: VirtualClock
    log: Log
