"""Taking a text out of Twilio's own records: deleted, or emptied of its words where the key may not delete.

https://www.twilio.com/docs/messaging/api/message-resource#delete-a-message-resource and, for an empty ``Body``,
#redact-a-message; both are refused while a text is on its way.
"""

import json
from typing import Protocol

from twilio.http.response import Response

from service.domain.errors import AftercareError
from service.domain.sms import Forgotten

_DELETED = (200, 204)
_NOT_ALLOWED = (401, 403, 405)
_UNKNOWN_TEXT = 20404


class Ask(Protocol):
    """Makes one request, whatever its method."""

    async def __call__(self, method: str, uri: str, *, data: dict[str, object] | None = None) -> Response: ...


async def forget(ask: Ask, uri: str) -> Forgotten:
    """Delete the text at ``uri``, or its words. Raises :class:`AftercareError` where neither is possible now."""
    deleted = await ask("DELETE", uri)
    if deleted.status_code in _DELETED or _knows_no_such_text(deleted):
        return Forgotten.GONE
    if deleted.status_code in _NOT_ALLOWED:
        redacted = await ask("POST", uri, data={"Body": ""})
        if redacted.status_code in _DELETED:
            return Forgotten.REDACTED
    raise AftercareError(
        f"Twilio did not delete its copy (HTTP {deleted.status_code}): a text on its way can not be deleted yet, and a key "
        "must be allowed to delete. It is asked again later."
    )


def _knows_no_such_text(answer: Response) -> bool:
    """In Twilio's own words: the 404 of a proxy proves nothing."""
    try:
        said = json.loads(answer.text)
    except ValueError:
        return False
    return answer.status_code == 404 and isinstance(said, dict) and said.get("code") == _UNKNOWN_TEXT
