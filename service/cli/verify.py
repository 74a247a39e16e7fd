"""``aftercare verify``: reads rows and journal again, and names every promise that was broken."""

from collections import Counter
from typing import Any

import typer

from service.cli.context import open_app
from service.cli.output import FAILED, Json, document, table
from service.flows.verification.findings import Findings
from service.flows.verification.verifying import verify as prove


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(*, json: Json = False) -> None:
    """Prove from rows and journal that no promise was broken; exit 1 where one was."""
    app = open_app()
    found = prove(app.sessions, app.clock, approval=app.policy.approval)
    if json:
        document(_record(found))
    else:
        _print(found)
    if not found.ok:
        raise typer.Exit(FAILED)


def _record(found: Findings) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "checked": found.checked,
        "violations": [
            {
                "rule": broken.rule,
                "message_id": broken.message_id,
                "session_id": broken.session_id,
                "detail": broken.detail,
            }
            for broken in found.in_order()
        ],
    }


def _print(found: Findings) -> None:
    broken = found.in_order()
    count = Counter(violation.rule for violation in broken)
    table(("Rule", "Looked at", "Broken"), ((rule, n, count[rule]) for rule, n in found.checked.items()))
    typer.echo("")
    if found.ok:
        typer.echo("Every promise was kept.")
        return
    rows = ((violation.rule, violation.message_id, violation.session_id, violation.detail) for violation in broken)
    table(("Rule", "Message", "Session", "What happened"), rows)
