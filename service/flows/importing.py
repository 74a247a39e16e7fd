"""Importing a whole feed: looked through before anything is written, then taken over by the hundred rows.

An import that was stopped has done no harm: what it took over stands, and the next run finds that unchanged.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.session_record import Reject, Remark, SessionRecord, Survey
from service.flows.intake import Origin, Outcome, foresee_sessions, record_sessions
from service.flows.intake_people import FACTS
from service.store import feeds
from service.store.database import read_only
from service.store.tables import Clinic

MOST_MISSING = 30
"""Percent of the sessions still to come that a complete feed may leave out."""
NOT_IN_FILE = "not in file"

Progress = Callable[[int], object]
"""Told how many more rows are done."""


class ImportRefusedError(AftercareError):
    """The whole import is refused, and nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A file that was looked through, and its rows as they are judged. ``name`` becomes the evidence for consents.

    ``complete``: it names every session that its source has.
    """

    source: str
    name: str
    survey: Survey
    rows: Iterable[SessionRecord | Reject]
    complete: bool = False


@dataclass(slots=True)
class Report:
    """What an import came to; every row read is in one of the counts or rejected."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    rejected: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.outcomes.total() + len(self.rejected)

    def document(self) -> dict[str, Any]:
        """The report as one JSON document, in the order of the file."""
        counts = {outcome: self.outcomes[outcome] for outcome in ("created", "changed", "unchanged", "stale")}
        return {"read": self.read, **counts, "rejected": _in_order(self.rejected), "warnings": _in_order(self.warnings)}


def _in_order(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    return [asdict(remark) for remark in sorted(remarks, key=lambda remark: remark.line)]


def import_feed(
    sessions: sessionmaker[Session], feed: Feed, *, clinic: Clinic, clock: Clock, progress: Progress
) -> Report:
    """Take the feed over. Of a complete one, the sessions still to come that it does not name are cancelled.

    Raises ImportRefusedError where these are too many for a file that is whole.
    """
    missing = _missing(sessions, feed, clinic=clinic, clock=clock)
    origin = Origin(feed.source, feed.name, imported=clinic.imported_at is None)

    def take(records: Sequence[SessionRecord]) -> list[Outcome]:
        with sessions.begin() as db:
            return record_sessions(db, records, clinic=clinic, now=clock(), origin=origin)

    report = _take_all(feed, take, progress)
    with sessions.begin() as db:
        if missing and feed.survey.nameless is None:
            feeds.call_off(db, missing, now=clock(), reason=NOT_IN_FILE)
        if origin.imported and report.outcomes["created"]:
            db.execute(update(Clinic).where(Clinic.id == clinic.id).values(imported_at=clock()))
    report.warnings.extend(_about_missing(feed.survey, len(missing)))
    return report


def try_feed(
    sessions: sessionmaker[Session], feed: Feed, *, clinic: Clinic, clock: Clock, progress: Progress
) -> Report:
    """What :func:`import_feed` would come to, its refusal too. Nothing is written."""
    missing = _missing(sessions, feed, clinic=clinic, clock=clock)
    origin = Origin(feed.source, feed.name)

    def take(records: Sequence[SessionRecord]) -> list[Outcome]:
        with sessions() as db:
            return foresee_sessions(read_only(db), records, clinic=clinic, origin=origin)

    report = _take_all(feed, take, progress)
    report.warnings.extend(_about_missing(feed.survey, len(missing)))
    return report


def _take_all(feed: Feed, take: Callable[[Sequence[SessionRecord]], list[Outcome]], progress: Progress) -> Report:
    report, rows = Report(), _undisputed(feed)
    while chunk := list(islice(rows, feeds.CHUNK)):
        records = [row for row in chunk if isinstance(row, SessionRecord)]
        report.rejected.extend(row for row in chunk if isinstance(row, Reject))
        report.warnings.extend(chain.from_iterable(record.remarks for record in records))
        if records:
            report.outcomes.update(take(records))
        progress(len(chunk))
    return report


def _undisputed(feed: Feed) -> Iterator[SessionRecord | Reject]:
    """The rows; those of patients of whom rows say different things come last, and say the same.

    Otherwise each such row would change the patient once more, in every import again.
    """
    held: dict[str, list[SessionRecord]] = {}
    for row in feed.rows:
        if isinstance(row, SessionRecord) and row.patient_external_id in feed.survey.disputed:
            held.setdefault(row.patient_external_id, []).append(row)
        else:
            yield row
    for records in held.values():
        yield from _agreed(records)


def _agreed(records: list[SessionRecord]) -> Iterator[SessionRecord]:
    """The records of one patient with what the newest of them says of the patient: changed last, else starting last."""
    oldest_first = sorted(records, key=lambda record: (record.source_version or "", record.start, record.line))
    facts: dict[str, Any] = {}
    for record in oldest_first:
        facts |= {name: value for name in (*FACTS, "consent") if (value := getattr(record, name)) is not None}
    for record in records:
        remarks = record.remarks
        if record.phone is not None and record.phone != facts["phone"]:
            reason = "Another line gives this patient another number. The one of the newest line was taken."
            remarks += (Remark(record.line, "mobile", "phone", reason),)
        yield replace(record, remarks=remarks, **facts)


def _missing(sessions: sessionmaker[Session], feed: Feed, *, clinic: Clinic, clock: Clock) -> list[int]:
    """Sessions still to come that a complete feed does not name."""
    if not feed.complete:
        return []
    with sessions() as db:
        booked = feeds.booked_from(read_only(db), clinic.id, source=feed.source, now=clock())
    missing = [key for name, key in booked.items() if name not in feed.survey.ids]
    if 100 * len(missing) > MOST_MISSING * len(booked):
        raise ImportRefusedError(
            f"{len(missing)} of the {len(booked)} sessions still to come are not in {feed.name}, which is more than "
            f"{MOST_MISSING} %: it may be cut off. Nothing was changed. Export it anew, or import it without --full."
        )
    return missing


def _about_missing(survey: Survey, missing: int) -> Iterator[Remark]:
    if missing and survey.nameless is not None:
        reason = f"This line cannot be told apart from the {missing} sessions that are missing from the file: none of these was cancelled."
        yield Remark(survey.nameless, "external_id", "missing", reason)
    elif missing:
        yield Remark(
            0, "external_id", "not_in_file", f"Sessions still to come that are not in the file: {missing} cancelled."
        )
