"""Judging one row of a file: a record that can be taken over, with its warnings, or a reject that says what is wrong."""

from datetime import datetime, timedelta
from functools import lru_cache

from service.domain.phone import ParsedNumber, PhoneError, parse_number
from service.domain.session_record import Agreement, Reject, Remark, SessionRecord
from service.domain.variables import DEFAULT_LENGTH
from service.sources.csv_columns import Columns
from service.sources.csv_dates import DateError, DateReader
from service.sources.csv_layout import ID_CHARS, ConsentRule, Layout
from service.sources.csv_records import FIELD_BYTES, Record
from service.sources.csv_shown import shown
from service.sources.csv_words import read_agreement, read_language, read_status

VERSION = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How the time of a change is kept: in UTC and of one width, so that comparing texts compares moments."""

_OTHER_DAY = timedelta(hours=24)


class RowJudge:
    """Judges the rows of one file, one after the other; remembers the ids of those that can be taken over, and nothing else."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.dates = DateReader(layout.dates, layout.zone)
        self.seen: set[str] = set()
        self.number = lru_cache(maxsize=1024)(parse_number)

    def judge(self, columns: Columns, record: Record) -> SessionRecord | Reject:
        """The row as a record, or why it is none."""
        try:
            _refuse_misshapen(columns, record)
            read = _Row(self, columns, record).read()
        except _RejectedError as why:
            return Reject(record.line, why.column, why.code, str(why))
        self.seen.add(read.external_id)
        return read


class _RejectedError(Exception):
    """A row that cannot be used."""

    def __init__(self, column: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.code = column, code


def _refuse_misshapen(columns: Columns, record: Record) -> None:
    if record.fault == "unclosed":
        raise _RejectedError(
            "", "columns", "A quotation mark is opened here and never closed. Close it, or take it out."
        )
    if record.fault == "too_long":
        raise _RejectedError(
            "", "too_long", "The row is longer than any row of sessions. Look for a missing quotation mark."
        )
    for place, value in enumerate(record.fields):
        if "\0" in value:
            raise _RejectedError(
                columns.name(place), "nul", "The row holds a NUL character: the file was damaged, or is no text."
            )
        if len(value) > FIELD_BYTES // 4 and len(value.encode()) > FIELD_BYTES:
            raise _RejectedError(columns.name(place), "too_long", "The field is longer than 64 kB.")
    if len(record.fields) != columns.width:
        reason = f"The row has {len(record.fields)} fields and the header {columns.width}. Look for a missing quotation mark or delimiter."
        raise _RejectedError("", "columns", reason)


class _Row:
    """One row of the right shape, being read. Warnings gather on the way."""

    def __init__(self, judge: RowJudge, columns: Columns, record: Record) -> None:
        self._judge = judge
        self._columns = columns
        self._record = record
        self._remarks: list[Remark] = []

    def read(self) -> SessionRecord:
        external_id = self._new_id()
        status = self._status()
        start = self._moment("start_local", self._needed("start_local"))
        end = self._end(start)
        completed_at = self._completed_at(start) if status == "completed" else None
        assumed = status == "completed" and completed_at is None
        return SessionRecord(
            external_id=external_id,
            patient_external_id=self._short("mrn"),
            start=start,
            status=status,
            first_name=self._given("first_name"),
            last_name=self._given("last_name"),
            phone=self._phone(),
            language=self._language(),
            end=end,
            completed_at=(end or start + DEFAULT_LENGTH) if assumed else completed_at,
            completed_assumed=assumed,
            source_version=self._version(),
            consent=self._consent(),
            line=self._record.line,
            remarks=tuple(self._remarks),
        )

    def _given(self, column: str) -> str | None:
        return self._columns.cell(self._record.fields, column) or None

    def _needed(self, column: str) -> str:
        value = self._given(column)
        if value is None:
            raise _RejectedError(column, "missing", f"The column {column} is empty.")
        return value

    def _short(self, column: str) -> str:
        value = self._needed(column)
        if len(value) > ID_CHARS:
            raise _RejectedError(
                column, "too_long", f"An id of {len(value)} characters cannot be kept, only up to {ID_CHARS}."
            )
        return value

    def _warn(self, column: str, code: str, reason: str) -> None:
        self._remarks.append(Remark(self._record.line, column, code, reason))

    def _new_id(self) -> str:
        external_id = self._short("external_id")
        if external_id in self._judge.seen:
            raise _RejectedError(
                "external_id", "duplicate", "A line before this one has the same external_id. Keep one of them."
            )
        return external_id

    def _status(self) -> str:
        written = self._needed("status")
        status = read_status(written)
        if status is None:
            reason = f"{shown(written)} is no status. Known are booked, completed, cancelled, no_show and not_done."
            raise _RejectedError("status", "status", reason)
        return status

    def _moment(self, column: str, written: str) -> datetime:
        try:
            read = self._judge.dates.read(written)
        except DateError as why:
            raise _RejectedError(column, why.code, str(why)) from None
        clocks = f"The clocks of {self._judge.layout.zone.key}"
        if read.in_gap:
            self._warn(column, "date", f"{clocks} jump over {shown(written)}: the first moment after it was taken.")
        if read.twice:
            self._warn(column, "date", f"{clocks} show {shown(written)} twice: the first of the two was taken.")
        return read.at

    def _end(self, start: datetime) -> datetime | None:
        written = self._given("end_local")
        if written is None:
            return None
        end = self._moment("end_local", written)
        if end < start:
            raise _RejectedError("end_local", "date", "The session ends before it starts.")
        return end

    def _completed_at(self, start: datetime) -> datetime | None:
        written = self._given("completed_at")
        if written is None:
            return None
        completed_at = self._moment("completed_at", written)
        if abs(completed_at - start) > _OTHER_DAY:
            self._warn(
                "completed_at", "date", "The session was completed more than a day from its start. Look at both dates."
            )
        return completed_at

    def _version(self) -> str | None:
        written = self._given("updated_at")
        return self._moment("updated_at", written).strftime(VERSION) if written else None

    def _phone(self) -> str | None:
        written = self._given("mobile")
        if written is None:
            self._warn(
                "mobile", "missing", "No number is given. One that is on record stays; without one nobody is texted."
            )
            return None
        try:
            number = self._judge.number(written, self._judge.layout.country)
        except PhoneError as why:
            raise _RejectedError("mobile", "phone", str(why)) from None
        if doubt := _doubt(number):
            self._warn("mobile", "phone", doubt)
        return number.e164

    def _language(self) -> str | None:
        languages, written = self._judge.layout.languages, self._given("language")
        if written is None:
            if len(languages) > 1:
                self._warn(
                    "language",
                    "language",
                    f"No language is given. Without one on record, texts are in {languages[0]!r}.",
                )
            return None
        language = read_language(written, languages)
        if language is None:
            reason = f"{shown(written)} is none of the clinic's languages, which are {', '.join(languages)}."
            raise _RejectedError("language", "language", reason)
        return language

    def _consent(self) -> Agreement | None:
        match self._judge.layout.consent:
            case None:
                return None
            case ConsentRule.ON_FILE:
                return Agreement.GRANTED
            case ConsentRule.ASK:
                return Agreement.MAY_ASK
            case ConsentRule.COLUMN:
                return self._consent_of_column()

    def _consent_of_column(self) -> Agreement | None:
        written = self._given("consent")
        agreement = read_agreement(written) if written else None
        if written and agreement is None:
            self._warn("consent", "consent", f"{shown(written)} is neither yes, no nor ask, and was taken for no.")
        return agreement


def _doubt(number: ParsedNumber) -> str | None:
    if not number.valid:
        return "The number has the right length, but lies in a range that nobody has given out. Ask the patient."
    if number.kind == "fixed_line":
        return "The number is a landline, which takes no texts. Ask the patient for a mobile number."
    return None
