"""How much time the service had without trouble, and what its clock may have shown meanwhile."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

from service.simulator.judge.facts import Trouble

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
Span = tuple[datetime, datetime]

SETTLING = {
    # A claim is stale after 45 s, its doubt settled within 2 x 90 s, and the ticks for both come each 30 s: 4 min 45 s at most.
    "died": 6 * MINUTE,
    "frozen": 6 * MINUTE,
    # What could not be handed over is tried again after 10 min and a quarter at most; what is held is looked at each 15 min.
    "database_down": 16 * MINUTE,
    "network_down": 16 * MINUTE,
    "busy": 16 * MINUTE,
    # Moments of "in 15 minutes" that were noted on a clock that is ahead lie that much further ahead.
    "clock_step": 16 * MINUTE,
}
"""How long after each trouble ended the service may still be clearing up. A list that is down keeps nobody from sending."""


class Calm:
    """The troubles of a world as spans of time; between them the service has no excuse."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = _merged(spans)
        self._ends = [end for _, end in self._spans]
        self._starts = [start for start, _ in self._spans]

    def after(self, moment: datetime, need: timedelta) -> datetime:
        """The first moment by which the service had ``need`` of untroubled time since ``moment``."""
        place = bisect_right(self._ends, moment)
        while place < len(self._spans):
            start, end = self._spans[place]
            if moment < start:
                if start - moment >= need:
                    break
                need -= start - moment
            moment = max(moment, end)
            place += 1
        return moment + need

    def troubled(self, since: datetime, until: datetime) -> bool:
        """Whether any moment of the span was troubled."""
        return bisect_left(self._ends, since) < bisect_right(self._starts, until)

    def began(self, moment: datetime) -> datetime:
        """When the trouble began in which the moment lies, or the moment itself."""
        place = bisect_left(self._ends, moment)
        if place < len(self._spans) and self._starts[place] <= moment:
            return self._starts[place]
        return moment

    def also(self, spans: Iterable[Span]) -> "Calm":
        """The same with more troubles, as of one sender or one patient."""
        more = list(spans)
        return Calm([*self._spans, *more]) if more else self


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def calm_of(troubles: Iterable[Trouble]) -> Calm:
    """What kept the service from sending, each with the time it needs to clear up. A web server sends nothing."""
    hindering = (trouble for trouble in troubles if trouble.what in SETTLING and trouble.who != "web")
    return Calm((t.start, t.end + SETTLING[t.what] + abs(t.step)) for t in hindering)


def asking(troubles: Iterable[Trouble]) -> Calm:
    """What kept the service from settling doubts: besides all else, a list that does not answer."""
    hindering = [trouble for trouble in troubles if trouble.who != "web"]
    return Calm((t.start, t.end + SETTLING.get(t.what, MINUTE) + abs(t.step)) for t in hindering)


def bare(troubles: Iterable[Trouble]) -> Calm:
    """The troubles themselves, whoever had them, without what comes after."""
    return Calm((trouble.start, trouble.end) for trouble in troubles if trouble.what in SETTLING)


class ServiceClock:
    """What the service took for the time: now and then its clock was wrong by up to an hour."""

    def __init__(self, troubles: Iterable[Trouble]) -> None:
        self._steps = [t for t in troubles if t.what == "clock_step"]

    def shown(self, moment: datetime) -> list[datetime]:
        """What it may have shown at the moment, or in the seconds before in which a text was on its way."""
        off = [t.step for t in self._steps if t.start - SECOND <= moment <= t.end + 30 * SECOND]
        if any(t.start + 30 * SECOND <= moment < t.end - SECOND for t in self._steps):
            return [moment + step for step in off]
        return [moment, *(moment + step for step in off)]

    def off(self, since: datetime, until: datetime) -> tuple[timedelta, timedelta]:
        """By how much it may have been behind (negative) and ahead in the span."""
        steps = [t.step for t in self._steps if t.start <= until and since <= t.end]
        return min([timedelta(), *steps]), max([timedelta(), *steps])
