"""Clinics, patients who were texted, and phones that text back: what tests about answers are told with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import InboundSms
from service.flows.inbox import receive_inbound
from service.flows.understanding import StopReplies
from service.store import content
from service.store.columns import Table
from service.store.tables import (
    Clinic,
    Consent,
    Inbound,
    Message,
    Patient,
    Task,
    TreatmentSession,
)
from tests.store import factories
from tests.store.factories import NOW

Row = TypeVar("Row", bound=Table)
Sessions = sessionmaker[Session]
OUR_NUMBER, PHONE = "+13125550100", "+12025550142"
_sids = count(1)


def sms(body: str, *, number: str = PHONE, to: str = OUR_NUMBER, at: datetime | None = NOW, **over: Any) -> InboundSms:
    """A text from a phone; each call is another text."""
    values = {"provider_sid": f"SM{next(_sids)}", "from_number": number, "to_number": to, "messaging_service": None}
    fields = {"Body": body}
    return InboundSms(**values | {"body": body, "received_at": at, "fields": fields} | over)


@dataclass
class Phones:
    """A database with a sender that has a number, and the clock of the test."""

    sessions: Sessions
    stop_replies: StopReplies = "own"
    now: datetime = NOW
    sender_id: int = field(init=False)

    def __post_init__(self) -> None:
        with self.sessions.begin() as db:
            self.sender_id = factories.sender(db, number=OUR_NUMBER).id

    def clock(self) -> datetime:
        return self.now

    def clinic(self, **over: Any) -> Clinic:
        with self.sessions.begin() as db:
            clinic = factories.clinic(db, **{"sender_id": self.sender_id} | over)
            content.ensure_seeded(db, clinic.id, now=NOW)
            return clinic

    def patient(self, clinic: Clinic | None = None, **over: Any) -> Patient:
        clinic = clinic or self.clinic()
        with self.sessions.begin() as db:
            return factories.patient(db, clinic, **{"phone": PHONE} | over)

    def agreed(self, patient: Patient, **over: Any) -> Patient:
        with self.sessions.begin() as db:
            factories.grant(db, patient, **over)
        return patient

    def session(self, patient: Patient, **over: Any) -> TreatmentSession:
        with self.sessions.begin() as db:
            return factories.session(db, patient, **over)

    def planned(self, patient: Patient, **over: Any) -> Message:
        """A text of the plan that waits."""
        with self.sessions.begin() as db:
            values = {"kind": "plan", "step": "pre_1d", "template": "pre_1d", "text": None, "sender_id": self.sender_id}
            return factories.message(db, patient, **values | over)

    def texted(self, patient: Patient, step: str | None, *, at: datetime | None = None, **over: Any) -> Message:
        """A text that went out to the patient's number, an hour ago unless said otherwise."""
        at = at or self.now - timedelta(hours=1)
        with self.sessions.begin() as db:
            live = content.live_plan(db, patient.clinic_id)
            template = over.pop("template", step)
            version = content.live_templates(db, patient.clinic_id).get((template or "", "en"))
            outcome = over.pop("outcome", "accepted")
            values = {
                "kind": "plan" if step else "reply",
                "step": step,
                "template": template,
                "state": "sent",
                "sent_at": at,
                "sender_id": self.sender_id,
                "to_number": patient.phone,
                "plan_version_id": live.id if live else None,
                "template_version_id": version.id if version else None,
            }
            message = factories.message(db, patient, **values | over)
            number, sender = str(message.to_number), message.sender_id
            factories.attempt(db, message, number=number, sender_id=sender, started_at=at, outcome=outcome)
            return message

    def reminded(self, patient: Patient, *, start: datetime | None = None, **over: Any) -> TreatmentSession:
        """A session, and the text of the day before that asks to confirm it."""
        session = self.session(patient, scheduled_start=start or self.now + timedelta(days=1))
        told: dict[str, Any] = {"session_id": session.id, "told_start": session.scheduled_start}
        self.texted(patient, "pre_1d", **told | over)
        return session

    def say(self, body: str, **how: Any) -> Inbound:
        """A phone texts us now."""
        said = sms(body, **{"at": self.now} | how)
        assert receive_inbound(self.sessions, said, self.clock, via="webhook", stop_replies=self.stop_replies)
        return self.rows(Inbound)[-1]

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def rows(self, table: type[Row]) -> Sequence[Row]:
        with self.sessions() as db:
            return db.scalars(select(table).order_by(*inspect(table).primary_key)).all()

    def one(self, row: Row) -> Row:
        """The row as it stands now."""
        with self.sessions() as db:
            return db.get_one(type(row), row.id)  # type: ignore[attr-defined]  # every table asked for here has an id

    def answers(self) -> list[str | None]:
        """The keys of the answers that wait to leave."""
        return [m.template for m in self.rows(Message) if m.kind == "reply" and m.state == "planned"]

    def tasks(self) -> list[str]:
        return [task.kind for task in self.rows(Task)]

    def ledger(self) -> list[tuple[int, str]]:
        return [(line.clinic_id, line.kind) for line in self.rows(Consent)]
