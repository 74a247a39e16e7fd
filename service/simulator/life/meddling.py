"""Changes at the worst moment: between the last look at a text and its leaving."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.simulator.labels import Label
from service.simulator.life.courses import Courses
from service.simulator.life.turns import STOP_WORDS, Turns
from service.simulator.people import Person, Visit


@dataclass(frozen=True, slots=True)
class Meddling:
    """Whom a text is about is found by the keys of its label."""

    courses: Courses
    turns: Turns
    people: Mapping[str, Person]

    def with_text(self, label: Label) -> None:
        """Something about the patient or the session of this text changes right now."""
        person = self.people.get(label["patient"] or "")
        if person is None:
            return
        visit = next((one for one in person.visits if one.key == label["session"]), None)
        acts: list[Callable[[], object]] = [lambda: self._opt_out(person), lambda: self.turns.change_number(person, 99)]
        if visit is not None:
            acts += [lambda: self.courses.cancel(visit), lambda: self._put_off(visit)]
        self.courses.scene.dice.pick(acts, "meddling", label)()

    def _opt_out(self, person: Person) -> None:
        if person.number:
            word = self.courses.scene.dice.pick(STOP_WORDS, "meddling", person.key)
            self.courses.scene.phones.say(person.number, person.place.line.number, word)

    def _put_off(self, visit: Visit) -> None:
        self.courses.move(visit, 99)
