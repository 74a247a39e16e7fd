"""Files of many questions: one JSON object a line in, one JSON answer a line out, in the same order.

A line that can not be answered does not keep the others waiting: ``{"error": …, "line": n}`` stands in its place, and the
exit code says that there was one.
"""

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from service.cli.output import USAGE, encode, fail
from service.domain.errors import AftercareError

File = Annotated[
    Path | None,
    typer.Option(
        metavar="IN.jsonl",
        help="Answer every line of a file: one JSON object a line in (- reads stdin), one answer a line out, in order. "
        'A line that can not be used is answered {"error", "line"}; the exit code is then 2.',
    ),
]


class UnusableLine(AftercareError):  # noqa: N818 -- the name says what was found
    """A line that is no question."""


def answer_file(path: Path, answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer each line of ``path`` at once; ``answer`` raises an own error for what it can not answer."""
    with _opened(path) as file:
        lines, unusable = _answer_lines(file, answer)
    if unusable:
        fail(
            f"{unusable} of {lines} lines could not be answered; the reason stands in the place of each answer.", USAGE
        )


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        fail(f"{path} can not be read: {error.strerror}.", USAGE)


def _answer_lines(file: Iterable[bytes], answer: Callable[[dict[str, Any]], Any]) -> tuple[int, int]:
    number = unusable = 0
    for number, line in enumerate(file, start=1):
        try:
            typer.echo(encode(answer(_read(line))))
        except AftercareError as error:
            typer.echo(encode({"error": str(error), "line": number}))
            unusable += 1
    return number, unusable


def _read(line: bytes) -> dict[str, Any]:
    try:
        question = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnusableLine(
            f"The line is not UTF-8: {error.reason} at byte {error.start + 1}. Convert the file."
        ) from None
    except (ValueError, RecursionError) as error:
        raise UnusableLine(f"The line is no JSON: {error}.") from None
    if not isinstance(question, dict):
        raise UnusableLine('The line is no JSON object. Write one object a line, like {"completed_at": "…"}.')
    return question
