"""Small logs of a world, written by hand: what happened, in the words of the log, and a patient to whom all went right."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from service.simulator.judge import Verdict, judge

Entry = dict[str, Any]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NUMBER, OTHER_NUMBER = "+15552000001", "+15552000002"
SENDER, OTHER_SENDER = "+15550100001", "+15550100002"
VALUES = {
    "clinic": "Lakeside Clinic",
    "phone": "+1 555-010-0101",
    "urgent_phone": "+1 555-010-0101",
    "emergency": "911",
    "n_msgs": "14",
    "onset_window": "10-14",
    "interval_weeks": "12",
    "minutes": "20",
    "read_by": "10:00 AM Mon",
}


def shipped(name: str) -> dict[str, Any]:
    """A file of the content that clinics start with."""
    return dict(json.loads((files("service.content") / name).read_text(encoding="utf-8")))


TEXTS = {text["key"]: text["text"] for text in shipped("default_templates.json")["templates"]}
EXPECTED = {step["key"]: step["template"] for step in shipped("care_plan.json")["steps"]}


def utc(written: str) -> datetime:
    """``2026-03-18 15:00`` as a moment in UTC; seconds may follow."""
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def stamp(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class Chronicle:
    """A log in the making. Times are given as in :func:`utc`; every text taken gets its report and its row by itself."""

    def __init__(self) -> None:
        self.entries: list[tuple[datetime, Entry]] = []
        self.rows: list[Entry] = []
        self.of_takes: list[Entry] = []
        self.tasks: list[Entry] = []
        self.sessions: dict[str, Entry] = {}
        self.patients: dict[str, Entry] = {}
        self.said = 0

    def note(self, kind: str, at: str | datetime, **about: Any) -> Entry:
        moment = utc(at) if isinstance(at, str) else at
        entry = {"kind": kind, "at": stamp(moment), **about}
        self.entries.append((moment, entry))
        return entry

    def clinic(self, at: str, key: str = "c1", *, plan: Mapping[str, Any] | None = None, **changed: Any) -> None:
        usual: dict[str, Any] = {
            "name": "Lakeside Clinic",
            "sms_name": "Lakeside Clinic",
            "zone": "America/Chicago",
            "country": "US",
            "phone": "+15550100101",
            "after_hours": "+15550100201",
            "emergency": "911",
            "crisis_line": "988",
            "languages": ["en"],
            "window": {"from": "09:00", "to": "19:00"},
            "plan": "standard",
            "interval_weeks": 12,
            "live_from": None,
            "sender": SENDER,
        }
        self.note("clinic", at, clinic=key, **usual | changed)
        self.note("plan", at, clinic=key, document=plan or shipped("care_plan.json"))
        self.note("texts", at, clinic=key, texts=TEXTS)

    def patient(self, at: str, key: str = "p1", **changed: Any) -> None:
        """A patient, or what is different about one from then on."""
        new = {
            "patient": key,
            "clinic": "c1",
            "number": NUMBER,
            "language": "en",
            "zone": None,
            "first_name": "Robin",
            "last_name": "Sample",
            "status": "active",
            "interval_weeks": None,
            "imported": False,
            "by": "sql",
        }
        self.patients[key] = self.patients.get(key, new) | changed
        self.note("patient", at, **self.patients[key])

    def consent(self, at: str, what: str = "granted", *, number: str = NUMBER, clinic: str = "c1") -> None:
        self.note("consent", at, number=number, clinic=clinic, what=what, method="staff")

    def session(self, at: str, key: str = "p1.1", **changed: Any) -> None:
        """A session, or what is different about one from then on; start, end and completed_at as in :func:`utc`."""
        moments: Entry = {name: changed.pop(name) for name in ("start", "end", "completed_at") if name in changed}
        new = {"session": key, "patient": key.partition(".")[0], "status": "booked", "imported": False, "by": "sql"}
        blank: Entry = {"start": None, "end": None, "completed_at": None}
        before: Entry = {
            name: value for name, value in self.sessions.get(key, new).items() if name not in {"kind", "at"}
        }
        moved: Entry = {name: stamp(utc(moment)) if moment else None for name, moment in moments.items()}
        self.sessions[key] = {**blank, **before, **changed, **moved}
        self.note("session", at, **self.sessions[key])

    def label(self, step: str, session: str | None = "p1.1", *, patient: str = "p1", n: int = 0) -> Entry:
        template = EXPECTED[step]
        return {"patient": patient, "session": session, "step": step, "n": n, "kind": "plan", "template": template}

    def took(
        self,
        at: str,
        step: str,
        session: str | None = "p1.1",
        *,
        patient: str = "p1",
        n: int = 0,
        number: str = NUMBER,
        sender: str = SENDER,
        body: str | None = None,
        attempt: int = 1,
        valid: int = 3600,
        arrives: bool = True,
        booked: bool = True,
        **values: str,
    ) -> Entry:
        """The network takes a text of the plan; ``booked`` False leaves it out of the service's books."""
        label = self.label(step, session, patient=patient, n=n)
        said = body if body is not None else written(str(label["template"]), **values)
        entry = self._took(at, label, said, number=number, sender=sender, attempt=attempt, valid=valid, arrives=arrives)
        if booked:
            self.row(label, "delivered" if arrives else "undelivered", attempts=attempt)
            self.of_takes.append(label)
        return entry

    def _took(
        self, at: str, label: Entry, body: str, *, number: str, sender: str, attempt: int, valid: int, arrives: bool
    ) -> Entry:  # fmt: skip
        about = {"number": number, "sender": sender, "body": body, "attempt": attempt, "valid_seconds": valid}
        entry = self.note("took", at, **about, segments=1, label=label)
        state, code = ("delivered", None) if arrives else ("undelivered", "30003")
        self.note("reported", utc(at) + 2 * SECOND, state=state, code=code, label=label, times=1, lost=False)
        return entry

    def says(self, at: str, body: str, *, brought: str | None = None, number: str = NUMBER, to: str = SENDER) -> int:
        """A phone texts a sender; returns the number of what it said."""
        self.said += 1
        came = stamp(utc(brought or at))
        self.note("said", at, no=self.said, number=number, to=to, body=body, brought=came)
        return self.said

    def answered(self, at: str, template: str, no: int, *, patient: str | None = "p1", **changed: Any) -> None:
        """A reply leaves."""
        label: Entry = {
            "patient": patient,
            "session": None,
            "step": None,
            "n": None,
            "kind": "reply",
            "template": template,
        }
        label["answers"] = no
        usual: dict[str, Any] = {"number": NUMBER, "sender": SENDER, "attempt": 1, "valid": 3600, "arrives": True}
        body = changed.pop("body", None) or written(template)
        self._took(at, label, body, **usual | changed)
        self.row(label, "delivered")

    def refused(self, at: str, step: str, code: str, session: str | None = "p1.1", *, number: str = NUMBER) -> None:
        self.note("refused", at, number=number, code=code, label=self.label(step, session))

    def broke(self, at: str, step: str, session: str | None = "p1.1", *, taken: bool = False) -> None:
        self.note("broke", at, number=NUMBER, taken=taken, label=self.label(step, session))

    def trouble(self, what: str, start: str, end: str, **about: Any) -> None:
        self.note("trouble", start, what=what, start=stamp(utc(start)), end=stamp(utc(end)), **about)

    def row(self, label: Entry, state: str, reason: str | None = None, **changed: Any) -> None:
        """What the service says of a text: the last word about a label counts."""
        usual = {"held_reason": None, "due_at": None, "expires_at": None, "attempts": 0, "to_number": NUMBER}
        self.rows = [row for row in self.rows if row["label"] != label]
        self.of_takes = [other for other in self.of_takes if other != label]
        self.rows.append({"label": label, "state": state, "reason": reason, **usual, **changed})

    def task(self, kind: str, at: str, *, session: str | None = "p1.1", **changed: Any) -> None:
        usual = {"level": "amber", "patient": "p1", "step": None, "state": "open", "about": None, "answers": None}
        step = {"step": kind} if kind in EXPECTED else {}
        self.tasks.append(
            {"task_kind": kind, "session": session, "opened_at": stamp(utc(at)), **usual, **step, **changed}
        )

    def without(self, step: str, session: str | None = "p1.1") -> None:
        """Take a text out of the log, and out of the books."""
        own = [entry for _, entry in self.entries if (entry.get("label") or {}).get("step") == step]
        gone = [entry for entry in own if entry["label"]["session"] == session]
        self.entries = [(at, entry) for at, entry in self.entries if entry not in gone]
        self.rows = [row for row in self.rows if (row["label"]["step"], row["label"]["session"]) != (step, session)]

    def log(self, end: str) -> list[Entry]:
        """The whole log up to ``end``, as plain data."""
        happened = [entry for at, entry in sorted(self.entries, key=lambda one: one[0]) if at <= utc(end)]
        at = stamp(utc(end)) or ""
        taken = [entry["label"] for entry in happened if entry["kind"] == "took"]
        rows = [row for row in self.rows if row["label"] in taken or row["label"] not in self.of_takes]
        said = [{"kind": "row", "at": at, **row} for row in rows]
        said += [{"kind": "task", "at": at, **task} for task in self.tasks if task["opened_at"] <= at]
        return deepcopy([*happened, *said, {"kind": "end", "at": at}])

    def judged(self, end: str) -> Verdict:
        return judge(self.log(end))


def written(template: str, language: str = "en", **values: str) -> str:
    """An approved text with its values, as a person would fill it in."""
    body: str = TEXTS[template][language]
    for name, value in (VALUES | values).items():
        body = body.replace(f"{{{{ {name} }}}}", value)
    assert "{{" not in body, body
    return body


def rules(verdict: Verdict) -> set[str]:
    """The rules that were broken."""
    return {violation.rule for violation in verdict.violations}


def facts(**values: Any) -> dict[str, Any]:
    """Values of a text, or facts about it, to be given to several calls."""
    return values


DAY = facts(date="Wed 18 Mar", time="10:00 AM")
UNTIL = facts(until="Thu 10:30 AM")
ENDED = facts(ended_rules="bending, exercise, face moves, rubbing, heat, sun, alcohol")
GOOD_END = "2026-04-02 12:00"


def a_good_session() -> Chronicle:
    """A patient in Chicago, from the booking on 2 March to two weeks after the session on 18 March; the clocks change on the 8th."""
    story = Chronicle()
    story.clinic("2026-02-23 06:00")
    story.consent("2026-03-02 15:00")
    story.patient("2026-03-02 15:00")
    story.session("2026-03-02 15:00", start="2026-03-18 15:00", end="2026-03-18 15:20")
    story.took("2026-03-02 15:01", "welcome", None)
    story.took("2026-03-02 15:10:04", "booked", **DAY)
    story.took("2026-03-06 17:00", "baseline")
    story.took("2026-03-11 15:00", "pre_7d", **DAY)
    story.took("2026-03-17 15:00", "pre_1d", **DAY)
    story.task("baseline_missing", "2026-03-17 21:00")
    story.session("2026-03-18 15:31", status="completed", completed_at="2026-03-18 15:30")
    story.took("2026-03-18 15:40", "aftercare_1", **UNTIL)
    story.took("2026-03-18 15:42", "aftercare_2", **UNTIL)
    story.took("2026-03-19 01:00", "evening")
    story.took("2026-03-19 15:30", "allclear", **ENDED)
    story.took("2026-03-21 16:00", "d3", n_days="3")
    story.took("2026-04-01 16:00", "onset", n_days="14")
    return story
