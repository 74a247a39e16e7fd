"""The words of the log are a promise to whoever greps for them: each stands in the docs, and nothing else does."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "watching.md"
CHOSEN = {
    "service/flows/raw_first.py": {"receipt_failed", "understanding_failed"},
    "service/flows/refusals.py": {
        "all_paused",
        "number_refused",
        "opted_out_at_provider",
        "sender_paused",
        "text_refused",
    },
}
"""What the calls can say that take their word from a variable."""
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def modules() -> list[Path]:
    return [path for path in sorted((PROJECT / "service").rglob("*.py")) if "get_logger" in path.read_text("utf-8")]


def calls(tree: ast.AST) -> Iterator[ast.expr]:
    """The word of every call on a module's logger."""
    loggers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "get_logger" in ast.dump(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            of = node.func.value
            if isinstance(of, ast.Name) and of.id in loggers:
                yield node.args[1 if node.func.attr == "log" else 0]


def words(path: Path) -> set[str]:
    """What a module may say."""
    own = str(path.relative_to(PROJECT))
    found: set[str] = set()
    for word in calls(ast.parse(path.read_text("utf-8"))):
        if isinstance(word, ast.Constant):
            found.add(str(word.value))
            continue
        assert isinstance(word, ast.Name), f"{own}:{word.lineno}: a word that is put together can not be looked for"
        module = importlib.import_module(own.removesuffix(".py").replace("/", "."))
        constant = getattr(module, word.id, None)
        found |= CHOSEN[own] if constant is None else {constant}
    return found


def documented() -> list[str]:
    table = PAGE.read_text("utf-8").partition("## The log")[2]
    rows = re.findall(r"^\| (`.+?) \| (?:info|warning|error) \|", table, re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([a-z_.]+)`", row)]


def test_every_word_that_is_said_is_explained_and_no_other_is() -> None:
    said: set[str] = set()
    for path in modules():
        said |= words(path)
    assert set(documented()) == said


def test_each_word_is_explained_once_in_order() -> None:
    assert documented() == sorted(documented())


@pytest.mark.parametrize("path", CHOSEN)
def test_words_that_are_chosen_stand_somewhere_in_the_code(path: str) -> None:
    code = "".join(each.read_text("utf-8") for each in (PROJECT / "service").rglob("*.py"))
    assert {word for word in CHOSEN[path] if f'"{word}"' not in code} == set()
