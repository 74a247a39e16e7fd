"""Rules for what was handed to the network, taken or not: nothing again after a refusal for good, nothing to whom it may not go."""

from collections.abc import Iterator
from datetime import datetime

from service.simulator.judge.codes import AGAIN, NOT_BEGUN
from service.simulator.judge.facts import Break, Refusal, Take
from service.simulator.judge.lapses import blocked
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.world import World

Attempt = Take | Refusal | Break


def judge_attempts(world: World) -> Iterator[Violation]:
    """Everything that was asked of the network and should not have been."""
    for label, refusals in world.refusals.items():
        for_good = next((r for r in refusals if r.code not in AGAIN), None)
        asked: list[Attempt] = [*world.takes[label], *refusals, *world.breaks[label]]
        later = [attempt for attempt in asked if for_good is not None and attempt.at > for_good.at]
        if for_good is not None and later:
            yield _wrong(
                later[0], "tried_after_refusal", f"refused for good at {utc(for_good.at)} (code {for_good.code})"
            )
    refused = [refusal for refusal in world.told.refusals if refusal.code != NOT_BEGUN]
    attempts: list[Attempt] = [*world.told.takes, *refused, *world.told.breaks]
    for attempt in attempts:
        if attempt.label.kind == "plan":
            yield from _to_a_blocked_number(world, attempt)
    not_taken: list[Refusal | Break] = [*refused, *world.told.breaks]
    for attempt_failed in not_taken:
        if attempt_failed.label.kind == "plan":
            yield from _without_consent(world, attempt_failed)


def _to_a_blocked_number(world: World, attempt: Attempt) -> Iterator[Violation]:
    looked = attempt.at - world.race(attempt.at)
    if any(start < looked and attempt.at < end for start, end in blocked(world, attempt.number)):
        yield _wrong(attempt, "sent_to_blocked_number", "the network had said that this number takes no texts")


def _without_consent(world: World, attempt: Refusal | Break) -> Iterator[Violation]:
    """A text that the network did not take says as much about the service as one that it took."""
    looked = attempt.at - world.race(attempt.at)
    standings = [_standing(world, attempt, moment) for moment in (looked, attempt.at)]
    if all(standing == "opted_out" for standing in standings):
        yield _wrong(attempt, "sent_after_opt_out", "it was handed over after the number had opted out")


def _standing(world: World, attempt: Refusal | Break, at: datetime) -> str | None:
    patient = world.patient(attempt.label.patient, at)
    clinic = world.clinic(patient.clinic, at) if patient else None
    if clinic is None:
        return None
    return world.agreed.standing(attempt.number, clinic=clinic.key, sender=clinic.sender, at=at)


def _wrong(attempt: Attempt, rule: str, detail: str) -> Violation:
    label = attempt.label
    return Violation(rule, label.patient, label.session, label.step, attempt.at, detail)
