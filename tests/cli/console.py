"""An operator at the command line: the commands as they are registered, on a database and settings of the test's own."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner, Result

Register = Callable[[typer.Typer], None]
Run = Callable[..., Result]


def commands(*registers: Register) -> Run:
    """Runs one command line of ``registers``: ``run("task", "list")``; ``stdin`` is what comes from there."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    for register in registers:
        register(app)

    def run(*words: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, words, input=stdin)

    return run


@contextmanager
def installation(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Commands started inside find these settings and no others, and leave the log as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in variables.items():
            patch.setenv(f"AFTERCARE_{name}", value)
        yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
