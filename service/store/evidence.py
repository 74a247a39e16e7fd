"""What rows and journal say of texts, for those who prove that no promise was broken. Read-only.

Everything is read in ranges of message ids, so that a million texts never stand in memory at once.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, case, func, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.consent import ConsentEntry
from service.store.columns import Table, UtcDateTime
from service.store.database import READ_ONLY
from service.store.tables import Consent, Inbound, JournalEntry, Message, Patient, SendAttempt, TreatmentSession

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
KINDS = (
    *("sent", "unconfirmed", "refused", "receipt", "retry", "not_sent"),
    *("withdrawn", "skipped", "missed", "revived", "moved"),
)
"""The entries of the journal that say how a text came to where it stands."""
OF_A_PHONE = "inbound:"
"""Begins the evidence of what a phone said."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message as it stands."""

    id: int
    clinic_id: int
    kind: str
    step: str | None
    template: str | None
    plan_version_id: int | None
    patient_id: int | None
    session_id: int | None
    inbound_id: int | None
    urgency: str
    state: str
    reason: str | None
    due_at: datetime | None
    expires_at: datetime | None
    attempts: int
    template_version_id: int | None
    told_start: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One handing over of a message."""

    message_id: int
    n: int
    clinic_id: int
    number: str
    sender_id: int
    text: str
    hours: str | None
    started_at: datetime
    outcome: str | None

    @property
    def may_have_left(self) -> bool:
        """Whether the provider took it, or may have."""
        return self.outcome != "refused"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal about a message."""

    message_id: int
    at: datetime
    kind: str
    reason: str | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionDates:
    """A treatment session as it stands, and when the service last saw each thing happen to it."""

    id: int
    status: str
    planned_start: datetime | None
    booked_at: datetime | None
    moved_at: datetime | None
    cancelled_at: datetime | None
    no_show_at: datetime | None
    completion_known_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A line about consent, and since when the service could know it: what a phone said counts once it is understood."""

    entry: ConsentEntry
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Range:
    """Message ids from ``first`` to ``last``, both included."""

    first: int
    last: int

    def holds(self, column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
        return column.between(self.first, self.last)


class Readable(UtcDateTime):
    """A moment that another program wrote; one that nobody can read is None."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back an aware moment in UTC, or None."""
        try:
            return super().process_result_value(value, dialect)
        except (AttributeError, TypeError, ValueError):
            return None


def readable(column: InstrumentedAttribute[Any]) -> ColumnElement[datetime | None]:
    """The moment in ``column``, or None where no calendar holds it."""
    return type_coerce(case((column.between(EARLIEST, LATEST), column)), Readable())


def snapshot(db: Session) -> Session:
    """Say, before its first statement, that ``db`` only reads, and sees one moment of the database from first to last."""
    options: dict[str, Any] = {READ_ONLY: True}
    if db.get_bind().dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    db.connection(execution_options=options)
    return db


def columns_of(table: type[Table], facts: type[Any]) -> list[Any]:
    """The columns that bear the names of a dataclass's fields, in their order."""
    return [getattr(table, field.name) for field in fields(facts)]


def texts(db: Session, *, after: int, limit: int) -> list[Text]:
    """The next messages by id."""
    rows = select(*columns_of(Message, Text)).where(Message.id > after).order_by(Message.id).limit(limit)
    return [Text(*row) for row in db.execute(rows)]


def attempts(db: Session, of: Range) -> defaultdict[int, list[Attempt]]:
    """Every handing over by message, in its order."""
    found: defaultdict[int, list[Attempt]] = defaultdict(list)
    rows = select(*columns_of(SendAttempt, Attempt)).where(of.holds(SendAttempt.message_id))
    for row in db.execute(rows.order_by(SendAttempt.message_id, SendAttempt.n)):
        found[row[0]].append(Attempt(*row))
    return found


def entries(db: Session, of: Range) -> defaultdict[int, list[Entry]]:
    """The story by message, as it was written."""
    found: defaultdict[int, list[Entry]] = defaultdict(list)
    rows = select(*columns_of(JournalEntry, Entry)).where(of.holds(JournalEntry.message_id))
    for row in db.execute(rows.where(JournalEntry.kind.in_(KINDS)).order_by(JournalEntry.message_id, JournalEntry.id)):
        found[row[0]].append(Entry(*row))
    return found


def session_dates(db: Session, of: Range) -> dict[int, SessionDates]:
    """The sessions that the messages are about."""
    own = TreatmentSession.id.in_(_named(Message.session_id, of))
    rows = db.execute(select(*columns_of(TreatmentSession, SessionDates)).where(own))
    return {row[0]: SessionDates(*row) for row in rows}


def withdrawn_at(db: Session, session_ids: Collection[int], *, reason: str) -> dict[int, datetime]:
    """When planning last withdrew a text of each session for this reason."""
    last = func.max(JournalEntry.at, type_=UtcDateTime())
    own = select(Message.session_id, last).join_from(Message, JournalEntry, JournalEntry.message_id == Message.id)
    because = own.where(JournalEntry.kind == "withdrawn", JournalEntry.reason == reason)
    rows = db.execute(because.where(Message.session_id.in_(session_ids)).group_by(Message.session_id))
    return {session_id: at for session_id, at in rows if session_id is not None and at is not None}


def zones_of_patients(db: Session, of: Range) -> dict[int, str]:
    """The own zones of the patients whom the messages are for, as far as they have one."""
    own = select(Patient.id, Patient.time_zone).where(Patient.id.in_(_named(Message.patient_id, of)))
    return {patient_id: zone for patient_id, zone in db.execute(own) if zone}


def ledger(db: Session, of: Range) -> defaultdict[str, list[LedgerLine]]:
    """What was agreed and withdrawn for each number that was texted, in the order in which it was written."""
    texted = select(SendAttempt.number).where(of.holds(SendAttempt.message_id))
    about = Consent.number, Consent.clinic_id, Consent.sender_id, Consent.kind, Consent.method, Consent.evidence
    lines = select(*about, readable(Consent.at)).where(Consent.number.in_(texted)).order_by(Consent.id)
    rows = db.execute(lines).all()
    understood = _understood(db, [evidence for *_, evidence, _ in rows])
    found: defaultdict[str, list[LedgerLine]] = defaultdict(list)
    for number, clinic_id, sender_id, kind, method, evidence, at in rows:
        if at is not None:
            entry = ConsentEntry(clinic_id, sender_id, granted=kind == "granted", at=at, by_text=method == "text")
            found[number].append(LedgerLine(entry, max(at, understood.get(evidence or "", at))))
    return found


def _understood(db: Session, evidence: Sequence[str | None]) -> dict[str, datetime]:
    """When the texts from phones that lines of the ledger rest on were understood, by the words of the evidence."""
    words = {each for each in evidence if each is not None and each.startswith(OF_A_PHONE)}
    ids = {int(number) for each in words if (number := each.removeprefix(OF_A_PHONE)).isdecimal() and len(number) < 19}
    rows = db.execute(select(Inbound.id, Inbound.understood_at).where(Inbound.id.in_(ids)))
    return {f"{OF_A_PHONE}{key}": at for key, at in rows if at is not None}


def _named(column: InstrumentedAttribute[Any], of: Range) -> Select[Any]:
    return select(column).where(of.holds(Message.id), column.is_not(None))
