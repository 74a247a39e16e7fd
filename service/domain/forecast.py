"""What will go out if nothing unforeseen happens: the plan, with the conditions that are judged at sending.

For previews only. The planner leaves these conditions to the last look, because a text foreseen today may not go
out, and the next one is then needed after all.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from service.domain.case import Case, Told
from service.domain.conditions import KNOWN_WHEN_PLANNED, Circumstances, holds
from service.domain.expansion import Entry, circumstances
from service.domain.windows import local_day

NUDGE_AFTER = timedelta(hours=40)


def forecast(case: Case, entries: list[Entry], *, names_start: Callable[[Entry], bool]) -> list[Entry]:
    """``entries`` with those skipped that the texts before them make needless, as if no question were answered.

    ``names_start`` says whether an entry's text names the start of the session.
    """
    told: list[Told] = []
    counted: date | None = None
    out: dict[tuple[int | None, str], datetime] = {}
    foreseen: dict[str, Entry] = {}
    timed = ((entry.due_at, entry) for entry in entries if entry.due_at)
    for at, entry in sorted(timed, key=lambda pair: (pair[0], pair[1].step.order)):
        now = circumstances(entry.step, entry.session, case, at=at).after(told=told, last_count_day=counted)
        failed = _failed(replace(now, nudge_wanted=_nudge_wanted(entry, out, at)), entry)
        if failed is not None:
            foreseen[entry.identity] = entry.skip(f"condition:{failed}")
            continue
        out[_session_id(entry), entry.step.key] = at
        if entry.session and names_start(entry):
            told.append(Told(at=at, start=entry.session.start))
        if entry.step.counts_headache_days:
            counted = local_day(at, case.clinic.zone)
    return [foreseen.get(entry.identity, entry) for entry in entries]


def _failed(now: Circumstances, entry: Entry) -> str | None:
    asked = (name for name in entry.step.conditions if name not in KNOWN_WHEN_PLANNED)
    return next((name for name in asked if not holds(name, now)), None)


def _nudge_wanted(entry: Entry, out: Mapping[tuple[int | None, str], datetime], at: datetime) -> bool:
    asked = out.get((_session_id(entry), entry.step.nudges or ""))
    return asked is not None and at - asked >= NUDGE_AFTER


def _session_id(entry: Entry) -> int | None:
    return entry.session.id if entry.session else None
