"""Wall clocks once more, in another library and without any cleverness: minute by minute. Only tests compare with it."""

from datetime import UTC, date, datetime, time, timedelta

from whenever import Date, Instant, PlainDateTime, RepeatedTime, SkippedTime, Time, ZonedDateTime

MINUTE = timedelta(minutes=1)


def first_valid(day: date, at: time, zone: str) -> datetime:
    """The first moment at which the clock of the zone shows ``at`` on ``day``, or has jumped past it."""
    wall = datetime.combine(day, at)
    while True:
        try:
            return _utc(_plain(wall).assume_tz(zone, disambiguation="raise"))
        except RepeatedTime:
            return _utc(_plain(wall).assume_tz(zone, disambiguation="earlier"))
        except SkippedTime:
            wall += MINUTE


def day_of(moment: datetime, zone: str) -> date:
    """The calendar day in the zone."""
    return _local(moment, zone).date().to_stdlib()


def next_open(moment: datetime, opens: time, closes: time, zone: str, *, every: int = 1) -> datetime:
    """The first whole minute from ``moment`` in which a window is open; it opens once a day.

    ``every`` so many minutes is looked: 15 do for windows on quarter hours, because no zone is off by less.
    """
    while not _is_open(moment, opens, closes, zone):
        moment += MINUTE * (every - moment.minute % every)
    return moment


def _is_open(moment: datetime, opens: time, closes: time, zone: str) -> bool:
    local = _local(moment, zone)
    if not opens <= local.time().to_stdlib() < closes:
        return False
    return moment < first_valid(local.date().to_stdlib(), closes, zone)


def _local(moment: datetime, zone: str) -> ZonedDateTime:
    return Instant.from_timestamp(int(moment.timestamp())).to_tz(zone)


def _plain(wall: datetime) -> PlainDateTime:
    return Date(wall.year, wall.month, wall.day).at(Time(wall.hour, wall.minute))


def _utc(zoned: ZonedDateTime) -> datetime:
    return zoned.to_instant().to_stdlib().astimezone(UTC)
