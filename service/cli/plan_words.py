"""A care plan in words: one row a step, for whoever has to agree to it."""

from typing import Any, assert_never

from service.domain.careplan import CareDayEnd, DaysAt, Evening, Minutes, Offset, Step, UselessAfter

HEADINGS = ("Step", "From", "When", "Hours", "No use after", "Only if", "If late", "Text", "Plans")


def row(step: Step) -> tuple[Any, ...]:
    """What the table says of a step."""
    return (
        step.key,
        step.anchor,
        _when(step.offset),
        f"{step.window.opens:%H:%M}-{step.window.closes:%H:%M}",
        _until(step.useless_after),
        ", ".join(step.conditions),
        step.late,
        step.template or f"task: {step.title}",
        ", ".join(sorted(step.plans)) or "off",
    )


def _when(offset: Offset | CareDayEnd) -> str:
    match offset:
        case Minutes(minutes):
            return f"{minutes:+d} min"
        case DaysAt(days, at):
            return f"{days:+d} d {at:%H:%M}"
        case Evening():
            return "evening"
        case CareDayEnd():
            return "21:00 that day"
        case _:
            assert_never(offset)


def _until(useless: UselessAfter | None) -> str:
    return "" if useless is None else f"{useless.anchor} {_when(useless.offset)}"
