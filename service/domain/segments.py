"""How long a text is to the phone network, and how it is put into letters the network counts cheaply.

The alphabet is GSM 03.38 (3GPP TS 23.038, 6.2.1). Measuring replaces nothing; tidying and transliterating do, and never touch
a sign that could change a dose: vulgar fractions, ÷, × and µ stay, for lint to refuse.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import regex

Encoding = Literal["GSM-7", "UCS-2"]
Policy = Literal["transliterate", "native"]

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""One septet each."""
GSM_EXTENSION = frozenset("^{}\\[~]|€\f")
"""Two septets each: an escape and the sign."""
_GSM = GSM_BASIC | GSM_EXTENSION

_GSM_ALONE, _GSM_OF_SEVERAL = 160, 153
_UCS_ALONE, _UCS_OF_SEVERAL = 70, 67

_CLUSTER = regex.compile(r"\r|\X")


@dataclass(frozen=True, slots=True)
class Measured:
    """``units`` are septets in GSM-7 and UTF-16 code units in UCS-2, without the headers of the segments."""

    encoding: Encoding
    segments: int
    units: int


def measure(text: str) -> Measured:
    """Measure exactly this text, as Twilio's calculator does: an empty text is one segment of no units.

    An estimate all the same: what the provider counts is what is billed.
    """
    if not _GSM.issuperset(text):
        return _measure_ucs(text)
    extended = sum(map(text.count, GSM_EXTENSION))
    units = len(text) + extended
    if units <= _GSM_ALONE:
        return Measured("GSM-7", 1, units)
    if not extended:
        return Measured("GSM-7", -(-units // _GSM_OF_SEVERAL), units)
    return Measured("GSM-7", _fill((2 if char in GSM_EXTENSION else 1 for char in text), room=_GSM_OF_SEVERAL), units)


def _measure_ucs(text: str) -> Measured:
    units = _utf16_units(text)
    if units <= _UCS_ALONE:
        return Measured("UCS-2", 1, units)
    pieces = (piece for cluster in _CLUSTER.findall(text) for piece in _pieces(cluster))
    return Measured("UCS-2", _fill(pieces, room=_UCS_OF_SEVERAL), units)


def _utf16_units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)


def _pieces(cluster: str) -> Iterable[int]:
    """The sizes that must not be cut: the whole cluster, or its code points where it is longer than a segment."""
    whole = _utf16_units(cluster)
    return (whole,) if whole <= _UCS_OF_SEVERAL else map(_utf16_units, cluster)


def _fill(pieces: Iterable[int], *, room: int) -> int:
    """How many segments of ``room`` units the pieces take, none of them cut."""
    segments, free = 1, room
    for piece in pieces:
        if piece > free:
            segments, free = segments + 1, room
        free -= piece
    return segments


def odd_characters(text: str) -> list[tuple[int, str]]:
    """Every character outside GSM-7 with its position, counted in code points from 0."""
    return [(position, char) for position, char in enumerate(text) if char not in _GSM]


def _one_for_each(signs: str, replacement: str) -> dict[int, str]:
    return dict.fromkeys(map(ord, signs), replacement)


_LOOK_ALIKES = {
    **_one_for_each("‘’‚‛ʼʹ′´`", "'"),
    **_one_for_each("“”„‟″«»", '"'),
    **_one_for_each("‐‑‒–—―−", "-"),
    **_one_for_each("…", "..."),
    **_one_for_each(
        "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **_one_for_each("\v\x85\u2028\u2029", "\n"),
    # Nobody sees these: soft hyphen, zero-width signs, BOM and the marks that address books put around numbers.
    **_one_for_each("\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
    **_one_for_each("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),
}


def tidy(text: str) -> str:
    """The text as its author sees it, in plain signs: straight quotes, hyphens, one space for each odd space, composed letters."""
    composed = unicodedata.normalize("NFC", text).replace("\r\n", "\n")
    return unicodedata.normalize("NFC", composed.translate(_LOOK_ALIKES))


_NAMED_PLAIN = regex.compile(r"LATIN (SMALL|CAPITAL) LETTER ([A-Z]{1,2})(?: WITH .*)?")
_OTHERS = {
    "ı": "i", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "œ": "oe", "Œ": "OE", "ŋ": "n", "Ŋ": "N", "ĸ": "k", "ſ": "s",
    "ẞ": "SS", "ĳ": "ij", "Ĳ": "IJ", "ŉ": "'n", "ə": "e", "Ə": "E",
}  # fmt: skip
"""Latin letters whose Unicode name is not that of a plain letter with something."""
_OUTSIDE = regex.compile(f"[^{regex.escape(''.join(_GSM), special_only=False)}]")
_LOOSE_MARKS = regex.compile(r"(?<=\p{Latin})[\u0300-\u036f]+")


def transliterate(text: str) -> str:
    """Latin letters that GSM-7 lacks become plain ones (ş s, á a, ł l); those it has (ñ, ü, é, Ç) and all other signs stay."""
    if _GSM.issuperset(text):
        return text
    composed = unicodedata.normalize("NFC", text)
    return _LOOSE_MARKS.sub("", _OUTSIDE.sub(lambda found: _plain(found[0]), composed))


def _plain(char: str) -> str:
    named = _NAMED_PLAIN.fullmatch(unicodedata.name(char, ""))
    if not named:
        return _OTHERS.get(char, char)
    return named[2] if named[1] == "CAPITAL" else named[2].lower()


def prepare(text: str, policy: Policy) -> str:
    """The text as it leaves the house under the clinic's policy for letters outside GSM-7."""
    tidied = tidy(text)
    return transliterate(tidied) if policy == "transliterate" else tidied
