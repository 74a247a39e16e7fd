"""Looking at texts, stopping them, deciding about them: how all is going, single messages and their stories, the big switch."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from service.assembly import App
from service.cli.context import open_app
from service.cli.output import Json, Number, Reason, clock, document, documents, fail, operator, say, table, zones
from service.domain.lifecycle import State
from service.domain.phone import mask
from service.flows import doubts, staffing
from service.store import reports
from service.store.database import read_only

Reveal = Annotated[bool, typer.Option("--reveal", help="Show whole numbers; that you did is journalled.")]
LIST = ("ID", "Due (clinic)", "Patient", "Session", "Step", "To", "State", "Reason")


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(pause)
    app.command()(resume)
    group = typer.Typer(no_args_is_help=True, help="Single messages.")
    group.command("list")(list_messages)
    group.command("show")(show)
    group.command("skip")(skip)
    group.command("decide")(decide)
    app.add_typer(group, name="message")


def status(*, json: Json = False) -> None:
    """Show how all is going: what is due, held, paused, and when each job last ran."""
    app = open_app()
    with app.sessions() as db:
        found = reports.status(read_only(db), now=app.clock())
    if json:
        document(found)
    else:
        _print_status(found)


def _print_status(found: dict[str, Any]) -> None:
    table(("State", "Messages"), found["states"].items())
    waiting = f"{found['due']} due (the oldest for {found['oldest_due_seconds']} s), {found['held']} held"
    typer.echo(f"\n{waiting}, {found['unconfirmed']} unconfirmed")
    for what, reason in _paused(found):
        typer.echo(f"PAUSED: {what}: {reason}")
    beats = ((job, f"{beat['age_seconds']} s ago", beat["worker"]) for job, beat in found["heartbeats"].items())
    typer.echo("")
    table(("Job", "Last run", "Worker"), beats)


def _paused(found: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    if found["paused"]:
        yield "all sending", found["pause_reason"]
    yield from ((f"sender {key}", reason) for key, reason in found["paused_senders"].items())
    yield from ((f"clinic {key}", reason) for key, reason in found["paused_clinics"].items())


def pause(*, reason: Reason) -> None:
    """Let nothing leave at all until resume."""
    app = open_app()
    with app.sessions.begin() as db:
        paused = staffing.pause(db, reason=reason, by=operator(), now=app.clock())
    say("Nothing leaves until `aftercare resume`." if paused else "All sending was paused before; that reason stays.")
    status()


def resume() -> None:
    """Let texts leave again, from senders that a provider's refusal had stopped, too."""
    app = open_app()
    with app.sessions.begin() as db:
        ended = staffing.resume(db, by=operator(), now=app.clock())
    for reason in ended:
        say(f"No longer paused: {reason}")
    if not ended:
        say("Nothing was paused.")


def list_messages(
    *,
    state: Annotated[State | None, typer.Option(metavar="S", help="Only in this state.")] = None,
    patient: Annotated[int | None, typer.Option(metavar="ID", help="Only of this patient.")] = None,
    session: Annotated[int | None, typer.Option(metavar="ID", help="Only of this session.")] = None,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """List messages, all that fit, by id."""
    app = open_app()
    if reveal:
        _note(app, None, {"state": state, "patient": patient, "session": session})
    with app.sessions() as db:
        found = reports.message_list(read_only(db), state=state, patient_id=patient, session_id=session)
        shown = (message if reveal else _masked(message) for message in found)
        if json:
            documents(shown)
        else:
            _print_list(shown, zones(db))


def _print_list(messages: Iterable[dict[str, Any]], zone_of: dict[int, ZoneInfo]) -> None:
    table(LIST, (_row(message, zone_of[message["clinic"]]) for message in messages))


def _row(message: dict[str, Any], zone: ZoneInfo) -> tuple[Any, ...]:
    about = (message[name] for name in ("patient", "session", "step", "to", "state"))
    return message["id"], clock(message["due_at"], zone), *about, message["held_reason"] or message["reason"]


def show(message: Number, *, reveal: Reveal = False, json: Json = False) -> None:
    """Show one message and everything that happened to it."""
    app = open_app()
    if reveal:
        _note(app, message, {"message": message})
    with app.sessions() as db:
        found, zone_of = reports.message_story(read_only(db), message), zones(db)
    if found is None:
        fail(f"There is no message {message}.")
    shown = found | {"message": found["message"] if reveal else _masked(found["message"])}
    if json:
        document(shown)
    else:
        _print_story(shown, zone_of[found["message"]["clinic"]])


def _print_story(found: dict[str, Any], zone: ZoneInfo) -> None:
    moments = {name: clock(value, zone) for name, value in found["message"].items() if name.endswith("_at")}
    table(("", ""), (found["message"] | moments).items())
    typer.echo("")
    story = ((clock(e["at"], zone), e["kind"], e["reason"], e["data"] or None) for e in found["story"])
    table(("When (clinic)", "What", "Why", "Values"), story)


def skip(message: Number, *, reason: Reason) -> None:
    """Take a planned message out for good."""
    app = open_app()
    with app.sessions.begin() as db:
        staffing.skip_message(db, message, reason=reason, by=operator(), now=app.clock())
    say(f"Message {message} will not be sent.")


def decide(
    message: Number,
    *,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What you found out.", show_default=False)],
    reason: Reason,
) -> None:
    """Say whether a text left of which nobody else knows: it is left alone then, or sent again while it is of use."""
    app = open_app()
    act = doubts.decide_sent if sent else doubts.decide_not_sent
    wait = timedelta(seconds=app.settings.recovery.wait_seconds)
    with app.sessions.begin() as db:
        act(db, message, reason=reason, by=operator(), now=app.clock(), wait=wait)
    say(f"Message {message} counts as sent." if sent else f"Message {message} is sent again, if it is still of use.")


def _note(app: App, message: int | None, which: dict[str, object]) -> None:
    """In a transaction of its own, before anything is shown."""
    with app.sessions.begin() as db:
        staffing.note_revealed(db, message, which=which, by=operator(), now=app.clock())


def _masked(message: dict[str, Any]) -> dict[str, Any]:
    return message | {"to": mask(message["to"]) if message["to"] else None}
