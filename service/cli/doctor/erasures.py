"""What erasing people rests on: the key that knows their numbers again, and a provider that lets go of its copies."""

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.cli.doctor.finding import Check, judged
from service.store.seals import is_own_key
from service.store.tables import ProviderCopy

MANY = 8
"""By then the provider was asked for some two hours: a text on its way has long arrived, or never will."""


def look_at_erasures(db: Session) -> Iterator[Check]:
    """Whether opt-outs of erased people are still seen, and whether copies that are to go do go."""
    other = ["AFTERCARE_SECRET_KEY is not the key with which numbers were sealed: opt-outs of erased people go unseen"]
    key = "Set the key that was used before; it stands with the backups."
    yield judged("seals", other if is_own_key(db) is False else [], well="the key knows erased numbers again", fix=key)
    stuck = select(func.count(), func.max(ProviderCopy.last_error)).where(
        ProviderCopy.done_at.is_(None), ProviderCopy.attempts >= MANY
    )
    count, why = db.execute(stuck).one()
    faults = [f"{count} were asked for {MANY} times or more and are still there: {why}"] if count else []
    delete = "Give the API key the right to delete messages, or delete them in the provider's console; it is tried until then."
    yield judged("provider copies", faults, well="none refuses to go", fix=delete)
