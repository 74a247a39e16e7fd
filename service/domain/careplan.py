"""A care plan as data: its steps, rules, windows and caps. No step is known to the code by its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

from service.domain.windows import Window


class Anchor(StrEnum):
    """The event that a step's time counts from."""

    PATIENT_ADDED = "patient_added"
    CONSENTED = "consented"
    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    SESSION_START = "session_start"
    COMPLETED = "completed"
    DUE = "due"


OF_PATIENT = frozenset({Anchor.PATIENT_ADDED, Anchor.CONSENTED})
"""Anchors of a person; all others are of a session."""


class Urgency(StrEnum):
    """How pressing a text is, and so which rules may hold it back."""

    SAFETY = "safety"
    """Answers to alarming texts: outside windows and caps."""
    REPLY = "reply"
    """Direct answers to a text: outside windows and caps."""
    CARE = "care"
    """Aftercare of the day: the step's own window, never held by a cap."""
    ROUTINE = "routine"
    """Everything else that is planned."""

    @property
    def priority(self) -> int:
        """0 goes first."""
        return {Urgency.SAFETY: 0, Urgency.REPLY: 0, Urgency.CARE: 1, Urgency.ROUTINE: 2}[self]


class Late(StrEnum):
    """What happens to a step whose time has passed when its event becomes known."""

    SKIP = "skip"
    SEND_NOW = "send_now"
    NEXT_WINDOW = "next_window"


@dataclass(frozen=True, slots=True)
class Minutes:
    """Exact minutes from the anchor, real minutes on nights when the clock changes, too."""

    minutes: int


@dataclass(frozen=True, slots=True)
class DaysAt:
    """That many calendar days from the anchor's day in the clinic's zone, at a time on its wall clock."""

    days: int
    at: time


@dataclass(frozen=True, slots=True)
class Evening:
    """The later of 20:00 on the day of completion and two hours after it; after 20:45 not at all."""


@dataclass(frozen=True, slots=True)
class CareDayEnd:
    """21:00 on the day of completion, clinic zone."""


Offset = Minutes | DaysAt | Evening


@dataclass(frozen=True, slots=True)
class UselessAfter:
    """From when on a text is no use any more, counted from an anchor of its own."""

    anchor: Anchor
    offset: Minutes | DaysAt | CareDayEnd


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan: a text to the patient, or a task for staff where ``template`` is None."""

    key: str
    order: int
    title: str
    anchor: Anchor
    offset: Offset
    window: Window
    urgency: Urgency
    useless_after: UselessAfter | None
    conditions: tuple[str, ...]
    late: Late
    expects: str
    template: str | None
    plans: frozenset[str]
    counts_in_n_msgs: bool = False
    fixed: bool = False
    on_missed_task: bool = False
    again_after_move: bool = False
    direct_reply_if_texted: bool = False
    nudges: str | None = None
    after_step: tuple[str, ...] = ()
    variants: Mapping[str, str] | None = None
    note: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the patient gets something."""
        return self.template is not None

    @property
    def asks_number(self) -> bool:
        """Whether the answer is a number, so that the step is no use while answers are not understood."""
        return self.expects.startswith(("choice_", "int_"))

    @property
    def counts_headache_days(self) -> bool:
        """Whether it is a headache-day question of its own, not the repetition of one."""
        return self.expects == "int_0_28" and self.nudges is None

    @property
    def needs_consent(self) -> bool:
        """Only the request for consent goes out without one."""
        return "no_consent" not in self.conditions

    @property
    def counts_for_day(self) -> bool:
        """Whether it takes the one place for a planned text that a day has; the welcome does not."""
        return self.is_text and not self.direct_reply_if_texted

    def template_for(self, privacy: str) -> str | None:
        """The text for a patient's privacy level."""
        return (self.variants or {}).get(privacy, self.template)


@dataclass(frozen=True, slots=True)
class Rule:
    """One aftercare rule; ``duration`` None: the first night."""

    key: str
    duration: timedelta | None
    phrases: Mapping[str, str]
    in_allclear: bool
    carried_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Caps:
    """How many texts a patient gets at the most, and which texts stand outside."""

    per_24h: int
    per_7d: int
    outside: frozenset[str]


@dataclass(frozen=True, slots=True)
class CarePlan:
    """Everything a plan file says that planning and sending need."""

    steps: tuple[Step, ...]
    plans: tuple[str, ...]
    rules: tuple[Rule, ...]
    caps: Caps
    max_lengths: Mapping[str, int]
    keywords: Mapping[str, frozenset[str]]
    safety_phrases: Mapping[str, Mapping[str, str]]

    def step(self, key: str | None) -> Step | None:
        """The step of that key, or None if this plan has no such step."""
        return next((step for step in self.steps if step.key == key), None)

    def n_msgs(self, plan: str) -> int:
        """About how many texts one session brings."""
        return sum(step.counts_in_n_msgs for step in self.steps if plan in step.plans)
