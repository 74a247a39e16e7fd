"""What a bare word from a patient means, as far as no judgement is needed. Anything more is for triage, and then for a person.

Opt-out, help and opt-in words are data of the plan and always come first, whatever was asked; a sentence that merely contains
one of them is never taken for it ("the bleeding won't stop").
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["stop", "help", "start", "consent", "confirm", "change", "book", "decline", "other"]

_OUTSIDE = re.compile(r"^[\W_]+|[\W_]+$")
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """One plain form for all ways to type a word: ``" “Değiştir”!! 🙏"``, ``DEĞİŞTİR`` and ``degistir`` become ``degistir``.

    Marks are stripped after folding because ``"İ".casefold()`` is an i and a dot above it.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).replace("ı", "i")
    # Marks, and signs nobody sees: soft hyphens, zero-width joiners, the keycap around an emoji digit.
    seen = "".join(char for char in folded if unicodedata.category(char) not in {"Mn", "Me", "Cf"})
    return _SPACES.sub(" ", _OUTSIDE.sub("", unicodedata.normalize("NFC", seen)))


def _normalised(words: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalise, words)) - {""}


@dataclass(frozen=True, slots=True)
class Keywords:
    """The plan's ``keywords``, normalised. ``start_in_context`` opts in only as the answer to a request for consent."""

    stop: frozenset[str]
    help: frozenset[str]
    start: frozenset[str]
    start_in_context: frozenset[str]

    @classmethod
    def from_plan(cls, data: Mapping[str, Iterable[str]]) -> "Keywords":
        return cls(
            stop=_normalised(data["stop"]),
            help=_normalised(data["help"]),
            start=_normalised(data["start"]),
            start_in_context=_normalised(data["start_in_context"]),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """``word`` is the normalised text that was recognised, empty for ``other``."""

    kind: Kind
    word: str = ""


_ASKED: dict[str, tuple[Kind, ...]] = {
    "confirm_change": ("confirm", "change"),
    "book": ("book",),
    "book_no": ("book", "decline"),
    "yes_stop": ("consent",),
}
"""Which answers each ``expects`` of the plan waits for."""

_SAID_INSTEAD: dict[Kind, frozenset[str]] = {
    "confirm": _normalised(
        ["confirm", "confirmo", "confirmar", "yes", "y", "yep", "yeah", "ok", "okay", "si", "evet", "tamam"]
    ),
    "change": _normalised(["change", "reschedule", "cambiar", "cambio", "değiştir", "değiştirmek", "değişiklik"]),
}
"""What people send in place of the letter they were asked for. Consent, booking and declining take the asked word alone."""


def read_reply(
    text: str, *, keywords: Keywords, expects: str | None, reply_words: Mapping[str, Mapping[str, str]]
) -> Reading:
    """Read a whole text: keywords first, then what the last text to this patient asked for (``expects``), in any language.

    ``reply_words`` maps a role (confirm, change, book, decline, consent) to its word in each language.
    """
    word = normalise(text)
    for kind, words in _meanings(keywords, expects, reply_words):
        if word in words:
            return Reading(kind, word)
    return Reading("other")


def _meanings(
    keywords: Keywords, expects: str | None, reply_words: Mapping[str, Mapping[str, str]]
) -> Iterable[tuple[Kind, frozenset[str]]]:
    yield from (("stop", keywords.stop), ("help", keywords.help), ("start", keywords.start))
    for kind in _ASKED.get(expects or "", ()):
        said_instead = keywords.start_in_context if kind == "consent" else _SAID_INSTEAD.get(kind, frozenset())
        yield kind, _normalised(reply_words.get(kind, {}).values()) | said_instead
