"""``aftercare calls``: whom to phone, because a text did not reach them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from service.assembly import App
from service.cli.context import open_app
from service.cli.moments import moment
from service.cli.output import Json, clock, document, operator, say, table, zones
from service.domain.phone import mask
from service.flows import staffing
from service.flows.calls import Call, whom_to_call
from service.flows.practice import find_clinic
from service.store.database import read_only

Since = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="From then on: ISO 8601, UTC unless it says otherwise. Without it the last 24 hours."
    ),
]
Clinic = Annotated[str | None, typer.Option(metavar="K", help="Only of this clinic.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show whole numbers; that you did is journalled.")]
LIST = ("Patient", "Record", "Phone", "Text", "Session (clinic)", "State", "Task", "Why")


def register(app: typer.Typer) -> None:
    app.command()(calls)


def calls(*, since: Since = None, clinic: Clinic = None, reveal: Reveal = False, json: Json = False) -> None:
    """List whom to call: patients whom a text did not reach and no later one told the same, the most urgent first."""
    app = open_app()
    start = moment(since, "--since") if since else app.clock() - timedelta(days=1)
    if reveal:
        _note(app, start, clinic)
    found, zone_of = _found(app, start, clinic)
    shown = [call if reveal else replace(call, phone=mask(call.phone) if call.phone else None) for call in found]
    if json:
        document([_record(call) for call in shown])
    elif shown:
        table(LIST, (_row(call, zone_of) for call in shown))
    else:
        say("There is nobody to call: every text got through, or is still on its way.")


def _found(app: App, since: datetime, clinic: str | None) -> tuple[list[Call], Mapping[int, ZoneInfo]]:
    now = app.clock()
    settled = now - 2 * timedelta(seconds=app.settings.recovery.wait_seconds)
    with app.sessions() as db:
        read_only(db)
        clinic_id = find_clinic(db, clinic).id if clinic else None
        return whom_to_call(db, since=since, doubtful_until=settled, now=now, clinic_id=clinic_id), zones(db)


def _note(app: App, since: datetime, clinic: str | None) -> None:
    """In a transaction of its own, before anything is shown."""
    which = {"calls_since": since.isoformat(), "clinic": clinic}
    with app.sessions.begin() as db:
        staffing.note_revealed(db, None, which=which, by=operator(), now=app.clock())


def _record(call: Call) -> dict[str, Any]:
    return {
        "clinic": call.clinic_id,
        "patient": call.patient_id,
        "external_id": call.external_id,
        "phone": call.phone,
        "message": call.message_id,
        "step": call.step,
        "title": call.title,
        "urgency": call.urgency,
        "session": call.session_id,
        "session_start": call.session_start,
        "state": call.state,
        "why": call.why,
        "at": call.at,
        "task": call.task_id,
    }


def _row(call: Call, zone_of: Mapping[int, ZoneInfo]) -> tuple[Any, ...]:
    start = clock(call.session_start, zone_of[call.clinic_id])
    return call.patient_id, call.external_id, call.phone, call.title, start, call.state, call.task_id, call.why
