"""Sessions from a CSV file: a first look at the whole of it, then row by row. Neither holds more than the ids it has seen."""

from collections.abc import Iterator
from pathlib import Path

from service.domain.session_record import Reject, SessionRecord, Survey
from service.sources.csv_columns import Columns, guess_delimiter, read_header
from service.sources.csv_layout import ID_CHARS, ConsentRule, FileRefusedError, Layout
from service.sources.csv_records import RECORD_CHARS, Record, opened, read_records
from service.sources.csv_rows import RowJudge

_OF_THE_PATIENT = ("first_name", "last_name", "mobile", "language", "consent")


def survey(path: Path, layout: Layout) -> Survey:
    """Look through the whole file. What cannot be read as a file is refused here, before anything of it is taken over.

    Raises FileRefusedError or LayoutError.
    """
    ids: set[str] = set()
    said: dict[str, int] = {}
    disputed: set[str] = set()
    rows, nameless = 0, None
    for columns, record in _records(path, layout):
        rows += 1
        external_id, mrn = (columns.cell(record.fields, column) or "" for column in ("external_id", "mrn"))
        if not external_id:
            nameless = nameless or record.line
        elif len(external_id) <= ID_CHARS:
            ids.add(external_id)
        facts = hash(tuple(columns.cell(record.fields, column) for column in _OF_THE_PATIENT))
        if said.setdefault(mrn[:ID_CHARS], facts) != facts:
            disputed.add(mrn[:ID_CHARS])
    return Survey(rows, frozenset(ids), nameless, frozenset(disputed))


def read_sessions(path: Path, layout: Layout) -> Iterator[SessionRecord | Reject]:
    """Every row, judged, in the order of the file; its warnings stand on the record. Raises FileRefusedError or LayoutError."""
    judge = RowJudge(layout)
    for columns, record in _records(path, layout):
        yield judge.judge(columns, record)


def _records(path: Path, layout: Layout) -> Iterator[tuple[Columns, Record]]:
    with opened(path, layout.encoding) as stream:
        header = line = stream.readline(RECORD_CHARS)
        while line and not header.strip():
            header = line = stream.readline(RECORD_CHARS)
        delimiter = layout.delimiter or guess_delimiter(header.removeprefix("\ufeff"), layout.names)
        stream.seek(0)
        records = read_records(stream, delimiter)
        columns = _columns(path, next(records, None), layout)
        for record in records:
            yield columns, record


def _columns(path: Path, header: Record | None, layout: Layout) -> Columns:
    if header is None:
        raise FileRefusedError(
            f"{path.name} holds nothing but blank lines. A file without sessions still has a header."
        )
    columns = read_header([name.removeprefix("\ufeff") for name in header.fields], layout.names)
    if layout.consent is ConsentRule.COLUMN and "consent" not in columns.places:
        raise FileRefusedError(
            "--consent column was given, but the file has no column consent. Add it, or name it with --map."
        )
    return columns
