"""Texts with ``{{ name }}`` and nothing else: no conditions, no filters, nothing that a value could smuggle in.

A hole, a brace or an empty text never leaves the house: each is an error that stops the one message and tells staff why.
"""

import re
from collections.abc import Iterable, Mapping

from service.domain.errors import AftercareError

PLACEHOLDER = re.compile(r"\{\{[^\S\n]*([a-z][a-z0-9_]*)[^\S\n]*\}\}")
_IN_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class EmptyValue(AftercareError):  # noqa: N818 -- the name says what was found, and "Error" would add nothing
    """A text has a placeholder nobody can fill, so it was not sent. ``names`` lists all of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"Not sent: there is no value for {', '.join(self.names)}. Fill it in, or take it out of the template."
        )


class EmptyText(AftercareError):  # noqa: N818 -- see EmptyValue
    """A template without a single visible character was not sent."""

    def __init__(self) -> None:
        super().__init__("Not sent: the template is empty. Write its text, or switch the step off.")


class UnknownPlaceholder(AftercareError):  # noqa: N818 -- see EmptyValue
    """``{{ … }}`` stands around something that is no declared variable, so the text was not sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Not sent: {{{{ {name} }}}} is not one of the variables. Choose one from the list in the editor."
        )


class StrayBraces(AftercareError):  # noqa: N818 -- see EmptyValue
    """A brace would have reached the patient, so the text was not sent. ``where`` is a variable or "the template"."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(f"Not sent: {where} holds a curly bracket, which patients must never see. Take it out.")


def placeholders(text: str) -> tuple[str, ...]:
    """The names in the text, each once, in order of appearance."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(text)))


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill every placeholder with its value, once: a value is never read as a template.

    Raises :class:`UnknownPlaceholder`, :class:`StrayBraces`, :class:`EmptyValue` (missing, empty or blank values) or
    :class:`EmptyText`.
    """
    _check_braces(text)
    names = placeholders(text)
    if holes := [name for name in names if not values.get(name, "").strip()]:
        raise EmptyValue(holes)
    for name in names:
        if _has_brace(values[name]):
            raise StrayBraces(name)
    if not text.strip():
        raise EmptyText
    return PLACEHOLDER.sub(lambda found: values[found.group(1)], text)


def worst_case(text: str, max_lengths: Mapping[str, int]) -> str:
    """The longest the text can become: every variable as many plain letters as its value may have.

    Raises :class:`UnknownPlaceholder` for a name that ``max_lengths`` does not declare.
    """
    for name in placeholders(text):
        if name not in max_lengths:
            raise UnknownPlaceholder(name)
    return PLACEHOLDER.sub(lambda found: "x" * max_lengths[found.group(1)], text)


def _check_braces(text: str) -> None:
    rest = PLACEHOLDER.sub("", text)
    if malformed := _IN_BRACES.search(rest):
        raise UnknownPlaceholder(malformed.group(1).strip())
    if _has_brace(rest):
        raise StrayBraces("the template")


def _has_brace(text: str) -> bool:
    return "{" in text or "}" in text
