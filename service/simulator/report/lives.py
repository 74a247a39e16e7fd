"""The log and the verdict sorted by patient: what a page about one of them shows, in order of happening."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from service.simulator.judge import Verdict, Violation

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment. ``lane`` is session, text, phone or fault; ``sort`` says how it looks."""

    at: datetime
    lane: str
    sort: str
    title: str
    detail: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of trouble, or of a pause."""

    start: datetime
    end: datetime
    title: str


@dataclass(slots=True)
class Life:
    """Everything about one patient. ``unsent`` are rows of texts that never left: session, step, state, reason."""

    patient: str
    name: str = ""
    clinic: str = ""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    marks: list[Mark] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    unsent: list[tuple[str, str, str, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)


def lives(log: Iterable[Entry], verdict: Verdict) -> dict[str, Life]:
    """A life for every patient of the log, in the order in which they appeared."""
    gathering = _Gathering(verdict)
    for entry in log:
        TAKE_IN.get(entry["kind"], _Gathering.nothing)(gathering, entry)
    return gathering.done()


def moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


class _Gathering:
    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._lives: dict[str, Life] = {}
        self._clinics: dict[str, Entry] = {}
        self._phones: defaultdict[str, set[str]] = defaultdict(set)
        self._owners: dict[str, str] = {}
        self._everybodys: list[Span] = []
        self._paused: dict[tuple[str, str | None], Entry] = {}
        self._reports: dict[str, str] = {}
        self._last: datetime | None = None

    def nothing(self, entry: Entry) -> None:
        """Not about a patient."""

    def clinic(self, entry: Entry) -> None:
        self._clinics[entry["clinic"]] = entry

    def patient(self, entry: Entry) -> None:
        key, clinic = entry["patient"], self._clinics.get(entry["clinic"], {})
        life = self._lives.setdefault(key, Life(key))
        is_new = not life.name
        life.name = f"{entry['first_name']} {entry['last_name']}"
        life.clinic, life.zone = str(clinic.get("sms_name", "")), ZoneInfo(clinic.get("zone", "UTC"))
        for keys in self._phones.values():
            keys.discard(key)
        if entry["number"]:
            self._phones[entry["number"]].add(key)
        what = "known to the clinic" if is_new else "entry changed"
        facts = ", ".join(str(entry[name]) for name in ("status", "number", "language", "zone") if entry[name])
        self._mark(key, entry, lane="session", sort="patient", title=f"Patient {what}", detail=facts)

    def session(self, entry: Entry) -> None:
        key, session = entry["patient"], entry["session"]
        self._owners[session] = key
        start = f"start {self._wall(key, entry['start'])}"
        done = f", ended {self._wall(key, entry['completed_at'])}" if entry["completed_at"] else ""
        title = f"Session {session}: {entry['status'].replace('_', ' ')}"
        self._mark(key, entry, lane="session", sort=entry["status"], title=title, detail=start + done)

    def said(self, entry: Entry) -> None:
        for key in sorted(self._phones.get(entry["number"], ())):
            brought = (
                f"reached the service {self._wall(key, entry['brought'])}" if entry["brought"] else "never arrived"
            )
            title = f"Phone says (text {entry['no']})"
            self._mark(key, entry, lane="phone", sort="said", title=title, detail=brought, said=entry["body"])

    def consent(self, entry: Entry) -> None:
        for key in sorted(self._phones.get(entry["number"], ())):
            title = f"Consent {entry['what']}"
            detail = f"by {entry['method']}, clinic {entry['clinic']}"
            self._mark(key, entry, lane="phone", sort=entry["what"], title=title, detail=detail)

    def took(self, entry: Entry) -> None:
        label = entry["label"]
        detail = f"attempt {entry['attempt']}, {_which(label)}"
        title = f"Text: {label['step'] or label['template'] or label['kind']}"
        sort = "reply" if label["kind"] == "reply" else "text"
        self._mark(label["patient"], entry, lane="text", sort=sort, title=title, detail=detail, said=entry["body"])

    def failed(self, entry: Entry) -> None:
        label = entry["label"]
        why = f"code {entry['code']}" if "code" in entry else f"no answer, {'taken' if entry['taken'] else 'not taken'}"
        title = f"{entry['kind'].capitalize()}: {label['step'] or label['template'] or label['kind']}"
        self._mark(label["patient"], entry, lane="text", sort="refused", title=title, detail=f"{why}, {_which(label)}")

    def reported(self, entry: Entry) -> None:
        if entry["state"] in {"undelivered", "failed"}:
            label = entry["label"]
            title = f"Not delivered: {label['step'] or label['template']}"
            self._mark(
                label["patient"], entry, lane="text", sort="refused", title=title, detail=f"code {entry['code']}"
            )

    def trouble(self, entry: Entry) -> None:
        what = entry["what"].replace("_", " ") + (f" by {entry['seconds']} s" if entry.get("seconds") else "")
        self._everybodys.append(Span(moment(entry["start"]), moment(entry["end"]), what))

    def pause(self, entry: Entry) -> None:
        self._paused[entry["what"], entry["who"]] = entry

    def resume(self, entry: Entry) -> None:
        begun = self._paused.pop((entry["what"], entry["who"]), None)
        if begun is not None:
            self._pause_over(begun, moment(entry["at"]))

    def _pause_over(self, begun: Entry, end: datetime) -> None:
        span = Span(moment(begun["at"]), end, f"{begun['what']} paused: {begun['reason']}")
        if begun["what"] == "patient" and begun["who"] in self._lives:
            self._lives[begun["who"]].spans.append(span)
        elif begun["what"] != "patient":
            self._everybodys.append(span)

    def row(self, entry: Entry) -> None:
        label, life = entry["label"], self._lives.get(entry["label"]["patient"] or "")
        if life is not None and entry["state"] not in {"sent", "delivered"}:
            reason = entry["reason"] or entry["held_reason"] or ""
            what = str(label["step"] or label["template"])
            life.unsent.append((str(label["session"] or ""), what, entry["state"], reason))

    def end(self, entry: Entry) -> None:
        self._last = moment(entry["at"])

    def _mark(self, key: str | None, entry: Entry, **about: str) -> None:
        if key is not None and key in self._lives:
            self._lives[key].marks.append(Mark(moment(entry["at"]), **about))

    def _wall(self, key: str, written: str) -> str:
        life = self._lives.get(key)
        return f"{moment(written).astimezone(life.zone if life else ZoneInfo('UTC')):%a %d %b %H:%M:%S}"

    def done(self) -> dict[str, Life]:
        for begun in self._paused.values():
            until = begun.get("until") and moment(begun["until"])
            self._pause_over(begun, until or self._last or moment(begun["at"]))
        for violation in self._verdict.violations:
            life = self._lives.get(violation.patient or "")
            if life is not None:
                life.violations.append(violation)
                if violation.at is not None:
                    life.marks.append(Mark(violation.at, "fault", "fault", violation.rule, violation.detail))
        for life in self._lives.values():
            life.marks.sort(key=lambda mark: mark.at)
            life.spans.extend(self._everybodys)
        return self._lives


def _which(label: Entry) -> str:
    return " ".join(str(part) for part in (label["kind"], label["session"], label["n"]) if part is not None)


TAKE_IN: Mapping[str, Callable[[_Gathering, Entry], None]] = {
    "clinic": _Gathering.clinic,
    "patient": _Gathering.patient,
    "session": _Gathering.session,
    "said": _Gathering.said,
    "consent": _Gathering.consent,
    "took": _Gathering.took,
    "refused": _Gathering.failed,
    "broke": _Gathering.failed,
    "reported": _Gathering.reported,
    "trouble": _Gathering.trouble,
    "pause": _Gathering.pause,
    "resume": _Gathering.resume,
    "row": _Gathering.row,
    "end": _Gathering.end,
}
