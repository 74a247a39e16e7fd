"""``aftercare consent``: the ledger of what was agreed and withdrawn, as proof."""

import csv
import sys
from typing import Annotated

import typer

from service.cli.context import open_app
from service.cli.output import USAGE, Json, documents, fail, operator
from service.domain.phone import PhoneError, parse_number
from service.flows.exporting import PROOF, export_consents
from service.flows.practice import find_clinic

OfClinic = Annotated[str | None, typer.Option("--clinic", metavar="K", help="Only what was said to this clinic.")]
OfNumber = Annotated[
    str | None, typer.Option("--number", metavar="N", help="Only of this number, like +12025550142; erased ones, too.")
]
NOWHERE = "ZZ"
"""No country: a number is given with + and its own."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What was agreed and withdrawn.")
    group.callback()(lambda: None)
    group.command("export")(export)
    app.add_typer(group, name="consent")


def export(*, clinic: OfClinic = None, number: OfNumber = None, json: Json = False) -> None:
    """Write the ledger as CSV, or as JSON: who, when, how, in which wording, with which evidence. It is journalled."""
    app = open_app()
    with app.sessions.begin() as db:
        of = find_clinic(db, clinic) if clinic else None
        lines = export_consents(db, clinic=of, number=_written(number), by=operator(), now=app.clock())
        if json:
            documents(lines)
            return
        writer = csv.DictWriter(sys.stdout, PROOF)
        writer.writeheader()
        writer.writerows(line | {"at": line["at"].isoformat()} for line in lines)


def _written(number: str | None) -> str | None:
    """The number as it is kept; one without a country is wrong usage."""
    try:
        return None if number is None else parse_number(number, NOWHERE).e164
    except PhoneError as why:
        fail(f"--number: {why}", USAGE)
