"""What was so when: values that replace each other in the course of time."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")


class History(Generic[Value]):
    """Values from a moment on until the next one; of several at one moment the last counts."""

    def __init__(self, changes: Iterable[tuple[datetime, Value]] = ()) -> None:
        self._moments: list[datetime] = []
        self._values: list[Value] = []
        for moment, value in changes:
            self.add(moment, value)

    def add(self, moment: datetime, value: Value) -> None:
        """Moments come in order; one that lies before the last is taken for the same time."""
        if self._moments and moment < self._moments[-1]:
            moment = self._moments[-1]
        self._moments.append(moment)
        self._values.append(value)

    def __iter__(self) -> Iterator[tuple[datetime, Value]]:
        return iter(zip(self._moments, self._values, strict=True))

    def at(self, moment: datetime) -> Value | None:
        """The value at a moment, None before the first."""
        place = bisect_right(self._moments, moment)
        return self._values[place - 1] if place else None

    def during(self, since: datetime, until: datetime) -> list[Value]:
        """Every value that held at some moment of the span, both ends included; the newest first."""
        first, last = bisect_right(self._moments, since), bisect_right(self._moments, until)
        return self._values[max(first - 1, 0) : last][::-1]

    @property
    def last(self) -> Value | None:
        return self._values[-1] if self._values else None
