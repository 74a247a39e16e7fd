"""Writing planned texts: the rows a patient has, and the difference to what the plan wants, many patients at a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from service.domain.case import Case
from service.domain.expansion import Entry
from service.domain.lifecycle import OUT_OF_HOUSE, State
from service.domain.reconciliation import Difference, Row
from service.flows.casework import Cases
from service.flows.telling import tell_missed, tell_two_sessions, tell_wrongly_told
from service.store import messages
from service.store.columns import UtcDateTime
from service.store.tables import JournalEntry, Message

CARRIED = (
    Message.clinic_id,
    Message.patient_id,
    Message.sender_id,
    Message.template,
    Message.urgency,
    Message.priority,
)
"""What a planned row takes from case and step besides its times."""


class Writer:
    """Collects what planning changes about texts and writes it in a few statements."""

    def __init__(self, db: Session, cases: Cases, now: datetime) -> None:
        self._db, self._now, self._clinics = db, now, cases.clinics
        self._rows, self._carried = _rows(db, cases)
        self._new: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._journal: list[dict[str, Any]] = []

    def rows(self, case: Case) -> Mapping[str, Row]:
        """The planned texts of a patient by identity, whatever became of them."""
        return self._rows[case.patient.id]

    def out(self, case: Case) -> dict[str, datetime]:
        """Identities of the patient's texts that left and take a day's place, with when they left."""
        taking = {step.key: step.counts_for_day for step in case.plan.steps}
        left = (row for row in self.rows(case).values() if row.state in OUT_OF_HOUSE and taking.get(row.step, True))
        return {row.identity: row.settled_at for row in left if row.settled_at is not None}

    def is_leaving(self, case: Case) -> bool:
        """Whether a text is in the provider's hands: should it come back, it has to be planned anew."""
        return any(row.state == State.SENDING for row in self.rows(case).values())

    def add(self, case: Case, found: Difference) -> None:
        """Take in what has to change for one patient, and put before staff what they have to do about it."""
        self._new.extend(self._row(case, entry) for entry in found.new)
        for row, entry in found.kept:
            if (carries := self._carries(case, entry)) != self._carried[row.id]:
                self._changed.append({"id": row.id, **carries})
        for kind, pairs in (("moved", found.moved), ("revived", found.revived)):
            for row, entry in pairs:
                self._change(case, row, kind, {**self._carries(case, entry), **_planned(entry)})
        for row, reason in found.withdrawn:
            state = State.MISSED if reason == "expired" else State.CANCELLED
            ended = {"state": state, "reason": reason, "settled_at": self._now, "held_reason": None}
            self._change(case, row, "withdrawn", ended)
        self._tell(case, found)

    def write(self, db: Session) -> None:
        """Write everything that was taken in."""
        messages.add_planned(db, self._new)
        for change in _by_columns(self._changed):
            db.execute(update(Message), change)
        if self._journal:
            db.execute(insert(JournalEntry), self._journal)

    def _row(self, case: Case, entry: Entry) -> dict[str, Any]:
        return {
            "identity": entry.identity,
            "kind": "plan",
            "step": entry.step.key,
            "plan_version_id": self._clinics[case.clinic.id].version_id,
            "session_id": entry.session.id if entry.session else None,
            "settled_at": self._now if entry.skipped else None,
            **self._carries(case, entry),
            **_planned(entry),
        }

    def _carries(self, case: Case, entry: Entry) -> dict[str, Any]:
        """What a text is and whose, as the facts stand: a planned row follows them until it leaves."""
        return {
            "clinic_id": case.clinic.id,
            "patient_id": case.patient.id,
            "sender_id": self._clinics[case.clinic.id].sender_id,
            "template": entry.step.template_for(case.patient.privacy),
            "urgency": entry.step.urgency,
            "priority": entry.step.urgency.priority,
        }

    def _change(self, case: Case, row: Row, kind: str, values: dict[str, Any]) -> None:
        reason = values.get("reason")
        self._changed.append({"id": row.id, **values})
        self._journal.append(
            {
                "at": self._now,
                "kind": kind,
                "reason": reason,
                "clinic_id": case.clinic.id,
                "patient_id": case.patient.id,
                "session_id": row.session_id,
                "message_id": row.id,
                "data": {"from": _iso(row.due_at), "to": _iso(values["due_at"])} if "due_at" in values else {},
            }
        )

    def _tell(self, case: Case, found: Difference) -> None:
        ended = [(row.identity, row.step) for row, reason in found.withdrawn if reason == "expired"]
        ended += [(entry.identity, entry.step.key) for entry in found.new if entry.skipped == "expired"]
        for identity, key in ended:
            tell_missed(self._db, case, identity=identity, step=case.plan.step(key), now=self._now)
        tell_two_sessions(self._db, case, now=self._now)
        tell_wrongly_told(self._db, case, now=self._now)


def _planned(entry: Entry) -> dict[str, Any]:
    """The columns that say when an entry is to be sent, or that it is not."""
    ended = State.MISSED if entry.skipped == "expired" else State.CANCELLED
    return {
        "state": ended if entry.skipped else State.PLANNED,
        "reason": entry.skipped,
        "nominal_at": entry.nominal_at,
        "due_at": entry.due_at,
        "expires_at": entry.expires_at,
        "attempt_at": entry.due_at,
        "held_reason": None,
    }


def _by_columns(changes: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Changes of the same columns together: each group is one statement."""
    groups: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for change in changes:
        groups[tuple(change)].append(change)
    return groups.values()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _rows(db: Session, cases: Cases) -> tuple[defaultdict[int, dict[str, Row]], dict[int, dict[str, Any]]]:
    """Every planned text of the patients and of their sessions, and what each carries.

    Those still planned are locked, in one order, so that none is claimed while it changes. A session that was booked for
    the wrong patient brings its texts along.
    """
    owners = {session.id: patient_id for patient_id, case in cases.items() for session in case.sessions}
    theirs = or_(Message.patient_id.in_(cases), Message.session_id.in_(owners))
    own = select(Message).where(theirs, Message.kind == "plan").order_by(Message.id)
    db.execute(own.with_only_columns(Message.id).where(Message.state == State.PLANNED).with_for_update())
    columns = (Message.id, Message.identity, Message.step, Message.session_id, Message.state, Message.reason)
    times = (Message.nominal_at, Message.due_at, Message.expires_at, Message.attempts)
    ends = func.coalesce(Message.sent_at, Message.settled_at, Message.claimed_at, type_=UtcDateTime())
    rows: defaultdict[int, dict[str, Row]] = defaultdict(dict)
    carried: dict[int, dict[str, Any]] = {}
    for found in db.execute(own.with_only_columns(*columns, *times, ends, Message.attempt_at, *CARRIED)):
        values: tuple[Any, ...] = tuple(found)
        row, carries = Row(*values[: -len(CARRIED)]), values[-len(CARRIED) :]
        carried[row.id] = {column.key: value for column, value in zip(CARRIED, carries, strict=True)}
        rows[owners.get(row.session_id or 0) or carried[row.id]["patient_id"]][row.identity] = row
    return rows, carried
