"""Does a webhook come from Twilio? https://www.twilio.com/docs/usage/webhooks/webhooks-security"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import RequestValidator


class _Fields(dict[str, list[str]]):
    """Form fields as the SDK asks for them: a name may come several times."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def verify_signature(
    url: str, fields: Sequence[tuple[str, str]] | bytes, *, signature: str | None, tokens: Sequence[str]
) -> bool:
    """True if any of ``tokens`` (two while one is replaced by the next) signed this request.

    ``url`` is the one Twilio called: the public base address, then path and query as they came, byte for byte. ``fields`` are all
    form fields, blank values and unknown names included, or the raw body of a JSON webhook.
    """
    try:
        signed = _signed_part(url, fields)
        return signed is not None and any(
            RequestValidator(token).validate(url, signed, signature or "") for token in tokens
        )
    except ValueError:
        # Half a surrogate pair, bytes that are no UTF-8 or a port that is none: Twilio sends no such thing.
        return False


def sign(url: str, fields: Mapping[str, str], *, token: str) -> str:
    """What Twilio would put into the header ``X-Twilio-Signature`` of a form posted to ``url``."""
    return str(RequestValidator(token).compute_signature(url, dict(fields)))


def _signed_part(url: str, fields: Sequence[tuple[str, str]] | bytes) -> _Fields | str | None:
    if isinstance(fields, bytes):
        # Only the hash in the address binds the body to the signature.
        return fields.decode() if "bodySHA256" in parse_qs(urlsplit(url).query) else None
    named = _Fields()
    for name, value in fields:
        named.setdefault(name, []).append(value)
    return named
