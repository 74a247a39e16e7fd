"""How it begins: clinics open, those who were patients before are taken over from their files, others come in time."""

from dataclasses import dataclass
from functools import partial

from service.simulator.acts import feeds
from service.simulator.life.courses import Courses
from service.simulator.life.scene import DAY, HOUR, MINUTE, WEEK, Scene
from service.simulator.life.turns import Turns
from service.simulator.people import SESSION, Person, Place, Visit

FROM_BEFORE = 0.6
"""This share of the patients has been treated before the service came."""


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Puts the first events of every life on the agenda."""

    scene: Scene
    courses: Courses
    turns: Turns

    def of(self, place: Place, people: list[Person]) -> None:
        """A clinic with its patients."""
        self.scene.offices.open(place)
        old = [person for person in people if self._is_old(person)]
        self.scene.later(HOUR, lambda: self._take_over(place, old))
        for person in people:
            if not self._is_old(person):
                comes = self.scene.dice.span(2 * HOUR, (self.scene.end - self.scene.now) * 0.7, person.key, "comes")
                self.scene.later(comes, partial(self._come, person))

    def _is_old(self, person: Person) -> bool:
        return self.scene.dice.falls(FROM_BEFORE, person.key, "from before")

    def _come(self, person: Person) -> None:
        """A new patient, who is entered by hand some time before the first session is, or with it."""
        if person.place.hands == "sql":
            person.may_ask = person.paper == "ask"
            self.scene.records.enter(person)
            self._agree_on_paper(person)
        wait = self.scene.dice.often_short(MINUTE, 2 * DAY, person.key, "books")
        self.scene.later(wait, lambda: self.courses.begin(person))
        self.scene.later(wait + MINUTE, lambda: self.turns.begin(person))

    def _agree_on_paper(self, person: Person) -> None:
        if person.paper == "yes" and person.number:
            self.scene.offices.say_consent(person.place, person.number, granted=True)

    def _take_over(self, place: Place, people: list[Person]) -> None:
        """Old data: the last session of each, of up to fourteen weeks ago, and the next one of some."""
        old = [visit for person in people for visit in self._before(person)]
        if place.hands == "import":
            if old:
                self.scene.records.import_file(feeds.write_file(old, version=self.scene.records.version()), old)
        else:
            for visit in old:
                self.scene.records.tell(visit, by=place.hands)
        for person in people:
            if place.hands == "sql":
                self._agree_on_paper(person)
            self.turns.begin(person)
            self._resume(person)

    def _before(self, person: Person) -> list[Visit]:
        dice, key, scene = self.scene.dice, person.key, self.scene
        source = {"service": "desk", "import": "csv"}.get(person.place.hands, "sql")
        ago = dice.span(4 * DAY, 14 * WEEK, key, "treated ago")
        start = scene.slot(person.place, scene.now - ago, key, "before")
        done = start + dice.span(15 * MINUTE, 40 * MINUTE, key, "before lasted")
        person.visits.append(
            Visit(person.next_key(), person, start, start + SESSION, "completed", done.replace(microsecond=0), source)
        )
        if dice.falls(0.5, key, "has a date"):
            goal = max(start + person.place.interval_weeks * WEEK, scene.now + DAY)
            then = scene.slot(person.place, goal, key, "next")
            person.visits.append(Visit(person.next_key(), person, then, then + SESSION, source=source))
        return list(person.visits)

    def _resume(self, person: Person) -> None:
        """Life goes on from what the files said."""
        last = person.visits[-1]
        if last.status == "booked":
            self.courses.foresee(last)
        elif last.completed_at is not None:
            self.courses.go_on(last, max(last.completed_at, self.scene.now - 12 * WEEK))
