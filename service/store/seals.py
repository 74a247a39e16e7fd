"""Numbers that were erased: in their place stands a keyed hash, by which a number that comes again is known again.

Only who has the key can ask whether a number is among them. The key goes with the sessions, as the engine does.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.store.tables import Installation

MARK = "#"
"""Begins a sealed number; no number begins so."""
KEPT = 19
"""Characters of the hash: with the mark they fit where a number stood. 114 bits: two numbers never share them."""
_SEALER = "sealer"
_PROBE = "which key is this?"


class OtherKeyError(AftercareError):
    """Numbers were sealed with another secret key."""

    def __init__(self) -> None:
        super().__init__(
            "AFTERCARE_SECRET_KEY is not the key with which erased numbers were sealed: opt-outs of people who were erased "
            "are not seen. Nothing was changed. Set the key that was used before."
        )


class NoKeyError(AftercareError):
    """These sessions know no key."""

    def __init__(self) -> None:
        super().__init__(
            "There is no lasting secret key, so an erased number could never be known again, nor its opt-out. Nothing was "
            "changed. Set AFTERCARE_SECRET_KEY, keep it with the backups, and try again."
        )


class Sealer:
    """Makes the seals of one key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def seal(self, number: str) -> str:
        """What stands in place of a number."""
        digest = hmac.digest(self._key, number.encode(), sha256)
        return MARK + urlsafe_b64encode(digest).decode()[:KEPT]

    @property
    def check(self) -> str:
        """What tells this key from others, and nothing about it."""
        return self.seal(_PROBE)


def seal_with(sessions: sessionmaker[Session], key: str) -> None:
    """Let every session that is opened from now on know the key."""
    sessions.configure(info={_SEALER: Sealer(key)})


def seals_of(db: Session, numbers: Iterable[str]) -> dict[str, str]:
    """The number by each seal; empty where the session knows no key."""
    sealer = db.info.get(_SEALER)
    return {sealer.seal(number): number for number in numbers} if isinstance(sealer, Sealer) else {}


def is_own_key(db: Session) -> bool | None:
    """Whether numbers were sealed with the key of ``db``; None where none was sealed yet."""
    noted, sealer = db.scalar(select(Installation.seal_check)), db.info.get(_SEALER)
    return None if noted is None else isinstance(sealer, Sealer) and sealer.check == noted


def sealer_of(db: Session) -> Sealer:
    """Who seals; notes which key it is. Raises :class:`NoKeyError` or :class:`OtherKeyError`."""
    sealer = db.info.get(_SEALER)
    if not isinstance(sealer, Sealer):
        raise NoKeyError
    if is_own_key(db) is False:
        raise OtherKeyError
    db.execute(update(Installation).values(seal_check=sealer.check))
    return sealer
