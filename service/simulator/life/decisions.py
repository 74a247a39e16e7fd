"""What clinics, and whoever runs the service, decide from week to week: hours, plans, words, pauses, and files sent again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.simulator.acts import feeds
from service.simulator.life.scene import DAY, MINUTE, Scene
from service.simulator.people import Place, Visit

HOURS = (("09:00", "19:00"), ("10:00", "18:00"), ("08:00", "20:00"), ("09:30", "17:00"))
WORDS: Mapping[str, str] = {"en": " Thank you.", "es": " Gracias.", "tr": " Tesekkurler."}
SAFE_URGENCY = "routine"


@dataclass(slots=True)
class Decisions:
    """One decision after the other at each clinic. ``files`` are those it exported before, the oldest first."""

    scene: Scene
    visits: Callable[[Place], list[Visit]]
    files: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, place: Place) -> None:
        self._await(place, 1)
        if place.hands == "import":
            self._export(place, 1)

    def _await(self, place: Place, n: int) -> None:
        wait = self.scene.dice.span(2 * DAY, 26 * DAY, place.key, "decision", n)
        self.scene.later(wait, lambda: self._decide(place, n))

    def _decide(self, place: Place, n: int) -> None:
        self._await(place, n + 1)
        KINDS[self.scene.dice.weighed(CHANCES, place.key, "decides", n)](self, place, n)

    def change_hours(self, place: Place, n: int) -> None:
        place.opens, place.closes = self.scene.dice.pick(HOURS, place.key, "hours", n)
        self.scene.offices.change(place)

    def change_plan(self, place: Place, _n: int) -> None:
        """From the full plan to the lite one, or the other way."""
        place.plan = "lite" if place.plan == "standard" else "standard"
        self.scene.offices.change(place)

    def change_interval(self, place: Place, n: int) -> None:
        place.interval_weeks = self.scene.dice.pick((12, 12, 11, 13), place.key, "interval", n)
        self.scene.offices.change(place)

    def edit_plan(self, place: Place, n: int) -> None:
        """One step at another hour, or one that is left out from now on, or back in."""
        document = self.scene.offices.plan_of(place)
        steps = [
            s for s in document["steps"] if s["urgency"] == SAFE_URGENCY and "at" in s["offset"] and s.get("template")
        ]
        step = self.scene.dice.pick(steps, place.key, "step", n)
        if self.scene.dice.falls(0.5, place.key, "hour", n):
            step["offset"]["at"] = self.scene.dice.pick(("10:30", "12:00", "15:45"), place.key, "at", n)
        else:
            step["plans"] = [] if step["plans"] else ["standard"]
        self.scene.offices.apply_plan(place, document)

    def edit_text(self, place: Place, n: int) -> None:
        """A friendlier text."""
        texts = self.scene.offices.texts_of(place)
        key = self.scene.dice.pick(sorted(texts), place.key, "text", n)
        kinder = {language: body + WORDS[language] for language, body in texts[key].items() if language in WORDS}
        self.scene.offices.approve(place, key, kinder)

    def close(self, place: Place, n: int) -> None:
        """Nothing leaves from the clinic for some hours or days."""
        self.scene.offices.pause_clinic(place, "water in the cellar")
        lasts = self.scene.dice.often_short(30 * MINUTE, 4 * DAY, place.key, "closed", n)
        self.scene.later(lasts, lambda: self.scene.offices.resume_clinic(place))

    def stop_line(self, place: Place, n: int) -> None:
        """Nothing leaves from the clinic's sender, whoever else shares it."""
        self.scene.offices.pause_line(place.line, "number under review")
        lasts = self.scene.dice.often_short(20 * MINUTE, 2 * DAY, place.key, "line stopped", n)
        self.scene.later(lasts, lambda: self.scene.offices.resume_line(place.line))

    def stop_all(self, place: Place, n: int) -> None:
        self.scene.offices.pause_all("drill")
        lasts = self.scene.dice.often_short(5 * MINUTE, DAY, place.key, "all stopped", n)
        self.scene.later(lasts, self.scene.offices.resume_all)

    def _export(self, place: Place, n: int) -> None:
        """At night a file with everything; now and then the same one twice, or an old one once more."""
        self.scene.later(
            self.scene.dice.span(4 * DAY, 10 * DAY, place.key, "export", n), lambda: self._export(place, n + 1)
        )
        visits, records, older = self.visits(place), self.scene.records, self.files.setdefault(place.key, [])
        if not visits:
            return
        now = feeds.write_file(visits, version=records.version())
        match self.scene.dice.weighed({"whole": 0.5, "twice": 0.3, "old": 0.2}, place.key, "exports", n):
            case "whole":
                records.import_file(now, visits, complete=True)
            case "twice":
                records.import_file(now, visits)
                records.import_file(now, visits)
            case _:
                records.import_file(older[-1] if older else now, visits)
        older.append(now)


KINDS: Mapping[str, Callable[[Decisions, Place, int], None]] = {
    "change_hours": Decisions.change_hours,
    "change_plan": Decisions.change_plan,
    "change_interval": Decisions.change_interval,
    "edit_plan": Decisions.edit_plan,
    "edit_text": Decisions.edit_text,
    "close": Decisions.close,
    "stop_line": Decisions.stop_line,
    "stop_all": Decisions.stop_all,
}
CHANCES: Mapping[str, float] = {
    "change_hours": 0.2,
    "change_plan": 0.06,
    "change_interval": 0.06,
    "edit_plan": 0.2,
    "edit_text": 0.2,
    "close": 0.1,
    "stop_line": 0.1,
    "stop_all": 0.08,
}
