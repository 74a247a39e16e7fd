"""Numbers as front desks, spreadsheets and address books write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.phone import Kind, PhoneError, country_of, display, mask, parse_number


@pytest.mark.parametrize(
    ("raw", "country", "e164"),
    [
        ("+1 (555) 010-0145", "US", "+15550100145"),
        ("(555) 010-0145", "US", "+15550100145"),
        ("555.010.0145", "US", "+15550100145"),
        ("'5550100145", "US", "+15550100145"),
        ("5550100145.0", "US", "+15550100145"),
        ("0532 555 01 01", "TR", "+905325550101"),
        ("532 555 01 01", "TR", "+905325550101"),
        ("905325550101", "TR", "+905325550101"),
        ("+90 (0)532 555 01 01", "US", "+905325550101"),
        ("0090 532 555 01 01", "TR", "+905325550101"),
        ("0090 532 555 01 01", "US", "+905325550101"),
        ("011 90 532 555 01 01", "US", "+905325550101"),
        ("0011 90 532 555 01 01", "AU", "+905325550101"),
        ("\u202a+90\u00a0532\u2011555\u20110101\u202c", "US", "+905325550101"),
        ("tel:+90-532-555-01-01", "US", "+905325550101"),
        ("＋90 532 555 01 01", "US", "+905325550101"),
        ("٠٥٣٢٥٥٥٠١٠١", "TR", "+905325550101"),
        ("+52 55 5555 0199", "US", "+525555550199"),
    ],
    ids=[
        "international with brackets",
        "national with brackets",
        "dots",
        "spreadsheet apostrophe",
        "spreadsheet decimal",
        "Turkish with 0",
        "Turkish without 0",
        "country code without plus",
        "both plus and 0",
        "00 where it is dialled",
        "00 where 011 is dialled",
        "011 from the United States",
        "0011 from Australia is no 00",
        "address book marks, hard spaces and hyphens",
        "tel link",
        "wide plus",
        "Arabic digits",
        "plus wins over the clinic's country",
    ],
)
def test_numbers_are_read(raw: str, country: str, e164: str) -> None:
    assert parse_number(raw, country).e164 == e164


@pytest.mark.parametrize(
    ("raw", "country", "reason"),
    [
        ("", "US", "No phone number is given"),
        ("' ", "US", "No phone number is given"),
        ("5.55E+09", "US", "power of ten"),
        ("5,55e9", "TR", "power of ten"),
        ("+1 555 010 0145 x12", "US", "extension"),
        ("+1 555 010 0145 ext. 12", "US", "extension"),
        ("n/a", "US", "not a phone number"),
        ("1-800-FLOWERS", "US", "not a phone number"),
        ("+15550100145, +15550100146", "US", "more than one"),
        ("5550100145/5550100146", "US", "too few or too many digits"),
        ("1", "US", "too few or too many digits"),
        ("--", "US", "too few or too many digits"),
        ("555 0145", "US", "7 digits are not a possible phone number in US"),
        ("+90 532 555 01", "US", "10 digits are not a possible phone number in TR"),
        ("0532 555 01 01", "XX", "no known country code, and 'XX'"),
        ("+999 12345678", "US", "no known country code"),
    ],
    ids=[
        "empty",
        "only an apostrophe",
        "spreadsheet power of ten",
        "power of ten with a comma",
        "extension x",
        "extension ext",
        "words",
        "letters for digits",
        "two numbers with a comma",
        "two numbers with a slash",
        "one digit",
        "no digit",
        "area code missing",
        "too short for its country",
        "the clinic has no country",
        "no such country code",
    ],
)
def test_what_cannot_be_texted_says_why_and_never_the_number(raw: str, country: str, reason: str) -> None:
    with pytest.raises(PhoneError, match=reason) as refused:
        parse_number(raw, country)
    assert len(raw) < 6 or raw not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "country", "valid", "kind"),
    [
        ("0532 555 01 01", "TR", True, "mobile"),
        ("0212 555 01 99", "TR", True, "fixed_line"),
        ("(212) 555-0142", "US", True, "fixed_line_or_mobile"),
        ("(555) 010-0145", "US", False, "unknown"),
        ("800 234 5678", "US", True, "other"),
    ],
    ids=["mobile", "landline", "United States do not tell", "possible but given to nobody", "toll-free"],
)
def test_what_is_known_of_a_number(raw: str, country: str, valid: bool, kind: Kind) -> None:
    number = parse_number(raw, country)
    assert (number.valid, number.kind) == (valid, kind)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+15550100123", "+1•••••0123"),
        ("+905325550101", "+90•••••0101"),
        ("+4712345678", "+47•••••5678"),
        ("+3545550123", "•••••"),
        ("+4712345", "•••••"),
        ("12345", "•••••"),
        ("CLINIC", "•••••"),
        ("", "•••••"),
    ],
    ids=[
        "United States",
        "Turkey",
        "eight digits",
        "seven digits",
        "short number",
        "short code",
        "named sender",
        "nothing",
    ],
)
def test_masking(number: str, masked: str) -> None:
    assert mask(number) == masked


@given(st.from_regex(r"\+[1-9][0-9]{3,14}", fullmatch=True))
def test_a_masked_number_shows_four_digits_at_most_besides_its_country(number: str) -> None:
    shown = mask(number)
    assert shown == "•••••" or (shown[-4:] == number[-4:] and len(shown.partition("•")[0]) <= 4)
    assert number not in shown


@pytest.mark.parametrize(
    ("number", "country"),
    [("+905325550101", "TR"), ("+14165550142", "CA"), ("+15550100123", "US"), ("+800123456789", "001")],
    ids=["Turkey", "Canada shares +1", "nobody's range: the main country", "no country: worldwide"],
)
def test_the_country_of_a_number(number: str, country: str) -> None:
    assert country_of(number) == country


def test_a_number_without_country_code_has_no_country() -> None:
    with pytest.raises(PhoneError, match="••••• has no country code"):
        country_of("5550100123")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+15550100199", "+1 555-010-0199"),
        ("+525555550199", "+52 55 5555 0199"),
        ("+902125550199", "+90 212 555 01 99"),
        ("+5491123456789", "+5491123456789"),
        ("444 0 199", "444 0 199"),
    ],
    ids=[
        "United States",
        "Mexico",
        "Turkey fills the room",
        "Argentina does not fit with spaces",
        "what is no E.164 stays",
    ],
)
def test_numbers_in_texts(number: str, shown: str) -> None:
    assert display(number) == shown
    assert len(shown) <= 17


def test_numbers_elsewhere_may_have_more_or_less_room() -> None:
    assert display("+15550100199", max_length=12) == "+15550100199"
