"""Whether the service's books are true: every text known for what became of it, every gap explained, every doubt with a person."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta

from service.simulator.judge.codes import AGAIN
from service.simulator.judge.epochs import Story
from service.simulator.judge.facts import Label, Row, Take
from service.simulator.judge.owed import PROMPT, Debt, debts, labels
from service.simulator.judge.plan import Step
from service.simulator.judge.reasons import excuses, in_doubt, is_true_at_all
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.world import World

NOT_GONE = frozenset({"planned", "cancelled", "missed"})
SETTLED = timedelta(minutes=10)
"""A claim is stale after 45 s and its doubt put before somebody at 2 x 90 s, each noticed by a tick of 30 s: with a margin."""
REPORTED = timedelta(hours=24)
"""A report that found the door closed is fetched by polling, which comes by ever more rarely: at least each six hours."""
DAY = timedelta(hours=20)


def judge_books(world: World) -> Iterator[Violation]:
    """What the rows say of texts to anybody, held against what the network took."""
    for label, takes in world.takes.items():
        if label not in world.rows:
            yield _wrong(
                world, label, "unknown_text", f"the network took it at {utc(takes[-1].at)}, and there is no row of it"
            )
    for row in world.told.rows:
        takes = world.takes.get(row.label, [])
        for rule, detail in (*_state(world, row, takes), *_doubt(world, row, takes)):
            yield _wrong(world, row.label, rule, detail)


def judge_debts(world: World, story: Story) -> Iterator[Violation]:
    """Texts that were owed and did not leave in time."""
    for debt in debts(world, story):
        session, step, _ = debt.key
        late = [t.take.at for t in story.taken if t.key[:2] == debt.key[:2] and t.take.at > debt.by]
        rows = [world.rows[label] for label in labels(world, story.patient, debt.key)]
        if any(excuses(world, debt, row) for row in rows):
            continue
        if late:
            detail = f"due {utc(debt.due)}, to leave by {utc(debt.by)}, it left {late[0] - debt.by} later"
            yield Violation("late", story.patient, session, step, late[0], detail)
        else:
            yield Violation("missing", story.patient, session, step, debt.by, _missing(debt, rows))


def _missing(debt: Debt, rows: list[Row]) -> str:
    said = "; ".join(f"{row.state} {row.reason or row.held_reason or ''}".strip() for row in rows)
    return f"due {utc(debt.due)}, it never left, and the service says: {said or 'nothing, there is no row'}"


def judge_reasons(world: World, story: Story, family: Mapping[str, Story]) -> Iterator[Violation]:
    """Rows of the patient that did not leave: each reason must be true, and staff told where the plan says so.

    ``family`` are the stories of all to whom sessions of the patient ever belonged.
    """
    unsent: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in world.unsent_of.get(story.patient, ()):
        unsent[row.label.session].append(row)
    for session, rows in unsent.items():
        owners = {visit.patient for _, visit in world.visits.get(session or "", ())} | {story.patient}
        stories = [family[owner] for owner in owners if owner in family]
        for row in rows:
            if row.state in {"cancelled", "missed"} and not any(is_true_at_all(world, one, row) for one in stories):
                yield _wrong(
                    world, row.label, "untrue_reason", f"{row.state} because of {row.reason!r}, which never was so"
                )
        yield from _staff_told(world, story, session, rows)


def _staff_told(world: World, story: Story, session: str | None, rows: list[Row]) -> Iterator[Violation]:
    """Where a text that matters was missed, the plan wants a person to phone."""
    steps = {step.key: step for epoch in story.epochs for step in epoch.case.plan.steps}
    missed = [row for row in rows if _wants_phoning(world, steps.get(row.label.step or ""), row)]
    told = [task for task in world.tasks_of.get(session, ()) if task.kind == "missed_text"]
    if len(told) < len(missed):
        kinds = ", ".join(sorted({row.label.step or "" for row in missed}))
        detail = f"{len(missed)} missed ({kinds}), and {len(told)} tasks to phone"
        yield _wrong(world, missed[0].label, "staff_not_told", detail)


def _wants_phoning(world: World, step: Step | None, row: Row) -> bool:
    if step is None or not step.on_missed:
        return False
    if row.state == "undelivered":
        # The report came at the latest with the next polling.
        reports = [report.at for report in world.reports[row.label]]
        return bool(reports) and reports[-1] + REPORTED < world.last
    return row.state == "missed"


def _state(world: World, row: Row, takes: list[Take]) -> Iterator[tuple[str, str]]:
    reports = {report.state for report in world.reports[row.label]}
    if takes:
        yield from _of_taken(world, row, takes[-1])
    elif row.state in {"sent", "delivered", "undelivered"}:
        yield "never_taken", f"it is called {row.state}, and the network never took it"
    if row.state == "delivered" and "delivered" not in reports:
        yield "untrue_state", "it is called delivered, and the network never said so"
    if row.state == "undelivered" and not reports & {"undelivered", "failed"}:
        yield "untrue_state", "it is called undelivered, and the network never said so"
    refused = any(refusal.code not in AGAIN for refusal in world.refusals[row.label])
    if row.state == "failed" and not refused and not reports & {"failed", "undelivered"}:
        yield "untrue_state", "it is called failed, and the network neither refused it nor failed"
    if row.state == "sending" and not _is_young(world, row):
        yield "stuck", "it is still called sending"


def _of_taken(world: World, row: Row, last: Take) -> Iterator[tuple[str, str]]:
    failed = world.failed(last)
    if row.state in NOT_GONE and not failed and world.calm.after(last.at, SETTLED) < world.last:
        yield "lost_track", f"the network took it at {utc(last.at)}, and it is called {row.state} ({row.reason})"
    arrived = [r for r in world.reports[row.label] if r.state == "delivered" and not r.lost]
    if arrived and row.state != "delivered" and world.calm.after(arrived[0].at, REPORTED) < world.last:
        yield "lost_track", f"it was reported delivered at {utc(arrived[0].at)}, and is called {row.state}"


def _doubt(world: World, row: Row, takes: list[Take]) -> Iterator[tuple[str, str]]:
    """Nobody knows whether it left: that needs a cause, and after a while a person."""
    if row.state != "unconfirmed":
        return
    since = [*(take.at for take in takes), *(broken.at for broken in world.breaks[row.label])]
    began = max(since, default=row.due_at or world.first)
    if not in_doubt(world, row, began - SETTLED, began + DAY):
        yield "doubt_without_cause", "nothing happened that could leave open whether it left"
    if row.label not in world.about and world.calm.after(began, SETTLED) < world.last:
        yield "doubt_without_person", f"unconfirmed since {utc(began)}, and no task asks a person"


def _is_young(world: World, row: Row) -> bool:
    since = [*(take.at for take in world.takes[row.label]), *(broken.at for broken in world.breaks[row.label])]
    return world.calm.after(max(since, default=row.due_at or world.last), SETTLED + PROMPT) >= world.last


def _wrong(world: World, label: Label, rule: str, detail: str) -> Violation:
    """The moment is that of the last that happened to the text, or else when it was due."""
    row = world.rows.get(label)
    happened = [*(take.at for take in world.takes[label]), *(broken.at for broken in world.breaks[label])]
    at = max(happened, default=row.due_at if row else None)
    step = label.step or label.template
    return Violation(rule, label.patient, label.session, step, at, f"{detail} [{label.kind}]")
