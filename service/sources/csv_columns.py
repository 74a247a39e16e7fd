"""Which column of a file is which of ours: names, other names for them, and the delimiter that makes the most sense of them."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.domain.segments import tidy
from service.sources.csv_layout import FileRefusedError, LayoutError

REQUIRED = ("external_id", "mrn", "first_name", "last_name", "mobile", "language", "start_local", "end_local", "status")
OPTIONAL = ("site", "completed_at", "updated_at", "consent")
COLUMNS = REQUIRED + OPTIONAL

_DELIMITERS = ",;\t|"
_SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each of our columns stands; ``width`` is how many fields every row has."""

    places: Mapping[str, int]
    width: int

    def cell(self, fields: list[str], column: str) -> str | None:
        """The value without the blanks around it; None where the file has no such column, or the row is too short."""
        place = self.places.get(column)
        return None if place is None or place >= len(fields) else fields[place].strip()

    def name(self, place: int) -> str:
        """What we call the column at ``place``; empty for one that is not ours."""
        return next((column for column, own in self.places.items() if own == place), "")


def read_names(pairs: Iterable[str]) -> dict[str, str]:
    """``mobile=Cell phone`` as our column and the file's name for it. Raises LayoutError."""
    names: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        ours = ours.strip()
        if not equals or not theirs.strip() or ours not in COLUMNS or ours in names:
            raise LayoutError(
                f"{pair!r} names no column. Write our name, = and the file's name, each column once; ours are {', '.join(COLUMNS)}."
            )
        names[ours] = theirs
    return names


def read_delimiter(written: str) -> str:
    """One character, or the word ``tab``. Raises LayoutError."""
    delimiter = _SPELLED.get(written.lower(), written)
    if len(delimiter) != 1 or delimiter in '"\r\n\0' or delimiter.isalnum():
        raise LayoutError(f"{written!r} cannot stand between fields. Give one character such as ; or the word tab.")
    return delimiter


def guess_delimiter(header: str, names: Mapping[str, str]) -> str:
    """The one of comma, semicolon, tab and bar that makes the most known columns of the header; the comma if none does."""
    return max(
        _DELIMITERS, key=lambda delimiter: len(_places(next(csv.reader([header], delimiter=delimiter), []), names))
    )


def read_header(fields: list[str], names: Mapping[str, str]) -> Columns:
    """Raises FileRefusedError when this is no header, or one without the columns that are needed."""
    places = _places(fields, names)
    if not places:
        raise FileRefusedError(
            f"The first line is no header: it names none of our columns. They are {', '.join(COLUMNS)}; other names for them "
            "are given with --map, another delimiter with --delimiter."
        )
    if missing := [column for column in REQUIRED if column not in places]:
        raise FileRefusedError(
            f"The header has no column {', '.join(missing)}. {_not_ours(fields, places)}"
            "Name the right one, for example with --map mobile=Cell."
        )
    known = [_folded(fields[place]) for place in places.values()]
    if twice := sorted({name for name in known if list(map(_folded, fields)).count(name) > 1}):
        raise FileRefusedError(f"The header names the column {twice[0]} twice. Take one of them out.")
    return Columns(places, len(fields))


def _places(fields: list[str], names: Mapping[str, str]) -> dict[str, int]:
    found = {name: place for place, name in reversed(list(enumerate(map(_folded, fields))))}
    wanted = {column: _folded(names.get(column, column)) for column in COLUMNS}
    return {column: found[name] for column, name in wanted.items() if name in found}


def _not_ours(fields: list[str], places: Mapping[str, int]) -> str:
    others = [name.strip() for place, name in enumerate(fields) if place not in places.values() and name.strip()]
    return f"Columns that are not ours: {', '.join(name[:40] for name in others[:_SHOWN])}. " if others else ""


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", tidy(name).strip().casefold())
