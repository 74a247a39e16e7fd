"""Everything the rules ask about, gathered once from the log and sorted by whom it concerns."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Protocol, TypeVar

from service.simulator.judge.agreed import Agreed
from service.simulator.judge.calm import ServiceClock, Span, asking, bare, calm_of
from service.simulator.judge.codes import AGAIN, NUMBER
from service.simulator.judge.facts import Break, Clinic, Hold, Label, Patient, Refusal, Report, Row, Take, Task
from service.simulator.judge.hearing import Hearing
from service.simulator.judge.history import History
from service.simulator.judge.plan import Plan
from service.simulator.judge.transcript import Transcript
from service.simulator.judge.visits import Ears, Visit, visit_history

ON_ITS_WAY = timedelta(seconds=1)
"""From its last look to the network a text needs less than this, when nothing is before it and nothing is wrong."""
AT_MOST_ON_ITS_WAY = timedelta(seconds=21)
"""No request begins later than 20 s after its claim, whatever happened to the worker meanwhile."""
ONE_REQUEST = timedelta(seconds=10)
"""Texts that were claimed together leave one after the other; each request takes up to 10 s, the gateway's deadline."""
HELD_AGAIN = timedelta(minutes=16)
"""What is held is looked at again each quarter of an hour."""
QUEUE = timedelta(seconds=15)
"""While a sender works off a queue, its texts follow each other faster than this."""
INTERRUPTING = frozenset({"died", "frozen", "database_down"})
"""Troubles that strike a process with texts in its hands."""
LONG_AGO = timedelta(days=1)
FAILED = frozenset({"undelivered", "failed"})


class _Labelled(Protocol):
    @property
    def label(self) -> Label: ...


Found = TypeVar("Found", bound=_Labelled)


def by_label(found: Iterable[Found]) -> defaultdict[Label, list[Found]]:
    """What concerns each text, in order."""
    sorted_out: defaultdict[Label, list[Found]] = defaultdict(list)
    for one in found:
        sorted_out[one.label].append(one)
    return sorted_out


class World:
    """The log, sorted. Everything in it is true but ``rows`` and ``tasks``, which are what the service says."""

    def __init__(self, told: Transcript) -> None:
        self.told = told
        self.first = told.first or datetime.max.replace(tzinfo=UTC)
        self.last = told.last or self.first
        self.calm, self.bare, self.clock = calm_of(told.troubles), bare(told.troubles), ServiceClock(told.troubles)
        self.asking = asking(told.troubles)
        self.ears = Ears(self.calm, self.bare, self.clock)
        self.hearing = Hearing(told)
        self.agreed = Agreed(told, self.hearing, self.bare)
        self.visits: dict[str, History[Visit]] = {
            key: visit_history(history, self.ears) for key, history in told.sessions.items()
        }
        self.takes: defaultdict[Label, list[Take]] = by_label(told.takes)
        self.breaks: defaultdict[Label, list[Break]] = by_label(told.breaks)
        self.refusals: defaultdict[Label, list[Refusal]] = by_label(told.refusals)
        self.reports: defaultdict[Label, list[Report]] = by_label(told.reports)
        self.rows: dict[Label, Row] = {row.label: row for row in told.rows}
        for lost in self._died_in_hand():
            self.breaks[lost.label].append(lost)

    def _died_in_hand(self) -> Iterator[Break]:
        """Texts that a process had in hand when it died: nothing reached the network, and the service can not know that.

        Which of the troubles it was nobody can tell, so any may have been.
        """
        troubles = sorted(trouble.start for trouble in self.told.troubles if trouble.what in INTERRUPTING)
        for label, row in self.rows.items():
            seen = len(self.takes[label]) + len(self.refusals[label])
            seen += sum(not broken.taken for broken in self.breaks[label])
            if row.due_at is None or row.attempts <= seen:
                continue
            first, last = (
                row.due_at - ONE_REQUEST,
                max([row.due_at, *(take.at for take in self.takes[label])]) + LONG_AGO,
            )
            last = min([last, *(refusal.at for refusal in self.refusals[label] if refusal.code not in AGAIN)])
            for start in troubles[bisect_left(troubles, first) : bisect_left(troubles, last)]:
                yield Break(start, row.to_number or "", taken=False, label=label)

    @cached_property
    def sessions_of(self) -> dict[str, set[str]]:
        """The sessions that each patient ever had."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for key, history in self.visits.items():
            for _, visit in history:
                found[visit.patient].add(key)
        return found

    @cached_property
    def takes_of(self) -> dict[str, list[Take]]:
        """Texts of the plan taken for each patient, and those about a session that was, or is going to be, this patient's."""
        owners = {key: {visit.patient for _, visit in history} for key, history in self.visits.items()}
        found: defaultdict[str, list[Take]] = defaultdict(list)
        for take in self.told.takes:
            if take.label.kind == "plan":
                for whose in owners.get(take.label.session or "", set()) | {take.label.patient or ""}:
                    found[whose].append(take)
        return found

    @cached_property
    def breaks_of(self) -> dict[str, list[Break]]:
        """Handings over for each patient that ended in doubt."""
        found: defaultdict[str, list[Break]] = defaultdict(list)
        for label, broken in self.breaks.items():
            if label.kind == "plan" and label.patient is not None:
                found[label.patient].extend(broken)
        return {patient: sorted(broken, key=lambda one: one.at) for patient, broken in found.items()}

    @cached_property
    def rows_of(self) -> dict[tuple[str | None, str | None, str | None], list[Row]]:
        """Rows of planned texts by session and step; those that hang on no session by their patient."""
        found: defaultdict[tuple[str | None, str | None, str | None], list[Row]] = defaultdict(list)
        for row in self.told.rows:
            if row.label.kind == "plan":
                whose = None if row.label.session else row.label.patient
                found[whose, row.label.session, row.label.step].append(row)
        return found

    @cached_property
    def unsent_of(self) -> dict[str | None, list[Row]]:
        """Rows of planned texts that did not leave for good, by patient."""
        found: defaultdict[str | None, list[Row]] = defaultdict(list)
        for row in self.told.rows:
            if row.label.kind == "plan":
                found[row.label.patient].append(row)
        return found

    @cached_property
    def tasks_of(self) -> dict[str | None, list[Task]]:
        """Tasks about each session."""
        found: defaultdict[str | None, list[Task]] = defaultdict(list)
        for task in self.told.tasks:
            found[task.session].append(task)
        return found

    @cached_property
    def about(self) -> set[Label | None]:
        """Texts that some task is about."""
        return {task.about for task in self.told.tasks}

    @cached_property
    def heard(self) -> set[int | None]:
        """Numbers of the texts from phones that some task tells of."""
        return {task.answers for task in self.told.tasks}

    @cached_property
    def refused_numbers(self) -> dict[str, list[datetime]]:
        """When the network said of a number that it takes no texts."""
        found: defaultdict[str, list[datetime]] = defaultdict(list)
        for refusal in self.told.refusals:
            if refusal.code in NUMBER:
                found[refusal.number].append(refusal.at)
        for report in self.told.reports:
            takes = [take.number for take in self.takes[report.label] if take.at <= report.at]
            if report.code in NUMBER and takes:
                found[takes[-1]].append(report.at)
        return found

    @cached_property
    def doubts_of(self) -> dict[tuple[str | None, str | None], list[datetime]]:
        """When a text of a session and step was handed over without being taken for sure."""
        found: defaultdict[tuple[str | None, str | None], list[datetime]] = defaultdict(list)
        for label, broken in self.breaks.items():
            found[label.session, label.step].extend(one.at for one in broken)
        for refusal in self.told.refusals:
            found[refusal.label.session, refusal.label.step].append(refusal.at)
        return found

    @cached_property
    def queues(self) -> dict[str, list[Span]]:
        """When each sender had a queue to work off."""
        found: dict[str, list[Span]] = {}
        for take in self.told.takes:
            spans = found.setdefault(take.sender, [])
            if spans and take.at - spans[-1][1] <= QUEUE:
                spans[-1] = (spans[-1][0], take.at)
            else:
                spans.append((take.at, take.at))
        return {sender: [span for span in spans if span[1] - span[0] > QUEUE] for sender, spans in found.items()}

    @cached_property
    def _handed_over(self) -> list[datetime]:
        told = self.told
        return sorted({one.at for found in (told.takes, told.refusals, told.breaks) for one in found})

    def race(self, moment: datetime) -> timedelta:
        """How long before the moment the last look at a text that was taken then may have been."""
        earliest = moment - AT_MOST_ON_ITS_WAY
        if self.bare.troubled(earliest, moment):
            behind, _ = self.clock.off(earliest, moment)
            return AT_MOST_ON_ITS_WAY - behind
        began, place = moment, bisect_left(self._handed_over, moment) - 1
        while place >= 0 and began - self._handed_over[place] <= ONE_REQUEST and began > earliest:
            began = self._handed_over[place]
            place -= 1
        return min(moment - began + ON_ITS_WAY, AT_MOST_ON_ITS_WAY)

    def clinic(self, key: str, at: datetime) -> Clinic | None:
        return self.told.clinics[key].at(at)

    def plan(self, clinic: str, at: datetime) -> Plan | None:
        return self.told.plans[clinic].at(at)

    def patient(self, key: str | None, at: datetime) -> Patient | None:
        history = self.told.patients.get(key or "")
        return history.at(at) if history else None

    def failed(self, take: Take) -> bool:
        """Whether the network found later that the text does not arrive."""
        return any(r.state in FAILED and r.at >= take.at for r in self.reports[take.label])

    def holds(self, clinic: Clinic, patient: str) -> Iterator[Span]:
        """When sending to the patient was paused."""
        whose = {"all": None, "sender": clinic.sender, "clinic": clinic.key, "patient": patient}
        for hold in self.told.holds:
            if hold.what == "all" or whose[hold.what] == hold.who:
                yield hold.start, hold.end or self.last


def paused(holds: Iterable[Hold], moment: datetime) -> Iterator[Hold]:
    """The pauses in which the moment lies."""
    yield from (hold for hold in holds if hold.start <= moment and (hold.end is None or moment < hold.end))
