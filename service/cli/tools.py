"""Small tools for operators: how long a text is to the network, and whether this installation is in order."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from service.cli.json_lines import File, UnusableLine, answer_file
from service.cli.output import FAILED, USAGE, Json, document, fail, table
from service.domain.segments import measure

Text = Annotated[
    str | None, typer.Argument(metavar="TEXT|-", help="The text, or - for stdin; a newline at its end counts.")
]


def register(app: typer.Typer) -> None:
    app.command()(segments)
    app.command()(doctor)


def segments(text: Text = None, *, file: File = None, json: Json = False) -> None:
    """Measure exactly this text: nothing is replaced. Lines of --file are {"text": …}."""
    if (text is None) == (file is None):
        fail("Give either a text or --file.", USAGE)
    if file is not None:
        answer_file(file, _answer)
        return
    measured = measure(_from_stdin() if text == "-" else text or "")
    if json:
        document(asdict(measured))
    else:
        typer.echo(f"{measured.encoding}, segments: {measured.segments}, units: {measured.units}")


def _answer(line: dict[str, Any]) -> dict[str, Any]:
    text = line.get("text")
    if not isinstance(text, str):
        raise UnusableLine('The line has no text. Write {"text": "…"}.')
    return asdict(measure(text))


def _from_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        fail(
            f"What came on stdin is not UTF-8: {error.reason} at byte {error.start + 1}. Convert it, then pipe it.",
            USAGE,
        )


def doctor(*, json: Json = False) -> None:
    """Look whether this installation is in order, and say what to do where it is not. Sends nothing."""
    from service.cli.doctor import examine

    checks = examine()
    if json:
        document([asdict(check) for check in checks])
    else:
        table(
            ("", "Check", "Found", "What to do"),
            (("ok" if c.ok else "NOT OK", c.check, c.detail, c.fix) for c in checks),
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(FAILED)
