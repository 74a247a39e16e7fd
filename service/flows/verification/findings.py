"""What proving comes to: the rules, how many things each looked at, and every promise that was broken."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum


class Rule(StrEnum):
    """The promises, by the names that the outside knows."""

    SENT_TWICE = "sent_twice"
    SENT_AFTER_OPT_OUT = "sent_after_opt_out"
    SENT_WITHOUT_CONSENT = "sent_without_consent"
    SENT_AFTER_WITHDRAWAL = "sent_after_withdrawal"
    SENT_AFTER_EXPIRY = "sent_after_expiry"
    SENT_OUTSIDE_WINDOW = "sent_outside_window"
    SENT_OVER_CAP = "sent_over_cap"
    UNAPPROVED_TEXT = "unapproved_text"
    AFTERCARE_MISSING = "aftercare_missing"
    STATE_WITHOUT_STORY = "state_without_story"
    TWO_REPLIES_TO_ONE_TEXT = "two_replies_to_one_text"


class Answer(Enum):
    """What a rule says of one thing where nothing is wrong: the promise was kept, or the rule is not about it."""

    KEPT = "kept"
    NOT_ASKED = "not asked"


KEPT, NOT_ASKED = Answer.KEPT, Answer.NOT_ASKED
Judgement = str | Answer
"""Words are what is wrong: a sentence for people, without names, words of texts or whole numbers."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    rule: Rule
    message_id: int | None
    session_id: int | None
    detail: str


@dataclass(slots=True)
class Findings:
    """How many things each rule looked at, and what it found."""

    checked: Counter[Rule] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def note(self, rule: Rule, found: Judgement, *, message_id: int | None, session_id: int | None) -> None:
        """Take in what a rule says of one thing."""
        if found is NOT_ASKED:
            return
        self.checked[rule] += 1
        if isinstance(found, str):
            self.violations.append(Violation(rule, message_id, session_id, found))

    def note_all(self, rule: Rule, found: Iterable[Violation], *, looked_at: int) -> None:
        """Take in what a rule says of several things at once."""
        self.checked[rule] += looked_at
        self.violations.extend(found)

    def in_order(self) -> list[Violation]:
        """What was broken, by rule, then by message and session."""
        order = {rule: n for n, rule in enumerate(Rule)}
        return sorted(self.violations, key=lambda v: (order[v.rule], v.message_id or 0, v.session_id or 0))


def moment(at: datetime) -> str:
    """A moment as people read it in a finding."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
