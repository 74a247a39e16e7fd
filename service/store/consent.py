"""The ledger of what was agreed and withdrawn, by number. Lines are added, never changed; a number may be sealed."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.domain.consent import ConsentEntry
from service.store.seals import seals_of
from service.store.tables import Consent

BATCH = 1000


def append(
    db: Session,
    *,
    clinic_id: int,
    number: str,
    sender_id: int | None,
    granted: bool,
    at: datetime,
    method: str,
    wording_version: str | None = None,
    evidence: str | None = None,
) -> None:
    """Add a line. ``sender_id`` names the sender that it was said to; None where it was said to the clinic itself."""
    db.execute(
        insert(Consent).values(
            clinic_id=clinic_id,
            number=number,
            sender_id=sender_id,
            kind="granted" if granted else "revoked",
            at=at,
            method=method,
            wording_version=wording_version,
            evidence=evidence,
        )
    )


def entries_for(db: Session, numbers: Collection[str]) -> dict[str, list[ConsentEntry]]:
    """The lines of each number, of every clinic, oldest first; a number without lines has an empty list.

    Of what was sealed when somebody was erased a withdrawal that stood then still counts, and a consent does not: whoever
    comes again is asked again.
    """
    found: dict[str, list[ConsentEntry]] = {number: [] for number in numbers}
    sealed: dict[str, list[ConsentEntry]] = {number: [] for number in numbers}
    seals = seals_of(db, found)
    lines = select(Consent.number, Consent.clinic_id, Consent.sender_id, Consent.kind, Consent.at, Consent.method)
    of_numbers = lines.where(Consent.number.in_([*found, *seals])).order_by(Consent.at, Consent.id)
    for number, clinic_id, sender_id, kind, at, method in db.execute(of_numbers):
        entry = ConsentEntry(clinic_id, sender_id, granted=kind == "granted", at=at, by_text=method == "text")
        (found[number] if number in found else sealed[seals[number]]).append(entry)
    for number, entries in sealed.items():
        if standing := _withdrawn(entries):
            found[number] = sorted([*standing, *found[number]], key=lambda entry: entry.at)
    return found


def ledger(db: Session, *, clinic_id: int | None, number: str | None) -> Iterator[Consent]:
    """The lines themselves as proof, by number and in order; None leaves a filter out. Those of a sealed number are found by it."""
    lines = select(Consent).order_by(Consent.number, Consent.at, Consent.id)
    if clinic_id is not None:
        lines = lines.where(Consent.clinic_id == clinic_id)
    if number is not None:
        lines = lines.where(Consent.number.in_([number, *seals_of(db, [number])]))
    yield from db.scalars(lines.execution_options(yield_per=BATCH))


def _withdrawn(entries: Sequence[ConsentEntry]) -> list[ConsentEntry]:
    """The withdrawals that no later consent to the same clinic has ended."""
    standing: list[ConsentEntry] = []
    for entry in entries:
        if entry.granted:
            standing = [other for other in standing if other.clinic_id != entry.clinic_id]
        else:
            standing.append(entry)
    return standing
