"""CSV files as a clinic's system exports them, taken over by the service's own import."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.flows.importing import Feed, Report, import_feed
from service.simulator.log import stamped
from service.simulator.people import Place, Visit
from service.sources.csv_file import read_sessions, survey
from service.sources.csv_layout import ConsentRule, Layout
from service.store import tables

SOURCE = "csv"
HEADER = (
    *("external_id", "mrn", "first_name", "last_name", "mobile", "language", "start_local", "end_local"),
    *("completed_at", "status", "updated_at", "consent"),
)


def write_file(visits: Iterable[Visit], *, version: str) -> str:
    """The sessions as they are now, each as changed at ``version``."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    writer.writerows(_row(visit, version) for visit in visits)
    return out.getvalue()


def deliver(
    sessions: sessionmaker[Session], clock: Clock, file: str, *, place: Place, complete: bool = False
) -> Report:
    """Import a file as the command line does."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sessions.csv"
        path.write_text(file, encoding="utf-8")
        consent = ConsentRule.COLUMN
        layout = Layout(zone=place.clock, country=place.country, languages=place.languages, consent=consent)
        seen, rows = survey(path, layout), read_sessions(path, layout)
        feed = Feed(source=SOURCE, name=path.name, survey=seen, rows=rows, complete=complete)
        with sessions() as db:
            clinic = db.get_one(tables.Clinic, place.id)
        return import_feed(sessions, feed, clinic=clinic, clock=clock, progress=lambda _: None)


def _row(visit: Visit, version: str) -> tuple[str | None, ...]:
    person, place = visit.person, visit.person.place
    return (
        *(visit.key, person.key, person.first_name, person.last_name, person.number, person.language),
        *(_on_the_wall(visit.start, place), _on_the_wall(visit.end, place)),
        *(stamped(visit.completed_at), visit.status, version, person.paper),
    )


def _on_the_wall(moment: datetime | None, place: Place) -> str | None:
    """Without an offset, as most systems write it."""
    return f"{moment.astimezone(place.clock):%Y-%m-%d %H:%M}" if moment else None
