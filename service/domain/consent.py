"""Whether a number may be texted, read from the ledger of what was agreed and withdrawn.

Consent is given to a clinic. A withdrawal said to a sender holds for every clinic that shares the sender, because
the patient sees one number and the carrier blocks one number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Standing(StrEnum):
    """What holds for a number, a clinic and a sender at a moment."""

    NONE = "no_consent"
    GRANTED = "granted"
    REVOKED = "opted_out"


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One line of the ledger of a number, in the order in which it was written."""

    clinic_id: int
    sender_id: int | None
    granted: bool
    at: datetime
    by_text: bool = False


def standing(entries: Iterable[ConsentEntry], *, clinic_id: int, sender_id: int, now: datetime) -> Standing:
    """What the newest entries say; ``entries`` are those of one number, later lines win at equal times.

    Clocks differ: a withdrawal counts even if its time seems to lie ahead, a consent only from its time on.
    """
    of_clinic: ConsentEntry | None = None
    of_sender: ConsentEntry | None = None
    for entry in sorted((e for e in entries if e.at <= now or not e.granted), key=lambda e: e.at):
        if entry.clinic_id == clinic_id:
            of_clinic = entry
        if entry.sender_id == sender_id and (entry.clinic_id == clinic_id or not entry.granted):
            of_sender = entry
    if any(entry is not None and not entry.granted for entry in (of_clinic, of_sender)):
        return Standing.REVOKED
    return Standing.NONE if of_clinic is None else Standing.GRANTED


def granted_from(entries: Sequence[ConsentEntry], *, clinic_id: int, sender_id: int, now: datetime) -> datetime | None:
    """The first moment from ``now`` on at which the number may be texted; None if what is written leads to none.

    Who plans looks ahead with it: when the time of a line comes that another clock has dated, nobody looks again.
    """
    moments = [now, *sorted(e.at for e in entries if e.granted and e.at > now)]
    stands = (standing(entries, clinic_id=clinic_id, sender_id=sender_id, now=moment) for moment in moments)
    return next((moment for moment, held in zip(moments, stands, strict=True) if held is Standing.GRANTED), None)


def first_granted_at(entries: Iterable[ConsentEntry], *, clinic_id: int) -> datetime | None:
    """When the clinic first had the number's consent, or None."""
    return min((e.at for e in entries if e.granted and e.clinic_id == clinic_id), default=None)
