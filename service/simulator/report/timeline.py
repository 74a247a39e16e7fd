"""A patient's life as a drawing: three lanes, each mark with room of its own, long empty stretches drawn short."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from math import log2

from service.simulator.report.lives import Life, Mark

LEFT, RIGHT, TOP = 92.0, 90.0, 34.0
LANES = {"session": 22.0, "text": 118.0, "phone": 160.0, "fault": 200.0}
"""How far below the top each lane lies: above the texts there is room for their names."""
BOTTOM = TOP + 222
NAMES = {"session": "Sessions", "text": "Texts", "phone": "Phone", "fault": "Violations"}
LEAST_GAP, PER_DOUBLING = 15.0, 9.0
"""Pixels between two marks: so many, and so many more each time the hours between them double."""
HEIGHT = BOTTOM + 14
RADIUS = 6.0
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where moments lie; between two marks evenly."""

    moments: Sequence[datetime]
    places: Sequence[float]

    def x(self, moment: datetime) -> float:
        """Pixels from the left edge; what lies outside lies at the end."""
        if moment <= self.moments[0]:
            return self.places[0]
        for place, after in enumerate(self.moments[1:], start=1):
            if moment <= after:
                before, left = self.moments[place - 1], self.places[place - 1]
                return left + (self.places[place] - left) * ((moment - before) / (after - before))
        return self.places[-1]


def scale_of(marks: Sequence[Mark]) -> Scale:
    """A scale with room for every mark; those of one moment share a place."""
    moments = sorted({mark.at for mark in marks})
    places = [LEFT]
    for before, after in pairwise(moments):
        places.append(places[-1] + LEAST_GAP + PER_DOUBLING * log2(1 + (after - before) / HOUR))
    return Scale(moments, places)


def draw(life: Life) -> str:
    """The drawing as SVG; an empty one for a patient to whom nothing happened."""
    if not life.marks:
        return ""
    scale = scale_of(life.marks)
    width = scale.places[-1] + RIGHT
    says = f"Timeline of {life.patient}: {len(life.marks)} events, {len(life.violations)} violations"
    size = f'viewBox="0 0 {width:.0f} {HEIGHT:.0f}" width="{width:.0f}" height="{HEIGHT:.0f}"'
    parts = [
        f'<svg {size} role="img" aria-label="{escape(says)}" xmlns="http://www.w3.org/2000/svg">',
        *_shades(life, scale),
        *_lanes(width),
        *_days(life, scale),
        *(_mark(mark, scale) for mark in life.marks),
        "</svg>",
    ]
    return "\n".join(parts)


def _lanes(width: float) -> Iterator[str]:
    for lane in LANES:
        y = _y(lane)
        yield f'<line class="lane" x1="{LEFT - 10:.0f}" x2="{width - 10:.0f}" y1="{y:.0f}" y2="{y:.0f}"/>'
        yield f'<text class="name" x="8" y="{y + 4:.0f}">{NAMES[lane]}</text>'


def _y(lane: str) -> float:
    return TOP + LANES[lane]


def _shades(life: Life, scale: Scale) -> Iterator[str]:
    """Trouble and pauses, as far as anything of the patient lies near."""
    first, last = scale.moments[0], scale.moments[-1]
    for span in life.spans:
        if span.end < first or span.start > last:
            continue
        left, right = scale.x(span.start), scale.x(span.end)
        title = f"{span.title}, {_wall(life, span.start)} to {_wall(life, span.end)}"
        yield (
            f'<rect class="trouble" x="{left:.1f}" y="{TOP:.0f}" width="{max(right - left, 2):.1f}"'
            f' height="{BOTTOM - TOP:.0f}"><title>{escape(title)}</title></rect>'
        )


def _days(life: Life, scale: Scale) -> Iterator[str]:
    """The date at the first mark of a day, where there is room for it."""
    shown, free_from = None, 0.0
    for moment, x in zip(scale.moments, scale.places, strict=True):
        day = moment.astimezone(life.zone).date()
        if day != shown and x >= free_from:
            shown, free_from = day, x + 48
            yield f'<line class="day" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8:.0f}" y2="{BOTTOM:.0f}"/>'
            yield f'<text class="date" x="{x:.1f}" y="{TOP - 14:.0f}">{day:%d %b}</text>'


def _mark(mark: Mark, scale: Scale) -> str:
    x, y = scale.x(mark.at), _y(mark.lane)
    title = escape(f"{mark.title} {mark.at:%Y-%m-%d %H:%M:%S} UTC\n{mark.detail}\n{mark.said}".strip())
    style = escape(f"mark {mark.lane} {mark.sort}", quote=True)
    return f'<g class="{style}">{_shape(mark, x, y)}{_name(mark, x, y)}<title>{title}</title></g>'


def _name(mark: Mark, x: float, y: float) -> str:
    """Texts are named at their mark, slanting up."""
    if mark.lane != "text":
        return ""
    left, bottom = x + 4, y - RADIUS - 4
    name = escape(mark.title.partition(": ")[2])
    return f'<text class="step" transform="translate({left:.1f} {bottom:.1f}) rotate(-45)">{name}</text>'


def _shape(mark: Mark, x: float, y: float) -> str:
    r = RADIUS
    match mark.lane:
        case "session":
            return f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r:.0f}" height="{2 * r:.0f}" rx="2"/>'
        case "fault":
            corners = ((x, y - r - 2), (x + r + 2, y + r), (x - r - 2, y + r))
            return f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}"/>'
        case _:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.0f}"/>'


def _wall(life: Life, moment: datetime) -> str:
    return f"{moment.astimezone(life.zone):%d %b %H:%M}"
