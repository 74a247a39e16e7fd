"""What the service notices about itself: alarms that go on, and the nightly proofs."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.columns import BigInt, Table, key


class Alarm(Table):
    """What is amiss at the moment; the row goes when it is over, the journal keeps that it was."""

    __tablename__ = "alarm"
    __table_args__ = ({"comment": "What is amiss at the moment; the row goes when it is over"},)

    id: Mapped[int] = key()
    identity: Mapped[str] = mapped_column(String(120), unique=True, comment="kind and what it is about")
    kind: Mapped[str] = mapped_column(String(40), comment="what is amiss, one stable word")
    clinic_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("clinic.id"), comment="the clinic; empty: all of them"
    )
    since: Mapped[datetime] = mapped_column(comment="when it was first seen")
    seconds: Mapped[int] = mapped_column(comment="how long texts had waited when it was first seen")
    told_at: Mapped[datetime | None] = mapped_column(comment="when staff were told; empty: it may pass by itself")


class NightlyProof(Table):
    """What each night's proof came to. Its key is the lock: whoever writes the row does the work."""

    __tablename__ = "nightly_proof"
    __table_args__ = ({"comment": "What each night's proof of all promises came to"},)

    night: Mapped[str] = mapped_column(
        String(10), primary_key=True, comment="the day of the night, once for all workers"
    )
    worker: Mapped[str] = mapped_column(String(80), comment="host and process")
    began_at: Mapped[datetime] = mapped_column(comment="when it began")
    ended_at: Mapped[datetime | None] = mapped_column(comment="when it ended; empty: under way, or its worker is gone")
    checked: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="how many things each rule saw")
    broken: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="broken promises by rule")
    found: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="ids of what was broken, by rule")
