"""The words of a file: how clinics write a session's status, a patient's language and what the patient agreed to."""

from collections.abc import Iterable
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global

from service.domain.replies import normalise
from service.domain.session_record import Agreement

_STATUS = {
    "booked": "booked",
    "confirmed": "booked",
    "completed": "completed",
    "done": "completed",
    "fulfilled": "completed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "no_show": "no_show",
    "noshow": "no_show",
    "not_done": "not_done",
    "entered_in_error": "entered_in_error",
}

_AGREEMENT = {
    **dict.fromkeys(("yes", "y", "true", "1", "granted", "si", "s", "evet", "e"), Agreement.GRANTED),
    **dict.fromkeys(("no", "n", "false", "0", "refused", "hayir", "h"), Agreement.REFUSED),
    **dict.fromkeys(("ask", "may_ask", "preguntar", "sor"), Agreement.MAY_ASK),
}


def read_status(written: str) -> str | None:
    """The status as the service calls it, or None for a word that is not known."""
    return _STATUS.get(_joined(written))


def read_agreement(written: str) -> Agreement | None:
    """What the patient agreed to, or None for a word that is not known."""
    return _AGREEMENT.get(_joined(written))


def read_language(written: str, languages: Iterable[str]) -> str | None:
    """Which of the clinic's languages is meant by a tag (es, es-MX, spa) or a name (Spanish, español, İspanyolca), or None."""
    spoken = tuple(languages)
    names = _names_of(spoken)
    word = normalise(written)
    return names.get(word) or names.get(word.replace("_", "-").partition("-")[0])


@cache
def _names_of(languages: tuple[str, ...]) -> dict[str, str]:
    """Every name by which one of the languages goes in itself, in English and in the others."""
    names = {normalise(tag): meant for tag, meant in get_global("language_aliases").items() if meant in languages}
    names |= {normalise(own): own for own in languages}
    for shown_in in ("en", *languages):
        names |= {normalise(name): own for own in languages if (name := _name(own, shown_in))}
    return names


def _name(language: str, shown_in: str) -> str | None:
    try:
        return Locale.parse(shown_in).languages.get(language)
    except (UnknownLocaleError, ValueError):
        return None


def _joined(written: str) -> str:
    return "_".join(normalise(written).replace("-", " ").replace("_", " ").split())
