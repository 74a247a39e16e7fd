"""Breakers: what an outcome says of the provider, when sending stops for its sake, and how it is tried out again.

What a person stopped is never tried out. What the provider brought about is, one text at a time, and ends by itself.
"""

from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import assert_never

from service.domain.sms import TOO_LATE, Accepted, Outcome, Refused, Unknown

UNREACHABLE, CLOSING = "connect", "closing"
"""Codes of gateways' own refusals: no connection came about; the service was stopping."""
IN_A_ROW = 5
"""So many texts without an answer, one after the other, are no chance: where one in a hundred goes so, it is one case in ten
thousand million. At three segments a second it is noticed within two seconds, at the cost of five doubts."""
ANYWAY = 15
"""After so many questions in vain a text tries it all the same, about twice an hour: a key may be forbidden to read lists."""
TOLD_AFTER = timedelta(minutes=10)
"""An outage that is over sooner asks nobody for anything."""
PROVIDER_DOWN = "provider_down"
SHOWN_BY_STOPS = ("paused", "sender_paused", PROVIDER_DOWN)
"""The reasons that texts show which a stop holds that the provider brought about."""


class Cause(StrEnum):
    """Why the provider keeps a sender, or everybody, from sending."""

    REFUSED = "refused"
    """It turns our sender, or our account, away."""
    DOWN = "down"
    """It does not answer."""


class Reach(Enum):
    """Who stops."""

    SENDER = auto()
    ALL = auto()


class Sign(Enum):
    """What an outcome says of the provider, whatever it says of the text."""

    ACCEPTED = auto()
    ANSWERED = auto()
    """It is there, and said no."""
    SILENT = auto()
    NOTHING = auto()
    """The text never set out."""


_FIRST = {Cause.REFUSED: timedelta(minutes=1), Cause.DOWN: timedelta(seconds=30)}
_LONGEST = {Cause.REFUSED: timedelta(minutes=15), Cause.DOWN: timedelta(minutes=2)}
LONGEST_WAIT = max(_LONGEST.values())
"""Between two tries; a try that is further off was noted by a clock that ran ahead, and is due."""


def sign_of(outcome: Outcome) -> Sign:
    """A refusal by the provider shows that it is there; one by our own gateway shows nothing, or that it is not."""
    match outcome:
        case Accepted():
            return Sign.ACCEPTED
        case Unknown():
            return Sign.SILENT
        case Refused(code=code):
            own = {UNREACHABLE: Sign.SILENT, CLOSING: Sign.NOTHING, TOO_LATE.code: Sign.NOTHING}
            return own.get(code, Sign.ANSWERED)
        case _:
            assert_never(outcome)


def who_is_cut_off(*, of_sender: int, of_all: int) -> Reach | None:
    """Who stops after so many texts in a row without an answer, from one sender and from all senders together.

    All, where others went without an answer, too, and nobody got one since; as long as it may be the one sender's own
    trouble, that sender alone.
    """
    if of_all >= IN_A_ROW and of_all > of_sender:
        return Reach.ALL
    return Reach.SENDER if of_sender >= IN_A_ROW else None


def ends(cause: Cause, sign: Sign) -> bool:
    """Whether what came of a text that was sent in spite of ``cause`` is its end."""
    return sign is Sign.ACCEPTED or (cause is Cause.DOWN and sign is Sign.ANSWERED)


def tried_after(cause: Cause, tries: int) -> timedelta:
    """How long until it is tried out, after so many tries before: twice as long each time, up to a limit."""
    return min(_FIRST[cause] * (1 << min(tries, 12)), _LONGEST[cause])


def is_due(probe_at: datetime, now: datetime) -> bool:
    """Whether it is time to try the provider out."""
    return not now < probe_at <= now + LONGEST_WAIT


def asks_first(tries: int) -> bool:
    """Whether a provider that does not answer is asked a question before a text: one without an answer is a doubt more."""
    return tries % ANYWAY != 0


def shown_as(cause: str | None, otherwise: str) -> str:
    """The reason that texts show which a stop holds: whose stop it is, or that the provider is down."""
    return PROVIDER_DOWN if cause == Cause.DOWN else otherwise
