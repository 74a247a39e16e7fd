"""What a text from a phone means, as far as the plan's own lists of words say it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.simulator.judge.facts import Break, Refusal, Said, Take
from service.simulator.judge.plan import Plan
from service.simulator.judge.transcript import Transcript
from service.simulator.judge.words import bare_word, is_one_of

ANSWER_CLOCKS = timedelta(minutes=2)
"""Of two texts said within two minutes nobody knows for sure which came first: a network's clock is not ours."""
CONFIRMING = frozenset(
    {"c", "t", "confirm", "confirmo", "yes", "ok", "si", "evet", "tamam", "y", "yep", "yeah", "okay"}
)
"""Words that may confirm a session where one was asked about."""
NOT_ASKING = frozenset({"none", "free"})


@dataclass(frozen=True, slots=True)
class Reading:
    """``kind``: stop, help, start, consent, perhaps_consent, perhaps_confirm or other; ``clinics`` those consented to."""

    kind: str
    clinics: tuple[str, ...] = ()


class Hearing:
    """The meaning of every text from a phone, with what that phone had been asked before."""

    def __init__(self, told: Transcript) -> None:
        self._told = told
        self._of_number: defaultdict[str, list[Said]] = defaultdict(list)
        for said in told.said:
            self._of_number[said.number].append(said)
        self._taken: defaultdict[str, list[Take]] = defaultdict(list)
        for take in told.takes:
            self._taken[take.number].append(take)
        self._in_dead_hands = self._perhaps_asked()
        self._readings: dict[int, Reading] = {}

    def of_number(self, number: str) -> list[Said]:
        """Everything that phone said."""
        return self._of_number[number]

    def reading(self, said: Said) -> Reading:
        """What it means. Opt-out and help come first, then START, then what was asked."""
        if said.no not in self._readings:
            self._readings[said.no] = self._read(said)
        return self._readings[said.no]

    def _read(self, said: Said) -> Reading:
        plans = list(self._plans(said.at))
        for kind in ("stop", "help"):
            if any(is_one_of(said.body, plan.keywords[kind]) for plan in plans):
                return Reading(kind)
        asking = [take for take, expects in self._questions(said) if expects == "yes_stop"]
        if any(is_one_of(said.body, plan.keywords["start"]) for plan in plans):
            return self._consent(said, asking, "start")
        if any(is_one_of(said.body, plan.keywords["start_in_context"]) for plan in plans) and asking:
            return self._consent(said, asking, "perhaps_consent")
        if bare_word(said.body) in CONFIRMING and (self._questions(said) or said.number in self._in_dead_hands):
            return Reading("perhaps_confirm")
        return Reading("other")

    def _consent(self, said: Said, asking: list[Take], otherwise: str) -> Reading:
        """A yes to the one request for consent that is open, if it is the only question the word may answer."""
        open_ones = {self._clinic(take): take for take in asking if said.at - take.at <= self._patience(take)}
        others = [take for take, expects in self._questions(said) if expects == "confirm_change"]
        if len(open_ones) == 1 and len(asking) == 1 and not others:
            return Reading("consent", tuple(open_ones))
        if otherwise == "perhaps_consent" and not open_ones and not others:
            return Reading("other")
        return Reading(otherwise)

    def _perhaps_asked(self) -> set[str | None]:
        """Numbers of texts that died in a worker's hands: the service can not know that nobody was asked by them."""
        told = self._told
        handed_over: tuple[Take | Refusal | Break, ...] = (*told.takes, *told.refusals, *told.breaks)
        seen = Counter(each.label for each in handed_over)
        return {row.to_number for row in told.rows if row.attempts > seen[row.label]}

    def _plans(self, at: datetime) -> Iterable[Plan]:
        yield from (plan for history in self._told.plans.values() if (plan := history.at(at) or history.last))

    def _clinic(self, take: Take) -> str:
        row = self._told.patients[take.label.patient or ""].at(take.at)
        return row.clinic if row else ""

    def _patience(self, take: Take) -> timedelta:
        plan = self._told.plans[self._clinic(take)].at(take.at)
        return timedelta(minutes=plan.answer_minutes if plan else 0)

    def _questions(self, said: Said) -> list[tuple[Take, str]]:
        """The last question to each patient on that phone from that sender, before it spoke."""
        last: dict[str | None, tuple[Take, str]] = {}
        for take in self._taken[said.number]:
            if take.at <= said.at and take.sender == said.to and take.label.step is not None:
                plan = self._told.plans[self._clinic(take)].at(take.at)
                step = plan.step(take.label.step) if plan else None
                if step is not None and step.expects not in NOT_ASKING:
                    last[take.label.patient] = (take, step.expects)
        return list(last.values())
