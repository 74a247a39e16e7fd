"""A care plan as its file says it, read once more and by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.simulator.judge.facts import hours_of
from service.simulator.judge.walls import Hours

OF_PATIENT = frozenset({"patient_added", "consented"})
"""Anchors that hang on no session."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """``offset`` and ``useless`` stand as in the file; ``order`` is the place in it."""

    key: str
    order: int
    is_text: bool
    anchor: str
    offset: Any
    hours: Hours
    care: bool
    useless: Mapping[str, Any] | None
    conditions: tuple[str, ...]
    late: str
    expects: str
    template: str | None
    plans: frozenset[str]
    fixed: bool
    on_missed: bool
    again: bool
    direct: bool
    nudges: str | None
    after: tuple[str, ...]
    variants: Mapping[str, str]

    @property
    def of_patient(self) -> bool:
        return self.anchor in OF_PATIENT

    @property
    def asks_number(self) -> bool:
        """Whether a number is the answer."""
        return self.expects.startswith(("choice_", "int_"))

    @property
    def counts_headaches(self) -> bool:
        """A headache-day question; one that only repeats another does not count."""
        return self.expects == "int_0_28" and self.nudges is None

    @property
    def takes_a_day(self) -> bool:
        """Answers, safety texts and the welcome do not count for the day."""
        return self.is_text and not self.direct

    @property
    def needs_consent(self) -> bool:
        return self.is_text and "no_consent" not in self.conditions


@dataclass(frozen=True, slots=True)
class Rule:
    """An aftercare rule; ``hours`` None: the first night."""

    key: str
    hours: float | None
    words: Mapping[str, str]
    in_allclear: bool
    carried_by: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]
    counted: Mapping[str, int]
    per_day: int
    per_week: int
    keywords: Mapping[str, frozenset[str]]
    answer_minutes: int

    def step(self, key: str | None) -> Step | None:
        return next((step for step in self.steps if step.key == key), None)


def read_plan(document: Mapping[str, Any]) -> Plan:
    """The plan in a file of the shape that the service ships."""
    steps = tuple(_step(order, step) for order, step in enumerate(document["steps"]))
    counted = {
        name: sum(bool(step.get("counts_in_n_msgs")) for step in document["steps"] if name in step["plans"])
        for name in document["plans"]
    }
    return Plan(
        steps=steps,
        rules=tuple(_rule(rule) for rule in document["rules"]),
        counted=counted,
        per_day=document["caps"]["per_patient_24h"],
        per_week=document["caps"]["per_patient_7d"],
        keywords={kind: frozenset(words) for kind, words in document["keywords"].items() if kind != "note"},
        answer_minutes=document["questions"]["answer_ttl_minutes"],
    )


def _step(order: int, step: Mapping[str, Any]) -> Step:
    return Step(
        key=step["key"],
        order=order,
        is_text=step["kind"] == "text",
        anchor=step["anchor"],
        offset=step["offset"],
        hours=hours_of(step["window"]),
        care=step["urgency"] == "care",
        useless=step["useless_after"],
        conditions=tuple(step["condition"]),
        late=step["late_booking"],
        expects=step["expects"],
        template=step["template"],
        plans=frozenset(step["plans"]),
        fixed=bool(step.get("fixed")),
        on_missed=step.get("on_missed") == "staff_task",
        again=bool(step.get("again_after_move")),
        direct=bool(step.get("direct_reply_if_texted")),
        nudges=step.get("nudges"),
        after=tuple(step.get("after_step", ())),
        variants=step.get("variants") or {},
    )


def _rule(rule: Mapping[str, Any]) -> Rule:
    return Rule(
        key=rule["key"],
        hours=rule["duration_h"],
        words={language: rule[language] for language in ("en", "es", "tr") if language in rule},
        in_allclear=bool(rule["in_allclear"]),
        carried_by=frozenset(rule["carried_by"]),
    )
