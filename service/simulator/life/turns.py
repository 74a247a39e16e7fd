"""Turns in patients' lives: numbers change hands, people move, opt out and come back, are left in peace, die."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from service.simulator.acts import feeds
from service.simulator.life.scene import DAY, HOUR, MINUTE, Scene
from service.simulator.people import ABROAD, Person, number_of

STOP_WORDS = ("STOP", "stop", "Stop.", "BAJA", "iptal", "unsubscribe", "CANCEL")
START_WORDS = ("START", "unstop", "basla")
ODD_WORDS = ("HELP", "ayuda", "who is this?", "thank you", "yardım", "👍", "C", "7")


@dataclass(slots=True)
class Turns:
    """One turn after the other for each patient; ``everybody`` is who lives in the world so far."""

    scene: Scene
    everybody: list[Person]

    def begin(self, person: Person) -> None:
        self._await(person, 1)

    def _await(self, person: Person, n: int) -> None:
        wait = self.scene.dice.span(2 * DAY, 90 * DAY, person.key, "turn", n)
        self.scene.later(wait, lambda: self._turn(person, n))

    def _turn(self, person: Person, n: int) -> None:
        if person.status != "deceased":
            self._await(person, n + 1)
            KINDS[self.scene.dice.weighed(CHANCES, person.key, "turn", n)](self, person, n)

    def tell(self, person: Person) -> None:
        """What a feed knows of a patient comes with the sessions, all of them; else somebody writes the row."""
        if person.place.hands == "import" and person.visits:
            records = self.scene.records
            records.import_file(feeds.write_file(person.visits, version=records.version()), person.visits)
        else:
            self.scene.records.enter(person)

    def change_number(self, person: Person, n: int) -> None:
        """A new number; whether it comes with the patient's consent is another matter."""
        dice, key = self.scene.dice, person.key
        person.number = number_of(int(key[1:]), change=n)
        if person.place.hands == "import":
            person.paper = dice.weighed({"yes": 0.6, "ask": 0.2, "": 0.2}, key, "paper", n)
        self.tell(person)
        if dice.falls(0.6, key, "agrees again", n):
            wait = dice.often_short(MINUTE, 10 * DAY, key, "agrees when", n)
            self.scene.later(wait, lambda: self._agree(person))

    def share_number(self, person: Person, n: int) -> None:
        """The number of somebody else, at whichever clinic."""
        others = [other for other in self.everybody if other.number and other is not person]
        if person.number and others:
            person.number = self.scene.dice.pick(others, person.key, "shares with", n).number
            self.tell(person)
            self.scene.later(self.scene.dice.span(MINUTE, DAY, person.key, "agrees", n), lambda: self._agree(person))

    def lose_number(self, person: Person, n: int) -> None:
        """For a while there is none."""
        before, person.number = person.number, None
        self.scene.records.enter(person)

        def find() -> None:
            person.number = person.number or before
            self.scene.records.enter(person)

        self.scene.later(self.scene.dice.span(HOUR, 9 * DAY, person.key, "found", n), find)

    def change_language(self, person: Person, n: int) -> None:
        person.language = self.scene.dice.pick(person.place.languages, person.key, "speaks", n)
        self.tell(person)

    def move_house(self, person: Person, n: int) -> None:
        """To where the clock is another, or back."""
        person.zone = None if person.zone else self.scene.dice.pick(ABROAD, person.key, "lives in", n)
        self.scene.records.enter(person)

    def change_interval(self, person: Person, n: int) -> None:
        person.interval_weeks = self.scene.dice.pick((None, 10, 11, 13), person.key, "interval", n)
        self.scene.records.enter(person)

    def marry(self, person: Person, n: int) -> None:
        """A new name, which no text names."""
        person.last_name = f"Sample-{n} {person.last_name.rpartition(' ')[2]}"
        self.tell(person)

    def opt_out(self, person: Person, n: int) -> None:
        """The phone says so; and perhaps says later, or tells staff, that it was not meant."""
        self._say(person, STOP_WORDS, n)
        back = self.scene.dice.weighed({"phone": 0.4, "staff": 0.25, "never": 0.35}, person.key, "comes back", n)
        wait = self.scene.dice.often_short(timedelta(seconds=5), 40 * DAY, person.key, "back when", n)
        if back == "phone":
            self.scene.later(wait, lambda: self._say(person, START_WORDS, n))
        elif back == "staff":
            self.scene.later(wait + HOUR, lambda: self._agree(person))

    def tell_staff(self, person: Person, n: int) -> None:
        """No more texts, the patient says at the desk."""
        if person.number:
            self.scene.offices.say_consent(person.place, person.number, granted=False)
            if self.scene.dice.falls(0.5, person.key, "changes mind", n):
                wait = self.scene.dice.span(HOUR, 30 * DAY, person.key, "changes mind when", n)
                self.scene.later(wait, lambda: self._agree(person))

    def speak(self, person: Person, n: int) -> None:
        self._say(person, ODD_WORDS, n)

    def rest(self, person: Person, n: int) -> None:
        """Staff want no texts to the patient for some days."""
        lasts = self.scene.dice.span(HOUR, 12 * DAY, person.key, "rests", n)
        self.scene.offices.pause_patient(person, lasts=lasts, reason="in hospital")
        if self.scene.dice.falls(0.5, person.key, "rest ends early", n):
            self.scene.later(lasts / 2, lambda: self.scene.offices.resume_patient(person))

    def leave(self, person: Person, n: int) -> None:
        """To another clinic; some come back."""
        person.status = "inactive"
        self.scene.records.enter(person)
        if self.scene.dice.falls(0.6, person.key, "returns", n):
            self.scene.later(
                self.scene.dice.span(DAY, 30 * DAY, person.key, "returns when", n), lambda: self._return(person)
            )

    def _return(self, person: Person) -> None:
        if person.status == "inactive":
            person.status = "active"
            self.scene.records.enter(person)

    def die(self, person: Person, _n: int) -> None:
        person.status = "deceased"
        self.scene.records.enter(person)

    def was_mixed_up(self, person: Person, n: int) -> None:
        """A session was somebody else's all the time; a program that puts such things right writes it in the row."""
        others = [other for other in self.everybody if other.place is person.place and other.id and other is not person]
        if person.visits and others:
            visit, other = person.visits.pop(), self.scene.dice.pick(others, person.key, "mixed up with", n)
            other.visits.append(visit)
            visit.person = other
            self.scene.records.tell(visit, by="sql")

    def _say(self, person: Person, words: tuple[str, ...], n: int) -> None:
        if person.number:
            self.scene.phones.say(
                person.number, person.place.line.number, self.scene.dice.pick(words, person.key, n, *words)
            )

    def _agree(self, person: Person) -> None:
        if person.number and person.status != "deceased":
            self.scene.offices.say_consent(person.place, person.number, granted=True)


KINDS: Mapping[str, Callable[[Turns, Person, int], None]] = {
    "change_number": Turns.change_number,
    "share_number": Turns.share_number,
    "lose_number": Turns.lose_number,
    "change_language": Turns.change_language,
    "move_house": Turns.move_house,
    "change_interval": Turns.change_interval,
    "marry": Turns.marry,
    "opt_out": Turns.opt_out,
    "tell_staff": Turns.tell_staff,
    "speak": Turns.speak,
    "rest": Turns.rest,
    "leave": Turns.leave,
    "die": Turns.die,
    "was_mixed_up": Turns.was_mixed_up,
}
CHANCES: Mapping[str, float] = {
    "change_number": 0.1,
    "share_number": 0.05,
    "lose_number": 0.05,
    "change_language": 0.06,
    "move_house": 0.1,
    "change_interval": 0.06,
    "marry": 0.04,
    "opt_out": 0.09,
    "tell_staff": 0.04,
    "speak": 0.12,
    "rest": 0.08,
    "leave": 0.05,
    "die": 0.02,
    "was_mixed_up": 0.02,
}
