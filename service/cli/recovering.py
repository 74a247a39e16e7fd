"""``aftercare recover``: after a restore from backup, compare with the provider, and let sending go on."""

from dataclasses import asdict
from typing import Annotated

import typer

from service.assembly import App, account_of
from service.cli.context import open_app
from service.cli.moments import moment
from service.cli.output import Json, document, operator, say
from service.flows.restoring import Compared, Restoring, recover_since
from service.flows.restoring import release as let_go
from service.store import running
from service.store.database import read_only

Since = Annotated[
    str, typer.Option(metavar="T", help="Compare from then on: when the backup was made, or earlier. ISO 8601, UTC.")
]
Release = Annotated[bool, typer.Option("--release", help="Then let sending go on.")]


def register(app: typer.Typer) -> None:
    app.command()(recover)


def recover(*, since: Since, release: Release = False, json: Json = False) -> None:
    """Attach what the provider has taken already, after a restore; nothing leaves until you release it."""
    start, app = moment(since, "--since"), open_app()
    restoring = _restoring(app)
    found = recover_since(restoring, start)
    if release:
        let_go(restoring, by=operator(), account=account_of(app.settings))
    if json:
        document(asdict(found) | {"since": start, "released": release})
    else:
        _say(found)
        _say_what_sending_does(app, since, released=release)


def _restoring(app: App) -> Restoring:
    return Restoring(app.sessions, app.gateway, app.clock, app.policy, app.settings.twilio.stop_replies)


def _say(found: Compared) -> None:
    say(f"The provider lists {found.listed} texts since then; {found.known} were known here already.")
    say(
        f"{found.attached} were found to be ours and will not be sent again; {found.held} may be, and wait for a person."
    )
    say(f"{found.unexplained} fit no text of ours. {found.inbound} texts from phones were new.")


def _say_what_sending_does(app: App, since: str, *, released: bool) -> None:
    with app.sessions() as db:
        whole = running.installation(read_only(db))
    if not released:
        say(
            f"Sending is held. Once you have looked at `aftercare task list`: aftercare recover --since {since} --release"
        )
    elif whole.paused_at is not None:
        say(f"Released; but all sending is paused besides ({whole.pause_reason}): `aftercare resume` ends that.")
    else:
        say("Sending goes on.")
