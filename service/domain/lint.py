"""What a template may not say. An error keeps it from being approved; a warning is for its author to weigh.

Each rule is one small generator over a draft, and :data:`RULES` is the list of them. Their reasons are clinical safety, the
carriers' own words, what a text costs, and truth: times come from the session and are never typed.
"""

import difflib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from service.domain import lint_words, templates
from service.domain.careplan import Anchor
from service.domain.draft import Draft, Fault, Severity, TemplateSpec, Vocabulary
from service.domain.segments import measure, odd_characters, tidy, transliterate


@dataclass(frozen=True, slots=True)
class Finding:
    """``position`` counts code points of the tidied text from 0; None where something is missing."""

    template: str
    language: str
    severity: Severity
    code: str
    position: int | None
    message: str


def lint_template(key: str, language: str, text: str, *, spec: TemplateSpec, vocabulary: Vocabulary) -> list[Finding]:
    """Every fault of one text, rule by rule. The text is judged tidied, as it is stored, and transliterated, as it is counted."""
    draft = Draft(tidy(text), language, spec, vocabulary)
    return [
        Finding(key, language, fault.severity, fault.code, fault.position, fault.message)
        for rule in RULES
        for fault in rule(draft)
    ]


def _empty(draft: Draft) -> Iterator[Fault]:
    if not draft.text.strip():
        yield Fault("empty", None, "The text is empty. An empty text is never sent.")


_BRACED = regex.compile(r"\{\{(.*?)\}\}")
_BRACE = regex.compile(r"[{}]")


def _variables(draft: Draft) -> Iterator[Fault]:
    declared = draft.vocabulary.max_lengths
    for found in _BRACED.finditer(draft.text):
        name = found[1].strip()
        if name not in declared:
            nearest = difflib.get_close_matches(name.casefold().replace(" ", "_"), declared, n=1)
            hint = f"Did you mean {{{{ {nearest[0]} }}}}?" if nearest else "Choose one from the list."
            yield Fault("unknown_variable", found.start(), f"There is no variable {name!r}. {hint}")
    for stray in _BRACE.finditer(_BRACED.sub(lambda found: " " * len(found[0]), draft.text)):
        yield Fault("braces", stray.start(), "A curly bracket stands alone. Variables are written {{ name }}.")


def _clinic(draft: Draft) -> Iterator[Fault]:
    spec = draft.spec
    # Only the last word to a wrong number stays nameless: a stranger must not learn who treats whom.
    farewell = spec.category == "system" and spec.expects == "none" and not spec.asks
    if "clinic" not in draft.names and not farewell:
        yield Fault("clinic_missing", None, "The text does not name the clinic. Add {{ clinic }}.")


_EMERGENCY_CATEGORIES = frozenset({"aftercare", "repeat", "reply", "safety"})
_AFTER_SESSION = frozenset({Anchor.COMPLETED, Anchor.DUE})


def _emergency(draft: Draft) -> Iterator[Fault]:
    """The drug's effects can spread for weeks, so every text from one session to the next says whom to call."""
    spec = draft.spec
    if {"emergency", "crisis_line"} & set(draft.names):
        return
    message = "The emergency line is missing. Texts between one session and the next need {{ emergency }}."
    if spec.category in _EMERGENCY_CATEGORIES or spec.anchors & _AFTER_SESSION:
        yield Fault("emergency_missing", None, message)
    elif spec.category == "checkin" and not spec.anchors:
        yield Fault("emergency_missing", None, f"{message} No step sends this one yet.", "warning")


def _phone(draft: Draft) -> Iterator[Fault]:
    """Whoever has texted us and gets an answer must know how to reach a person."""
    if draft.spec.category in ("reply", "safety") and not {"phone", "urgent_phone"} & set(draft.names):
        yield Fault(
            "phone_missing", None, "The answer does not say where to call. Add {{ phone }} or {{ urgent_phone }}."
        )


def _length(draft: Draft) -> Iterator[Fault]:
    try:
        longest = templates.worst_case(transliterate(draft.text), draft.vocabulary.max_lengths)
    except templates.UnknownPlaceholder:
        return  # already found, and without its length nothing can be counted
    segments, most = measure(longest).segments, draft.spec.max_segments
    if segments > most:
        yield Fault(
            "too_long", None, f"The longest values make this {segments} texts; at most {most} are allowed. Shorten it."
        )


_CLUSTER = regex.compile(r"\X")
_DOSE_SIGNS = frozenset("÷×µμ⁄")


def _alphabet(draft: Draft) -> Iterator[Fault]:
    """One odd character more than doubles the price; a fraction replaced by a phone or a network can change a dose."""
    for cluster in _CLUSTER.finditer(draft.text):
        for _, odd in odd_characters(transliterate(cluster[0])):
            name = unicodedata.name(odd, f"U+{ord(odd):04X}").lower()
            if _DOSE_SIGNS.intersection(unicodedata.normalize("NFKD", odd)):
                message = f"{odd!r} ({name}) may be changed on its way and with it a dose. Write it out in letters and plain digits."
                yield Fault("dose_sign", cluster.start(), message)
            else:
                yield Fault(
                    "odd_character",
                    cluster.start(),
                    f"{odd!r} ({name}) makes every text cost more than double. Replace it.",
                )


_RAW_TIME = regex.compile(
    r"\b(?:(?:[01]?\d|2[0-3])[:.][0-5]\d|(?:1[0-2]|\d) ?[ap]\.?m|\d{4}-\d\d?-\d\d?|\d\d?([./])\d\d?\1\d{2,4})\b",
    regex.IGNORECASE,
)


def _raw_times(draft: Draft) -> Iterator[Fault]:
    for found in _RAW_TIME.finditer(draft.text):
        message = f"{found[0]!r} looks like a time or date. Use a variable, so that it is true for every patient."
        yield Fault("raw_time", found.start(), message)


_LINK = regex.compile(r"https?://|\bwww\.", regex.IGNORECASE)


def _links(draft: Draft) -> Iterator[Fault]:
    for found in _LINK.finditer(draft.text):
        yield Fault(
            "link", found.start(), "Links look like fraud and are filtered by carriers. Give {{ phone }} instead."
        )


_OBSCENE = regex.compile(r"\b[sSşŞ][ıI][kK]")


def _turkish(draft: Draft) -> Iterator[Fault]:
    if draft.language == "tr":
        for found in _OBSCENE.finditer(draft.text):
            message = (
                f"Without its Turkish letters a word that begins {found[0]!r} is obscene. Use çok, düzenli or seçenek."
            )
            yield Fault("turns_obscene", found.start(), message)


RULES: tuple[Callable[[Draft], Iterator[Fault]], ...] = (
    _empty,
    _variables,
    _clinic,
    _emergency,
    _phone,
    lint_words.drug_without_safety_sentence,
    lint_words.stopping_a_medicine,
    lint_words.answers,
    lint_words.numbers_as_answers,
    lint_words.answers_nobody_gets,
    _length,
    _alphabet,
    _raw_times,
    _links,
    _turkish,
)
