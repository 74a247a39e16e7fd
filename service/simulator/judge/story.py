"""One patient's story: the truth from change to change, what was owed in each stretch, and what the network took."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Literal

from service.simulator.judge.agreed import Entry, granted_by_text
from service.simulator.judge.case import Case, Key, Told
from service.simulator.judge.epochs import Epoch, Story, Taken, between, may_go
from service.simulator.judge.facts import Break, Take
from service.simulator.judge.schedule import schedule
from service.simulator.judge.visits import NOTICED, Heard, Visit
from service.simulator.judge.wording import Context, approved_body, faults, names_start
from service.simulator.judge.world import World

Happening = tuple[datetime, int, Literal["news", "take", "break"], Take | Break | None]


def tell(world: World, patient: str) -> Story:
    """The story of a patient from the first appearance to the end of the log."""
    return _Teller(world, patient).tell()


class _Teller:
    def __init__(self, world: World, patient: str) -> None:
        self._world, self._key = world, patient
        self._story = Story(patient)
        self._told: list[Told] = []
        self._left: dict[Key, datetime] = {}
        self._perhaps: dict[Key, datetime] = {}
        self._before: dict[Key, datetime] = {}
        self._textable: Heard | None = None
        self._unclear = False
        self._let_go: tuple[datetime, Heard] | None = None
        self._steps_on: frozenset[str] | None = None
        self._on_since: dict[str, datetime] = {}

    def tell(self) -> Story:
        for at, _, kind, what in sorted(self._happenings(), key=lambda happening: happening[:2]):
            if isinstance(what, Take):
                self._take(what)
            elif isinstance(what, Break):
                self._break(what)
            self._epoch(at, news=kind == "news")
        return self._story

    def _happenings(self) -> Iterator[Happening]:
        """Facts before texts where both stand at one moment."""
        for at in sorted(set(self._changes())):
            yield at, 0, "news", None
        for take in self._world.takes_of.get(self._key, ()):
            yield take.at, 1, "take", take
        for broken in self._world.breaks_of.get(self._key, ()):
            yield broken.at, 1, "break", broken

    def _changes(self) -> Iterator[datetime]:
        told = self._world.told
        begins = None
        for at, row in told.patients[self._key]:
            begins = begins or at
            yield at
            for histories in (told.clinics, told.plans, told.texts):
                yield from (moment for moment, _ in histories[row.clinic] if moment >= begins)
            if row.number is not None:
                yield from (moment for moment in self._world.agreed.changes(row.number) if moment >= begins)
        for session in self._world.sessions_of.get(self._key, ()):
            yield from (moment for moment, _ in self._world.visits[session] if begins and moment >= begins)

    def _epoch(self, at: datetime, *, news: bool) -> None:
        case = self._case(at, news=news)
        if case is None:
            return
        if self._story.epochs:
            self._story.epochs[-1].end = at
        quick, slow = schedule(case, quick=True), schedule(case, quick=False)
        in_doubt = case.perhaps_left or any(not told.sure for told in case.told)
        sure = replace(case, told=tuple(told for told in case.told if told.sure), perhaps_left={})
        doubting = schedule(sure, quick=True) if in_doubt else None
        self._story.epochs.append(Epoch(at, self._world.last, case, quick, slow, doubting, news))

    def _case(self, at: datetime, *, news: bool) -> Case | None:
        if not news:
            before = self._story.epochs[-1].case if self._story.epochs else None
            return before and replace(
                before, told=tuple(self._told), left=self._gone(before.visits), perhaps_left=dict(self._perhaps)
            )
        world, patient = self._world, self._world.patient(self._key, at)
        clinic = world.clinic(patient.clinic, at) if patient else None
        plan = world.plan(patient.clinic, at) if patient else None
        if patient is None or clinic is None or plan is None:
            return None
        standing = world.agreed.standing(patient.number, clinic=clinic.key, sender=clinic.sender, at=at)
        grant = world.agreed.first_grant(patient.number, clinic=clinic.key, at=at)
        added = next(moment for moment, _ in world.told.patients[self._key])
        visits = self._visits(at)
        case = Case(
            clinic=clinic,
            plan=plan,
            patient=patient,
            visits=visits,
            standing=standing,
            textable=None,
            added=world.ears.hear(added),
            consented=self._consented(grant) if grant and standing in {"granted", "unclear"} else None,
            by_text=granted_by_text(grant),
            told=tuple(self._told),
            left=self._gone(visits),
            perhaps_left=dict(self._perhaps),
            on_since=self._newly_on(frozenset(s.key for s in plan.steps if clinic.plan in s.plans), at),
        )
        return replace(case, textable=self._since(case, at))

    def _gone(self, visits: tuple[Visit, ...]) -> dict[Key, datetime]:
        """Texts that left, and those about sessions that were somebody else's then."""
        own = {visit.key for visit in visits}
        return {**{key: at for key, at in self._before.items() if key[0] in own}, **self._left}

    def _consented(self, grant: Entry) -> Heard:
        """When the consent was noted: one that was texted, at some moment until it was understood for sure."""
        return Heard(self._world.ears.hear(grant.said).soon, self._world.ears.hear(grant.at).late)

    def _visits(self, at: datetime) -> tuple[Visit, ...]:
        """The patient's sessions at the moment, in the order of their start."""
        every = (self._world.visits[key].at(at) for key in sorted(self._world.sessions_of.get(self._key, ())))
        own = [visit for visit in every if visit is not None and visit.patient == self._key]
        return tuple(sorted(own, key=lambda visit: visit.start))

    def _since(self, case: Case, at: datetime) -> Heard | None:
        """Since when the patient may be texted; a break so short that nobody need have seen it leaves both open."""
        if case.blocked is not None:
            if self._textable is not None:
                self._let_go = at, self._textable
            self._textable = None
        elif self._textable is None:
            self._textable = self._world.ears.hear(at)
            if self._let_go is not None and at <= self._world.calm.after(self._let_go[0], NOTICED):
                self._textable = Heard(self._let_go[1].soon, self._textable.late)
        elif self._unclear and case.standing == "granted":
            self._textable = Heard(self._textable.soon, self._world.ears.hear(at).late)
        self._unclear = case.standing == "unclear"
        return self._textable

    def _newly_on(self, steps: frozenset[str], at: datetime) -> dict[str, datetime]:
        """Steps that the plan has only since a while: whatever their time was before, nobody owed them then."""
        if self._steps_on is not None and steps - self._steps_on:
            self._on_since = {**self._on_since, **dict.fromkeys(steps - self._steps_on, at)}
        self._steps_on = steps
        return self._on_since

    def _take(self, take: Take) -> None:
        taken = self._assigned(take)
        if taken is None:
            return
        if take.label.patient != self._key:
            self._before[taken.key] = take.at
            return
        self._story.taken.append(taken)
        failed = self._world.failed(take)
        if failed:
            self._left.pop(taken.key, None)
        (self._perhaps if failed else self._left)[taken.key] = take.at
        self._tell_start(taken, sure=not failed)

    def _break(self, broken: Break) -> None:
        if broken.taken or not self._story.epochs:
            return
        epoch, label = self._story.epochs[-1], broken.label
        key = next((key for key, _ in epoch.slots(label.session, label.step)), None)
        if key is not None:
            self._perhaps[key] = broken.at
            visit = next((v for v in epoch.case.visits if v.key == label.session), None)
            if visit is not None and self._names_start(epoch, label.template):
                step = epoch.case.plan.step(label.step)
                off = step is not None and step.anchor == "cancelled"
                self._told.append(Told(broken.at, key, visit.key, visit.start, off=off, sure=False))

    def _assigned(self, take: Take) -> Taken | None:
        """To which text of the plan it belongs, and in which epoch it was written."""
        since = take.at - self._world.race(take.at)
        recent = [epoch for epoch in self._story.epochs if epoch.end >= since]
        epochs = tuple(reversed(recent or self._story.epochs[-1:]))
        if not epochs:
            return None
        ranked = [self._ranked(take, epoch) for epoch in epochs]
        best = max(range(len(ranked)), key=lambda place: ranked[place][0])
        (fits, _), key, wrong = ranked[best]
        tells = self._names_start(epochs[best], take.label.template)
        fits = fits or self._was_given_a_day(take, epochs[-1])
        return Taken(take, key, epochs, epochs[best], fits, tells, tuple(wrong))

    def _was_given_a_day(self, take: Take, last: Epoch) -> bool:
        """Whether it is but a question of days by now, and it had got its own when the facts were last looked at.

        A text that leaves is no news: it takes none of the days away that others have already.
        """
        slots = [slot for _, slot in last.slots(take.label.session, take.label.step)]
        if not slots or any(slot.held or slot.skips - {"spacing"} for slot in slots):
            return False
        before = [epoch for epoch in self._story.epochs if epoch.start <= last.start]
        news = max((place for place, epoch in enumerate(before) if epoch.news), default=0)
        return any(self._ranked(take, epoch)[0][0] for epoch in before[news:])

    def _ranked(self, take: Take, epoch: Epoch) -> tuple[tuple[bool, int], Key, list[tuple[str, str]]]:
        slots = epoch.slots(take.label.session, take.label.step)
        key = slots[0][0] if slots else (take.label.session, take.label.step or "", take.label.n or 0)
        moments = self._world.clock.shown(take.at)
        own = [slot for _, slot in slots]
        zone = epoch.case.zone
        fits = any(may_go(slot, moment, own, zone=zone) or between(own, moment) for slot in own for moment in moments)
        wrong = self._wrong(take, epoch)
        return (fits, -len(wrong)), key, wrong

    def _wrong(self, take: Take, epoch: Epoch) -> list[tuple[str, str]]:
        label, case = take.label, epoch.case
        texts = self._world.told.texts[case.clinic.key]
        visit = next((v for v in epoch.case.visits if v.key == label.session), None)
        tried: list[list[tuple[str, str]]] = []
        for bodies in texts.during(epoch.start, min(epoch.end, take.at)):
            found = approved_body(bodies, label.template or "", case.patient.language, case.clinic)
            if found is None:
                continue
            for at in self._world.clock.shown(take.at):
                context = Context(case.clinic, case.plan, case.patient, visit, at, label.template or "", found[1])
                tried.append(faults(take.body, found[0], context))
        return min(tried, key=len) if tried else [("wrong_words", f"there is no approved text {label.template!r}")]

    def _names_start(self, epoch: Epoch, template: str | None) -> bool:
        texts = self._world.told.texts[epoch.case.clinic.key].at(epoch.end) or {}
        return any(names_start(body) for body in texts.get(template or "", {}).values())

    def _tell_start(self, taken: Taken, *, sure: bool) -> None:
        label, epoch = taken.take.label, taken.epoch
        visit = next((v for v in epoch.case.visits if v.key == label.session), None)
        if visit is None or not taken.tells:
            return
        step = epoch.case.plan.step(label.step)
        off = step is not None and step.anchor == "cancelled"
        self._told.append(Told(taken.take.at, taken.key, visit.key, visit.start, off=off, sure=sure))
