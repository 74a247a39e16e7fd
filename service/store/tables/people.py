"""Who is texted: patients, their treatment sessions, what they agreed to, and the numbers they use.

Triggers set ``patient.marked`` when any program changes a fact that planning depends on.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from service.store.columns import BigInt, Table, key


class Patient(Table):
    """A patient of a clinic. Other programs may write the columns down to ``status``."""

    __tablename__ = "patient"
    __table_args__ = (
        UniqueConstraint("clinic_id", "external_id"),
        CheckConstraint("status IN ('active', 'inactive', 'deceased')", name="ck_patient_status"),
        CheckConstraint("privacy IN ('strict', 'neutral', 'explicit')", name="ck_patient_privacy"),
        Index("ix_patient_phone", "phone"),
        Index("ix_patient_marked", "id", sqlite_where=text("marked = 1"), postgresql_where=text("marked")),
        {"comment": "A patient of a clinic"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    external_id: Mapped[str | None] = mapped_column(String(200), comment="the clinic's own id (medical record number)")
    first_name: Mapped[str] = mapped_column(server_default="", comment="for staff; never in texts")
    last_name: Mapped[str] = mapped_column(server_default="", comment="for staff; never in texts")
    phone: Mapped[str | None] = mapped_column(String(20), comment="mobile number, E.164; empty: is never texted")
    language: Mapped[str | None] = mapped_column(String(10), comment="of texts; empty: the clinic's default")
    time_zone: Mapped[str | None] = mapped_column(
        comment="IANA zone in which texting hours are judged; empty: the clinic's"
    )
    status: Mapped[str] = mapped_column(
        String(10), server_default="active", comment="anything but active stops everything, silently"
    )
    privacy: Mapped[str] = mapped_column(String(10), server_default="neutral", comment="how plainly texts may speak")
    interval_weeks: Mapped[int | None] = mapped_column(comment="weeks between sessions; empty: the clinic's")
    authorisation_ends: Mapped[date | None] = mapped_column(comment="when the payer's prior authorisation ends")
    may_ask: Mapped[bool] = mapped_column(
        server_default=false(), comment="gave this number and agreed to be asked by text"
    )
    imported: Mapped[bool] = mapped_column(
        server_default=false(), comment="came with the clinic's first import: not newly added"
    )
    added_at: Mapped[datetime | None] = mapped_column(comment="when the service first saw the patient")
    paused_until: Mapped[datetime | None] = mapped_column(comment="staff want no plan texts before this")
    pause_reason: Mapped[str | None] = mapped_column(comment="why")
    textable_since: Mapped[datetime | None] = mapped_column(
        comment="since when texts have been allowed without a break"
    )
    erased_at: Mapped[datetime | None] = mapped_column(comment="when everything that names this person was taken out")
    marked: Mapped[bool] = mapped_column(
        server_default=true(), comment="something changed: to be planned before anything is sent"
    )


class TreatmentSession(Table):
    """One treatment session. Other programs may write the columns down to ``source_version``; planning notes the rest."""

    __tablename__ = "treatment_session"
    __table_args__ = (
        UniqueConstraint("clinic_id", "source", "external_id"),
        CheckConstraint(
            "status IN ('booked', 'completed', 'cancelled', 'no_show', 'not_done', 'entered_in_error')",
            name="ck_treatment_session_status",
        ),
        Index("ix_treatment_session_patient", "patient_id"),
        {"comment": "One treatment session"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    patient_id: Mapped[int] = mapped_column(BigInt, ForeignKey("patient.id"), comment="the patient")
    external_id: Mapped[str | None] = mapped_column(String(200), comment="id at the source")
    scheduled_start: Mapped[datetime] = mapped_column(comment="planned start")
    scheduled_end: Mapped[datetime | None] = mapped_column(comment="planned end; empty: start + 20 min")
    completed_at: Mapped[datetime | None] = mapped_column(comment="real end of the injections")
    status: Mapped[str] = mapped_column(String(20), server_default="booked", comment="what the clinic says of it")
    source: Mapped[str] = mapped_column(String(40), server_default="sql", comment="which feed it comes from")
    source_version: Mapped[str | None] = mapped_column(
        comment="version or change time at the source; older ones are dropped"
    )
    imported: Mapped[bool] = mapped_column(
        server_default=false(), comment="came with the clinic's first import: not newly booked"
    )
    completed_assumed: Mapped[bool] = mapped_column(
        server_default=false(), comment="completed_at was taken from the planned end"
    )
    planned_start: Mapped[datetime | None] = mapped_column(
        comment="the start that the plan was made for; moved if it differs"
    )
    planned_status: Mapped[str | None] = mapped_column(String(20), comment="the status that the plan was made for")
    booked_at: Mapped[datetime | None] = mapped_column(comment="when the service first saw it booked")
    moved_at: Mapped[datetime | None] = mapped_column(comment="when its last move was seen")
    moves: Mapped[int] = mapped_column(server_default="0", comment="how often it was moved or booked again")
    cancelled_at: Mapped[datetime | None] = mapped_column(comment="when its last cancellation was seen")
    cancels: Mapped[int] = mapped_column(server_default="0", comment="how often it was cancelled")
    no_show_at: Mapped[datetime | None] = mapped_column(comment="when it was seen marked missed")
    completion_known_at: Mapped[datetime | None] = mapped_column(comment="when its completion was seen")
    confirmed_start: Mapped[datetime | None] = mapped_column(comment="the start that the patient confirmed")


class Consent(Table):
    """The ledger of what was agreed and withdrawn, by number. Append only; other programs may add."""

    __tablename__ = "consent"
    __table_args__ = (
        CheckConstraint("kind IN ('granted', 'revoked')", name="ck_consent_kind"),
        Index("ix_consent_number", "number", "at"),
        {"comment": "The ledger of what was agreed and withdrawn, by number; append only"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    number: Mapped[str] = mapped_column(String(20), comment="E.164")
    sender_id: Mapped[int | None] = mapped_column(
        BigInt,
        ForeignKey("sender.id"),
        comment="the sender it was said to; a withdrawal holds for all clinics that share it",
    )
    kind: Mapped[str] = mapped_column(String(10), comment="granted or revoked")
    at: Mapped[datetime] = mapped_column(comment="when")
    method: Mapped[str] = mapped_column(server_default="", comment="import, text, provider, staff, form, …")
    wording_version: Mapped[str | None] = mapped_column(comment="which wording was agreed to")
    evidence: Mapped[str | None] = mapped_column(comment="file name, id of the text, who noted it")


class PhoneNumber(Table):
    """What is known of a number as such; its row is the lock under which texts to it are counted."""

    __tablename__ = "phone_number"
    __table_args__ = (
        {"comment": "What is known of a number as such; its row is the lock under which texts to it are counted"},
    )

    number: Mapped[str] = mapped_column(String(20), primary_key=True, comment="E.164")
    blocked_at: Mapped[datetime | None] = mapped_column(comment="since when it is known not to take texts")
    blocked_code: Mapped[str | None] = mapped_column(String(20), comment="the provider's code")
    blocked_reason: Mapped[str | None] = mapped_column(comment="in words for staff")


class ProviderCopy(Table):
    """A copy of a text at the provider that is to go."""

    __tablename__ = "provider_copy"
    __table_args__ = (
        CheckConstraint("outcome IN ('gone', 'redacted')", name="ck_provider_copy_outcome"),
        Index(
            "ix_provider_copy_next",
            "next_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        {"comment": "A copy of a text at the provider that is to go"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    provider_sid: Mapped[str] = mapped_column(String(40), unique=True, comment="the provider's id of the text")
    wanted_at: Mapped[datetime] = mapped_column(comment="since when it is to go")
    next_at: Mapped[datetime] = mapped_column(comment="when the provider is asked next")
    attempts: Mapped[int] = mapped_column(server_default="0", comment="how often it was asked")
    done_at: Mapped[datetime | None] = mapped_column(comment="since when it is gone, or its words are")
    outcome: Mapped[str | None] = mapped_column(String(10), comment="gone, or redacted: the words alone are gone")
    last_error: Mapped[str | None] = mapped_column(comment="why it was not done when it was last asked")
