"""The course of a patient's sessions: booked, moved, cancelled and booked again, missed, held, and recorded late or wrongly."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial

from service.domain.windows import local_day
from service.simulator.life.scene import DAY, HOUR, MINUTE, WEEK, Scene
from service.simulator.people import SESSION, Person, Visit

OUTCOMES: Mapping[str, float] = {
    "completed": 0.85,
    "no_show": 0.06,
    "not_done": 0.03,
    "cancelled": 0.02,
    "entered_in_error": 0.01,
    "booked": 0.03,  # nobody ever writes down what became of it
}
NEXT: Mapping[str, float] = {"at once": 0.4, "later": 0.4, "overdue": 0.1, "never": 0.1}
RECORDED: Mapping[str, tuple[timedelta, timedelta]] = {
    "at once": (timedelta(), 10 * MINUTE),
    "in hours": (10 * MINUTE, 8 * HOUR),
    "next day": (8 * HOUR, 30 * HOUR),
    "in days": (DAY, 6 * DAY),
}
ON_TIME: Mapping[str, float] = {"at once": 0.72, "in hours": 0.15, "next day": 0.08, "in days": 0.05}
TEXTS_GO_AT = ((1, time(10)), (7, time(10)), (5, time(11)), (12, time(11)))
"""Days before a session, and times, at which shipped texts are due: where a change is most in the way."""


@dataclass(frozen=True, slots=True)
class Courses:
    """What happens to sessions. Every draw is named after the session, so one patient's life does not touch another's."""

    scene: Scene

    def begin(self, person: Person) -> None:
        """The first session that the service hears of."""
        dice, key = self.scene.dice, person.key
        self.book(person, self.scene.now + dice.often_short(2 * HOUR, 5 * WEEK, key, "first lead"))

    def book(self, person: Person, about: datetime) -> None:
        """A session about that time."""
        start = self.scene.slot(person.place, max(about, self.scene.now), person.key, person.booked)
        visit = self.enter(person, start)
        self.foresee(visit)

    def enter(self, person: Person, start: datetime) -> Visit:
        """The session as a row, and nothing else."""
        key = person.next_key()
        dice, hands = self.scene.dice, person.place.hands
        open_end = hands == "sql" and dice.falls(0.3, key, "no end")
        source = {"service": "desk", "import": "csv"}.get(hands, "sql")
        visit = Visit(key, person, start, None if open_end else start + SESSION, source=source)
        person.visits.append(visit)
        self.tell(visit)
        return visit

    def tell(self, visit: Visit) -> None:
        """By the clinic's own way as a rule; sometimes somebody goes straight to the database."""
        hands = visit.person.place.hands
        by_sql = visit.id and self.scene.dice.falls(0.1, visit.key, "by sql", self.scene.now)
        self.scene.records.tell(visit, by="sql" if by_sql else hands)

    def foresee(self, visit: Visit) -> None:
        """Put on the agenda what will happen to a session that was just booked."""
        dice, key, scene = self.scene.dice, visit.key, self.scene
        ahead = visit.start - scene.now
        for n in range(dice.weighed({0: 0.72, 1: 0.2, 2: 0.06, 3: 0.02}, key, "moves")):
            scene.later(ahead * dice.share(key, "moves when", n), partial(self.move, visit, n))
        if dice.falls(0.12, key, "is cancelled"):
            scene.later(ahead * dice.share(key, "cancelled when"), lambda: self.cancel(visit))
        if dice.falls(0.15, key, "in the way"):
            self._get_in_the_way(visit)
        if dice.falls(0.015, key, "haggles"):
            self._haggle(
                visit, local_day(scene.now + ahead * dice.share(key, "haggles when"), visit.person.place.clock)
            )
        if dice.falls(0.02, key, "twice"):
            scene.later(dice.span(MINUTE, DAY, key, "twice when"), lambda: self._enter_twice(visit))
        if dice.falls(0.04, key, "early"):
            scene.later(ahead * dice.share(key, "early when"), lambda: self._held(visit, scene.now - 2 * MINUTE))
        self._wait_for(visit)

    def _wait_for(self, visit: Visit) -> None:
        start = visit.start
        self.scene.at(start, lambda: self._come(visit, start))

    def _get_in_the_way(self, visit: Visit) -> None:
        """Something changes within seconds of a moment at which texts are due."""
        dice, key, place = self.scene.dice, visit.key, visit.person.place
        days, at = dice.pick(TEXTS_GO_AT, key, "in the way of")
        due = self.scene.wall(place, local_day(visit.start, place.clock) - days * DAY, at)
        moment = due + dice.span(timedelta(seconds=-20), timedelta(seconds=3), key, "in the way at")
        if moment > self.scene.now:
            changes = (lambda: self.move(visit, 9), lambda: self.cancel(visit), lambda: self._opt_out(visit))
            self.scene.at(moment, dice.pick(changes, key, "in the way how"))

    def _opt_out(self, visit: Visit) -> None:
        if visit.person.number:
            self.scene.phones.say(visit.person.number, visit.person.place.line.number, "STOP")

    def move(self, visit: Visit, n: int) -> None:
        """To another time, mostly of a day nearby; now and then by some minutes, or to tomorrow."""
        if visit.status != "booked" or visit.start <= self.scene.now:
            return
        dice, key, scene = self.scene.dice, visit.key, self.scene
        how = dice.weighed({"minutes": 0.25, "days": 0.6, "tomorrow": 0.15}, key, "moved how", n)
        if how == "minutes":
            start = visit.start + 5 * MINUTE * dice.pick((-12, -3, -1, 1, 2, 6, 24), key, "by minutes", n)
        else:
            days = 1 if how == "tomorrow" else dice.whole(-6, 25, key, "by days", n)
            about = (scene.now if how == "tomorrow" else visit.start) + days * DAY
            start = scene.slot(visit.person.place, about, key, "moved", n)
        if start > scene.now:
            self._set_start(visit, start)

    def _haggle(self, visit: Visit, day: date) -> None:
        """One time after the other is agreed on within a day: more news than a patient may be texted."""
        opens = self.scene.wall(visit.person.place, day, time(9, 7))
        for n in range(10):
            moment = opens + n * 61 * MINUTE
            if moment > self.scene.now:
                self.scene.at(moment, partial(self.move, visit, 20 + n))

    def _set_start(self, visit: Visit, start: datetime) -> None:
        visit.start, visit.end = start, visit.end and start + SESSION
        self.tell(visit)
        self._wait_for(visit)

    def cancel(self, visit: Visit) -> None:
        if visit.status != "booked" or visit.start <= self.scene.now:
            return
        visit.status = "cancelled"
        self.tell(visit)
        dice, key, scene = self.scene.dice, visit.key, self.scene
        after = dice.weighed({"undone": 0.4, "booked anew": 0.4, "over": 0.2}, key, "after cancelling", scene.now)
        if after == "undone":
            scene.later(dice.often_short(20 * timedelta(seconds=1), 4 * DAY, key, "undone"), lambda: self._undo(visit))
        elif after == "booked anew":
            self._again(visit, 2 * HOUR, 20 * DAY)

    def _undo(self, visit: Visit) -> None:
        """It takes place after all, at the old time or another."""
        if visit.status != "cancelled" or visit.start <= self.scene.now:
            return
        visit.status = "booked"
        if self.scene.dice.falls(0.3, visit.key, "undone elsewhere"):
            visit.start = self.scene.slot(visit.person.place, visit.start + DAY, visit.key, "undone")
            visit.end = visit.end and visit.start + SESSION
        self.tell(visit)
        self._wait_for(visit)

    def _enter_twice(self, visit: Visit) -> None:
        """Somebody books the same session again, within hours of it, and finds out later."""
        if visit.status != "booked" or visit.start <= self.scene.now + DAY:
            return
        again = self.enter(visit.person, visit.start + self.scene.dice.pick((HOUR, 3 * HOUR), visit.key, "twice at"))
        self.scene.later(
            self.scene.dice.span(HOUR, DAY, visit.key, "found out"), lambda: self._set_status(again, "entered_in_error")
        )

    def _set_status(self, visit: Visit, status: str) -> None:
        if visit.status == "booked":
            visit.status = status
            self.tell(visit)

    def _come(self, visit: Visit, start: datetime) -> None:
        """The hour of the session has come."""
        if visit.status != "booked" or visit.start != start:
            return
        dice, key, scene = self.scene.dice, visit.key, self.scene
        outcome = dice.weighed(OUTCOMES, key, "outcome")
        slow = RECORDED[dice.weighed(ON_TIME, key, "recorded")]
        if outcome == "completed":
            done = start + dice.span(12 * MINUTE, 80 * MINUTE, key, "lasts")
            scene.at(done + dice.span(*slow, key, "recorded when"), lambda: self._held(visit, done))
        elif outcome != "booked":
            scene.later(SESSION + dice.span(*slow, key, "recorded when"), lambda: self._fell_through(visit, outcome))
        else:
            self._again(visit, DAY, 30 * DAY)

    def _fell_through(self, visit: Visit, outcome: str) -> None:
        if visit.status == "booked":
            self._set_status(visit, outcome)
            self._again(visit, HOUR, 20 * DAY)

    def _again(self, visit: Visit, least: timedelta, most: timedelta) -> None:
        """A new session, booked some time later, unless the patient has had enough."""
        dice, key, scene = self.scene.dice, visit.key, self.scene
        lead = dice.often_short(3 * HOUR, 30 * DAY, key, "again lead")
        if dice.falls(0.75, key, "again"):
            wait = dice.span(least, most, key, "again when")
            scene.later(wait, lambda: self.book(visit.person, scene.now + lead))

    def _held(self, visit: Visit, done: datetime) -> None:
        """It took place, and that is written down; mostly with the time at which it ended."""
        if visit.status not in ("booked", "no_show"):
            return
        dice, key, scene = self.scene.dice, visit.key, self.scene
        no_time = visit.end is not None and visit.end < scene.now and dice.falls(0.06, key, "no time noted")
        visit.status, visit.completed_at = "completed", None if no_time else done.replace(microsecond=0)
        self.tell(visit)
        if dice.falls(0.05, key, "corrected"):
            scene.later(dice.span(MINUTE, 20 * HOUR, key, "corrected when"), lambda: self._correct(visit))
        self.go_on(visit, done)

    def _correct(self, visit: Visit) -> None:
        """The time was wrong, or it did not take place at all."""
        if visit.status != "completed":
            return
        if self.scene.dice.falls(0.25, visit.key, "not held"):
            visit.status, visit.completed_at = "not_done", None
        else:
            done = visit.completed_at or visit.start + SESSION
            minutes = self.scene.dice.pick((-45, -10, 5, 15), visit.key, "corrected by")
            visit.completed_at = min(done + minutes * MINUTE, self.scene.now).replace(microsecond=0)
        self.tell(visit)

    def go_on(self, visit: Visit, done: datetime) -> None:
        """The next session of the series."""
        dice, key, scene, person = self.scene.dice, visit.key, self.scene, visit.person
        due = done + (person.interval_weeks or person.place.interval_weeks) * WEEK
        goal = due + dice.whole(-4, 12, key, "next") * DAY
        waits = {
            "at once": dice.span(MINUTE, 2 * HOUR, key, "books"),
            "later": dice.span(DAY, 11 * WEEK, key, "books"),
            "overdue": dice.span(12 * WEEK, 16 * WEEK, key, "books"),
        }
        when = dice.weighed(NEXT, key, "books next")
        if when in waits:
            soonest = dice.often_short(3 * HOUR, 20 * DAY, key, "next lead")
            scene.later(waits[when], lambda: self.book(person, max(goal, scene.now + soonest)))
