"""Two weeks of a clinic in which nothing went wrong, made once, and copied for every fault that is planted into it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session, sessionmaker

from service.flows.inbox import receive_inbound
from service.flows.receipts import poll_receipts
from service.flows.verification.findings import Findings, Violation
from service.flows.verification.verifying import verify
from service.store.columns import UtcDateTime
from tests.flows.clinic_life import SENDER, ClinicLife, at
from tests.flows.phones import sms

TREATED, HELPED = "+12025550111", "+12025550133"
LOOKED = at("2026-03-20 12:00")
"""When the promises are looked at: four days after the session."""
Sessions = sessionmaker[Session]


def fortnight(sessions: Sessions) -> None:
    """One patient reminded, treated and cared for; a text by staff; one phone that asked for help and later for an end."""
    life = ClinicLife(sessions)
    patient = life.patient(phone=TREATED)
    session = life.booked("2026-03-16 14:00", of=patient)
    helped = life.patient(phone=HELPED)
    life.until("2026-03-16 14:20")
    poll_receipts(sessions, life.gateway, life.clock)
    life.change(session, status="completed", completed_at=life.now)
    life.until("2026-03-17 15:00")
    life.message(helped, identity="staff:a", template=None)
    life.tick()
    for body in ("HELP", "STOP"):
        heard = sms(body, number=HELPED, to=SENDER, at=life.now)
        receive_inbound(sessions, heard, life.clock, via="webhook", stop_replies="own")
        life.wait(minutes=1)
    life.until(LOOKED)
    poll_receipts(sessions, life.gateway, life.clock)


@dataclass(frozen=True, slots=True)
class Tampered:
    """A database into which somebody writes who does not know the service."""

    sessions: Sessions

    def sql(self, statement: str, **values: Any) -> None:
        moments = [
            bindparam(name, type_=UtcDateTime()) for name, value in values.items() if isinstance(value, datetime)
        ]
        with self.sessions.begin() as db:
            db.execute(text(statement).bindparams(*moments), values)

    def unlock(self, *tables: str) -> None:
        """Let lines of a table that only grows be changed."""
        with self.sessions.begin() as db:
            for table in tables:
                for event in ("update", "delete"):
                    on = f" ON {table}" if db.get_bind().dialect.name == "postgresql" else ""
                    db.execute(text(f"DROP TRIGGER {table}_no_{event}{on}"))

    def findings(self) -> Findings:
        return verify(self.sessions, lambda: LOOKED)

    def broken(self) -> list[Violation]:
        return self.findings().in_order()
