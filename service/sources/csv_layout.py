"""What is said about a file before it is read, and why a file, or what was said about it, is refused as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from service.domain.errors import AftercareError

ID_CHARS = 200
"""The longest id that can be kept."""


class FileRefusedError(AftercareError):
    """The file itself cannot be read as sessions. Nothing of it was taken over."""


class LayoutError(AftercareError):
    """What was said about the file (its delimiter, encoding, columns or dates) cannot be right, whatever is in it."""


class ConsentRule(StrEnum):
    """What the imported patients have agreed to: the clinic has it on file, they may be asked by text, or a column tells."""

    ON_FILE = "on-file"
    ASK = "ask"
    COLUMN = "column"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is written, and for whom: wall time is in ``zone``, numbers without a prefix are of ``country``.

    ``languages`` are those that the clinic writes in, ``dates`` formats as of :func:`csv_dates.read_formats`, ``names`` the
    file's names for our columns where they differ.
    """

    zone: ZoneInfo
    country: str
    languages: tuple[str, ...]
    dates: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    consent: ConsentRule | None = None
