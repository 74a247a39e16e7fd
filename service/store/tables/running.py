"""How the service itself is doing: heartbeats of its jobs, the one row about the whole installation, and what stops."""

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


class Stoppable:
    """What can be stopped for the provider's sake, and is then tried out again: a sender, or the whole installation."""

    pause_cause: Mapped[str | None] = mapped_column(
        String(10), sort_order=1, comment="refused or down: the provider brought the pause about; empty: a person"
    )
    probe_at: Mapped[datetime | None] = mapped_column(
        sort_order=1, comment="when one text tries it out again; empty: a person ends the pause"
    )
    probes: Mapped[int] = mapped_column(
        server_default="0", sort_order=1, comment="how often it was tried out in this pause"
    )
    troubles: Mapped[int] = mapped_column(
        server_default="0", sort_order=1, comment="texts in a row that the provider did not answer"
    )


class Installation(Stoppable, Table):
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
    identity: Mapped[str | None] = mapped_column(
        String(64), comment="keyed hash of who sends from this database; another one is a second installation"
    )
    guard_cause: Mapped[str | None] = mapped_column(
        String(10), comment="silence, clock, second or restore: why sending waits for `aftercare recover`"
    )
    guard_at: Mapped[datetime | None] = mapped_column(comment="since when it does")
    guard_since: Mapped[datetime | None] = mapped_column(comment="from when on the provider's list is to be compared")
    seal_check: Mapped[str | None] = mapped_column(
        String(20), comment="shows whether the secret key is the one that sealed numbers"
    )
