"""The records of a delimited file, one after the other, each with the physical line where it starts.

However broken the file is, little of it is held at a time, and one bad record never swallows the good ones after it.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from service.sources.csv_layout import FileRefusedError, LayoutError

FIELD_BYTES = 64 * 1024
RECORD_CHARS = 1024 * 1024
"""A quotation mark that is opened and never closed would make one record of all that follows: here the search for its end stops."""
_AGAIN_CHARS = 16 * RECORD_CHARS
"""So much may be read a second time because of broken quotation marks; a file that needs more is not worth reading."""

_BINARY_SHARE = 0.05
_SAMPLE = 4096
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\f\r\x1a"))
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_KNOWN_ENCODINGS = "Well known are utf-8, cp1252, cp1254 and utf-16."

Fault = Literal["too_long", "unclosed"]

# The limit of the csv module is one for the whole process, and at first below what one record may hold here.
csv.field_size_limit(2 * RECORD_CHARS)


@dataclass(frozen=True, slots=True)
class Record:
    """``line`` is where it starts. With a ``fault`` the fields are those that could still be told apart."""

    line: int
    fields: list[str]
    fault: Fault | None = None


@contextmanager
def opened(path: Path, encoding: str | None) -> Iterator[TextIO]:
    """The file as text; UTF-8 with or without a byte order mark unless said otherwise.

    Raises LayoutError for an encoding that does not exist, FileRefusedError for what is no text and, inside the ``with``, for
    bytes that are none in that encoding.
    """
    codec = _codec(encoding)
    _refuse_no_text(path, codec)
    try:
        with path.open(encoding=codec, newline="") as stream:
            yield stream
    except LookupError:
        raise LayoutError(f"{encoding!r} is no encoding of texts. {_KNOWN_ENCODINGS}") from None
    except UnicodeError:
        raise FileRefusedError(_not_decodable(path, encoding)) from None


def _codec(encoding: str | None) -> str:
    try:
        name = codecs.lookup(encoding or "utf-8").name
    except (LookupError, ValueError):
        raise LayoutError(f"{encoding!r} is no encoding. {_KNOWN_ENCODINGS}") from None
    return "utf-8-sig" if name == "utf-8" else name


def _refuse_no_text(path: Path, codec: str) -> None:
    sample = _beginning(path)
    if not sample:
        raise FileRefusedError(
            f"{path.name} is empty. A file without sessions still has the line with the column names."
        )
    if sample.startswith(_WORKBOOKS):
        raise FileRefusedError(f'{path.name} is a workbook and no CSV file. Save it as "CSV UTF-8" and import that.')
    if codec.startswith(("utf-16", "utf-32")):
        return
    if sample.startswith(_UTF_16):
        raise FileRefusedError(f'{path.name} is UTF-16 text. Give --encoding utf-16, or save it as "CSV UTF-8".')
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _BINARY_SHARE * len(sample):
        raise FileRefusedError(
            f'{path.name} is binary and no CSV file. Save the sessions as "CSV UTF-8" and import that.'
        )


def _beginning(path: Path) -> bytes:
    if not path.is_file():  # it is read more than once, which a pipe does not allow
        raise FileRefusedError(f"{path.name} is no file. Give the name of a CSV file.")
    try:
        with path.open("rb") as stream:
            return stream.read(_SAMPLE)
    except OSError as why:
        raise FileRefusedError(f"{path.name} cannot be opened: {why.strerror}.") from None


def _not_decodable(path: Path, encoding: str | None) -> str:
    if encoding:
        return (
            f"{path.name} is not written in {encoding}: it holds bytes that mean nothing there. Try another --encoding."
        )
    return (
        f"{path.name} is not UTF-8. Excel often saves as cp1252 (western Europe) or cp1254 (Turkish): give --encoding cp1252 or "
        '--encoding cp1254, look at the names in the result, or save the file as "CSV UTF-8".'
    )


def read_records(stream: TextIO, delimiter: str) -> Iterator[Record]:
    """Every record but blank lines, the header first.

    A record of several lines that has no end, or not as many fields as the header, was probably begun by a stray quotation
    mark: reading goes on at its second line. Raises FileRefusedError where that is so all over the file.
    """
    lines, width = _Lines(stream), None
    reader = csv.reader(lines, delimiter=delimiter)
    while (record := _next(reader, lines)) is not None:
        if record.fault is None and not any(map(str.strip, record.fields)):
            continue
        width = width or len(record.fields)
        yield record
        if record.fault or len(record.fields) != width:
            lines.go_back()


def _next(reader: Iterator[list[str]], lines: "_Lines") -> Record | None:
    lines.begin()
    try:
        fields = next(reader)
    except StopIteration:
        return None
    except (_OverlongError, csv.Error):
        return Record(lines.start, [], "too_long")
    return Record(lines.start, [], "unclosed") if lines.broke_off else Record(lines.start, fields)


class _OverlongError(Exception):
    """A record has become longer than any record is."""


class _Lines:
    """Physical lines for ``csv.reader``, with a way back to the second line of a record that never ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._given = 0
        self._read_again = 0
        self.broke_off = False

    @property
    def start(self) -> int:
        """The line where the present record starts."""
        return self._given - len(self._taken) + 1

    def begin(self) -> None:
        self._taken, self._size, self.broke_off = [], 0, False

    def go_back(self) -> None:
        """Forget all lines of the present record but the first."""
        again = self._taken[1:]
        self._read_again += sum(map(len, again))
        if self._read_again > _AGAIN_CHARS:
            raise FileRefusedError(
                f"Quotation marks are opened and never closed all over the file, the last of them on line {self.start}. "
                "Write the file anew with a program that quotes its fields."
            )
        self._again.extendleft(reversed(again))
        self._given -= len(again)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if not line:
            self.broke_off = bool(self._taken)
            raise StopIteration
        self._given += 1
        self._taken.append(line)
        self._size += len(line)
        if self._size > RECORD_CHARS:
            raise _OverlongError
        return line

    def _read(self) -> str:
        """The next physical line; of one that is longer than a record, its beginning."""
        line = rest = self._stream.readline(RECORD_CHARS + 1)
        while len(rest) > RECORD_CHARS and not rest.endswith(("\n", "\r")):
            rest = self._stream.readline(RECORD_CHARS + 1)
        if not line.isascii():
            line.encode()  # some encodings let halves of characters through, which no database takes
        return line
