"""A template under its author's hands: its text, what it is for, and the words it may be made of."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from service.domain import templates
from service.domain.careplan import Anchor
from service.domain.replies import normalise

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """What a template is for. ``asks`` are roles of answers (confirm, stop, digits …), ``anchors`` those of the steps that send it."""

    category: str
    expects: str
    asks: frozenset[str]
    max_segments: int
    anchors: frozenset[Anchor] = frozenset()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Variables with the longest value each, words for answers, words that carriers act on, and the approved safety sentence.

    ``reply_words`` maps role to language to word, ``keep_prescribed`` language to sentence. ``receives``: whether the sender
    can be texted back; one that is a name can not.
    """

    max_lengths: Mapping[str, int]
    reply_words: Mapping[str, Mapping[str, str]]
    carrier_words: frozenset[str]
    keep_prescribed: Mapping[str, str]
    receives: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule found. ``position`` counts code points from 0; None where something is missing."""

    code: str
    position: int | None
    message: str
    severity: Severity = "error"


@dataclass(frozen=True)
class Draft:
    """``text`` is tidied, as it will be stored; everything else is derived once and shared by the rules."""

    text: str
    language: str
    spec: TemplateSpec
    vocabulary: Vocabulary

    @cached_property
    def folded(self) -> str:
        """The text in plain small letters, each where it stood, so that positions hold."""
        return "".join(map(_fold, self.text))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return templates.placeholders(self.text)

    @cached_property
    def own_words(self) -> dict[str, str]:
        """Reply words of this language, normalised, each with its role."""
        roles = self.vocabulary.reply_words.items()
        return {normalise(words[self.language]): role for role, words in roles if self.language in words}

    @cached_property
    def carrier_words(self) -> frozenset[str]:
        return frozenset(map(normalise, self.vocabulary.carrier_words))


def _fold(char: str) -> str:
    return unicodedata.normalize("NFKD", char.casefold())[0].replace("ı", "i")
