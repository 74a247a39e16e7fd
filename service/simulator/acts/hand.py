"""What every act needs: a way into the database that no trouble of the service touches, the log and the clock."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from service.simulator.clock import VirtualClock
from service.simulator.log import Log


@dataclass(frozen=True, slots=True)
class Hand:
    """Whoever acts: ``sessions`` are those of another program, not the service's own."""

    sessions: sessionmaker[Session]
    log: Log
    clock: VirtualClock

    def note(self, kind: str, **facts: Any) -> None:
        """Write into the log that this is so from now on."""
        self.log.note(kind, self.clock.now, **facts)
