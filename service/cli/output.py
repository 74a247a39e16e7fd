"""How commands speak: what was asked for on stdout, as one JSON document or a table; everything else on stderr; an exit code."""

import getpass
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import tables

FAILED, USAGE = 1, 2
WIDE = 200
"""Characters of a line where no terminal says how many it has."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("say it in words: whoever looks later must understand it")
    return text


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Reason = Annotated[str, typer.Option(metavar="R", callback=_not_blank, help="Why, for whoever looks later.")]
Outcome = Annotated[str, typer.Option(metavar="O", callback=_not_blank, help="What came of it.")]
Clinic = Annotated[
    str | None, typer.Option(metavar="K", help="Of this clinic; without it what the service ships with.")
]
Number = Annotated[int, typer.Argument(metavar="ID", show_default=False)]


def document(value: Any) -> None:
    """Print one JSON document; moments become RFC 3339 in UTC."""
    typer.echo(encode(value))


def encode(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=_written)


def documents(values: Iterable[Any]) -> None:
    """Print one JSON list, each item as soon as it is known: there may be more than fit into memory."""
    before = "["
    for value in values:
        typer.echo(f"{before}{encode(value)}", nl=False)
        before = ",\n"
    typer.echo("[]" if before == "[" else "]")


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table for people; None is an empty cell. Only the last column breaks its lines."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(shown)


def clock(moment: datetime | str | None, zone: ZoneInfo) -> str:
    """A moment on the clinic's wall clock; texts are RFC 3339."""
    if moment is None:
        return ""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{read.astimezone(zone):%a %Y-%m-%d %H:%M}"


def zones(db: Session) -> dict[int, ZoneInfo]:
    """The zone of each clinic, by the clinic's id."""
    return {
        clinic_id: ZoneInfo(zone) for clinic_id, zone in db.execute(select(tables.Clinic.id, tables.Clinic.time_zone))
    }


def operator() -> str:
    """Who is at the keyboard, for the journal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in containers
        return "unknown"


def say(text: str) -> None:
    """Tell the person at the keyboard."""
    typer.echo(text, err=True)


def fail(text: str, code: int = FAILED) -> NoReturn:
    """Say why and leave."""
    say(text)
    raise typer.Exit(code)
