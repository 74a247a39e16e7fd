"""Who sends: clinics, their holidays and senders, and the versions of their plans and texts."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from service.store.columns import BigInt, Table, key
from service.store.tables.running import Stoppable


class Sender(Stoppable, Table):
    """A number or messaging service that texts leave from, with its rate. Row 1 is the default of the settings."""

    __tablename__ = "sender"
    __table_args__ = ({"comment": "A number or messaging service that texts leave from; row 1 is the default sender"},)

    id: Mapped[int] = key()
    key: Mapped[str] = mapped_column(String(40), unique=True, comment="short name for operators")
    number: Mapped[str | None] = mapped_column(String(20), comment="E.164 or alphanumeric sender")
    messaging_service: Mapped[str | None] = mapped_column(String(40), comment="the provider's messaging service id")
    segments_per_second: Mapped[float] = mapped_column(server_default="3.0", comment="rate allowed, in segments")
    daily_segments: Mapped[int | None] = mapped_column(comment="segments allowed a day; empty: no cap")
    free_at: Mapped[datetime | None] = mapped_column(
        comment="when all that was handed over so far is through, at the rate"
    )
    day: Mapped[date | None] = mapped_column(comment="the carriers' day (US Pacific) that day_segments counts")
    day_segments: Mapped[int] = mapped_column(server_default="0", comment="segments handed over on that day")
    ahead: Mapped[int] = mapped_column(
        server_default="0", comment="segments that went ahead of less urgent ones since one of these had its turn"
    )
    paused_at: Mapped[datetime | None] = mapped_column(comment="since when nothing leaves from here")
    pause_reason: Mapped[str | None] = mapped_column(comment="why, in words for staff")


class Clinic(Table):
    """A clinic: its clock, contacts, hours and choices. Other programs may write it."""

    __tablename__ = "clinic"
    __table_args__ = (
        CheckConstraint("plan IN ('standard', 'lite')", name="ck_clinic_plan"),
        CheckConstraint("encoding IN ('transliterate', 'native')", name="ck_clinic_encoding"),
        {"comment": "A clinic: its clock, contacts, hours and choices"},
    )

    id: Mapped[int] = key()
    key: Mapped[str] = mapped_column(String(40), unique=True, comment="short name used on the command line")
    name: Mapped[str] = mapped_column(comment="full name, for staff")
    sms_name: Mapped[str] = mapped_column(comment="name in texts, at most 20 characters; should not name a disease")
    time_zone: Mapped[str] = mapped_column(comment="IANA zone of every schedule and every rendered time")
    country: Mapped[str] = mapped_column(String(2), comment="ISO 3166 country of numbers without a prefix")
    phone: Mapped[str] = mapped_column(comment="phone in office hours, E.164")
    emergency: Mapped[str] = mapped_column(server_default="", comment="local emergency number")
    after_hours: Mapped[str] = mapped_column(server_default="", comment="phone while the clinic is closed, E.164")
    crisis_line: Mapped[str | None] = mapped_column(comment="suicide crisis line; empty: the emergency number")
    languages: Mapped[str] = mapped_column(server_default="en", comment="comma-separated; the first is the default")
    hours: Mapped[str] = mapped_column(server_default="Mon-Fri 08:00-17:00", comment="staffed hours, clinic zone")
    page_numbers: Mapped[str] = mapped_column(server_default="", comment="comma-separated E.164 of staff to page")
    interval_weeks: Mapped[int] = mapped_column(server_default="12", comment="weeks between sessions")
    plan: Mapped[str] = mapped_column(String(40), server_default="standard", comment="which care plan")
    encoding: Mapped[str] = mapped_column(
        String(20), server_default="transliterate", comment="transliterate to GSM-7, or native letters"
    )
    window_opens: Mapped[str] = mapped_column(
        String(5), server_default="09:00", comment="earliest wall time of routine texts"
    )
    window_closes: Mapped[str] = mapped_column(
        String(5), server_default="19:00", comment="no routine text from this wall time on"
    )
    rule_hours: Mapped[dict[str, Any]] = mapped_column(
        server_default="{}", comment="hours by aftercare rule, where not the plan's"
    )
    live_from: Mapped[datetime | None] = mapped_column(comment="steps whose own time lies before it are skipped")
    imported_at: Mapped[datetime | None] = mapped_column(comment="when the first import of sessions was finished")
    sender_id: Mapped[int] = mapped_column(
        BigInt, ForeignKey("sender.id"), server_default="1", comment="from where its texts leave"
    )
    sample: Mapped[bool] = mapped_column(
        server_default=false(), comment="made by the service to show itself; invented people"
    )
    paused_at: Mapped[datetime | None] = mapped_column(comment="since when nothing of this clinic is sent")
    pause_reason: Mapped[str | None] = mapped_column(comment="why, in words for staff")
    keep_texts_months: Mapped[int] = mapped_column(
        server_default="24", comment="months after the last session in which words of texts and replies are kept"
    )
    keep_consent_years: Mapped[int] = mapped_column(
        server_default="6", comment="years in which the ledger names the number of somebody who is no patient any more"
    )
    keep_raw_days: Mapped[int] = mapped_column(
        server_default="30", comment="days in which everything the provider said of a text is kept"
    )


class Holiday(Table):
    """A day on which a clinic is not staffed."""

    __tablename__ = "holiday"
    __table_args__ = (UniqueConstraint("clinic_id", "day"), {"comment": "A day on which a clinic is not staffed"})

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    day: Mapped[date] = mapped_column(comment="the day, clinic zone")
    name: Mapped[str] = mapped_column(server_default="", comment="its name, for staff")


class PlanVersion(Table):
    """One version of a clinic's care plans, as a document; never changed once written."""

    __tablename__ = "plan_version"
    __table_args__ = (
        UniqueConstraint("clinic_id", "version"),
        Index(
            "ix_plan_version_live", "clinic_id", unique=True, sqlite_where=text("live"), postgresql_where=text("live")
        ),
        {"comment": "One version of a clinic's care plans; never changed once written"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    version: Mapped[int] = mapped_column(comment="counts up by clinic")
    document: Mapped[dict[str, Any]] = mapped_column(comment="the plan file")
    live: Mapped[bool] = mapped_column(server_default=true(), comment="the version that planning follows; one a clinic")
    created_at: Mapped[datetime] = mapped_column(comment="when it was written")
    created_by: Mapped[str] = mapped_column(comment="who wrote it")


class TemplateVersion(Table):
    """One version of one text in one language; never changed once written but for its approval and state."""

    __tablename__ = "template_version"
    __table_args__ = (
        UniqueConstraint("clinic_id", "key", "language", "version"),
        Index(
            "ix_template_version_live",
            "clinic_id",
            "key",
            "language",
            unique=True,
            sqlite_where=text("state = 'live'"),
            postgresql_where=text("state = 'live'"),
        ),
        CheckConstraint("state IN ('draft', 'live', 'retired')", name="ck_template_version_state"),
        {"comment": "One version of one text in one language"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    key: Mapped[str] = mapped_column(String(60), comment="which text")
    language: Mapped[str] = mapped_column(String(10), comment="en, es, tr, …")
    version: Mapped[int] = mapped_column(comment="counts up by clinic, key and language")
    text: Mapped[str] = mapped_column(comment="with {{ name }} placeholders, in correct spelling")
    state: Mapped[str] = mapped_column(
        String(10), server_default="draft", comment="draft, live (one at a time) or retired"
    )
    approved_by: Mapped[str | None] = mapped_column(comment="the clinician who approved it")
    approved_at: Mapped[datetime | None] = mapped_column(comment="when")
    created_at: Mapped[datetime] = mapped_column(comment="when it was written")
    created_by: Mapped[str] = mapped_column(comment="who wrote it")
