"""Phone numbers: read as people and spreadsheets write them, kept as E.164, shown masked or in the form people dial.

What is possible and what is valid for a country is Google's metadata, as ``phonenumbers`` ships it.
"""

import re
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from service.domain.errors import AftercareError
from service.domain.segments import tidy

Kind = Literal["mobile", "fixed_line", "fixed_line_or_mobile", "voip", "other", "unknown"]

_KINDS: dict[int, Kind] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.UNKNOWN: "unknown",
}


class PhoneError(AftercareError):
    """The number cannot be texted; the text says why and never repeats the number."""


@dataclass(frozen=True, slots=True)
class ParsedNumber:
    """``valid`` is False for a number of the right length in a range nobody has given out: worth a warning."""

    e164: str
    valid: bool
    kind: Kind


_SCIENTIFIC = re.compile(r"\d(?:[.,]\d*)?e\+?\d+", re.IGNORECASE)
_FLOAT = re.compile(r"(\+?\d+)[.,]0{1,2}")
_EXTENSION = re.compile(r"(?:;?\s*ext|[x#])\D*\d+$", re.IGNORECASE)
_DIALLED = re.compile(r"[+＋]?[\d\s()./-]+")


def parse_number(raw: str, country: str) -> ParsedNumber:
    """Read a number; without a leading + or 00 it is a number of ``country`` (ISO 3166, two letters).

    Raises :class:`PhoneError` for a number that is not possible in its country.
    """
    written = _unwrapped(raw)
    _refuse_unreadable(written)
    try:
        number = phonenumbers.parse(_with_plus(written, country), country)
    except phonenumbers.NumberParseException as why:
        raise PhoneError(_why_not(why.error_type, country)) from None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise PhoneError(
            f"{_digits(written)} digits are not a possible phone number in {_region(number)}: the length is wrong or the "
            "area code is missing. Correct the number at its source."
        )
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    kind = _KINDS.get(phonenumbers.number_type(number), "other")
    return ParsedNumber(e164, valid=phonenumbers.is_valid_number(number), kind=kind)


def _unwrapped(raw: str) -> str:
    """Without what spreadsheets and address books put around a number; a whole number saved as 5550100145.0 has lost nothing."""
    written = tidy(raw).strip().lstrip("'\"=").rstrip("'\"").removeprefix("tel:").strip()
    whole = _FLOAT.fullmatch(written)
    return whole.group(1) if whole else written


def _refuse_unreadable(written: str) -> None:
    if not written:
        raise PhoneError("No phone number is given. Fill it in at its source.")
    if _SCIENTIFIC.fullmatch(written):
        raise PhoneError(
            "A spreadsheet has turned this phone number into a power of ten, and its last digits may be lost. "
            "Format the column as text, type the number again and save the file anew."
        )
    if _EXTENSION.search(written):
        raise PhoneError("A phone number with an extension cannot be texted. Give the patient's own mobile number.")
    if not _DIALLED.fullmatch(written):
        raise PhoneError(
            "This is not a phone number, or it is more than one. Give one number in digits, for example with + in front."
        )


def _with_plus(written: str, country: str) -> str:
    """00 means + wherever the country itself does not dial something else that begins so (Australia: 0011)."""
    digits = re.sub(r"\D", "", written)
    metadata = PhoneMetadata.metadata_for_region(country, None)
    dials = metadata.international_prefix if metadata else None
    if not digits.startswith("00") or (dials and re.match(dials, digits)):
        return written
    return f"+{digits[2:]}"


def _why_not(error: int, country: str) -> str:
    if error == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
        return f"The phone number begins with no known country code, and {country!r} does not say which one to add. Write it with + and country code."
    return "The phone number has too few or too many digits. Correct it at its source."


def _digits(written: str) -> int:
    return sum(map(str.isdigit, written))


def _region(number: PhoneNumber) -> str:
    return phonenumbers.region_code_for_country_code(number.country_code or 0)


def _read(e164: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None


def mask(e164: str) -> str:
    """Country code and last four digits (``+1•••••0123``); of a number under eight digits, or what is none, nothing."""
    number = _read(e164)
    national = str(number.national_number) if number else ""
    if number is None or len(national) < 8:
        return "•••••"
    return f"+{number.country_code}•••••{national[-4:]}"


def country_of(e164: str) -> str:
    """ISO region of the number; where several share a country code and the range is nobody's, the main one (+1: US)."""
    number = _read(e164)
    if number is None:
        raise PhoneError(
            f"{mask(e164)} has no country code, so its country is not known. Write it with + and country code."
        )
    return phonenumbers.region_code_for_number(number) or _region(number)


def display(e164: str, *, max_length: int = 17) -> str:
    """The spaced international form for a text, or the bare one where that is longer than ``max_length`` characters."""
    number = _read(e164)
    if number is None:
        return e164
    spaced = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    return spaced if len(spaced) <= max_length else e164
