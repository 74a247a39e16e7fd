"""Reading the world's log into values, once, in the order in which things happened."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.simulator.judge.facts import (
    Agreement,
    Break,
    Clinic,
    Hold,
    Label,
    Patient,
    Refusal,
    Report,
    Row,
    Said,
    Session,
    Take,
    Task,
    Trouble,
    hours_of,
    moment,
    moment_or_none,
)
from service.simulator.judge.history import History
from service.simulator.judge.plan import Plan, read_plan

Texts = Mapping[str, Mapping[str, str]]
"""Approved bodies by key and language."""


@dataclass(slots=True)
class Transcript:
    """The whole log. ``first`` and ``last`` are its ends in time."""

    clinics: defaultdict[str, History[Clinic]] = field(default_factory=lambda: defaultdict(History))
    plans: defaultdict[str, History[Plan]] = field(default_factory=lambda: defaultdict(History))
    texts: defaultdict[str, History[Texts]] = field(default_factory=lambda: defaultdict(History))
    patients: defaultdict[str, History[Patient]] = field(default_factory=lambda: defaultdict(History))
    sessions: defaultdict[str, History[Session]] = field(default_factory=lambda: defaultdict(History))
    agreements: list[Agreement] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    ended: bool = False


def read(log: Iterable[Mapping[str, Any]]) -> Transcript:
    """The log as values. A kind of entry that is not known is an error: what the judge does not see, it can not judge."""
    told = Transcript()
    for entry in log:
        kind = entry["kind"]
        if kind == "end":
            told.ended = True
        if entry.get("at") is not None:
            told.first = told.first or moment(entry["at"])
            told.last = moment(entry["at"])
        READERS[kind](told, entry)
    _end_open_holds(told)
    return told


def label_of(written: Mapping[str, Any]) -> Label:
    return Label(
        patient=written.get("patient"),
        session=written.get("session"),
        step=written.get("step"),
        n=None if written.get("n") is None else int(written["n"]),
        kind=written["kind"],
        template=written.get("template"),
        answers=written.get("answers"),
    )


def _clinic(told: Transcript, entry: Mapping[str, Any]) -> None:
    clinic = Clinic(
        key=entry["clinic"],
        sms_name=entry["sms_name"],
        zone=ZoneInfo(entry["zone"]),
        phone=entry["phone"],
        after_hours=entry.get("after_hours") or "",
        emergency=entry["emergency"],
        crisis_line=entry.get("crisis_line"),
        languages=tuple(entry["languages"]),
        hours=hours_of(entry["window"]),
        plan=entry["plan"],
        interval_weeks=entry["interval_weeks"],
        live_from=moment_or_none(entry.get("live_from")),
        sender=entry["sender"],
        rule_hours=entry.get("rule_hours") or {},
        answers=entry.get("answers_understood", True),
    )
    told.clinics[clinic.key].add(moment(entry["at"]), clinic)


def _plan(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.plans[entry["clinic"]].add(moment(entry["at"]), read_plan(entry["document"]))


def _texts(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.texts[entry["clinic"]].add(moment(entry["at"]), entry["texts"])


def _patient(told: Transcript, entry: Mapping[str, Any]) -> None:
    patient = Patient(
        key=entry["patient"],
        clinic=entry["clinic"],
        number=entry["number"],
        language=entry["language"],
        zone=ZoneInfo(entry["zone"]) if entry["zone"] else None,
        status=entry["status"],
        interval_weeks=entry["interval_weeks"],
        imported=entry["imported"],
        may_ask=bool(entry.get("may_ask")),
        privacy=entry.get("privacy") or "neutral",
    )
    told.patients[patient.key].add(moment(entry["at"]), patient)


def _session(told: Transcript, entry: Mapping[str, Any]) -> None:
    session = Session(
        key=entry["session"],
        patient=entry["patient"],
        start=moment(entry["start"]),
        end=moment_or_none(entry["end"]),
        status=entry["status"],
        completed_at=moment_or_none(entry["completed_at"]),
        imported=entry["imported"],
    )
    told.sessions[session.key].add(moment(entry["at"]), session)


def _consent(told: Transcript, entry: Mapping[str, Any]) -> None:
    granted = entry["what"] == "granted"
    told.agreements.append(Agreement(moment(entry["at"]), entry["number"], entry["clinic"], granted))


def _said(told: Transcript, entry: Mapping[str, Any]) -> None:
    brought = moment_or_none(entry["brought"])
    told.said.append(
        Said(moment(entry["at"]), entry["no"], entry["number"], entry["to"], entry["body"], brought),
    )


def _took(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.takes.append(
        Take(
            at=moment(entry["at"]),
            order=len(told.takes),
            number=entry["number"],
            sender=entry["sender"],
            body=entry["body"],
            attempt=entry["attempt"],
            valid_seconds=entry.get("valid_seconds"),
            label=label_of(entry["label"]),
        )
    )


def _refused(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.refusals.append(Refusal(moment(entry["at"]), entry["number"], str(entry["code"]), label_of(entry["label"])))


def _broke(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.breaks.append(Break(moment(entry["at"]), entry["number"], entry["taken"], label_of(entry["label"])))


def _reported(told: Transcript, entry: Mapping[str, Any]) -> None:
    code = entry.get("code")
    told.reports.append(
        Report(
            at=moment(entry["at"]),
            state=entry["state"],
            code=None if code is None else str(code),
            label=label_of(entry["label"]),
            times=entry["times"],
            lost=entry["lost"],
        )
    )


def _pause(told: Transcript, entry: Mapping[str, Any]) -> None:
    until = moment_or_none(entry.get("until"))
    told.holds.append(Hold(moment(entry["at"]), until, entry["what"], entry["who"]))


def _resume(told: Transcript, entry: Mapping[str, Any]) -> None:
    """Whoever lets everything leave again lets the senders, too."""
    ends, what, who = moment(entry["at"]), entry["what"], entry["who"]
    for place, hold in enumerate(told.holds):
        is_meant = (hold.what, hold.who) == (what, who) or (what == "all" and hold.what == "sender")
        if is_meant and (hold.end is None or hold.end > ends):
            told.holds[place] = Hold(hold.start, ends, hold.what, hold.who)


def _end_open_holds(told: Transcript) -> None:
    told.holds = [Hold(h.start, h.end or told.last, h.what, h.who) for h in told.holds]


def _trouble(told: Transcript, entry: Mapping[str, Any]) -> None:
    step = timedelta(seconds=entry.get("seconds") or 0)
    told.troubles.append(Trouble(entry["what"], entry.get("who"), moment(entry["start"]), moment(entry["end"]), step))


def _row(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.rows.append(
        Row(
            label=label_of(entry["label"]),
            state=entry["state"],
            reason=entry["reason"],
            held_reason=entry["held_reason"],
            due_at=moment_or_none(entry["due_at"]),
            attempts=entry["attempts"],
            to_number=entry["to_number"],
        )
    )


def _task(told: Transcript, entry: Mapping[str, Any]) -> None:
    told.tasks.append(
        Task(
            kind=entry["task_kind"],
            level=entry.get("level"),
            patient=entry["patient"],
            session=entry["session"],
            step=entry["step"],
            opened_at=moment_or_none(entry["opened_at"]),
            state=entry["state"],
            about=None if entry["about"] is None else label_of(entry["about"]),
            answers=entry["answers"],
        )
    )


def _nothing(_told: Transcript, _entry: Mapping[str, Any]) -> None:
    """The end tells nothing but that it is there."""


READERS: Mapping[str, Callable[[Transcript, Mapping[str, Any]], None]] = {
    "clinic": _clinic,
    "plan": _plan,
    "texts": _texts,
    "patient": _patient,
    "consent": _consent,
    "session": _session,
    "said": _said,
    "pause": _pause,
    "resume": _resume,
    "trouble": _trouble,
    "took": _took,
    "refused": _refused,
    "broke": _broke,
    "reported": _reported,
    "row": _row,
    "task": _task,
    "end": _nothing,
}
