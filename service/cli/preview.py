"""``aftercare preview``: what a patient of a described case would be sent, and when, without sending anything."""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Annotated, Any

import typer

from service.cli.context import open_app
from service.cli.json_lines import File, answer_file
from service.cli.output import USAGE, Json, document, fail, table
from service.flows import preview as previewing
from service.flows.practice import Practice, stored_practice
from service.flows.preview import Foreseen
from service.flows.preview_options import OptionError, Options

Moment = Annotated[str | None, typer.Option(metavar="T", show_default=False)]
HEADINGS = ("When (clinic)", "Step", "Parts", "Text")
NAMES = tuple(field.name for field in fields(Foreseen))


def register(app: typer.Typer) -> None:
    app.command()(preview)


def preview(
    *,
    clinic: Annotated[
        str | None, typer.Option(metavar="K", help="A clinic of the database, else an invented one.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(metavar="Z", help="Of the times given here without offset.")] = None,
    patient_time_zone: Annotated[str | None, typer.Option(metavar="Z", help="Whose texting hours hold.")] = None,
    language: Annotated[str | None, typer.Option(metavar="L", help="Of the patient.")] = None,
    plan: Annotated[str | None, typer.Option(metavar="P", help="standard or lite.")] = None,
    booked_at: Moment = None,
    scheduled_at: Moment = None,
    completed_at: Moment = None,
    next_session: Moment = None,
    first_session: Annotated[bool, typer.Option("--first-session", help="Not a repeat session.")] = False,
    now: Moment = None,
    file: File = None,
    json: Json = False,
) -> None:
    """Show every text that a session would bring: when, in which words, and why some are not sent.

    With --file, each line is one case: option names with _ for -; options given beside it hold for every line.
    """
    shared = {
        "clinic": clinic,
        "time_zone": time_zone,
        "patient_time_zone": patient_time_zone,
        "language": language,
        "plan": plan,
        "booked_at": booked_at,
        "scheduled_at": scheduled_at,
        "completed_at": completed_at,
        "next_session": next_session,
        "first_session": first_session or None,
        "now": now,
    }
    practices = _practices()
    if file is not None:
        answer_file(file, lambda line: _records(_merged(shared, line), practices))
        return
    try:
        found = previewing.preview(shared, practices)
    except OptionError as error:
        fail(str(error), USAGE)
    if json:
        document(list(map(_record, found)))
    else:
        table(HEADINGS, map(_row, found))


def _merged(shared: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """``json`` is an option of the command, and what it asks for is what every line gets."""
    return shared | {name: value for name, value in line.items() if value is not None and name != "json"}


def _practices() -> Callable[[str], Practice]:
    """Clinics of the database by key, each read once; the database is opened when the first is asked for."""
    opened = cache(open_app)

    @cache
    def find(key: str) -> Practice:
        app = opened()
        with app.sessions.begin() as db:
            return stored_practice(db, key, now=app.clock())

    return find


def _records(options: Options, practices: Callable[[str], Practice]) -> list[dict[str, Any]]:
    return [_record(line) for line in previewing.preview(options, practices)]


def _record(line: Foreseen) -> dict[str, Any]:
    values = {name: getattr(line, name) for name in NAMES}
    return values | {"local": line.local.isoformat() if line.local else None}


def _row(line: Foreseen) -> tuple[Any, ...]:
    when = f"{line.local:%a %Y-%m-%d %H:%M}" if line.local else None
    return when, line.step, line.segments, line.text or f"not sent: {line.skipped}"
