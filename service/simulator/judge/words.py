"""Letters and words: texts compared whatever way a network spells them, keywords, days and times in three languages."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache

_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "ı": "i", "\u00a0": " "}
)
_DAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "es": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
    "tr": ("Pzt", "Sal", "Çar", "Per", "Cum", "Cmt", "Paz"),
}
_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
    "tr": ("Oca", "Şub", "Mar", "Nis", "May", "Haz", "Tem", "Ağu", "Eyl", "Eki", "Kas", "Ara"),
}


@lru_cache(maxsize=50_000)
def folded(text: str) -> str:
    """One form for all spellings of the same words: without accents, case or typographic signs."""
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN).casefold())
    letters = (sign for sign in plain.translate(_PLAIN) if unicodedata.category(sign) not in {"Mn", "Me", "Cf"})
    return re.sub(r"\s+", " ", "".join(letters)).strip()


def bare_word(text: str) -> str:
    """What is left of a text when case, accents, signs around it and double spaces are taken away."""
    return re.sub(r"^[\W_]+|[\W_]+$", "", folded(text))


def is_one_of(text: str, words: Iterable[str]) -> bool:
    """Whether the whole text is one of these words, however it is typed."""
    return bare_word(text) in {bare_word(word) for word in words} - {""}


def language_of(tag: str) -> str:
    """``es`` for ``es-MX``; English for whatever has no forms of its own."""
    main = re.split("[-_]", tag)[0].lower()
    return main if main in _DAYS else "en"


def short_day(day: date, language: str) -> str:
    """``Wed 30 Sep``, ``mié 30 sep``, ``30 Ağu Çar``."""
    name, month = _DAYS[language][day.weekday()], _MONTHS[language][day.month - 1]
    return f"{day.day} {month} {name}" if language == "tr" else f"{name} {day.day} {month}"


def clock_time(wall: datetime, language: str) -> str:
    """``12:45 PM`` or ``12:45``."""
    if language != "en":
        return f"{wall.hour:02}:{wall.minute:02}"
    return f"{(wall.hour + 11) % 12 + 1}:{wall.minute:02} {'PM' if wall.hour >= 12 else 'AM'}"


def weekday_time(wall: datetime, language: str) -> str:
    """``Wed 12:45 PM``, ``mié 12:45``, ``30 Ağu 12:45``."""
    if language == "tr":
        return f"{wall.day} {_MONTHS['tr'][wall.month - 1]} {clock_time(wall, language)}"
    return f"{_DAYS[language][wall.weekday()]} {clock_time(wall, language)}"


def digits(text: str) -> str:
    """The digits of a phone number, however it is written."""
    return "".join(sign for sign in text if sign.isdigit())
