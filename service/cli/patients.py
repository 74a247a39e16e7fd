"""``aftercare patient``: what staff decide about one patient's texts."""

from typing import Annotated

import typer

from service.cli.context import open_app
from service.cli.output import USAGE, Number, Reason, fail, operator, say
from service.flows.patient_pauses import NoPauseError, pause_patient, resume_patient

Until = Annotated[str, typer.Option(metavar="T", help="A day or a moment on the clinic's clock, like 2026-12-24.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Single patients.")
    group.command("pause")(pause)
    group.command("resume")(resume)
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
