"""Whole files: taken over in one go, tried without a trace, and refused where they seem to be cut off."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.session_record import Agreement, Reject, Remark, SessionRecord, Survey
from service.flows.importing import Feed, ImportRefusedError, Report, import_feed, try_feed
from service.store import feeds
from service.store.tables import Clinic, Consent, JournalEntry, Patient, Task, TreatmentSession
from tests.store import factories
from tests.store.factories import NOW

START = datetime(2026, 3, 16, 15, 0, tzinfo=UTC)
BAD = Reject(99, "status", "status", "no status")


def booked(n: int, **over: Any) -> SessionRecord:
    values: dict[str, Any] = {
        "external_id": f"APT-{n}",
        "patient_external_id": f"MRN-{n}",
        "start": START + timedelta(days=n),
        "status": "booked",
        "phone": f"+131220001{n:02}",
        "source_version": "2026-03-01T08:00:00.000000Z",
        "line": n + 1,
    }
    return SessionRecord(**values | over)


def feed(rows: Iterable[SessionRecord | Reject], **over: Any) -> Feed:
    given = list(rows)
    ids = frozenset(row.external_id for row in given if isinstance(row, SessionRecord))
    seen: dict[str, tuple[Any, ...]] = {}
    disputed = set()
    for row in given:
        if isinstance(row, SessionRecord):
            facts = (row.phone, row.language, row.first_name, row.consent)
            if seen.setdefault(row.patient_external_id, facts) != facts:
                disputed.add(row.patient_external_id)
    survey = replace(Survey(len(given), ids, None, frozenset(disputed)), **over.pop("survey", {}))
    return Feed(source="csv", name="march.csv", survey=survey, rows=given, **over)


class Import:
    """Imports into one clinic, as the command does, and remembers how far it was told to be."""

    def __init__(self, sessions: sessionmaker[Session], key: str) -> None:
        self.sessions, self.key, self.now = sessions, key, NOW
        self.steps: list[int] = []

    def clinic(self) -> Clinic:
        with self.sessions() as db:
            return db.scalars(select(Clinic).where(Clinic.key == self.key)).one()

    def take(self, *rows: SessionRecord | Reject, **over: Any) -> Report:
        with self.sessions.begin() as db:
            db.execute(update(Patient).values(marked=False))
        given = feed(rows, **over)
        return import_feed(
            self.sessions, given, clinic=self.clinic(), clock=lambda: self.now, progress=self.steps.append
        )

    def attempt(self, *rows: SessionRecord | Reject, **over: Any) -> Report:
        given = feed(rows, **over)
        return try_feed(self.sessions, given, clinic=self.clinic(), clock=lambda: self.now, progress=self.steps.append)

    def rows(self, table: Any) -> Sequence[Any]:
        with self.sessions() as db:
            return db.scalars(select(table).order_by(table.id)).all()

    def statuses(self) -> dict[str, str]:
        return {session.external_id: session.status for session in self.rows(TreatmentSession)}

    def marked(self) -> list[str]:
        return [patient.external_id for patient in self.rows(Patient) if patient.marked]


@pytest.fixture
def run(sessions: sessionmaker[Session]) -> Import:
    with sessions.begin() as db:
        return Import(sessions, factories.clinic(db).key)


def counts(report: Report) -> dict[str, int]:
    document = report.document()
    return {name: document[name] for name in ("read", "created", "changed", "unchanged", "stale") if document[name]}


def test_the_report_counts_every_row_once(run: Import) -> None:
    run.take(booked(1), booked(2), booked(3))
    report = run.take(
        *(BAD, booked(1), booked(2, status="cancelled"), booked(3, source_version="2026-02-01T08:00:00.000000Z")),
        booked(4, remarks=(Remark(5, "mobile", "phone", "a landline"), Remark(5, "mobile", "phone", "far away"))),
    )
    assert report.document() == {
        "read": 5,
        "created": 1,
        "changed": 1,
        "unchanged": 1,
        "stale": 1,
        "rejected": [{"line": 99, "column": "status", "code": "status", "reason": "no status"}],
        "warnings": [
            {"line": 5, "column": "mobile", "code": "phone", "reason": "a landline"},
            {"line": 5, "column": "mobile", "code": "phone", "reason": "far away"},
        ],
    }


def test_repeating_a_file_writes_nothing(run: Import) -> None:
    rows = [booked(n, consent=Agreement.GRANTED) for n in range(1, 6)]
    assert counts(run.take(*rows)) == {"read": 5, "created": 5}
    before = (run.rows(Consent)[-1].id, run.rows(JournalEntry))
    assert counts(run.take(*rows)) == {"read": 5, "unchanged": 5}
    assert (run.rows(Consent)[-1].id, run.rows(JournalEntry)) == before
    assert run.marked() == []


def test_a_long_file_goes_chunk_by_chunk(run: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "CHUNK", 3)
    assert counts(run.take(*[booked(n, patient_external_id="MRN-1", phone=None) for n in range(1, 8)])) == {
        "read": 7,
        "created": 7,
    }
    assert run.steps == [3, 3, 1]
    assert len(run.rows(Patient)) == 1


def test_nothing_but_rejects(run: Import) -> None:
    assert counts(run.take(BAD)) == {"read": 1}
    assert run.clinic().imported_at is None


def test_only_the_first_import_is_the_first(run: Import) -> None:
    run.take()
    assert run.clinic().imported_at is None, "a file of no rows is no first import"
    run.take(booked(1))
    run.now = NOW + timedelta(days=1)
    run.take(booked(2))
    assert run.clinic().imported_at == NOW
    assert [session.imported for session in run.rows(TreatmentSession)] == [True, False]


def test_a_trial_counts_and_leaves_no_trace(run: Import) -> None:
    rows: list[SessionRecord | Reject] = [BAD, booked(1, consent=Agreement.GRANTED), booked(2)]
    assert counts(run.attempt(*rows)) == {"read": 3, "created": 2}
    assert run.clinic().imported_at is None
    assert [run.rows(table) for table in (Patient, TreatmentSession, Consent, Task)] == [[], [], [], []]
    assert counts(run.take(*rows)) == {"read": 3, "created": 2}
    assert counts(run.attempt(*rows)) == {"read": 3, "unchanged": 2}


@pytest.mark.parametrize("backwards", [False, True], ids=["newest last", "newest first"])
def test_rows_that_disagree_about_a_patient_agree_with_the_newest(
    run: Import, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    monkeypatch.setattr(feeds, "CHUNK", 1)
    one = {"patient_external_id": "MRN-1"}
    rows = [
        booked(1, **one, phone="+13122000001", language="es"),
        booked(2, **one, phone="+13122000002", consent=Agreement.MAY_ASK),
        booked(3, **one, phone=None, first_name="Robin"),
        booked(4),
    ]
    rows = rows[::-1] if backwards else rows
    report = run.take(*rows)
    assert [(warning.line, warning.column, warning.code) for warning in report.warnings] == [(2, "mobile", "phone")]
    patient = next(patient for patient in run.rows(Patient) if patient.external_id == "MRN-1")
    assert (patient.phone, patient.language, patient.first_name) == ("+13122000002", "es", "Robin")
    assert patient.may_ask
    assert counts(run.take(*rows)) == {"read": 4, "unchanged": 4}
    assert run.marked() == []


def test_a_later_change_counts_more_than_a_later_session(run: Import) -> None:
    one = {"patient_external_id": "MRN-1"}
    newer = booked(1, **one, phone="+13122000001", source_version="2026-03-02T08:00:00.000000Z")
    run.take(newer, booked(2, **one, phone="+13122000002"))
    assert [patient.phone for patient in run.rows(Patient)] == ["+13122000001"]


def test_a_file_that_need_not_be_complete_cancels_nothing(run: Import) -> None:
    run.take(booked(1), booked(2))
    run.take(booked(1))
    assert run.statuses() == {"APT-1": "booked", "APT-2": "booked"}


def test_a_complete_file_cancels_what_it_does_not_name(run: Import) -> None:
    everything = [booked(n) for n in range(1, 11)]
    run.take(*everything)
    report = run.take(*everything[:7], complete=True)
    assert counts(report) == {"read": 7, "unchanged": 7}
    assert [(warning.line, warning.code) for warning in report.warnings] == [(0, "not_in_file")]
    assert [name for name, status in run.statuses().items() if status == "cancelled"] == ["APT-8", "APT-9", "APT-10"]
    gone = {session.id: session.patient_id for session in run.rows(TreatmentSession) if session.status == "cancelled"}
    entries = run.rows(JournalEntry)
    assert {entry.session_id: entry.patient_id for entry in entries} == gone
    assert {(entry.kind, entry.reason, entry.at) for entry in entries} == {("session_cancelled", "not in file", NOW)}
    assert run.marked() == ["MRN-8", "MRN-9", "MRN-10"]


def test_a_session_that_is_back_in_the_file_is_booked_again(run: Import) -> None:
    everything = [booked(n) for n in range(1, 11)]
    run.take(*everything)
    run.take(*everything[1:], complete=True)
    older = booked(1, source_version="2026-02-01T08:00:00.000000Z")
    assert counts(run.take(older, *everything[1:], complete=True)) == {"read": 10, "changed": 1, "unchanged": 9}
    assert set(run.statuses().values()) == {"booked"}


def test_only_what_is_still_to_come_can_be_missing(run: Import, sessions: sessionmaker[Session]) -> None:
    past = [booked(1, start=NOW - timedelta(days=1)), booked(2, start=NOW), booked(3, status="cancelled")]
    run.take(*past, booked(4))
    with sessions.begin() as db:
        patient = db.scalars(select(Patient).where(Patient.external_id == "MRN-1")).one()
        factories.session(db, patient, source="sql")
        factories.session(db, patient, source="csv", external_id=None)
    report = run.take(booked(4), complete=True)
    assert report.warnings == []
    assert list(run.statuses().values()) == ["booked", "booked", "cancelled", "booked", "booked", "booked"]


@pytest.mark.parametrize(
    ("there", "named", "refused"),
    [
        pytest.param(10, 7, False, id="30 percent are missing"),
        pytest.param(10, 6, True, id="40 percent are missing"),
        pytest.param(3, 2, True, id="one of three"),
        pytest.param(1, 0, True, id="the only one"),
        pytest.param(0, 0, False, id="there was none"),
    ],
)
def test_a_file_that_seems_cut_off_is_refused(run: Import, there: int, named: int, refused: bool) -> None:
    everything = [booked(n) for n in range(1, there + 1)]
    run.take(*everything)
    rows = [booked(99), *everything[:named]]
    for do in (run.attempt, run.take):
        if refused:
            with pytest.raises(ImportRefusedError, match=f"{there - named} of the {there} sessions still to come"):
                do(*rows, complete=True)
            assert len(run.statuses()) == there, "nothing was changed"
        else:
            do(*rows, complete=True)


def test_a_trial_foretells_what_would_be_cancelled(run: Import) -> None:
    everything = [booked(n) for n in range(1, 11)]
    run.take(*everything)
    report = run.attempt(*everything[1:], complete=True)
    assert [warning.reason for warning in report.warnings] == [
        "Sessions still to come that are not in the file: 1 cancelled."
    ]
    assert set(run.statuses().values()) == {"booked"}


def test_a_rejected_row_still_names_its_session(run: Import) -> None:
    everything = [booked(n) for n in range(1, 11)]
    run.take(*everything)
    known = frozenset(row.external_id for row in everything)
    run.take(BAD, *everything[1:], complete=True, survey={"ids": known})
    assert set(run.statuses().values()) == {"booked"}


def test_nothing_is_cancelled_while_a_row_cannot_be_told_from_what_is_missing(run: Import) -> None:
    everything = [booked(n) for n in range(1, 11)]
    run.take(*everything)
    report = run.take(BAD, *everything[1:], complete=True, survey={"nameless": 99})
    assert [(warning.line, warning.column, warning.code) for warning in report.warnings] == [
        (99, "external_id", "missing")
    ]
    assert set(run.statuses().values()) == {"booked"}
    assert run.take(BAD, *everything, complete=True, survey={"nameless": 99}).warnings == []


def test_two_imports_at_once_wait_for_each_other(run: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "CHUNK", 20)
    rows = [booked(n, patient_external_id=f"MRN-{n % 50}", phone=f"+13122000{n % 50:03}") for n in range(200)]
    orders = [rows, rows[::-1]]
    with ThreadPoolExecutor(2) as workers:
        reports = list(workers.map(lambda order: run.take(*order), orders))
    total = sum((report.outcomes for report in reports), Counter())
    assert total == {"created": 200, "unchanged": 200}
    assert (len(run.rows(Patient)), len(run.rows(TreatmentSession))) == (50, 200)
