"""``aftercare import``: sessions from files, as clinics' systems export them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import progress as bars
from rich.console import Console

from service.cli.context import open_app
from service.cli.output import USAGE, Json, document, fail, table
from service.flows.clinic_options import OptionsError, read_country, read_zone
from service.flows.importing import Feed, Progress, Report, import_feed, try_feed
from service.flows.practice import find_clinic
from service.sources.csv_columns import read_delimiter, read_names
from service.sources.csv_dates import read_formats
from service.sources.csv_file import read_sessions, survey
from service.sources.csv_layout import ConsentRule, Layout, LayoutError
from service.store.database import read_only
from service.store.tables import Clinic

SOURCE = "csv"
FIRST = 10
"""So many rejects and warnings are shown to people; --json gives all."""

File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The CSV file.")]
Key = Annotated[str, typer.Option("--clinic", metavar="K", help="Whose sessions these are.")]
Zone = Annotated[
    str | None, typer.Option("--time-zone", metavar="Z", help="Of times without offset; else the clinic's.")
]
Country = Annotated[str | None, typer.Option(metavar="C", help="Of numbers without a prefix; else the clinic's.")]
Dates = Annotated[
    list[str] | None,
    typer.Option("--date-format", metavar="FMT", help='Beside ISO 8601, like "%d.%m.%Y %H:%M"; may be repeated.'),
]
Names = Annotated[
    list[str] | None, typer.Option("--map", metavar="our=theirs", help="The file's name for a column; may be repeated.")
]
Delimiter = Annotated[str | None, typer.Option(metavar="D", help="Else found out: comma, semicolon, tab or bar.")]
Encoding = Annotated[str | None, typer.Option(metavar="E", help="Else UTF-8; Excel often writes cp1252 or cp1254.")]
Consent = Annotated[
    ConsentRule | None,
    typer.Option(help="What the patients agreed to; the file is the evidence. Without it nobody new is texted."),
]
Full = Annotated[
    bool,
    typer.Option("--full", help="The file names every session: those still to come that it leaves out are cancelled."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Judge and count everything, write nothing.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Take over what other systems know.")
    group.command("sessions")(sessions)
    app.add_typer(group, name="import")


def sessions(
    file: File,
    *,
    clinic: Key,
    time_zone: Zone = None,
    country: Country = None,
    date_format: Dates = None,
    names: Names = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    consent: Consent = None,
    full: Full = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Import sessions and their patients. A row that cannot be used is rejected with its reason, and the others are taken."""
    given = locals()
    app = open_app()
    with app.sessions() as db:
        of = find_clinic(read_only(db), clinic)
    feed = _look_through(of, given)
    with _progress(feed.survey.rows) as progress:
        take = try_feed if dry_run else import_feed
        report = take(app.sessions, feed, clinic=of, clock=app.clock, progress=progress)
    document(report.document()) if json else _print(report, dry_run=dry_run)


def _look_through(of: Clinic, given: Mapping[str, Any]) -> Feed:
    file: Path = given["file"]
    try:
        layout = Layout(
            zone=read_zone(given["time_zone"] or of.time_zone),
            country=read_country(given["country"] or of.country),
            languages=tuple(of.languages.split(",")),
            dates=read_formats(given["date_format"] or ()),
            names=read_names(given["names"] or ()),
            delimiter=given["delimiter"] and read_delimiter(given["delimiter"]),
            encoding=given["encoding"],
            consent=given["consent"],
        )
        seen = survey(file, layout)
    except (LayoutError, OptionsError) as why:
        fail(str(why), USAGE)
    rows = read_sessions(file, layout)
    return Feed(source=SOURCE, name=file.name, survey=seen, rows=rows, complete=given["full"])


@contextmanager
def _progress(rows: int) -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("rows", total=rows)
        yield lambda done: bar.advance(task, done)


def _print(report: Report, *, dry_run: bool) -> None:
    found = report.document()
    counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in ("created", "changed", "unchanged", "stale"))
    lead = "Nothing was written. It would be: " if dry_run else ""
    typer.echo(f"{lead}{found['read']} rows read: {counts}, {len(found['rejected'])} rejected.")
    for title, remarks in (("Rejected", found["rejected"]), ("Warnings", found["warnings"])):
        if remarks:
            typer.echo(f"\n{title} ({len(remarks)}{f', the first {FIRST}' if len(remarks) > FIRST else ''}):")
            table(("Line", "Column", "Code", "Reason"), (tuple(remark.values()) for remark in remarks[:FIRST]))
