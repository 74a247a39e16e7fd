"""A file of sessions as clinics export it, in good order and in every disorder: what is taken, rejected and refused."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import AftercareError
from service.domain.session_record import Agreement, Reject, SessionRecord
from service.sources.csv_columns import COLUMNS, read_delimiter, read_names
from service.sources.csv_dates import read_formats
from service.sources.csv_file import read_sessions, survey
from service.sources.csv_layout import ConsentRule, FileRefusedError, Layout, LayoutError

HEADER = "external_id,mrn,first_name,last_name,mobile,language,site,start_local,end_local,completed_at,status,updated_at,consent"
GOOD = {
    "external_id": "APT-1",
    "mrn": "MRN-1",
    "first_name": "Robin",
    "last_name": "Sample",
    "mobile": "+13122000001",
    "language": "en",
    "site": "main",
    "start_local": "2026-12-07 15:00",
    "end_local": "2026-12-07 15:20",
    "completed_at": "",
    "status": "booked",
    "updated_at": "2026-11-20T08:30:00Z",
    "consent": "yes",
}
CHICAGO = ZoneInfo("America/Chicago")


def layout(**over: Any) -> Layout:
    values: dict[str, Any] = {"zone": CHICAGO, "country": "US", "languages": ("en", "es", "tr")}
    return Layout(**values | over)


def row(**over: str) -> str:
    return ",".join((GOOD | over)[column] for column in HEADER.split(","))


def lines(*rows: str) -> str:
    return "\n".join([HEADER, *rows, ""])


def judged(tmp_path: Path, content: str | bytes, **over: Any) -> list[SessionRecord | Reject]:
    path = tmp_path / "sessions.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = survey(path, layout(**over))
    rows = list(read_sessions(path, layout(**over)))
    assert found.rows == len(rows)
    return rows


def only(rows: Iterable[SessionRecord | Reject]) -> SessionRecord:
    (record,) = rows
    assert isinstance(record, SessionRecord), record
    return record


def rejected(rows: Iterable[SessionRecord | Reject]) -> list[tuple[int, str, str]]:
    return [(row.line, row.column, row.code) for row in rows if isinstance(row, Reject)]


def accepted(rows: Iterable[SessionRecord | Reject]) -> list[tuple[int, str]]:
    return [(row.line, row.external_id) for row in rows if isinstance(row, SessionRecord)]


def test_a_row_becomes_a_record(tmp_path: Path) -> None:
    assert only(judged(tmp_path, lines(row()))) == SessionRecord(
        external_id="APT-1",
        patient_external_id="MRN-1",
        start=datetime(2026, 12, 7, 21, 0, tzinfo=UTC),
        status="booked",
        first_name="Robin",
        last_name="Sample",
        phone="+13122000001",
        language="en",
        end=datetime(2026, 12, 7, 21, 20, tzinfo=UTC),
        source_version="2026-11-20T08:30:00.000000Z",
        line=2,
    )


@pytest.mark.parametrize(
    ("over", "column", "code"),
    [
        pytest.param({"external_id": ""}, "external_id", "missing", id="no id"),
        pytest.param({"mrn": " "}, "mrn", "missing", id="no patient"),
        pytest.param({"start_local": ""}, "start_local", "missing", id="no start"),
        pytest.param({"status": ""}, "status", "missing", id="no status"),
        pytest.param({"status": "arrived"}, "status", "status", id="a status nobody knows"),
        pytest.param({"mobile": "555-0100"}, "mobile", "phone", id="no area code"),
        pytest.param({"mobile": "5.5501E+09"}, "mobile", "phone", id="what a spreadsheet makes of a number"),
        pytest.param({"language": "fr"}, "language", "language", id="a language without texts"),
        pytest.param({"start_local": "07.12.2026 15:00"}, "start_local", "date", id="a format that was not named"),
        pytest.param({"start_local": "2026-12-07"}, "start_local", "date", id="a day without a time"),
        pytest.param({"start_local": "1900-01-00 00:00"}, "start_local", "date", id="a spreadsheet's zero"),
        pytest.param({"start_local": "0001-01-01 00:00+14:00"}, "start_local", "date", id="before all zones"),
        pytest.param({"end_local": "2026-12-07 14:59"}, "end_local", "date", id="ends before it starts"),
        pytest.param({"end_local": "soon"}, "end_local", "date", id="an end nobody can read"),
        pytest.param({"updated_at": "yesterday"}, "updated_at", "date", id="a change at no time"),
        pytest.param({"status": "done", "completed_at": "x"}, "completed_at", "date", id="completed at no time"),
        pytest.param({"external_id": "A" * 201}, "external_id", "too_long", id="an id that cannot be kept"),
        pytest.param({"mrn": "A" * 201}, "mrn", "too_long", id="a patient's id that cannot be kept"),
        pytest.param({"last_name": "x" * 70_000}, "last_name", "too_long", id="70 kB"),
        pytest.param({"last_name": "ş" * 33_000}, "last_name", "too_long", id="66 kB in 33,000 letters"),
        pytest.param(
            {"last_name": '"' + "x\n" * 40_000 + '"'}, "last_name", "too_long", id="40,000 lines in one field"
        ),
        pytest.param({"site": "a\0b"}, "site", "nul", id="a NUL"),
        pytest.param({"site": "a,b"}, "", "columns", id="a field too many"),
        pytest.param({"site": "main\n"}, "", "columns", id="a line break nobody quoted"),
    ],
)
def test_a_bad_row_is_rejected_and_the_next_is_taken(
    tmp_path: Path, over: dict[str, str], column: str, code: str
) -> None:
    rows = judged(tmp_path, lines(row(**over), row(external_id="APT-2")))
    assert rejected(rows)[0] == (2, column, code)
    assert {code for _, _, code in rejected(rows)} == {code}
    assert [name for _, name in accepted(rows)] == ["APT-2"]


@pytest.mark.parametrize("column", ["status", "language", "start_local", "end_local", "updated_at", "consent"])
@pytest.mark.parametrize("secret", ["Robin", "+13122000001", "312-200-0001"])
def test_a_name_or_a_number_in_the_wrong_column_is_never_repeated(tmp_path: Path, column: str, secret: str) -> None:
    (found,) = judged(tmp_path, lines(row(**{column: secret})), consent=ConsentRule.COLUMN)
    reasons = [found.reason] if isinstance(found, Reject) else [remark.reason for remark in found.remarks]
    assert reasons
    assert not any(secret in reason for reason in reasons)


def test_reasons_never_repeat_a_number(tmp_path: Path) -> None:
    (reject,) = judged(tmp_path, lines(row(mobile="55501002")))
    assert isinstance(reject, Reject)
    assert "55501002" not in reject.reason


@pytest.mark.parametrize(
    ("over", "column", "code"),
    [
        pytest.param({"mobile": "+15550100123"}, "mobile", "phone", id="a range nobody has given out"),
        pytest.param({"mobile": "+902121234567"}, "mobile", "phone", id="a landline"),
        pytest.param({"mobile": ""}, "mobile", "missing", id="no number"),
        pytest.param({"language": ""}, "language", "language", id="no language where there are several"),
        pytest.param({"start_local": "2026-03-08 02:30", "end_local": ""}, "start_local", "date", id="in the DST gap"),
        pytest.param({"start_local": "2026-11-01 01:30", "end_local": ""}, "start_local", "date", id="comes twice"),
        pytest.param({"status": "done", "completed_at": "2026-12-09 15:20"}, "completed_at", "date", id="another day"),
        pytest.param({"consent": "perhaps"}, "consent", "consent", id="an answer that is none"),
    ],
)
def test_a_doubtful_row_is_taken_with_a_warning(tmp_path: Path, over: dict[str, str], column: str, code: str) -> None:
    record = only(judged(tmp_path, lines(row(**over)), consent=ConsentRule.COLUMN))
    assert [(remark.line, remark.column, remark.code) for remark in record.remarks] == [(2, column, code)]


def test_what_is_empty_says_nothing(tmp_path: Path) -> None:
    blank = dict.fromkeys(("first_name", "last_name", "mobile", "language", "end_local", "updated_at", "consent"), "")
    record = only(judged(tmp_path, lines(row(**blank)), languages=("en",), consent=ConsentRule.COLUMN))
    said = (record.first_name, record.last_name, record.phone, record.language, record.end, record.source_version)
    assert said == (None,) * 6
    assert record.consent is None
    assert [remark.column for remark in record.remarks] == ["mobile"]


@pytest.mark.parametrize(
    ("over", "at", "assumed"),
    [
        pytest.param({"completed_at": "2026-12-07 15:31"}, (21, 31), False, id="as noted"),
        pytest.param({"completed_at": "2026-12-07T21:31Z"}, (21, 31), False, id="with an offset"),
        pytest.param({}, (21, 20), True, id="else the planned end"),
        pytest.param({"end_local": ""}, (21, 20), True, id="else 20 minutes after the start"),
    ],
)
def test_when_a_session_was_completed(tmp_path: Path, over: dict[str, str], at: tuple[int, int], assumed: bool) -> None:
    record = only(judged(tmp_path, lines(row(status="Completed", **over))))
    assert record.completed_at == datetime(2026, 12, 7, *at, tzinfo=UTC)
    assert record.completed_assumed is assumed


def test_only_what_is_completed_has_a_time_of_completion(tmp_path: Path) -> None:
    assert only(judged(tmp_path, lines(row(status="booked", completed_at="2026-12-07 15:31")))).completed_at is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *(("booked", "booked"), ("confirmed", "booked"), ("Completed", "completed"), ("done", "completed")),
        *(("fulfilled", "completed"), ("CANCELLED", "cancelled"), ("canceled", "cancelled"), ("no_show", "no_show")),
        *(("noshow", "no_show"), ("no-show", "no_show"), ("No Show", "no_show"), ("not_done", "not_done")),
        ("entered-in-error", "entered_in_error"),
    ],
)
def test_status_words(tmp_path: Path, word: str, status: str) -> None:
    assert only(judged(tmp_path, lines(row(status=word)))).status == status


@pytest.mark.parametrize(
    ("written", "language"),
    [
        *(("es", "es"), ("ES", "es"), ("es-MX", "es"), ("es_419", "es"), ("spa", "es"), ("Spanish", "es")),
        *(("español", "es"), ("İspanyolca", "es"), ("tr-TR", "tr"), ("Türkçe", "tr"), ("TURKISH", "tr"), ("eng", "en")),
    ],
)
def test_languages_by_many_names(tmp_path: Path, written: str, language: str) -> None:
    assert only(judged(tmp_path, lines(row(language=written)))).language == language


def test_a_language_that_nobody_has_a_name_for(tmp_path: Path) -> None:
    rows = judged(tmp_path, lines(row(language="xq"), row(external_id="APT-2", language="fr")), languages=("xq",))
    assert rejected(rows) == [(3, "language", "language")]


@pytest.mark.parametrize(
    ("rule", "word", "agreement"),
    [
        pytest.param(None, "yes", None, id="the option was not given"),
        pytest.param(ConsentRule.ON_FILE, "no", Agreement.GRANTED, id="on file, whatever the column says"),
        pytest.param(ConsentRule.ASK, "yes", Agreement.MAY_ASK, id="ask, whatever the column says"),
        pytest.param(ConsentRule.COLUMN, "Sí", Agreement.GRANTED, id="yes"),
        pytest.param(ConsentRule.COLUMN, "HAYIR", Agreement.REFUSED, id="no"),
        pytest.param(ConsentRule.COLUMN, "ask", Agreement.MAY_ASK, id="ask"),
        pytest.param(ConsentRule.COLUMN, "perhaps", None, id="anything else is no yes"),
    ],
)
def test_consent(tmp_path: Path, rule: ConsentRule | None, word: str, agreement: Agreement | None) -> None:
    assert only(judged(tmp_path, lines(row(consent=word)), consent=rule)).consent is agreement


DATES = ("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%d %H:%M", "%d/%m/%Y %I:%M %p", "%d.%m.%Y %H:%M %z")


@pytest.mark.parametrize(
    ("written", "at"),
    [
        pytest.param("2026-12-07 15:00", datetime(2026, 12, 7, 21, 0, tzinfo=UTC), id="ISO, named or not"),
        pytest.param("2026-12-07T15:00:00+03:00", datetime(2026, 12, 7, 12, 0, tzinfo=UTC), id="ISO with an offset"),
        pytest.param("07.12.2026 15:00", datetime(2026, 12, 7, 21, 0, tzinfo=UTC), id="with dots the day is first"),
        pytest.param("07.12.2026 15:00 +0300", datetime(2026, 12, 7, 12, 0, tzinfo=UTC), id="a format with an offset"),
        pytest.param("12/25/2026 3:00 PM", datetime(2026, 12, 25, 21, 0, tzinfo=UTC), id="there is no month 25"),
        pytest.param("25/12/2026 3:00 PM", datetime(2026, 12, 25, 21, 0, tzinfo=UTC), id="there is no month 25, twice"),
        pytest.param("2026-11-01 01:30", datetime(2026, 11, 1, 6, 30, tzinfo=UTC), id="of two the first"),
        pytest.param("12/07/2026 3:00 PM", "ambiguous_date", id="December or July"),
        pytest.param("12/12/2026 3:00 PM", "ambiguous_date", id="one day, yet two formats fit"),
        pytest.param("12/25/2026 15:00", "date", id="a format that was not named"),
    ],
)
def test_dates_are_never_guessed(tmp_path: Path, written: str, at: datetime | str) -> None:
    (record,) = judged(tmp_path, lines(row(start_local=written, end_local="")), dates=DATES)
    assert (record.code if isinstance(record, Reject) else record.start) == at


def test_a_named_format_that_contradicts_iso_is_a_doubt(tmp_path: Path) -> None:
    contents = lines(row(start_local="2026-03-04 10:00", end_local=""))
    assert rejected(judged(tmp_path, contents, dates=("%Y-%d-%m %H:%M",))) == [(2, "start_local", "ambiguous_date")]


@pytest.mark.parametrize(
    "wanted",
    [
        *(
            "%d.%m.%Y",
            "%d.%m. %H:%M",
            "%m/%d/%Y %I:%M",
            "%Y-%m-%d %H:%M %Z",
            "%Y-%m-%d %H",
            "%Q",
            "%d %d %m %Y %H:%M",
            "",
        ),
    ],
)
def test_a_format_that_cannot_tell_a_moment_is_refused(wanted: str) -> None:
    with pytest.raises(LayoutError, match="cannot tell a moment"):
        read_formats([DATES[0], wanted])


def test_a_format_counts_once() -> None:
    assert read_formats([*DATES, *DATES]) == DATES


def test_a_second_row_with_the_same_id_is_rejected(tmp_path: Path) -> None:
    rows = judged(tmp_path, lines(row(), row(status="cancelled"), row(external_id="APT-2")))
    assert rejected(rows) == [(3, "external_id", "duplicate")]
    assert accepted(rows) == [(2, "APT-1"), (4, "APT-2")]


@pytest.mark.parametrize(
    "bad", [{"mobile": "555-0100"}, {"status": "arrived"}, {"start_local": ""}, {"site": "a,b"}], ids=str
)
def test_an_id_counts_as_seen_only_once_a_row_with_it_is_taken(tmp_path: Path, bad: dict[str, str]) -> None:
    rows = judged(tmp_path, lines(row(**bad), row(), row(status="cancelled")))
    assert rejected(rows)[1:] == [(4, "external_id", "duplicate")]
    assert accepted(rows) == [(3, "APT-1")]


@pytest.mark.parametrize(
    ("written", "at", "warns"),
    [
        pytest.param("2026-11-01 00:59", datetime(2026, 11, 1, 5, 59, tzinfo=UTC), False, id="before the hour"),
        pytest.param("2026-11-01 01:00", datetime(2026, 11, 1, 6, 0, tzinfo=UTC), True, id="its first minute"),
        pytest.param("2026-11-01 01:59", datetime(2026, 11, 1, 6, 59, tzinfo=UTC), True, id="its last minute"),
        pytest.param("2026-11-01 02:00", datetime(2026, 11, 1, 8, 0, tzinfo=UTC), False, id="after the hour"),
        pytest.param("2026-11-01 01:30-06:00", datetime(2026, 11, 1, 7, 30, tzinfo=UTC), False, id="with its offset"),
    ],
)
def test_a_time_that_comes_twice_is_the_first(tmp_path: Path, written: str, at: datetime, warns: bool) -> None:
    record = only(judged(tmp_path, lines(row(start_local=written, end_local=""))))
    assert record.start == at
    reason = f"The clocks of America/Chicago show {written!r} twice: the first of the two was taken."
    assert [remark.reason for remark in record.remarks] == ([reason] if warns else [])


def test_a_line_is_where_the_record_starts(tmp_path: Path) -> None:
    rows = judged(
        tmp_path,
        lines(
            row(last_name='"Sample\nof ""three""\nlines"'), "", "   ", row(external_id="APT-2", mobile="1"), ",,,,", ""
        ),
    )
    assert accepted(rows) == [(2, "APT-1")]
    assert rejected(rows) == [(7, "mobile", "phone")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    rows = judged(tmp_path, lines(row(), row(external_id="APT-2")).replace("\n", end))
    assert accepted(rows) == [(2, "APT-1"), (3, "APT-2")]


def test_the_last_line_need_not_end(tmp_path: Path) -> None:
    assert accepted(judged(tmp_path, lines(row()).rstrip())) == [(2, "APT-1")]


@pytest.mark.parametrize(
    "site", ["main", '5"', '"main"'], ids=["never closed", "closed by inches", "closed by another"]
)
def test_a_stray_quotation_mark_costs_one_row(tmp_path: Path, site: str) -> None:
    good = [row(external_id=f"APT-{n}", site=site) for n in range(2, 9)]
    rows = judged(tmp_path, lines(row(last_name='"Sample'), *good))
    assert rejected(rows) == [(2, "", "columns")]
    assert accepted(rows) == [(n + 1, f"APT-{n}") for n in range(2, 9)]


def test_a_quotation_mark_that_is_closed_too_late_costs_one_row(tmp_path: Path) -> None:
    good = [row(external_id=f"APT-{n}") for n in range(2, 20_000)]
    rows = judged(tmp_path, lines(row(last_name='"Sample'), *good, row(external_id="APT-1", site='"main"')))
    assert rejected(rows) == [(2, "", "too_long")]
    assert len(accepted(rows)) == 19_999


def test_a_line_longer_than_any_row_is_not_held(tmp_path: Path) -> None:
    rows = judged(tmp_path, lines(row(), "x" * 3_000_000, row(external_id="APT-2")))
    assert rejected(rows) == [(3, "", "too_long")]
    assert accepted(rows) == [(2, "APT-1"), (4, "APT-2")]


def test_a_file_full_of_broken_quotation_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match="never closed all over the file"):
        judged(tmp_path, lines(*[f'{"a" * 4000}"b,"c'] * 300))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_delimiters_are_found_out(tmp_path: Path, delimiter: str) -> None:
    contents = lines(row()).replace(",", delimiter)
    assert accepted(judged(tmp_path, contents)) == [(2, "APT-1")]


def test_another_delimiter_is_named(tmp_path: Path) -> None:
    contents = lines(row()).replace(",", "~")
    assert accepted(judged(tmp_path, contents, delimiter="~")) == [(2, "APT-1")]
    with pytest.raises(FileRefusedError, match="no header"):
        judged(tmp_path, contents)


def test_columns_in_any_order_and_spelling_some_not_ours_some_not_there(tmp_path: Path) -> None:
    renamed = (
        "Status;End Local;START-LOCAL;note;language;Cell;last_name;first_name;MRN; external id \n"
        "booked;;2026-12-07 15:00;x;en;+13122000001;Sample;Robin;MRN-1;APT-1\n"
    )
    record = only(judged(tmp_path, renamed, names=read_names(["mobile=cell"])))
    assert (record.external_id, record.phone, record.line) == ("APT-1", "+13122000001", 2)


def test_a_mapped_column_wins_over_one_of_our_name(tmp_path: Path) -> None:
    contents = lines(row(site="+13122000002")).replace("site", "cell")
    assert only(judged(tmp_path, contents, names={"mobile": "cell"})).phone == "+13122000002"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        pytest.param(lines(row(last_name="Öğüş")).encode("utf-8"), None, id="UTF-8"),
        pytest.param(lines(row(last_name="Öğüş")).encode("utf-8-sig"), None, id="UTF-8 with a mark"),
        pytest.param(lines(row(last_name="Öğüş")).encode("utf-8-sig"), "UTF8", id="UTF-8 with a mark, named"),
        pytest.param(lines(row(last_name="Öğüş")).encode("cp1254"), "cp1254", id="Turkish Windows"),
        pytest.param(lines(row(last_name="Öğüş")).encode("utf-16"), "utf-16", id="UTF-16"),
        pytest.param(b"\xff\xfe" + lines(row(last_name="Öğüş")).encode("utf-16-le"), "utf-16-le", id="a mark too many"),
    ],
)
def test_encodings(tmp_path: Path, content: bytes, encoding: str | None) -> None:
    assert only(judged(tmp_path, content, encoding=encoding)).last_name == "Öğüş"


PICTURE = bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("content", "encoding", "says"),
    [
        pytest.param(b"", None, "is empty", id="empty"),
        pytest.param(b"\n  \n\r\n", None, "nothing but blank lines", id="blank lines"),
        pytest.param(row().encode(), None, "no header", id="no header"),
        pytest.param(b"external_id,mrn\n", None, "no column first_name", id="half a header"),
        pytest.param(HEADER.replace("mobile", "cell").encode(), None, "not ours: cell", id="a name that is not ours"),
        pytest.param(f"{HEADER},Status\n".encode(), None, "names the column status twice", id="a column twice"),
        pytest.param(lines(row(last_name="Öğüş")).encode("cp1254"), None, "cp1254", id="not UTF-8"),
        pytest.param(lines(*[row()] * 900, "\x81").encode("latin-1"), "cp1252", "not written in cp1252", id="bad late"),
        pytest.param(lines(row()).encode("utf-16"), None, "--encoding utf-16", id="UTF-16"),
        pytest.param(b"PK\x03\x04" + PICTURE, None, "is a workbook", id="a workbook"),
        pytest.param(PICTURE, "latin-1", "is binary", id="a picture"),
        pytest.param(lines(row(last_name="+2AA-")).encode(), "utf-7", "not written in utf-7", id="half a character"),
    ],
)
def test_what_is_no_file_of_sessions_is_refused(
    tmp_path: Path, content: bytes, encoding: str | None, says: str
) -> None:
    with pytest.raises(FileRefusedError, match=says):
        judged(tmp_path, content, encoding=encoding)


def test_a_header_alone_is_a_file_of_no_rows(tmp_path: Path) -> None:
    assert judged(tmp_path, HEADER) == []


def test_a_consent_column_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    contents = lines(row()).replace("consent", "agreed")
    with pytest.raises(FileRefusedError, match="no column consent"):
        judged(tmp_path, contents, consent=ConsentRule.COLUMN)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(FileRefusedError, match="is no file"):
            survey(path, layout())


@pytest.mark.parametrize("encoding", ["klingon", "hex", "a\0b"])
def test_encodings_that_are_none(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(LayoutError, match="is no encoding"):
        judged(tmp_path, lines(row()), encoding=encoding)


@pytest.mark.parametrize("pair", ["mobile", "mobile=", "cellphone=mobile", "=x"])
def test_maps_that_name_no_column(pair: str) -> None:
    with pytest.raises(LayoutError, match="names no column"):
        read_names([pair])


def test_a_column_is_mapped_once() -> None:
    assert read_names(["mobile=Cell = home", "mrn=PID"]) == {"mobile": "Cell = home", "mrn": "PID"}
    with pytest.raises(LayoutError):
        read_names(["mobile=a", "mobile=b"])


def test_delimiters_by_name() -> None:
    assert [read_delimiter(written) for written in ("tab", "\\t", ";", "PIPE")] == ["\t", "\t", ";", "|"]
    for written in ('"', "\n", ",,", "x", "\0"):
        with pytest.raises(LayoutError):
            read_delimiter(written)


def test_the_survey_knows_every_session_and_where_patients_are_disputed(tmp_path: Path) -> None:
    path = tmp_path / "sessions.csv"
    path.write_text(
        lines(
            row(),
            row(external_id="APT-2", status="nonsense"),
            row(external_id="APT-3", mrn="MRN-2"),
            row(external_id="APT-4", mrn="MRN-2", mobile="+13122000002"),
            row(external_id="A" * 300),
            row(external_id=""),
            row(external_id=" "),
        ),
        "utf-8",
    )
    found = survey(path, layout())
    assert found.ids == {"APT-1", "APT-2", "APT-3", "APT-4"}
    assert (found.rows, found.nameless, found.disputed) == (7, 7, frozenset({"MRN-2"}))


def _noisy() -> st.SearchStrategy[str]:
    cells = st.sampled_from(
        [*GOOD.values(), "", '"', '""', "\0", "\r", "\n", ",", ";", "\ud800", "x" * 70_000, "07.12.2026"]
    )
    field = st.one_of(cells, st.text(max_size=12))
    return st.lists(st.lists(field, max_size=15).map(",".join), max_size=8).map(lambda rows: "\n".join([HEADER, *rows]))


@given(
    st.one_of(
        st.binary(max_size=400),
        st.binary(max_size=200).map(lambda noise: f"{HEADER}\n{row()}\n".encode() + noise),
        _noisy().map(lambda text: text.encode("utf-8", "surrogatepass")),
        _noisy().map(lambda text: text.encode("utf-16", "surrogatepass")),
    ),
    st.sampled_from([None, "cp1254", "latin-1", "utf-16", "utf-7", "unicode_escape", "punycode", "idna", "shift_jis"]),
    st.sampled_from([None, ";", "x"]),
    st.sampled_from([(), ("%d.%m.%Y",), ("%d.%m.%Y %H:%M",)]),
)
@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
def test_whatever_the_file_holds_every_row_is_judged_or_the_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    encoding: str | None,
    delimiter: str | None,
    dates: tuple[str, ...],
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(content)
    how = layout(encoding=encoding, delimiter=delimiter, dates=dates, consent=ConsentRule.COLUMN)
    try:
        found = survey(path, how)
        rows = list(read_sessions(path, how))
    except AftercareError:
        return
    assert found.rows == len(rows)
    physical = content.count(b"\n") + content.count(b"\r") + 2
    assert all(2 <= judged_row.line <= physical for judged_row in rows)
    names = [judged_row.external_id for judged_row in rows if isinstance(judged_row, SessionRecord)]
    assert len(names) == len(set(names))
    assert found.ids.issuperset(names)


def test_the_header_of_these_tests_has_every_column() -> None:
    assert set(COLUMNS) == set(HEADER.split(","))
