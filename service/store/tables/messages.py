"""What is said: messages and their attempts, receipts, texts from patients, the journal and staff tasks."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from service.domain.lifecycle import State
from service.store.columns import BigInt, Table, key

PLANNED, SENDING = text("state = 'planned'"), text("state = 'sending'")
UNSETTLED = text("state IN ('sent', 'unconfirmed')")
PAGE = text("kind = 'page'")
STATES = ", ".join(f"'{state}'" for state in State)


class Message(Table):
    """One text we intend to send, to its end. Plan, reply, page and test: all leave from here."""

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(f"state IN ({STATES})", name="ck_message_state"),
        CheckConstraint("kind IN ('plan', 'reply', 'page', 'staff')", name="ck_message_kind"),
        Index(
            "ix_message_claim",
            "sender_id",
            "priority",
            "attempt_at",
            "id",
            sqlite_where=PLANNED,
            postgresql_where=PLANNED,
        ),
        Index("ix_message_expiry", "expires_at", sqlite_where=PLANNED, postgresql_where=PLANNED),
        Index("ix_message_claimed", "claimed_at", sqlite_where=SENDING, postgresql_where=SENDING),
        Index("ix_message_unsettled", "sent_at", sqlite_where=UNSETTLED, postgresql_where=UNSETTLED),
        Index("ix_message_patient", "patient_id", "due_at"),
        # Beside what it is for, the states and outcomes of millions of rows are counted from the index alone.
        Index("ix_message_session", "session_id", "state"),
        Index("ix_message_page", "due_at", sqlite_where=PAGE, postgresql_where=PAGE),
        Index("ix_message_provider_sid", "provider_sid"),
        {"comment": "One text we intend to send, to its end"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    identity: Mapped[str] = mapped_column(String(120), unique=True, comment="what makes it this text and no other")
    kind: Mapped[str] = mapped_column(String(10), comment="plan, reply, page or staff")
    step: Mapped[str | None] = mapped_column(String(60), comment="the step of the care plan")
    template: Mapped[str | None] = mapped_column(String(60), comment="the text's key; empty for free texts")
    plan_version_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("plan_version.id"), comment="the plan it follows"
    )
    patient_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("patient.id"), comment="the patient")
    session_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("treatment_session.id"), comment="the session")
    inbound_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("inbound.id"), comment="the text it answers")
    urgency: Mapped[str] = mapped_column(String(10), comment="safety, reply, care or routine")
    priority: Mapped[int] = mapped_column(comment="0 safety and replies, 1 care, 2 routine")
    sender_id: Mapped[int] = mapped_column(BigInt, ForeignKey("sender.id"), comment="from where it leaves")
    state: Mapped[str] = mapped_column(String(12), comment="one of the nine states")
    reason: Mapped[str | None] = mapped_column(comment="why it ended as it did")
    held_reason: Mapped[str | None] = mapped_column(comment="why it waits although due")
    nominal_at: Mapped[datetime | None] = mapped_column(comment="the step's own time, before windows and spacing")
    due_at: Mapped[datetime | None] = mapped_column(comment="when it is to go out")
    expires_at: Mapped[datetime | None] = mapped_column(comment="when it becomes useless")
    attempt_at: Mapped[datetime | None] = mapped_column(comment="when it is next looked at for sending")
    attempts: Mapped[int] = mapped_column(server_default="0", comment="how often it was handed to the provider")
    to_number: Mapped[str | None] = mapped_column(String(20), comment="E.164; fixed for replies, else taken at sending")
    language: Mapped[str | None] = mapped_column(String(10), comment="of the text that was sent, or is to be")
    text: Mapped[str | None] = mapped_column(comment="free text, or what was sent")
    template_version_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("template_version.id"), comment="the version that was sent"
    )
    encoding: Mapped[str | None] = mapped_column(String(6), comment="GSM-7 or UCS-2")
    segments: Mapped[int | None] = mapped_column(comment="as we count")
    billed_segments: Mapped[int | None] = mapped_column(comment="as the provider counts")
    told_start: Mapped[datetime | None] = mapped_column(comment="the start time that the text names")
    provider_sid: Mapped[str | None] = mapped_column(String(40), comment="the provider's id")
    claim_token: Mapped[str | None] = mapped_column(String(36), comment="who may settle it")
    claimed_at: Mapped[datetime | None] = mapped_column(comment="when it was claimed")
    sent_at: Mapped[datetime | None] = mapped_column(comment="when the provider took it, or may have")
    settled_at: Mapped[datetime | None] = mapped_column(comment="when its last state was reached")


class SendAttempt(Table):
    """One handing over to the provider; stands before the request leaves."""

    __tablename__ = "send_attempt"
    __table_args__ = (
        UniqueConstraint("message_id", "n"),
        CheckConstraint("outcome IN ('accepted', 'refused', 'unknown')", name="ck_send_attempt_outcome"),
        Index("ix_send_attempt_number", "number", "started_at"),
        Index("ix_send_attempt_patient", "patient_id", "started_at"),
        Index("ix_send_attempt_provider_sid", "provider_sid", "outcome"),
        Index("ix_send_attempt_sender", "sender_id", "started_at"),
        {"comment": "One handing over to the provider; stands before the request leaves"},
    )

    id: Mapped[int] = key()
    message_id: Mapped[int] = mapped_column(BigInt, ForeignKey("message.id"), comment="the message")
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    patient_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("patient.id"), comment="the patient")
    n: Mapped[int] = mapped_column(comment="counts up by message, from 1")
    number: Mapped[str] = mapped_column(String(20), comment="E.164")
    sender_id: Mapped[int] = mapped_column(BigInt, ForeignKey("sender.id"), comment="from where")
    text: Mapped[str] = mapped_column(comment="exactly what was handed over")
    body_hash: Mapped[str] = mapped_column(String(64), comment="SHA-256 of text, hex")
    encoding: Mapped[str] = mapped_column(String(6), comment="GSM-7 or UCS-2")
    segments: Mapped[int] = mapped_column(comment="as we count")
    counts: Mapped[bool] = mapped_column(server_default=true(), comment="counts for the caps; replies do not")
    hours: Mapped[str | None] = mapped_column(String(60), comment="the hours that it kept; empty where it keeps none")
    started_at: Mapped[datetime] = mapped_column(comment="when it was claimed for this attempt")
    finished_at: Mapped[datetime | None] = mapped_column(comment="when its outcome was known")
    outcome: Mapped[str | None] = mapped_column(String(10), comment="accepted, refused or unknown; empty: under way")
    provider_sid: Mapped[str | None] = mapped_column(String(40), comment="the provider's id")
    code: Mapped[str | None] = mapped_column(String(20), comment="the provider's error code")
    detail: Mapped[str | None] = mapped_column(comment="in words for staff")


class Inbound(Table):
    """A text from a phone, as it came; understood later, in a transaction of its own."""

    __tablename__ = "inbound"
    __table_args__ = (
        CheckConstraint("state IN ('new', 'understood', 'failed')", name="ck_inbound_state"),
        Index("ix_inbound_new", "id", sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'")),
        Index("ix_inbound_from", "from_number", "received_at"),
        {"comment": "A text from a phone, as it came"},
    )

    id: Mapped[int] = key()
    provider_sid: Mapped[str] = mapped_column(String(40), unique=True, comment="the provider's id: each text once")
    received_at: Mapped[datetime] = mapped_column(comment="when it reached us")
    from_number: Mapped[str] = mapped_column(String(20), comment="E.164")
    to_number: Mapped[str] = mapped_column(String(20), comment="our number")
    messaging_service: Mapped[str | None] = mapped_column(String(40), comment="our messaging service")
    body: Mapped[str] = mapped_column(comment="as it came")
    fields: Mapped[dict[str, Any]] = mapped_column(comment="everything the provider said")
    via: Mapped[str] = mapped_column(String(10), comment="webhook or poll")
    state: Mapped[str] = mapped_column(String(10), server_default="new", comment="new, understood or failed")
    failures: Mapped[int] = mapped_column(server_default="0", comment="how often understanding it failed")
    reading: Mapped[str | None] = mapped_column(String(20), comment="what it was understood as")
    understood_at: Mapped[datetime | None] = mapped_column(comment="when")
    clinic_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic, once known")
    patient_id: Mapped[int | None] = mapped_column(
        BigInt, ForeignKey("patient.id"), comment="the patient, where only one fits"
    )


class RawReceipt(Table):
    """A provider's report on a text, as it came; each distinct one once."""

    __tablename__ = "raw_receipt"
    __table_args__ = (
        UniqueConstraint("provider_sid", "status", "error_code"),
        Index(
            "ix_raw_receipt_new",
            "id",
            sqlite_where=text("applied_at IS NULL"),
            postgresql_where=text("applied_at IS NULL"),
        ),
        {"comment": "A provider's report on a text, as it came; each distinct one once"},
    )

    id: Mapped[int] = key()
    provider_sid: Mapped[str] = mapped_column(String(40), comment="the provider's id of the text")
    status: Mapped[str] = mapped_column(String(30), comment="the provider's word")
    error_code: Mapped[str] = mapped_column(String(20), server_default="", comment="the provider's code, or empty")
    message_id: Mapped[int | None] = mapped_column(BigInt, comment="our id, where the report carried it")
    fields: Mapped[dict[str, Any]] = mapped_column(comment="everything the provider said")
    received_at: Mapped[datetime] = mapped_column(comment="when it reached us")
    applied_at: Mapped[datetime | None] = mapped_column(comment="when it was worked in")
    failures: Mapped[int] = mapped_column(server_default="0", comment="how often working it in failed")


class JournalEntry(Table):
    """A fact that happened; append only. Written when something departs from the plan or leaves the house."""

    __tablename__ = "journal"
    __table_args__ = (
        Index("ix_journal_message", "message_id"),
        Index("ix_journal_patient", "patient_id"),
        {"comment": "A fact that happened; append only"},
    )

    id: Mapped[int] = key()
    at: Mapped[datetime] = mapped_column(comment="when")
    kind: Mapped[str] = mapped_column(String(40), comment="what happened, one stable word")
    reason: Mapped[str | None] = mapped_column(comment="why")
    clinic_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    patient_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("patient.id"), comment="the patient")
    session_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("treatment_session.id"), comment="the session")
    message_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("message.id"), comment="the message")
    data: Mapped[dict[str, Any]] = mapped_column(server_default="{}", comment="the values that changed")
    outside_key: Mapped[str | None] = mapped_column(
        String(120), unique=True, comment="names the outside fact, so it is noted once"
    )


class Task(Table):
    """Something a person has to do."""

    __tablename__ = "task"
    __table_args__ = (
        CheckConstraint("state IN ('planned', 'open', 'closed', 'withdrawn')", name="ck_task_state"),
        CheckConstraint("level IN ('red', 'amber_urgent', 'amber', 'routine')", name="ck_task_level"),
        Index("ix_task_due", "due_at", sqlite_where=PLANNED, postgresql_where=PLANNED),
        Index("ix_task_patient", "patient_id"),
        {"comment": "Something a person has to do"},
    )

    id: Mapped[int] = key()
    clinic_id: Mapped[int] = mapped_column(BigInt, ForeignKey("clinic.id"), comment="the clinic")
    identity: Mapped[str] = mapped_column(String(120), unique=True, comment="what makes it this task and no other")
    kind: Mapped[str] = mapped_column(String(60), comment="what sort of task")
    step: Mapped[str | None] = mapped_column(String(60), comment="the step of the care plan")
    patient_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("patient.id"), comment="the patient")
    session_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("treatment_session.id"), comment="the session")
    message_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("message.id"), comment="the message")
    inbound_id: Mapped[int | None] = mapped_column(BigInt, ForeignKey("inbound.id"), comment="the text it is about")
    level: Mapped[str] = mapped_column(
        String(15), server_default="routine", comment="red, amber_urgent, amber or routine"
    )
    due_at: Mapped[datetime] = mapped_column(comment="when it is to be done")
    state: Mapped[str] = mapped_column(String(10), comment="planned (not yet shown), open, closed or withdrawn")
    reason: Mapped[str] = mapped_column(server_default="", comment="what happened, in words for staff")
    next_action: Mapped[str] = mapped_column(server_default="", comment="what to do")
    opened_at: Mapped[datetime | None] = mapped_column(comment="when it became open")
    closed_at: Mapped[datetime | None] = mapped_column(comment="when it was closed or withdrawn")
    outcome: Mapped[str | None] = mapped_column(comment="how it ended")
