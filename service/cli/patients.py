"""``aftercare patient``: what staff decide about one patient's texts, and what is held about a person."""

from typing import Annotated

import typer

from service.cli.context import open_app
from service.cli.output import USAGE, Json, Number, Reason, document, fail, operator, say, table
from service.flows.erasing import Erased, erase, look_before_erasing
from service.flows.exporting import export_patient, readable
from service.flows.patient_pauses import NoPauseError, pause_patient, resume_patient
from service.store.database import read_only

Until = Annotated[str, typer.Option(metavar="T", help="A day or a moment on the clinic's clock, like 2026-12-24.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
GoneForGood = "Everything that names this person will be gone for good, here and at the provider. Go on?"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Single patients.")
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("export")(export)
    group.command("erase")(erase_one)
    app.add_typer(group, name="patient")


def pause(patient: Number, *, until: Until, reason: Reason) -> None:
    """Send this patient no plan texts for a while. Answers to what the patient texts still go out."""
    app = open_app()
    try:
        with app.sessions.begin() as db:
            end = pause_patient(db, patient, until=until, reason=reason, by=operator(), now=app.clock())
    except NoPauseError as why:
        fail(str(why), USAGE)
    say(f"Patient {patient} gets no plan texts until {end:%Y-%m-%d %H:%M} UTC.")


def resume(patient: Number) -> None:
    """End a patient's pause."""
    app = open_app()
    with app.sessions.begin() as db:
        ended = resume_patient(db, patient, by=operator(), now=app.clock())
    say(f"Patient {patient} gets texts again." if ended else f"Patient {patient} was not paused.")


def export(patient: Number, *, json: Json = False) -> None:
    """Write everything held about a person, for that person. It is journalled."""
    app = open_app()
    with app.sessions.begin() as db:
        found = export_patient(db, patient, by=operator(), now=app.clock())
    if json:
        document(found)
    else:
        for line in readable(found):
            typer.echo(line)


def erase_one(patient: Number, *, reason: Reason, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Take out everything that names a person; proof of an opt-out stays, and so do counts and times. No names in --reason."""
    app = open_app()
    with app.sessions() as db:
        _show(look_before_erasing(read_only(db), patient))
    if dry_run:
        say("Nothing was changed.")
        return
    if not yes:
        typer.confirm(GoneForGood, abort=True, err=True)
    with app.sessions.begin() as db:
        erased = erase(db, patient, reason=reason, by=operator(), now=app.clock())
    say(f"Patient {patient} was erased. {erased.copies} copies at the provider are deleted next; a worker does it.")


def _show(found: Erased) -> None:
    waiting = {"texts that wait": found.withdrawn, "copies at the provider": found.copies}
    table(("Held", "Rows"), (found.rows | waiting).items())
    if found.shared_numbers:
        say("Another patient of the clinic has a number of this person: that number stays, and so does its consent.")
