"""Calling rows of the service by the world's own names."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.simulator.acts.records import Records
from service.store.tables import Inbound, Message

Label = dict[str, Any]
COLUMNS = (
    *(Message.id, Message.identity, Message.kind, Message.step, Message.template, Message.patient_id),
    *(Message.session_id, Message.inbound_id),
)


class Labels:
    """``said`` are the numbers of what phones said, by the provider's id."""

    def __init__(self, sessions: sessionmaker[Session], records: Records, said: Mapping[str, int]) -> None:
        self._sessions, self._records, self._said = sessions, records, said

    def of(self, message_id: int) -> Label:
        """The label of one text."""
        with self._sessions() as db:
            row = db.execute(select(*COLUMNS).where(Message.id == message_id)).one()
            return self.of_row(db, row)

    def of_row(self, db: Session, row: Any) -> Label:
        """The label of a row that has (at least) the columns of a text."""
        label: Label = {
            "patient": self.patient(row.patient_id),
            "session": self.session(row.session_id),
            "step": row.step,
            "n": _count(row.identity) if row.kind == "plan" else None,
            "kind": row.kind,
            "template": row.template,
        }
        if row.kind == "reply":
            label["answers"] = self.answered(db, row.inbound_id)
        return label

    def patient(self, patient_id: int | None) -> str | None:
        return None if patient_id is None else self._records.people[patient_id].key

    def session(self, session_id: int | None) -> str | None:
        return None if session_id is None else self._records.visits[session_id].key

    def answered(self, db: Session, inbound_id: int | None) -> int | None:
        """The number of what a phone said, by the row it became."""
        if inbound_id is None:
            return None
        return self._said[db.scalars(select(Inbound.provider_sid).where(Inbound.id == inbound_id)).one()]


def _count(identity: str) -> int:
    """``plan:<session>:<step>:<n>``; texts about the patient alone are there once."""
    kind, _, count = identity.partition(":")[0], *identity.rpartition(":")[1:]
    return int(count) if kind == "plan" else 0
