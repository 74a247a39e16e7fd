"""One row of a source, read and judged: what it says of a session and its patient, or why it cannot be used."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Agreement(StrEnum):
    """What a source says that the patient agreed to, for the number it gives."""

    GRANTED = "granted"
    MAY_ASK = "may_ask"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person should know about one line (the header is 1; 0: the file as a whole). ``column`` may be empty."""

    line: int
    column: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reject(Remark):
    """A row that was not taken over."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a source says of a session and its patient. None: it says nothing of that, and what is stored stays.

    Moments are UTC. ``source_version`` sorts as text: of two, the greater is the newer. ``line`` is where it stands.
    """

    external_id: str
    patient_external_id: str
    start: datetime
    status: str
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    language: str | None = None
    end: datetime | None = None
    completed_at: datetime | None = None
    completed_assumed: bool = False
    source_version: str | None = None
    consent: Agreement | None = None
    line: int = 0
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at a whole file found, before anything of it is taken over.

    ``ids`` are the external ids of all rows, rejected ones too; ``nameless`` the first line whose id cannot be read, so
    that nobody can say which session it is. ``disputed``: patients of whom different rows say different things.
    """

    rows: int
    ids: frozenset[str]
    nameless: int | None
    disputed: frozenset[str]
