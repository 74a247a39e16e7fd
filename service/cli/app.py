"""The command ``aftercare``: gathers the commands of every noun."""

import typer

from service.cli import (
    calls,
    clinics,
    content,
    imports,
    messages,
    patients,
    preview,
    running,
    simulate,
    tasks,
    tools,
    verify,
)

NOUNS = (running, clinics, imports, preview, messages, calls, patients, tasks, content, verify, simulate, tools)

app = typer.Typer(
    name="aftercare",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Texts patients before and after a treatment session, and understands what they answer.",
)
for noun in NOUNS:
    noun.register(app)
