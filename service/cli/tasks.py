"""``aftercare task``: what people have to do, and what came of it."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from service.assembly import App
from service.cli.context import open_app
from service.cli.output import Json, Number, Outcome, clock, document, operator, say, table, zones
from service.flows import staffing
from service.store import tasks
from service.store.database import read_only
from service.store.tables import Task

Reveal = Annotated[bool, typer.Option("--reveal", help="Show what the patient wrote; that you did is journalled.")]
Which = Literal["open", "planned", "closed", "withdrawn", "all"]
LIST = ("ID", "Level", "Due (clinic)", "Kind", "Patient", "State", "What happened", "What to do")


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What people have to do.")
    group.command("list")(list_tasks)
    group.command("show")(show)
    group.command("close")(close)
    app.add_typer(group, name="task")


def list_tasks(
    *,
    state: Annotated[Which, typer.Option(help="Which tasks; planned ones are not due yet.")] = "open",
    patient: Annotated[int | None, typer.Option(metavar="ID", help="Only about this patient.")] = None,
    json: Json = False,
) -> None:
    """List tasks, the most urgent first."""
    app = open_app()
    with app.sessions() as db:
        found = tasks.listed(read_only(db), state=None if state == "all" else state, patient_id=patient)
        zone_of = zones(db)
    if json:
        document([_record(task) for task in found])
    else:
        table(LIST, (_row(task, zone_of[task.clinic_id]) for task in found))


def show(task: Number, *, reveal: Reveal = False, json: Json = False) -> None:
    """Show one task."""
    app = open_app()
    reply = _reply(app, task) if reveal else {}
    with app.sessions() as db:
        found, zone_of = staffing.find_task(read_only(db), task), zones(db)
    if json:
        document(_record(found) | reply)
    else:
        _print(found, reply, zone_of[found.clinic_id])


def close(task: Number, *, outcome: Outcome, json: Json = False) -> None:
    """Close a task with what came of it."""
    app = open_app()
    with app.sessions.begin() as db:
        staffing.close_task(db, task, outcome=outcome, by=operator(), now=app.clock())
        found = staffing.find_task(db, task)
    if json:
        document(_record(found))
    else:
        say(f"Task {task} is closed.")


def _reply(app: App, task: int) -> dict[str, str | None]:
    """What the patient wrote, and from where; committed as seen before it is shown."""
    with app.sessions.begin() as db:
        inbound = staffing.reveal_reply(db, task, by=operator(), now=app.clock())
    return {"from": inbound.from_number, "text": inbound.body} if inbound else {"from": None, "text": None}


def _record(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "kind": task.kind,
        "clinic": task.clinic_id,
        "patient": task.patient_id,
        "session": task.session_id,
        "message": task.message_id,
        "inbound": task.inbound_id,
        "level": task.level,
        "due_at": task.due_at,
        "state": task.state,
        "reason": task.reason,
        "next_action": task.next_action,
        "opened_at": task.opened_at,
        "closed_at": task.closed_at,
        "outcome": task.outcome,
    }


def _row(task: Task, zone: ZoneInfo) -> tuple[Any, ...]:
    due = clock(task.due_at, zone)
    return task.id, task.level, due, task.kind, task.patient_id, task.state, task.reason, task.next_action


def _print(task: Task, reply: dict[str, str | None], zone: ZoneInfo) -> None:
    record = _record(task)
    moments = {name: clock(record[name], zone) for name in ("due_at", "opened_at", "closed_at")}
    table(("", ""), (record | moments | reply).items())
