"""What comes in, kept as it came: texts from phones and the provider's reports. Understanding it is a later act."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import String, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.sms import InboundSms, Receipt
from service.store.inserts import insert_new
from service.store.tables import Inbound, RawReceipt

# Spelled out and not bound, so that both databases see that the partial index holds all that is asked for.
NEW = Inbound.state == literal_column("'new'")

TRIES = 2
"""A report that could not be worked in this often waits for a person, and no longer before the others."""


def add_raw(db: Session, sms: InboundSms, *, now: datetime, via: str) -> int | None:
    """Keep a text; its id, or None if the provider gave it to us before. ``via`` is webhook or poll."""
    return insert_new(
        db,
        Inbound,
        provider_sid=_fit(Inbound.provider_sid, sms.provider_sid),
        received_at=sms.received_at or now,
        from_number=_fit(Inbound.from_number, sms.from_number),
        to_number=_fit(Inbound.to_number, sms.to_number),
        messaging_service=_fit(Inbound.messaging_service, sms.messaging_service or "") or None,
        body=_storable(sms.body),
        fields=_storable_fields(sms.fields),
        via=via,
    )


def is_known(db: Session, sms: InboundSms) -> bool:
    """Whether the text is kept already."""
    kept = select(Inbound.id).where(Inbound.provider_sid == _fit(Inbound.provider_sid, sms.provider_sid))
    return db.scalar(kept) is not None


def new_inbound(db: Session, *, limit: int) -> list[Inbound]:
    """Texts not yet understood, oldest first, locked; those that another worker holds are left to it."""
    new = select(Inbound).where(NEW).order_by(Inbound.id).limit(limit)
    return list(db.scalars(new.with_for_update(skip_locked=True)))


def add_receipt(db: Session, receipt: Receipt, *, now: datetime) -> int | None:
    """Keep a report; its id, or None if the provider said the same of the same text before."""
    return insert_new(
        db,
        RawReceipt,
        provider_sid=_fit(RawReceipt.provider_sid, receipt.provider_sid),
        status=_fit(RawReceipt.status, receipt.word),
        error_code=_fit(RawReceipt.error_code, receipt.failure.code if receipt.failure else ""),
        message_id=receipt.message_id,
        fields=_storable_fields(receipt.fields),
        received_at=now,
    )


def new_receipts(db: Session, *, limit: int) -> list[RawReceipt]:
    """Reports not yet worked in, oldest first, locked; those that another worker holds are left to it."""
    new = select(RawReceipt).where(RawReceipt.applied_at.is_(None), RawReceipt.failures < TRIES)
    return list(db.scalars(new.order_by(RawReceipt.id).limit(limit).with_for_update(skip_locked=True)))


def reported(db: Session, message_ids: Collection[int]) -> set[int]:
    """About which of these messages reports have come that are not worked in."""
    waiting = select(RawReceipt.message_id).where(
        RawReceipt.applied_at.is_(None), RawReceipt.message_id.in_(message_ids)
    )
    return {message_id for message_id in db.scalars(waiting) if message_id is not None}


def _fit(column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None], value: str) -> str:
    """Cut to what the column holds: the whole of it stands in ``fields``, and nothing may keep a text from being kept."""
    assert isinstance(column.type, String)  # noqa: S101 - for the type checker
    return _storable(value)[: column.type.length]


def _storable(value: str) -> str:
    """PostgreSQL holds neither NUL nor half a surrogate pair; a cry for help must not be lost over one, so it is replaced."""
    return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _storable_fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {_storable(name): _storable(value) for name, value in fields.items()}
