"""What is going to happen in the world, in the order of time."""

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime

Act = Callable[[], object]


class Agenda:
    """Acts by the moment at which they happen; of one moment, in the order in which they were put here."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Act]] = []
        self._count = itertools.count()

    def put(self, moment: datetime, act: Act) -> None:
        """Have ``act`` happen then."""
        heapq.heappush(self._heap, (moment, next(self._count), act))

    @property
    def next_at(self) -> datetime | None:
        """When the next act is to happen, which may be over already; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def take(self) -> Act:
        """The next act, which is on the agenda no longer."""
        return heapq.heappop(self._heap)[2]
