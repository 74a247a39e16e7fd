"""Rules for texts from phones: each is heard by a person where it must be, and answered at most as often as allowed."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from service.simulator.judge.facts import Said, Take
from service.simulator.judge.verdict import Violation, utc
from service.simulator.judge.wording import Context, faults
from service.simulator.judge.world import World

HEARD = timedelta(minutes=10)
"""Reading a text takes seconds; one that fails twice becomes an item for a person after some more."""
CONFIRMED = timedelta(minutes=5)
"""47 CFR 64.1200(a)(12): a confirmation of an opt-out within five minutes is presumed to be fine."""
UNKNOWN_AGAIN = timedelta(hours=12)
BEFORE_SESSION = timedelta(days=8)
"""Who opts out in the 8 days before a session may have meant the session (facts on reply grammar)."""
EXEMPT = frozenset({"stop_confirm", "wrong_number", "help", "unknown_reply"})
SAFETY = frozenset({"crisis", "crisis_unstaffed", "red_flag", "red_flag_unstaffed"})
FITS = {
    "stop_confirm": frozenset({"stop"}),
    "help": frozenset({"help"}),
    "start_confirm": frozenset({"start", "consent", "perhaps_consent"}),
    "unknown_reply": frozenset({"other", "perhaps_confirm", "perhaps_consent"}),
}
"""What each answer may answer."""
TO_A_PERSON = frozenset({"help", "other"})


def judge_answers(world: World) -> Iterator[Violation]:
    """Everything that is wrong with how phones were answered."""
    said = {one.no: one for one in world.told.said}
    answers: defaultdict[int, list[Take]] = defaultdict(list)
    for take in world.told.takes:
        if take.label.kind == "reply":
            asked = said.get(take.label.answers or 0)
            if asked is None:
                yield _wrong(take, "answer_to_nothing", "it answers no text that a phone sent")
                continue
            answers[asked.no].append(take)
            for rule, detail in _answer(world, take, asked):
                yield _wrong(take, rule, detail)
    for one in world.told.said:
        yield from _not_too_often(one, answers[one.no], world)
        yield from _heard(world, one)
    yield from _unknown_replies(world)


def _answer(world: World, take: Take, said: Said) -> Iterator[tuple[str, str]]:
    template, reading = take.label.template or "", world.hearing.reading(said).kind
    if take.number != said.number or take.sender != said.to:
        yield "wrong_number", f"it answers text {said.no}, and went elsewhere"
    if take.at < said.at:
        yield "answer_to_nothing", f"it left before text {said.no} was said"
    if reading not in FITS.get(template, {reading}):
        yield "wrong_answer", f"{template} as the answer to what means {reading}"
    brought = said.brought or said.at
    if template == "stop_confirm" and take.at > world.bare.after(brought, CONFIRMED + HEARD):
        yield "late", f"the opt-out was brought at {utc(brought)}"
    if template not in EXEMPT | SAFETY and not _agreed(world, take):
        yield "sent_without_consent", f"{template} needs the consent of the number"
    yield from _words(world, take)


def _agreed(world: World, take: Take) -> bool:
    """Whether some clinic behind the sender might text the number."""
    standings = (
        world.agreed.standing(take.number, clinic=key, sender=take.sender, at=take.at)
        for key, history in world.told.clinics.items()
        if (clinic := history.at(take.at)) is not None and clinic.sender == take.sender
    )
    return any(standing in {"granted", "unclear"} for standing in standings)


def _words(world: World, take: Take) -> Iterator[tuple[str, str]]:
    """What the answer says, as any clinic behind the sender would say it."""
    tried = list(_faults(world, take, take.at)) or [[("wrong_words", f"no approved text {take.label.template!r}")]]
    yield from min(tried, key=len)


def _faults(world: World, take: Take, at: datetime) -> Iterator[list[tuple[str, str]]]:
    patient, template = world.patient(take.label.patient, at), take.label.template or ""
    for key, history in world.told.clinics.items():
        clinic, plan = history.at(at), world.plan(key, at)
        if clinic is None or plan is None or clinic.sender != take.sender:
            continue
        for bodies in world.told.texts[key].during(at - world.race(at), at):
            for language, body in bodies.get(template, {}).items():
                yield faults(take.body, body, Context(clinic, plan, patient, None, at, template, language))


def _not_too_often(said: Said, answers: list[Take], world: World) -> Iterator[Violation]:
    """One of a kind, and besides a safety text only the confirmation of an opt-out."""
    arrived = [take for take in answers if not world.failed(take) or take is answers[-1]]
    kinds = Counter(take.label.template for take in arrived)
    for template, times in kinds.items():
        if times > 1:
            yield _wrong(arrived[-1], "two_replies_to_one_text", f"{times} times {template} to text {said.no}")
    besides = set(kinds) - {"stop_confirm"} if set(kinds) & SAFETY else set(kinds)
    if len(besides) > 1:
        yield _wrong(arrived[-1], "two_replies_to_one_text", f"{sorted(map(str, kinds))} to text {said.no}")


def _heard(world: World, said: Said) -> Iterator[Violation]:
    """Whether a person learns of what needs one."""
    if said.brought is None or world.calm.after(said.brought, HEARD) > world.last:
        return
    reading = world.hearing.reading(said).kind
    if said.no in world.heard or (reading == "stop" and world.agreed.is_overtaken(said)):
        return
    if reading in TO_A_PERSON:
        detail = f"text {said.no} ({reading}) was brought at {utc(said.brought)}, and no task tells of it"
        yield Violation("unheard", _whose(world, said), None, None, said.at, detail)
    elif reading == "stop" and (session := _soon(world, said)) is not None:
        detail = f"text {said.no} opts out shortly before a session, and nobody asks whether it was meant"
        yield Violation("unheard", _whose(world, said), session, None, said.at, detail)


def _soon(world: World, said: Said) -> str | None:
    """A session of somebody with that phone, booked within the next eight days at a clinic behind the sender."""
    at = said.brought or said.at
    for key, history in world.visits.items():
        visit = history.at(at)
        if visit is None or visit.status != "booked" or not at + HEARD < visit.start < at + BEFORE_SESSION - HEARD:
            continue
        patient = world.patient(visit.patient, at)
        clinic = world.clinic(patient.clinic, at) if patient else None
        if patient and clinic and patient.number == said.number and clinic.sender == said.to:
            return key
    return None


def _whose(world: World, said: Said) -> str | None:
    for key, history in world.told.patients.items():
        patient = history.at(said.at)
        if patient is not None and patient.number == said.number:
            return key
    return None


def _unknown_replies(world: World) -> Iterator[Violation]:
    last: dict[str, Take] = {}
    for take in world.told.takes:
        if take.label.template == "unknown_reply":
            before = last.get(take.number)
            behind, ahead = world.clock.off(take.at - UNKNOWN_AGAIN, take.at)
            soon = before is not None and take.at - before.at < UNKNOWN_AGAIN - HEARD - (ahead - behind)
            if before is not None and soon and before.label != take.label:
                yield _wrong(take, "unknown_reply_again", f"the number got one at {utc(before.at)}")
            last[take.number] = take


def _wrong(take: Take, rule: str, detail: str) -> Violation:
    label = take.label
    return Violation(rule, label.patient, label.session, label.step or label.template, take.at, detail)
