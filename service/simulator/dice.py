"""Chance that can be repeated: every draw is a hash of the seed and of what is asked, so the order of asking changes nothing."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from itertools import accumulate
from typing import TypeVar

Choice = TypeVar("Choice")


class Dice:
    """Draws of one seed. ``what`` names the question: asked again, it gets the same answer."""

    def __init__(self, seed: object) -> None:
        self._seed = f"{seed}|".encode()

    def share(self, *what: object) -> float:
        """A number in [0, 1)."""
        asked = self._seed + "|".join(map(str, what)).encode()
        return int.from_bytes(sha256(asked).digest()[:6]) / 2**48

    def falls(self, chance: float, *what: object) -> bool:
        """True with that chance, 0 to 1."""
        return self.share(*what) < chance

    def whole(self, low: int, high: int, *what: object) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self.share(*what) * (high - low + 1))

    def span(self, low: timedelta, high: timedelta, *what: object) -> timedelta:
        """A time between the two, to the millisecond."""
        return low + timedelta(milliseconds=int(self.share(*what) * ((high - low) / timedelta(milliseconds=1))))

    def often_short(self, low: timedelta, high: timedelta, *what: object) -> timedelta:
        """A time between the two, near ``low`` as a rule: half of them lie in the first eighth."""
        return low + (high - low) * self.share(*what) ** 3

    def any_scale(self, low: timedelta, high: timedelta, *what: object) -> timedelta:
        """A time between the two (``low`` above zero): seconds, minutes and hours are as likely as each other."""
        scale: float = (high / low) ** self.share(*what)
        return low * scale

    def pick(self, choices: Sequence[Choice], *what: object) -> Choice:
        return choices[int(self.share(*what) * len(choices))]

    def weighed(self, weights: Mapping[Choice, float], *what: object) -> Choice:
        """One of the keys, each as often as its weight says."""
        choices = list(weights)
        edges = list(accumulate(weights.values()))
        return choices[min(bisect_right(edges, self.share(*what) * edges[-1]), len(choices) - 1)]
