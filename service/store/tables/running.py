"""How the service itself is doing: heartbeats of its jobs, and the one row about the whole installation."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from service.store.columns import BigInt, Table


class Heartbeat(Table):
    """The last run of one job of one worker."""

    __tablename__ = "heartbeat"
    __table_args__ = ({"comment": "The last run of one job of one worker"},)

    job: Mapped[str] = mapped_column(String(20), primary_key=True, comment="plan, dispatch, receipts, inbound, recover")
    worker: Mapped[str] = mapped_column(String(80), primary_key=True, comment="host and process")
    at: Mapped[datetime] = mapped_column(comment="when it last ended")
    took_ms: Mapped[int] = mapped_column(comment="how long it took, in milliseconds")
    rows: Mapped[int] = mapped_column(comment="how many rows it worked on")


class Installation(Table):
    """The one row about the whole installation."""

    __tablename__ = "installation"
    __table_args__ = (
        CheckConstraint("id = 1", name="ck_installation_one"),
        {"comment": "The one row about the whole installation"},
    )

    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False, comment="always 1")
    paused_at: Mapped[datetime | None] = mapped_column(comment="since when nothing at all is sent")
    pause_reason: Mapped[str | None] = mapped_column(comment="why, in words for staff")
    inbound_polled_to: Mapped[datetime | None] = mapped_column(comment="texts from phones were fetched up to here")
