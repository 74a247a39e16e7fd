"""Virtual time: what the time truly is, and what the service's clock shows, which may be off."""

from datetime import datetime, timedelta

A_MOMENT = timedelta(milliseconds=1)


class VirtualClock:
    """The true time only goes on. ``off_by`` is how far the service's clock is ahead (or, negative, behind)."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.off_by = timedelta()

    def shown(self) -> datetime:
        """What the service takes for the time."""
        return self.now + self.off_by

    def truly(self, shown: datetime) -> datetime:
        """When it truly is what the service's clock shows as ``shown``, should nobody set the clock meanwhile."""
        return shown - self.off_by

    def reach(self, moment: datetime) -> None:
        """Let it be that time, or leave it where it is if it is later already."""
        self.now = max(self.now, moment)

    def go_on(self, by: timedelta = A_MOMENT) -> None:
        """Let so much time pass: by default just enough that what happened before lies before."""
        self.now += by
