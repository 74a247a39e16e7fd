"""A clinic's life in virtual time: planning, sending and the pretend phone network, on one clock that tests set forward.

Between two moments the clock jumps from one thing that is due to the next, so weeks pass in as many steps as there are texts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, event, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Forgotten, InboundSms, ListedSms, Outcome, OutgoingSms, Receipt, SmsGateway
from service.flows.dispatcher import dispatch_due
from service.flows.planner import plan_pending
from service.flows.policy import SendingPolicy
from service.gateways.simulated import SimulatedGateway
from service.gateways.simulated_network import DEFAULT, NetworkConfig, SimulatedNetwork
from service.store import content, messages
from service.store.tables import (
    Clinic,
    JournalEntry,
    Message,
    Patient,
    PlanVersion,
    Sender,
    Task,
    TreatmentSession,
)
from tests.domain.cases import Book, shipped
from tests.domain.cases import at as at_wall
from tests.store import factories
from tests.store.factories import NOW

CHICAGO = ZoneInfo("America/Chicago")
SENDER = "+13125550199"
SHORTEST = timedelta(milliseconds=1)


def at(wall: str) -> datetime:
    """The moment at which the clock of the clinic shows ``2026-03-02 14:30``."""
    return at_wall(wall, CHICAGO)


@dataclass(frozen=True, slots=True)
class Left:
    """A text that the network took: its step by the shipped plan's key, and when."""

    step: str | None
    at: datetime
    to: str
    body: str
    message_id: int


class Watched(SmsGateway):
    """A gateway that calls ``before`` with each text that is about to leave; what that raises breaks the batch off."""

    def __init__(self, gateway: SmsGateway, before: Callable[[OutgoingSms], object]) -> None:
        self._gateway, self._before = gateway, before

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            self._before(message)
            yield from self._gateway.send_batch([message])

    def receipts_for(self, provider_sids: Iterable[str]) -> Iterator[Receipt]:
        return self._gateway.receipts_for(provider_sids)

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        return self._gateway.texts_to(number, since)

    def inbound_since(self, since: datetime) -> Iterator[InboundSms]:
        return self._gateway.inbound_since(since)

    def forget(self, provider_sid: str) -> Forgotten:
        return self._gateway.forget(provider_sid)

    def read_receipt(self, fields: Mapping[str, str]) -> Receipt:
        return self._gateway.read_receipt(fields)

    def read_inbound(self, fields: Mapping[str, str]) -> InboundSms:
        return self._gateway.read_inbound(fields)

    def close(self) -> None:
        self._gateway.close()


class ClinicLife:
    """Everything a test needs of one installation: make people, let time pass, look at what came of it."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        *,
        now: datetime = NOW,
        book: Book | None = None,
        network: NetworkConfig = DEFAULT,
        policy: SendingPolicy | None = None,
    ) -> None:
        self.sessions, self.now, self.book = sessions, now, book or shipped()
        self.network = SimulatedNetwork("clinic life", network)
        self.gateway: SmsGateway = SimulatedGateway(self.network, self.clock)
        self.policy = policy or SendingPolicy()
        self._clinic: Clinic | None = None
        with sessions.begin() as db:
            db.get_one(Sender, 1).number = SENDER

    # people

    @property
    def clinic(self) -> Clinic:
        """The one clinic of most tests; made when first asked for, following the plan of the book."""
        if self._clinic is None:
            self._clinic = self.another_clinic()
        return self._clinic

    def another_clinic(self, **over: Any) -> Clinic:
        with self.sessions.begin() as db:
            clinic = factories.clinic(db, **over)
            content.seed_defaults(db, clinic.id, now=self.now, by="test")
        self.follow(clinic, self.book)
        return clinic

    def follow(self, clinic: Clinic, book: Book) -> None:
        """From now on the clinic follows this plan."""
        with self.sessions.begin() as db:
            versions = select(func.count()).select_from(PlanVersion).where(PlanVersion.clinic_id == clinic.id)
            n = (db.scalar(versions) or 0) + 1
            db.execute(update(PlanVersion).where(PlanVersion.clinic_id == clinic.id).values(live=False))
            db.add(
                PlanVersion(
                    clinic_id=clinic.id, version=n, document=dict(book.document), created_at=self.now, created_by="test"
                )
            )
        self.book = book

    def patient(self, *, agreed: bool = True, of: Clinic | None = None, **over: Any) -> Patient:
        """A patient who has agreed to texts long ago, so that the welcome is no news any more."""
        clinic = of or self.clinic
        with self.sessions.begin() as db:
            patient = factories.patient(db, clinic, **over)
            if agreed and patient.phone:
                factories.grant(db, patient)
        return patient

    def booked(self, start: str | datetime, *, of: Patient | None = None, **over: Any) -> TreatmentSession:
        return self.session(of or self.patient(), scheduled_start=_moment(start), **over)

    def completed(self, done: str | datetime, *, of: Patient | None = None, **over: Any) -> TreatmentSession:
        """A session that ended at ``done``."""
        end = _moment(done)
        values = {"scheduled_start": end - timedelta(minutes=20), "completed_at": end, "status": "completed"}
        return self.session(of or self.patient(), **values | over)

    def session(self, of: Patient, **over: Any) -> TreatmentSession:
        with self.sessions.begin() as db:
            return factories.session(db, of, **over)

    def message(self, of: Patient, **over: Any) -> Message:
        """A text by staff, due now, unless said otherwise."""
        times = {"due_at": self.now, "expires_at": self.now + timedelta(hours=8)}
        with self.sessions.begin() as db:
            return factories.message(db, of, **times | over)

    def sql(self, statement: str, **values: Any) -> None:
        """What another program does to the database."""
        with self.sessions.begin() as db:
            db.execute(text(statement), values)

    def change(self, row: Any, **values: Any) -> None:
        """Set columns of a row behind the back of the service."""
        with self.sessions.begin() as db:
            db.execute(update(type(row)).where(type(row).id == row.id).values(values))

    # time

    def clock(self) -> datetime:
        return self.now

    def plan(self) -> int:
        return plan_pending(self.sessions, self.clock, answers_understood=self.policy.answers_understood)

    def dispatch(self) -> int:
        return dispatch_due(self.sessions, self.gateway, self.clock, self.policy)

    def tick(self) -> None:
        self.plan()
        self.dispatch()

    def until(self, moment: str | datetime) -> None:
        """Let time pass up to ``moment``, and do what is due then, too."""
        end = _moment(moment)
        self.tick()
        while self.now < end:
            self.now = min(max(self._next(), self.now + SHORTEST), end)
            self.tick()

    def wait(self, **time: float) -> None:
        """Let so much time pass."""
        self.until(self.now + timedelta(**time))

    def _next(self) -> datetime:
        with self.sessions() as db:
            task = db.scalar(select(func.min(Task.due_at, type_=Task.due_at.type)).where(Task.state == "planned"))
            found = [moment for moment in (messages.next_due_at(db), task) if moment is not None]
        return min(found, default=self.now + timedelta(days=3650))

    # what came of it

    def left(self, patient: Patient | None = None) -> list[Left]:
        """What the network took, in order; truth, whatever the rows say."""
        by_id = {message.id: message for message in self.messages()}
        names = {own: key for key, own in self.book.keys.items()}
        found = []
        for taken in self.network.accepted.values():
            message = by_id[taken.text.message_id]
            step = names.get(message.step or "", message.step)
            if patient is None or message.patient_id == patient.id:
                found.append(Left(step, taken.at, taken.text.to, taken.text.body, message.id))
        return found

    def steps_left(self, patient: Patient | None = None) -> list[str | None]:
        return [text.step for text in self.left(patient)]

    def messages(self, **where: Any) -> list[Message]:
        return self._all(select(Message).order_by(Message.id), Message, where)

    def planned(self, key: str, of: TreatmentSession | None = None, **where: Any) -> Message:
        """The one row of a step, by the shipped plan's key."""
        session = {} if of is None else {"session_id": of.id}
        (found,) = self.messages(step=self.book.keys[key], **session, **where)
        return found

    def tasks(self, kind: str | None = None, **where: Any) -> list[Task]:
        kinds = {} if kind is None else {"kind": self.book.keys.get(kind, kind)}
        return self._all(select(Task).order_by(Task.id), Task, kinds | where)

    def story(self, message: Message) -> list[tuple[str, str | None]]:
        """What the journal says of a message."""
        entries = self._all(select(JournalEntry).order_by(JournalEntry.id), JournalEntry, {"message_id": message.id})
        return [(entry.kind, entry.reason) for entry in entries]

    def fresh(self, row: Any) -> Any:
        """The row as it is now."""
        with self.sessions() as db:
            return db.get_one(type(row), row.id)

    def _all(self, rows: Select[Any], table: Any, where: dict[str, Any]) -> list[Any]:
        with self.sessions() as db:
            return list(db.scalars(rows.where(*(getattr(table, name) == value for name, value in where.items()))))


def ready(life: ClinicLife, n: int, **over: Any) -> list[Message]:
    """Texts of as many patients, due now and planned for nobody to change."""
    people = [life.patient() for _ in range(n)]
    life.plan()
    return [life.message(patient, **over) for patient in people]


def rate(life: ClinicLife, per_second: float, **over: Any) -> None:
    """Let every sender be as quick as that; ``over`` sets other columns of it."""
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=per_second, **over))


def standing(messages: Iterable[Message]) -> dict[str | None, tuple[str, str | None]]:
    """State and reason of each step."""
    return {message.step: (message.state, message.reason) for message in messages}


def _moment(moment: str | datetime) -> datetime:
    return at(moment) if isinstance(moment, str) else moment


@contextmanager
def writes(sessions: sessionmaker[Session]) -> Iterator[list[str]]:
    """The words of every statement that writes, while the block runs."""
    found: list[str] = []
    engine = sessions.kw["bind"]

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "BEGIN", "PRAGMA")):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)
