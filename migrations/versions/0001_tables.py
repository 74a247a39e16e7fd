"""The tables, their indexes and their comments; the default sender and the row about the installation.

Revision ID: 0001
Revises:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.String(26), "sqlite")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

TABLES = (
    "sender",
    "clinic",
    "holiday",
    "plan_version",
    "template_version",
    "patient",
    "treatment_session",
    "consent",
    "phone_number",
    "inbound",
    "message",
    "send_attempt",
    "raw_receipt",
    "journal",
    "task",
    "heartbeat",
    "installation",
)


def only(condition: str) -> dict[str, Any]:
    """Of a partial index: which rows it holds."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    create_clinics()
    create_people()
    create_messages()
    create_records()
    create_running()
    op.execute("INSERT INTO sender (key) VALUES ('default')")
    op.execute("INSERT INTO installation (id) VALUES (1)")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def create_clinics() -> None:
    op.create_table(
        "sender",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("key", sa.String(length=40), nullable=False, comment="short name for operators"),
        sa.Column("number", sa.String(length=20), comment="E.164 or alphanumeric sender"),
        sa.Column("messaging_service", sa.String(length=40), comment="the provider's messaging service id"),
        sa.Column(
            "segments_per_second",
            sa.Double(),
            server_default="3.0",
            nullable=False,
            comment="rate allowed, in segments",
        ),
        sa.Column("daily_segments", sa.Integer(), comment="segments allowed a day; empty: no cap"),
        sa.Column("free_at", MOMENT, comment="when all that was handed over so far is through, at the rate"),
        sa.Column("day", sa.Date(), comment="the carriers' day (US Pacific) that day_segments counts"),
        sa.Column(
            "day_segments", sa.Integer(), server_default="0", nullable=False, comment="segments handed over on that day"
        ),
        sa.Column("paused_at", MOMENT, comment="since when nothing leaves from here"),
        sa.Column("pause_reason", sa.String(), comment="why, in words for staff"),
        sa.PrimaryKeyConstraint("id", name="sender_pkey"),
        sa.UniqueConstraint("key", name="sender_key_key"),
        comment="A number or messaging service that texts leave from; row 1 is the default sender",
    )
    op.create_table(
        "clinic",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("key", sa.String(length=40), nullable=False, comment="short name used on the command line"),
        sa.Column("name", sa.String(), nullable=False, comment="full name, for staff"),
        sa.Column(
            "sms_name",
            sa.String(),
            nullable=False,
            comment="name in texts, at most 20 characters; should not name a disease",
        ),
        sa.Column(
            "time_zone", sa.String(), nullable=False, comment="IANA zone of every schedule and every rendered time"
        ),
        sa.Column(
            "country", sa.String(length=2), nullable=False, comment="ISO 3166 country of numbers without a prefix"
        ),
        sa.Column("phone", sa.String(), nullable=False, comment="phone in office hours, E.164"),
        sa.Column("emergency", sa.String(), server_default="", nullable=False, comment="local emergency number"),
        sa.Column(
            "after_hours",
            sa.String(),
            server_default="",
            nullable=False,
            comment="phone while the clinic is closed, E.164",
        ),
        sa.Column("crisis_line", sa.String(), comment="suicide crisis line; empty: the emergency number"),
        sa.Column(
            "languages",
            sa.String(),
            server_default="en",
            nullable=False,
            comment="comma-separated; the first is the default",
        ),
        sa.Column(
            "hours",
            sa.String(),
            server_default="Mon-Fri 08:00-17:00",
            nullable=False,
            comment="staffed hours, clinic zone",
        ),
        sa.Column(
            "page_numbers",
            sa.String(),
            server_default="",
            nullable=False,
            comment="comma-separated E.164 of staff to page",
        ),
        sa.Column(
            "interval_weeks", sa.Integer(), server_default="12", nullable=False, comment="weeks between sessions"
        ),
        sa.Column("plan", sa.String(length=40), server_default="standard", nullable=False, comment="which care plan"),
        sa.Column(
            "encoding",
            sa.String(length=20),
            server_default="transliterate",
            nullable=False,
            comment="transliterate to GSM-7, or native letters",
        ),
        sa.Column(
            "window_opens",
            sa.String(length=5),
            server_default="09:00",
            nullable=False,
            comment="earliest wall time of routine texts",
        ),
        sa.Column(
            "window_closes",
            sa.String(length=5),
            server_default="19:00",
            nullable=False,
            comment="no routine text from this wall time on",
        ),
        sa.Column(
            "rule_hours",
            DOCUMENT,
            server_default="{}",
            nullable=False,
            comment="hours by aftercare rule, where not the plan's",
        ),
        sa.Column("live_from", MOMENT, comment="steps whose own time lies before it are skipped"),
        sa.Column("imported_at", MOMENT, comment="when the first import of sessions was finished"),
        sa.Column("sender_id", KEY, server_default="1", nullable=False, comment="from where its texts leave"),
        sa.Column(
            "sample",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="made by the service to show itself; invented people",
        ),
        sa.Column("paused_at", MOMENT, comment="since when nothing of this clinic is sent"),
        sa.Column("pause_reason", sa.String(), comment="why, in words for staff"),
        sa.CheckConstraint("encoding IN ('transliterate', 'native')", name="ck_clinic_encoding"),
        sa.CheckConstraint("plan IN ('standard', 'lite')", name="ck_clinic_plan"),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name="clinic_sender_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="clinic_pkey"),
        sa.UniqueConstraint("key", name="clinic_key_key"),
        comment="A clinic: its clock, contacts, hours and choices",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holiday",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("day", sa.Date(), nullable=False, comment="the day, clinic zone"),
        sa.Column("name", sa.String(), server_default="", nullable=False, comment="its name, for staff"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="holiday_clinic_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="holiday_pkey"),
        sa.UniqueConstraint("clinic_id", "day", name="holiday_clinic_id_day_key"),
        comment="A day on which a clinic is not staffed",
    )
    op.create_table(
        "plan_version",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("version", sa.Integer(), nullable=False, comment="counts up by clinic"),
        sa.Column("document", DOCUMENT, nullable=False, comment="the plan file"),
        sa.Column(
            "live",
            sa.Boolean(),
            server_default=sa.true(),
            nullable=False,
            comment="the version that planning follows; one a clinic",
        ),
        sa.Column("created_at", MOMENT, nullable=False, comment="when it was written"),
        sa.Column("created_by", sa.String(), nullable=False, comment="who wrote it"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="plan_version_clinic_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="plan_version_pkey"),
        sa.UniqueConstraint("clinic_id", "version", name="plan_version_clinic_id_version_key"),
        comment="One version of a clinic's care plans; never changed once written",
    )
    op.create_index("ix_plan_version_live", "plan_version", ["clinic_id"], unique=True, **only("live"))
    op.create_table(
        "template_version",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("key", sa.String(length=60), nullable=False, comment="which text"),
        sa.Column("language", sa.String(length=10), nullable=False, comment="en, es, tr, …"),
        sa.Column("version", sa.Integer(), nullable=False, comment="counts up by clinic, key and language"),
        sa.Column("text", sa.String(), nullable=False, comment="with {{ name }} placeholders, in correct spelling"),
        sa.Column(
            "state",
            sa.String(length=10),
            server_default="draft",
            nullable=False,
            comment="draft, live (one at a time) or retired",
        ),
        sa.Column("approved_by", sa.String(), comment="the clinician who approved it"),
        sa.Column("approved_at", MOMENT, comment="when"),
        sa.Column("created_at", MOMENT, nullable=False, comment="when it was written"),
        sa.Column("created_by", sa.String(), nullable=False, comment="who wrote it"),
        sa.CheckConstraint("state IN ('draft', 'live', 'retired')", name="ck_template_version_state"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="template_version_clinic_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="template_version_pkey"),
        sa.UniqueConstraint(
            "clinic_id", "key", "language", "version", name="template_version_clinic_id_key_language_version_key"
        ),
        comment="One version of one text in one language",
    )
    op.create_index(
        "ix_template_version_live",
        "template_version",
        ["clinic_id", "key", "language"],
        unique=True,
        **only("state = 'live'"),
    )


def create_people() -> None:
    op.create_table(
        "patient",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("external_id", sa.String(length=200), comment="the clinic's own id (medical record number)"),
        sa.Column("first_name", sa.String(), server_default="", nullable=False, comment="for staff; never in texts"),
        sa.Column("last_name", sa.String(), server_default="", nullable=False, comment="for staff; never in texts"),
        sa.Column("phone", sa.String(length=20), comment="mobile number, E.164; empty: is never texted"),
        sa.Column("language", sa.String(length=10), comment="of texts; empty: the clinic's default"),
        sa.Column("time_zone", sa.String(), comment="IANA zone in which texting hours are judged; empty: the clinic's"),
        sa.Column(
            "status",
            sa.String(length=10),
            server_default="active",
            nullable=False,
            comment="anything but active stops everything, silently",
        ),
        sa.Column(
            "privacy",
            sa.String(length=10),
            server_default="neutral",
            nullable=False,
            comment="how plainly texts may speak",
        ),
        sa.Column("interval_weeks", sa.Integer(), comment="weeks between sessions; empty: the clinic's"),
        sa.Column("authorisation_ends", sa.Date(), comment="when the payer's prior authorisation ends"),
        sa.Column(
            "may_ask",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="gave this number and agreed to be asked by text",
        ),
        sa.Column(
            "imported",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="came with the clinic's first import: not newly added",
        ),
        sa.Column("added_at", MOMENT, comment="when the service first saw the patient"),
        sa.Column("paused_until", MOMENT, comment="staff want no plan texts before this"),
        sa.Column("pause_reason", sa.String(), comment="why"),
        sa.Column("textable_since", MOMENT, comment="since when texts have been allowed without a break"),
        sa.Column(
            "marked",
            sa.Boolean(),
            server_default=sa.true(),
            nullable=False,
            comment="something changed: to be planned before anything is sent",
        ),
        sa.CheckConstraint("privacy IN ('strict', 'neutral', 'explicit')", name="ck_patient_privacy"),
        sa.CheckConstraint("status IN ('active', 'inactive', 'deceased')", name="ck_patient_status"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="patient_clinic_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="patient_pkey"),
        sa.UniqueConstraint("clinic_id", "external_id", name="patient_clinic_id_external_id_key"),
        comment="A patient of a clinic",
        sqlite_autoincrement=True,
    )
    # SQLite compares the words: queries for the marked say "marked = 1" there.
    op.create_index(
        "ix_patient_marked", "patient", ["id"], sqlite_where=sa.text("marked = 1"), postgresql_where=sa.text("marked")
    )
    op.create_index("ix_patient_phone", "patient", ["phone"])
    op.create_table(
        "treatment_session",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("patient_id", KEY, nullable=False, comment="the patient"),
        sa.Column("external_id", sa.String(length=200), comment="id at the source"),
        sa.Column("scheduled_start", MOMENT, nullable=False, comment="planned start"),
        sa.Column("scheduled_end", MOMENT, comment="planned end; empty: start + 20 min"),
        sa.Column("completed_at", MOMENT, comment="real end of the injections"),
        sa.Column(
            "status",
            sa.String(length=20),
            server_default="booked",
            nullable=False,
            comment="what the clinic says of it",
        ),
        sa.Column(
            "source", sa.String(length=40), server_default="sql", nullable=False, comment="which feed it comes from"
        ),
        sa.Column(
            "source_version", sa.String(), comment="version or change time at the source; older ones are dropped"
        ),
        sa.Column(
            "imported",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="came with the clinic's first import: not newly booked",
        ),
        sa.Column(
            "completed_assumed",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="completed_at was taken from the planned end",
        ),
        sa.Column("planned_start", MOMENT, comment="the start that the plan was made for; moved if it differs"),
        sa.Column("planned_status", sa.String(length=20), comment="the status that the plan was made for"),
        sa.Column("booked_at", MOMENT, comment="when the service first saw it booked"),
        sa.Column("moved_at", MOMENT, comment="when its last move was seen"),
        sa.Column(
            "moves", sa.Integer(), server_default="0", nullable=False, comment="how often it was moved or booked again"
        ),
        sa.Column("cancelled_at", MOMENT, comment="when its last cancellation was seen"),
        sa.Column("cancels", sa.Integer(), server_default="0", nullable=False, comment="how often it was cancelled"),
        sa.Column("no_show_at", MOMENT, comment="when it was seen marked missed"),
        sa.Column("completion_known_at", MOMENT, comment="when its completion was seen"),
        sa.Column("confirmed_start", MOMENT, comment="the start that the patient confirmed"),
        sa.CheckConstraint(
            "status IN ('booked', 'completed', 'cancelled', 'no_show', 'not_done', 'entered_in_error')",
            name="ck_treatment_session_status",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="treatment_session_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="treatment_session_patient_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="treatment_session_pkey"),
        sa.UniqueConstraint(
            "clinic_id", "source", "external_id", name="treatment_session_clinic_id_source_external_id_key"
        ),
        comment="One treatment session",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_treatment_session_patient", "treatment_session", ["patient_id"])
    op.create_table(
        "consent",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("number", sa.String(length=20), nullable=False, comment="E.164"),
        sa.Column(
            "sender_id", KEY, comment="the sender it was said to; a withdrawal holds for all clinics that share it"
        ),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="granted or revoked"),
        sa.Column("at", MOMENT, nullable=False, comment="when"),
        sa.Column(
            "method", sa.String(), server_default="", nullable=False, comment="import, text, provider, staff, form, …"
        ),
        sa.Column("wording_version", sa.String(), comment="which wording was agreed to"),
        sa.Column("evidence", sa.String(), comment="file name, id of the text, who noted it"),
        sa.CheckConstraint("kind IN ('granted', 'revoked')", name="ck_consent_kind"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="consent_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name="consent_sender_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="consent_pkey"),
        comment="The ledger of what was agreed and withdrawn, by number; append only",
    )
    op.create_index("ix_consent_number", "consent", ["number", "at"])
    op.create_table(
        "phone_number",
        sa.Column("number", sa.String(length=20), nullable=False, comment="E.164"),
        sa.Column("blocked_at", MOMENT, comment="since when it is known not to take texts"),
        sa.Column("blocked_code", sa.String(length=20), comment="the provider's code"),
        sa.Column("blocked_reason", sa.String(), comment="in words for staff"),
        sa.PrimaryKeyConstraint("number", name="phone_number_pkey"),
        comment="What is known of a number as such; its row is the lock under which texts to it are counted",
    )


def create_messages() -> None:
    op.create_table(
        "inbound",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("provider_sid", sa.String(length=40), nullable=False, comment="the provider's id: each text once"),
        sa.Column("received_at", MOMENT, nullable=False, comment="when it reached us"),
        sa.Column("from_number", sa.String(length=20), nullable=False, comment="E.164"),
        sa.Column("to_number", sa.String(length=20), nullable=False, comment="our number"),
        sa.Column("messaging_service", sa.String(length=40), comment="our messaging service"),
        sa.Column("body", sa.String(), nullable=False, comment="as it came"),
        sa.Column("fields", DOCUMENT, nullable=False, comment="everything the provider said"),
        sa.Column("via", sa.String(length=10), nullable=False, comment="webhook or poll"),
        sa.Column(
            "state", sa.String(length=10), server_default="new", nullable=False, comment="new, understood or failed"
        ),
        sa.Column(
            "failures", sa.Integer(), server_default="0", nullable=False, comment="how often understanding it failed"
        ),
        sa.Column("reading", sa.String(length=20), comment="what it was understood as"),
        sa.Column("understood_at", MOMENT, comment="when"),
        sa.Column("clinic_id", KEY, comment="the clinic, once known"),
        sa.Column("patient_id", KEY, comment="the patient, where only one fits"),
        sa.CheckConstraint("state IN ('new', 'understood', 'failed')", name="ck_inbound_state"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="inbound_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="inbound_patient_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="inbound_pkey"),
        sa.UniqueConstraint("provider_sid", name="inbound_provider_sid_key"),
        comment="A text from a phone, as it came",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbound_from", "inbound", ["from_number", "received_at"])
    op.create_index("ix_inbound_new", "inbound", ["id"], **only("state = 'new'"))
    op.create_table(
        "message",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("identity", sa.String(length=120), nullable=False, comment="what makes it this text and no other"),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="plan, reply, page or staff"),
        sa.Column("step", sa.String(length=60), comment="the step of the care plan"),
        sa.Column("template", sa.String(length=60), comment="the text's key; empty for free texts"),
        sa.Column("plan_version_id", KEY, comment="the plan it follows"),
        sa.Column("patient_id", KEY, comment="the patient"),
        sa.Column("session_id", KEY, comment="the session"),
        sa.Column("inbound_id", KEY, comment="the text it answers"),
        sa.Column("urgency", sa.String(length=10), nullable=False, comment="safety, reply, care or routine"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="0 safety and replies, 1 care, 2 routine"),
        sa.Column("sender_id", KEY, nullable=False, comment="from where it leaves"),
        sa.Column("state", sa.String(length=12), nullable=False, comment="one of the nine states"),
        sa.Column("reason", sa.String(), comment="why it ended as it did"),
        sa.Column("held_reason", sa.String(), comment="why it waits although due"),
        sa.Column("nominal_at", MOMENT, comment="the step's own time, before windows and spacing"),
        sa.Column("due_at", MOMENT, comment="when it is to go out"),
        sa.Column("expires_at", MOMENT, comment="when it becomes useless"),
        sa.Column("attempt_at", MOMENT, comment="when it is next looked at for sending"),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how often it was handed to the provider",
        ),
        sa.Column("to_number", sa.String(length=20), comment="E.164; fixed for replies, else taken at sending"),
        sa.Column("language", sa.String(length=10), comment="of the text that was sent, or is to be"),
        sa.Column("text", sa.String(), comment="free text, or what was sent"),
        sa.Column("template_version_id", KEY, comment="the version that was sent"),
        sa.Column("encoding", sa.String(length=6), comment="GSM-7 or UCS-2"),
        sa.Column("segments", sa.Integer(), comment="as we count"),
        sa.Column("billed_segments", sa.Integer(), comment="as the provider counts"),
        sa.Column("told_start", MOMENT, comment="the start time that the text names"),
        sa.Column("provider_sid", sa.String(length=40), comment="the provider's id"),
        sa.Column("claim_token", sa.String(length=36), comment="who may settle it"),
        sa.Column("claimed_at", MOMENT, comment="when it was claimed"),
        sa.Column("sent_at", MOMENT, comment="when the provider took it, or may have"),
        sa.Column("settled_at", MOMENT, comment="when its last state was reached"),
        sa.CheckConstraint("kind IN ('plan', 'reply', 'page', 'staff')", name="ck_message_kind"),
        sa.CheckConstraint(
            "state IN ('planned', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'cancelled', 'missed', 'unconfirmed')",
            name="ck_message_state",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="message_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name="message_inbound_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="message_patient_id_fkey"),
        sa.ForeignKeyConstraint(["plan_version_id"], ["plan_version.id"], name="message_plan_version_id_fkey"),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name="message_sender_id_fkey"),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_session.id"], name="message_session_id_fkey"),
        sa.ForeignKeyConstraint(
            ["template_version_id"], ["template_version.id"], name="message_template_version_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="message_pkey"),
        sa.UniqueConstraint("identity", name="message_identity_key"),
        comment="One text we intend to send, to its end",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_message_claim", "message", ["sender_id", "priority", "attempt_at", "id"], **only("state = 'planned'")
    )
    op.create_index("ix_message_claimed", "message", ["claimed_at"], **only("state = 'sending'"))
    op.create_index("ix_message_expiry", "message", ["expires_at"], **only("state = 'planned'"))
    op.create_index("ix_message_patient", "message", ["patient_id", "due_at"])
    op.create_index("ix_message_provider_sid", "message", ["provider_sid"])
    op.create_index("ix_message_page", "message", ["due_at"], **only("kind = 'page'"))
    op.create_index("ix_message_session", "message", ["session_id", "state"])
    op.create_index("ix_message_unsettled", "message", ["sent_at"], **only("state IN ('sent', 'unconfirmed')"))
    op.create_table(
        "send_attempt",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("message_id", KEY, nullable=False, comment="the message"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("patient_id", KEY, comment="the patient"),
        sa.Column("n", sa.Integer(), nullable=False, comment="counts up by message, from 1"),
        sa.Column("number", sa.String(length=20), nullable=False, comment="E.164"),
        sa.Column("sender_id", KEY, nullable=False, comment="from where"),
        sa.Column("text", sa.String(), nullable=False, comment="exactly what was handed over"),
        sa.Column("body_hash", sa.String(length=64), nullable=False, comment="SHA-256 of text, hex"),
        sa.Column("encoding", sa.String(length=6), nullable=False, comment="GSM-7 or UCS-2"),
        sa.Column("segments", sa.Integer(), nullable=False, comment="as we count"),
        sa.Column(
            "counts",
            sa.Boolean(),
            server_default=sa.true(),
            nullable=False,
            comment="counts for the caps; replies do not",
        ),
        sa.Column("started_at", MOMENT, nullable=False, comment="when it was claimed for this attempt"),
        sa.Column("finished_at", MOMENT, comment="when its outcome was known"),
        sa.Column("outcome", sa.String(length=10), comment="accepted, refused or unknown; empty: under way"),
        sa.Column("provider_sid", sa.String(length=40), comment="the provider's id"),
        sa.Column("code", sa.String(length=20), comment="the provider's error code"),
        sa.Column("detail", sa.String(), comment="in words for staff"),
        sa.CheckConstraint("outcome IN ('accepted', 'refused', 'unknown')", name="ck_send_attempt_outcome"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="send_attempt_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="send_attempt_message_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="send_attempt_patient_id_fkey"),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name="send_attempt_sender_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="send_attempt_pkey"),
        sa.UniqueConstraint("message_id", "n", name="send_attempt_message_id_n_key"),
        comment="One handing over to the provider; stands before the request leaves",
    )
    op.create_index("ix_send_attempt_number", "send_attempt", ["number", "started_at"])
    op.create_index("ix_send_attempt_patient", "send_attempt", ["patient_id", "started_at"])
    op.create_index("ix_send_attempt_provider_sid", "send_attempt", ["provider_sid", "outcome"])
    op.create_table(
        "raw_receipt",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("provider_sid", sa.String(length=40), nullable=False, comment="the provider's id of the text"),
        sa.Column("status", sa.String(length=30), nullable=False, comment="the provider's word"),
        sa.Column(
            "error_code",
            sa.String(length=20),
            server_default="",
            nullable=False,
            comment="the provider's code, or empty",
        ),
        sa.Column("message_id", KEY, comment="our id, where the report carried it"),
        sa.Column("fields", DOCUMENT, nullable=False, comment="everything the provider said"),
        sa.Column("received_at", MOMENT, nullable=False, comment="when it reached us"),
        sa.Column("applied_at", MOMENT, comment="when it was worked in"),
        sa.Column(
            "failures", sa.Integer(), server_default="0", nullable=False, comment="how often working it in failed"
        ),
        sa.PrimaryKeyConstraint("id", name="raw_receipt_pkey"),
        sa.UniqueConstraint(
            "provider_sid", "status", "error_code", name="raw_receipt_provider_sid_status_error_code_key"
        ),
        comment="A provider's report on a text, as it came; each distinct one once",
    )
    op.create_index("ix_raw_receipt_new", "raw_receipt", ["id"], **only("applied_at IS NULL"))


def create_records() -> None:
    op.create_table(
        "journal",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("at", MOMENT, nullable=False, comment="when"),
        sa.Column("kind", sa.String(length=40), nullable=False, comment="what happened, one stable word"),
        sa.Column("reason", sa.String(), comment="why"),
        sa.Column("clinic_id", KEY, comment="the clinic"),
        sa.Column("patient_id", KEY, comment="the patient"),
        sa.Column("session_id", KEY, comment="the session"),
        sa.Column("message_id", KEY, comment="the message"),
        sa.Column("data", DOCUMENT, server_default="{}", nullable=False, comment="the values that changed"),
        sa.Column("outside_key", sa.String(length=120), comment="names the outside fact, so it is noted once"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="journal_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="journal_message_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="journal_patient_id_fkey"),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_session.id"], name="journal_session_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="journal_pkey"),
        sa.UniqueConstraint("outside_key", name="journal_outside_key_key"),
        comment="A fact that happened; append only",
    )
    op.create_index("ix_journal_message", "journal", ["message_id"])
    op.create_index("ix_journal_patient", "journal", ["patient_id"])
    op.create_table(
        "task",
        sa.Column("id", KEY, nullable=False, comment="key"),
        sa.Column("clinic_id", KEY, nullable=False, comment="the clinic"),
        sa.Column("identity", sa.String(length=120), nullable=False, comment="what makes it this task and no other"),
        sa.Column("kind", sa.String(length=60), nullable=False, comment="what sort of task"),
        sa.Column("step", sa.String(length=60), comment="the step of the care plan"),
        sa.Column("patient_id", KEY, comment="the patient"),
        sa.Column("session_id", KEY, comment="the session"),
        sa.Column("message_id", KEY, comment="the message"),
        sa.Column("inbound_id", KEY, comment="the text it is about"),
        sa.Column(
            "level",
            sa.String(length=15),
            server_default="routine",
            nullable=False,
            comment="red, amber_urgent, amber or routine",
        ),
        sa.Column("due_at", MOMENT, nullable=False, comment="when it is to be done"),
        sa.Column(
            "state", sa.String(length=10), nullable=False, comment="planned (not yet shown), open, closed or withdrawn"
        ),
        sa.Column(
            "reason", sa.String(), server_default="", nullable=False, comment="what happened, in words for staff"
        ),
        sa.Column("next_action", sa.String(), server_default="", nullable=False, comment="what to do"),
        sa.Column("opened_at", MOMENT, comment="when it became open"),
        sa.Column("closed_at", MOMENT, comment="when it was closed or withdrawn"),
        sa.Column("outcome", sa.String(), comment="how it ended"),
        sa.CheckConstraint("level IN ('red', 'amber_urgent', 'amber', 'routine')", name="ck_task_level"),
        sa.CheckConstraint("state IN ('planned', 'open', 'closed', 'withdrawn')", name="ck_task_state"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="task_clinic_id_fkey"),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"], name="task_inbound_id_fkey"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="task_message_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="task_patient_id_fkey"),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_session.id"], name="task_session_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="task_pkey"),
        sa.UniqueConstraint("identity", name="task_identity_key"),
        comment="Something a person has to do",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_due", "task", ["due_at"], **only("state = 'planned'"))
    op.create_index("ix_task_patient", "task", ["patient_id"])


def create_running() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("job", sa.String(length=20), nullable=False, comment="plan, dispatch, receipts, inbound, recover"),
        sa.Column("worker", sa.String(length=80), nullable=False, comment="host and process"),
        sa.Column("at", MOMENT, nullable=False, comment="when it last ended"),
        sa.Column("took_ms", sa.Integer(), nullable=False, comment="how long it took, in milliseconds"),
        sa.Column("rows", sa.Integer(), nullable=False, comment="how many rows it worked on"),
        sa.PrimaryKeyConstraint("job", "worker", name="heartbeat_pkey"),
        comment="The last run of one job of one worker",
    )
    op.create_table(
        "installation",
        sa.Column("id", KEY, autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("paused_at", MOMENT, comment="since when nothing at all is sent"),
        sa.Column("pause_reason", sa.String(), comment="why, in words for staff"),
        sa.Column("inbound_polled_to", MOMENT, comment="texts from phones were fetched up to here"),
        sa.CheckConstraint("id = 1", name="ck_installation_one"),
        sa.PrimaryKeyConstraint("id", name="installation_pkey"),
        comment="The one row about the whole installation",
    )
