"""The command ``aftercare``: gathers the commands of every noun."""

import typer

from service.cli import (
    calls,
    clinics,
    consents,
    content,
    imports,
    messages,
    patients,
    preview,
    recovering,
    running,
    simulate,
    tasks,
    tools,
    verify,
)

NOUNS = (
    running,
    recovering,
    clinics,
    imports,
    preview,
    messages,
    calls,
    patients,
    consents,
    tasks,
    content,
    verify,
    simulate,
    tools,
)

app = typer.Typer(
    name="aftercare",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Texts patients before and after a treatment session, and understands what they answer.",
)
for noun in NOUNS:
    noun.register(app)
