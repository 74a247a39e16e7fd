"""Writing one text: the template filled, spelled for the network and measured. Dispatch and preview share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from service.domain.case import Case, SessionFacts
from service.domain.errors import AftercareError
from service.domain.segments import measure, prepare
from service.domain.templates import placeholders, render
from service.domain.variables import Writing, values_for

LONGEST = 1_600
"""Characters that the network takes in one text (Twilio error 21617 beyond)."""


class NoTemplate(AftercareError):  # noqa: N818 -- the name says what is missing
    """There is no live text of that key in the patient's language or the clinic's."""


class TooLong(AftercareError):  # noqa: N818 -- the name says what is wrong
    """The written text is longer than a network takes."""


@dataclass(frozen=True, slots=True)
class TemplateText:
    """One live text. ``plain``: always in GSM-7, because it must arrive in one part. ``rules``: what it tells to avoid.

    ``approved``: a clinician has put a name and a date to this version.
    """

    key: str
    language: str
    version: int
    version_id: int | None
    text: str
    rules: tuple[str, ...] = ()
    plain: bool = False
    approved: bool = False

    @property
    def names_start(self) -> bool:
        """Whether the patient learns from it when the session starts."""
        return "time" in placeholders(self.text)


@dataclass(frozen=True, slots=True)
class Composed:
    """A text as it leaves."""

    text: str
    language: str
    version: int | None
    version_id: int | None
    encoding: Literal["GSM-7", "UCS-2"]
    segments: int

    @property
    def body_hash(self) -> str:
        """SHA-256 of the text, hex."""
        return sha256(self.text.encode()).hexdigest()


Texts = Mapping[tuple[str, str], TemplateText]
"""The live texts of a clinic, by key and language."""


def pick(texts: Texts, key: str, case: Case) -> TemplateText:
    """The text in the patient's language (``es`` for ``es-MX``), else in the clinic's first; raises :class:`NoTemplate`."""
    own = case.patient.language
    for language in (own, own.replace("_", "-").partition("-")[0].lower(), *case.clinic.languages):
        if (found := texts.get((key, language))) is not None:
            return found
    raise NoTemplate(f"Not sent: there is no live text {key!r} in {case.patient.language!r}. Publish one.")


def compose(template: TemplateText, case: Case, *, session: SessionFacts | None, at: datetime) -> Composed:
    """The text as it would leave at ``at``.

    Raises :class:`service.domain.templates.EmptyValue` and its kin for a hole, :class:`TooLong` for a text no network takes.
    """
    writing = Writing(case=case, session=session, at=at, language=template.language, rules=template.rules)
    filled = render(template.text, values_for(placeholders(template.text), writing))
    plain = template.plain or case.clinic.transliterate
    return _measured(filled, template.language, plain=plain, template=template)


def compose_free(text: str, case: Case) -> Composed:
    """A text that a person wrote, spelled as the clinic spells."""
    return _measured(text, case.patient.language, plain=case.clinic.transliterate)


def _measured(text: str, language: str, *, plain: bool, template: TemplateText | None = None) -> Composed:
    body = prepare(text, "transliterate" if plain else "native")
    if len(body) > LONGEST:
        raise TooLong(f"Not sent: the text has {len(body)} characters; a network takes {LONGEST}. Shorten it.")
    counted = measure(body)
    return Composed(
        text=body,
        language=language,
        version=template.version if template else None,
        version_id=template.version_id if template else None,
        encoding=counted.encoding,
        segments=counted.segments,
    )
