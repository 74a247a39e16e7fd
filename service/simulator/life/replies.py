"""What people text back when a text of ours reaches them: mostly nothing, often what was asked, at times something else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from service.simulator.life.scene import DAY, Scene
from service.simulator.network.carrier import Taken

BODIES: Mapping[str, float] = {
    "C": 0.2,
    "c": 0.05,
    "1": 0.12,
    "2": 0.05,
    "3": 0.04,
    "0": 0.02,
    "12": 0.08,
    "28": 0.02,
    "YES": 0.1,
    "evet": 0.02,
    "No": 0.04,
    "CHANGE": 0.05,
    "BOOK": 0.05,
    "STOP": 0.02,
    "DUR": 0.01,
    "START": 0.02,
    "HELP": 0.02,
    "ok thanks!": 0.05,
    "llámenme por favor": 0.02,
}


@dataclass(frozen=True, slots=True)
class Replies:
    """``share`` of all texts that reach a phone are answered."""

    scene: Scene
    share: float = 0.3

    def to(self, taken: Taken) -> None:
        """Perhaps somebody answers, in a minute or in three days."""
        sms, dice = taken.text.text, self.scene.dice
        what = (taken.label, sms.attempt)
        if taken.text.code is None and dice.falls(self.share, what, "answers"):
            wait = dice.often_short(timedelta(seconds=8), 3 * DAY, what, "answers when")
            body = dice.weighed(BODIES, what, "says")
            to = sms.sender.number or ""
            self.scene.later(wait, lambda: self.scene.phones.say(sms.to, to, body))
