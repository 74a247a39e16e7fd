"""Reading a plan file: from JSON values to a :class:`CarePlan`, or one sentence per fault."""

from collections.abc import Callable, Iterable, Mapping
from datetime import time, timedelta
from typing import Any, TypeVar

from service.domain.careplan import (
    OF_PATIENT,
    Anchor,
    Caps,
    CareDayEnd,
    CarePlan,
    DaysAt,
    Evening,
    Late,
    Minutes,
    Offset,
    Rule,
    Step,
    Urgency,
    UselessAfter,
)
from service.domain.conditions import CONDITIONS, OF_THE_PATIENT
from service.domain.errors import AftercareError
from service.domain.windows import Window

Part = TypeVar("Part", Step, Rule)

PARTS = ("plans", "steps", "rules", "caps", "variables", "keywords", "safety_phrases")


class PlanError(AftercareError):
    """The plan can not be used; ``faults`` says where and why, one sentence each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The plan can not be used; the one in use stays. " + " ".join(self.faults))


def read_plan(document: Mapping[str, Any]) -> CarePlan:
    """The plan in ``document`` (the shape of the shipped ``care_plan.json``); raises :class:`PlanError`."""
    faults = [f"The part {part!r} is missing." for part in PARTS if part not in document]
    plans = tuple(document.get("plans", {}))
    steps = _collect(faults, "step", document.get("steps", []), _step)
    rules = _collect(faults, "rule", document.get("rules", []), lambda raw, _: _rule(raw))
    faults.extend(_cross_faults(steps, plans))
    if faults:
        raise PlanError(faults)
    caps = document["caps"]
    return CarePlan(
        steps=steps,
        plans=plans,
        rules=rules,
        caps=Caps(caps["per_patient_24h"], caps["per_patient_7d"], frozenset(caps["outside_every_cap"])),
        max_lengths={variable["name"]: variable["max_length"] for variable in document["variables"]},
        keywords={kind: frozenset(words) for kind, words in document["keywords"].items() if kind != "note"},
        safety_phrases=document["safety_phrases"],
    )


def _collect(
    faults: list[str], kind: str, raws: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any], int], Part]
) -> tuple[Part, ...]:
    found = []
    for i, raw in enumerate(raws):
        try:
            found.append(read(raw, i))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            key = raw.get("key") if isinstance(raw, dict) else None
            faults.append(f"{kind.capitalize()} {repr(key) if key else i + 1}: {missing}.")
    return tuple(found)


def _cross_faults(steps: tuple[Step, ...], plans: tuple[str, ...]) -> Iterable[str]:
    keys = [step.key for step in steps]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"Step {key!r} stands there more than once."
    for i, step in enumerate(steps):
        for other in (*step.after_step, *([step.nudges] if step.nudges else [])):
            if other not in keys[:i]:
                yield f"Step {step.key!r} refers to step {other!r}, which does not stand before it."
        for plan in sorted(step.plans - set(plans)):
            yield f"Step {step.key!r} is on in plan {plan!r}, which is not there."
        yield from _own_faults(step)


def _own_faults(step: Step) -> Iterable[str]:
    end = step.useless_after
    if end is not None and end.anchor not in _known_with(step.anchor):
        yield f"Step {step.key!r}: {end.anchor} may not be known when {step.anchor} is, so it might never expire."
    if step.urgency not in (Urgency.CARE, Urgency.ROUTINE):
        yield f"Step {step.key!r}: a planned step is care or routine, not {step.urgency}."
    for name in step.conditions:
        if step.anchor in OF_PATIENT and name not in OF_THE_PATIENT:
            yield f"Step {step.key!r}: condition {name!r} is about a session, and {step.anchor} is about none."


def _known_with(anchor: Anchor) -> frozenset[Anchor]:
    """The anchors that are certain to be known of a step that hangs on ``anchor``."""
    if anchor in OF_PATIENT:
        return frozenset({anchor})
    done = frozenset({Anchor.COMPLETED, Anchor.DUE})
    return frozenset({anchor, Anchor.SESSION_START}) | (done if anchor in done else frozenset())


def _step(raw: Mapping[str, Any], order: int) -> Step:
    unknown = [name for name in raw["condition"] if name not in CONDITIONS]
    if unknown:
        raise ValueError(f"condition {unknown[0]!r} is not known; known are {', '.join(sorted(CONDITIONS))}")
    anchor = Anchor(raw["anchor"])
    is_task = raw["kind"] == "staff_task"
    if not is_task and raw["useless_after"] is None:
        raise ValueError("a text needs a useless_after")
    return Step(
        key=raw["key"],
        order=order,
        title=raw["title"],
        anchor=anchor,
        offset=_offset(raw["offset"]),
        window=window(raw["window"]["from"], raw["window"]["to"]),
        urgency=Urgency(raw["urgency"]),
        useless_after=_useless_after(raw["useless_after"]),
        conditions=tuple(raw["condition"]),
        late=Late(raw["late_booking"]),
        expects=raw["expects"],
        template=None if is_task else raw["template"],
        plans=frozenset(raw["plans"]),
        counts_in_n_msgs=raw.get("counts_in_n_msgs", False),
        fixed=raw.get("fixed", False),
        on_missed_task=raw.get("on_missed") == "staff_task",
        again_after_move=raw.get("again_after_move", is_task and anchor is Anchor.SESSION_START),
        direct_reply_if_texted=raw.get("direct_reply_if_texted", False),
        nudges=raw.get("nudges"),
        after_step=tuple(raw.get("after_step", ())),
        variants=raw.get("variants"),
        note=raw.get("note", ""),
    )


def _offset(raw: Mapping[str, Any] | str) -> Offset:
    if raw == "evening":
        return Evening()
    if isinstance(raw, str):
        raise ValueError(f"offset {raw!r} is not known")  # noqa: TRY004 -- the value is wrong, not its type
    return _duration(raw)


def _duration(raw: Mapping[str, Any]) -> Minutes | DaysAt:
    if "minutes" in raw:
        return Minutes(int(raw["minutes"]))
    return DaysAt(int(raw["days"]), _clock_time(raw["at"]))


def _useless_after(raw: Mapping[str, Any] | None) -> UselessAfter | None:
    if raw is None:
        return None
    if "rule" in raw:
        if raw["rule"] != "care_day_end":
            raise ValueError(f"useless_after rule {raw['rule']!r} is not known")
        return UselessAfter(Anchor.COMPLETED, CareDayEnd())
    return UselessAfter(Anchor(raw["from"]), _duration(raw))


def _rule(raw: Mapping[str, Any]) -> Rule:
    hours = raw["duration_h"]
    return Rule(
        key=raw["key"],
        duration=None if hours is None else timedelta(hours=hours),
        phrases={name: value for name, value in raw.items() if len(name) == 2 and isinstance(value, str)},
        in_allclear=raw["in_allclear"],
        carried_by=tuple(raw["carried_by"]),
    )


def window(opens: str, closes: str) -> Window:
    """A window from two ``HH:MM`` texts."""
    found = Window(_clock_time(opens), _clock_time(closes))
    if found.opens >= found.closes:
        raise ValueError(f"a window from {opens} to {closes} is never open")
    return found


def _clock_time(text: str) -> time:
    """Whole minutes without a zone: a window is then open for a minute at least, and every zone can place the time."""
    found = time.fromisoformat(text)
    if found.tzinfo or found.second or found.microsecond:
        raise ValueError(f"{text!r} is no time of day like 09:00")
    return found
