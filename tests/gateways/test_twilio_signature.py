"""Who may speak to the webhooks: whoever signs with our token, over exactly what arrives."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from service.gateways.twilio import verify_signature

TOKEN = "12345"
Fields = list[tuple[str, str]]

CALL_URL = "https://example.com/myapp.php?foo=1&bar=2"
CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
CALL_SIGNATURE = "9pyy2ZSJda9ihJ1NNXPXtY4oV2Y="

STATUS_URL = "https://ex.example/cb?mid=01ABC"
STATUS = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", "+15550001111"), ("ErrorCode", "")]
STATUS_SIGNATURE = "jRtp+TmXCOZcbfNrapv6oP+35RI="


def genuine(url: str, fields: Fields | bytes, signature: str | None, *, tokens: tuple[str, ...] = (TOKEN,)) -> bool:
    return verify_signature(url, fields, signature=signature, tokens=tokens)


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (CALL_URL, CALL, CALL_SIGNATURE),
        (STATUS_URL, STATUS, STATUS_SIGNATURE),
        (STATUS_URL, STATUS[::-1], STATUS_SIGNATURE),
        (STATUS_URL, STATUS + STATUS[:1], STATUS_SIGNATURE),
        (STATUS_URL.replace(".example/", ".example:443/"), STATUS, STATUS_SIGNATURE),
        (STATUS_URL.replace(".example/", ".example:8443/"), STATUS, STATUS_SIGNATURE),
    ],
    ids=["a call", "a receipt with a blank field", "any order", "a field sent twice", "with the port", "with any port"],
)
def test_genuine(url: str, fields: Fields, signature: str) -> None:
    assert genuine(url, fields, signature)


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (STATUS_URL.replace("https", "http"), STATUS, STATUS_SIGNATURE),
        (STATUS_URL + "&x=1", STATUS, STATUS_SIGNATURE),
        (CALL_URL.replace("foo=1&bar=2", "bar=2&foo=1"), CALL, CALL_SIGNATURE),
        (STATUS_URL, STATUS[:-1], STATUS_SIGNATURE),
        (STATUS_URL, [*STATUS, ("New", "")], STATUS_SIGNATURE),
        (STATUS_URL, [*STATUS, ("To", "+15550002222")], STATUS_SIGNATURE),
        (STATUS_URL, STATUS, CALL_SIGNATURE),
        (STATUS_URL, STATUS, "XH6ykHQqWd8vpNGZCQf5a3iicPtxojiO6E1kLorCBM4="),
        (STATUS_URL, STATUS, ""),
        (STATUS_URL, STATUS, None),
        (STATUS_URL, STATUS, "ÿ" * 28),
        (STATUS_URL, [], STATUS_SIGNATURE),
        (STATUS_URL, [("Body", "\udcff")], STATUS_SIGNATURE),
        ("https://ex.example:port/cb", STATUS, STATUS_SIGNATURE),
    ],
    ids=[
        "http for https",
        "one more in the query",
        "query in another order",
        "blank field dropped",
        "one more field",
        "one more value",
        "signature of another request",
        "signature of the other algorithm",
        "empty signature",
        "no signature",
        "signature of odd letters",
        "no fields",
        "no Unicode",
        "no port",
    ],
)
def test_not_genuine(url: str, fields: Fields, signature: str | None) -> None:
    assert not genuine(url, fields, signature)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("new", TOKEN), True),
        ((TOKEN, "old"), True),
        (("new", "old"), False),
        ((), False),
    ],
    ids=["still the old token", "already the new token", "another account's", "no token set"],
)
def test_while_one_token_follows_another_both_count(tokens: tuple[str, ...], expected: bool) -> None:
    assert genuine(STATUS_URL, STATUS, STATUS_SIGNATURE, tokens=tokens) is expected


def signed(url: str, fields: dict[str, str]) -> str:
    return str(RequestValidator(TOKEN).compute_signature(url, fields))


JSON_BODY = '{"MessageSid": "SM1", "Body": "iyi günler"}'.encode()
JSON_URL = f"https://ex.example/events?bodySHA256={sha256(JSON_BODY).hexdigest()}"


def test_a_json_body_is_bound_by_its_hash_in_the_address() -> None:
    signature = signed(JSON_URL, {})
    assert genuine(JSON_URL, JSON_BODY, signature)
    assert not genuine(JSON_URL, JSON_BODY + b" ", signature)
    assert not genuine(JSON_URL, b"\xff", signature)


def test_a_json_body_without_its_hash_is_not_genuine() -> None:
    url = "https://ex.example/events"
    assert not genuine(url, JSON_BODY, signed(url, {}))


values = st.text(st.characters(codec="utf-8"), max_size=30)


@given(st.dictionaries(values, values, min_size=1, max_size=8), st.data())
def test_any_change_to_any_sign_is_noticed(fields: dict[str, str], data: st.DataObject) -> None:
    url = "https://ex.example/webhooks/twilio/status?mid=42"
    signature = signed(url, fields)
    pairs = sorted(fields.items())
    assert genuine(url, pairs, signature)

    # The scheme is left out: HTTPS and https are one.
    parts = [url[8:], signature, *(part for pair in pairs for part in pair)]
    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]), "which part")
    where = data.draw(st.integers(0, len(parts[which]) - 1), "which sign")
    bit = 1 << data.draw(st.integers(0, 6), "which bit")
    flipped = chr(ord(parts[which][where]) ^ bit)
    parts[which] = parts[which][:where] + flipped + parts[which][where + 1 :]
    changed = [pair for n, pair in enumerate(pairwise(parts[2:])) if n % 2 == 0]
    assert not genuine(url[:8] + parts[0], changed, parts[1])
