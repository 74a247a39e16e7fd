"""Read-only views for screens and the command line, ready to be written as JSON; moments are RFC 3339 in UTC.

Phone numbers are whole here: whoever shows them masks them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.lifecycle import State
from service.store import journal, running
from service.store.messages import PLANNED
from service.store.tables import Clinic, Installation, Message, Patient, Sender, TemplateVersion

BATCH = 1000

LISTED = {
    "id": Message.id,
    "identity": Message.identity,
    "kind": Message.kind,
    "step": Message.step,
    "template": Message.template,
    "clinic": Message.clinic_id,
    "patient": Message.patient_id,
    "session": Message.session_id,
    "to": func.coalesce(Message.to_number, Patient.phone),
    "state": Message.state,
    "reason": Message.reason,
    "held_reason": Message.held_reason,
    "due_at": Message.due_at,
    "expires_at": Message.expires_at,
    "attempts": Message.attempts,
    "provider_sid": Message.provider_sid,
    "sent_at": Message.sent_at,
}
"""What a list says of a message. ``to`` is the number it went to; before that, the one it would go to."""

SHOWN = LISTED | {
    "urgency": Message.urgency,
    "inbound": Message.inbound_id,
    "nominal_at": Message.nominal_at,
    "attempt_at": Message.attempt_at,
    "language": Message.language,
    "text": Message.text,
    "template_version": TemplateVersion.version,
    "encoding": Message.encoding,
    "segments": Message.segments,
    "billed_segments": Message.billed_segments,
    "settled_at": Message.settled_at,
}
"""What one message says of itself."""


def status(db: Session, *, now: datetime) -> dict[str, Any]:
    """How all is going: messages by state, what is due (planned, past its time, not held), what is paused, heartbeats."""
    counts = dict(db.execute(select(Message.state, func.count()).group_by(Message.state)).all())
    states = {str(state): counts.get(state, 0) for state in State}
    overdue = (Message.due_at <= now) & Message.held_reason.is_(None)
    due, oldest, held = db.execute(
        select(
            func.count().filter(overdue),
            func.min(Message.due_at).filter(overdue),
            func.count().filter(Message.held_reason.is_not(None)),
        ).where(PLANNED)
    ).one()
    whole = running.installation(db)
    stopped = select(Sender).where(Sender.paused_at.is_not(None)).order_by(Sender.id)
    return {
        "states": states,
        "due": due,
        "oldest_due_seconds": int((now - oldest).total_seconds()) if oldest else 0,
        "held": held,
        "unconfirmed": states[State.UNCONFIRMED],
        "paused": whole.paused_at is not None,
        "pause_reason": _why(whole),
        "paused_senders": {sender.key: _why(sender) for sender in db.scalars(stopped)},
        "paused_clinics": dict(
            db.execute(select(Clinic.key, Clinic.pause_reason).where(Clinic.paused_at.is_not(None))).all()
        ),
        "heartbeats": _heartbeats(db, now),
    }


def message_list(
    db: Session,
    *,
    clinic_id: int | None = None,
    state: State | None = None,
    patient_id: int | None = None,
    session_id: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Every message that fits, by id, read in batches. None leaves a filter out. Keys: :data:`LISTED`."""
    messages = select(*LISTED.values()).join_from(Message, Patient, Message.patient_id == Patient.id, isouter=True)
    filters = (
        (Message.clinic_id, clinic_id),
        (Message.state, state),
        (Message.patient_id, patient_id),
        (Message.session_id, session_id),
    )
    for column, wanted in filters:
        if wanted is not None:
            messages = messages.where(column == wanted)
    for row in db.execute(messages.order_by(Message.id).execution_options(yield_per=BATCH)):
        yield _record(LISTED, row)


def message_story(db: Session, message_id: int) -> dict[str, Any] | None:
    """``{"message": {…}, "story": [{"at", "kind", "reason", "data"}]}``, oldest first; None: there is no such message.

    Keys of the message: :data:`SHOWN`.
    """
    shown = (
        select(*SHOWN.values())
        .join_from(Message, Patient, Message.patient_id == Patient.id, isouter=True)
        .join(TemplateVersion, Message.template_version_id == TemplateVersion.id, isouter=True)
    )
    row = db.execute(shown.where(Message.id == message_id)).one_or_none()
    if row is None:
        return None
    story = [
        {"at": _written(entry.at), "kind": entry.kind, "reason": entry.reason, "data": entry.data}
        for entry in journal.story(db, message_id)
    ]
    return {"message": _record(SHOWN, row), "story": story}


def _why(row: Sender | Installation) -> str | None:
    """The reason of a pause, and when one that is tried out by itself is tried next."""
    if row.probe_at is None:
        return row.pause_reason
    return f"{row.pause_reason} It ends by itself; the next try is due at {row.probe_at.astimezone(UTC):%H:%M:%S} UTC."


def _heartbeats(db: Session, now: datetime) -> dict[str, dict[str, Any]]:
    """The latest run of each job, whichever worker it was."""
    ran = (beat for beat in running.heartbeats(db) if beat.job != running.STOPPED)
    latest = sorted(ran, key=lambda beat: beat.at)
    return {
        beat.job: {
            "at": _written(beat.at),
            "age_seconds": int((now - beat.at).total_seconds()),
            "worker": beat.worker,
            "took_ms": beat.took_ms,
            "rows": beat.rows,
        }
        for beat in latest
    }


def _record(names: dict[str, Any], row: Any) -> dict[str, Any]:
    return {name: _written(value) for name, value in zip(names, row, strict=True)}


def _written(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
