"""The whole judgement: a log in, a verdict out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from service.simulator.judge.answers import judge_answers
from service.simulator.judge.books import judge_books, judge_debts, judge_reasons
from service.simulator.judge.leaving import judge_leaving
from service.simulator.judge.limits import judge_limits
from service.simulator.judge.network import judge_attempts
from service.simulator.judge.story import tell
from service.simulator.judge.tasks import judge_tasks
from service.simulator.judge.transcript import read
from service.simulator.judge.verdict import Verdict, Violation
from service.simulator.judge.world import World

OF_STORIES = (judge_leaving, judge_limits, judge_debts, judge_tasks)
OF_WORLDS = (judge_attempts, judge_answers, judge_books)


def judge(log: Iterable[Mapping[str, Any]]) -> Verdict:
    """What a world's log shows. The log must be whole: one without its ``end`` is judged as it stands, without the books."""
    world = World(read(log))
    violations = sorted(_violations(world), key=_order)
    missed = Counter(row.reason or "" for row in world.told.rows if row.state == "missed")
    texts = sum(take.label.kind in {"plan", "reply", "staff"} for take in world.told.takes)
    return Verdict(violations, missed, texts, _per_patient_week(world))


def _violations(world: World) -> Iterator[Violation]:
    for family in families(world):
        stories = {patient: tell(world, patient) for patient in family}
        for story in stories.values():
            if story.epochs:
                for rule in OF_STORIES:
                    yield from rule(world, story)
                yield from judge_reasons(world, story, stories)
    for of_world in OF_WORLDS:
        yield from of_world(world)


def families(world: World) -> Iterator[list[str]]:
    """Patients who ever had a session in common stand together; each patient is in one family."""
    kin: dict[str, set[str]] = {patient: {patient} for patient in world.told.patients}
    for history in world.visits.values():
        joined = set().union(*(kin[visit.patient] for _, visit in history))
        kin.update(dict.fromkeys(joined, joined))
    seen: set[str] = set()
    for patient, family in kin.items():
        if patient not in seen:
            seen |= family
            yield sorted(family)


def _order(violation: Violation) -> tuple[str, str, str, str]:
    return violation.patient or "", str(violation.at or ""), violation.rule, violation.step or ""


def _per_patient_week(world: World) -> float:
    """Texts to patients by the weeks that each of them lived in the world."""
    lived = timedelta()
    for history in world.told.patients.values():
        begins = next((at for at, _ in history), world.last)
        lived += world.last - begins
    texts = sum(take.label.patient is not None and take.label.kind != "page" for take in world.told.takes)
    weeks = lived / timedelta(weeks=1)
    return round(texts / weeks, 3) if weeks else 0.0
