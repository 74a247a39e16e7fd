"""The pages as HTML: everything that came from the world is escaped, nothing is fetched from anywhere."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from service.simulator.judge import Verdict, Violation
from service.simulator.report.lives import Life, Mark
from service.simulator.report.style import STYLE
from service.simulator.report.timeline import draw


def index_page(verdict: Verdict, everybody: Sequence[Life], *, shown: Iterable[str]) -> str:
    """The world at a glance. ``shown`` are the patients that have a page."""
    pages = set(shown)
    ok = not verdict.violations
    summary = "No rule was broken." if ok else f"{len(verdict.violations)} violations."
    body = [
        "<h1>A simulated world</h1>",
        f'<p class="verdict {"good" if ok else "bad"}">{summary}</p>',
        f"<p>{len(everybody)} patients, {verdict.texts} texts, {verdict.texts_per_patient_week} a patient and week.</p>",
        *_counts("Texts that did not go out, by reason", verdict.missed),
        *_counts("Rules that were broken", Counter(violation.rule for violation in verdict.violations)),
        *_violations(verdict.violations, pages),
        "<h2>Patients</h2>",
        *_people(everybody, pages),
    ]
    return _page("A simulated world", body)


def patient_page(life: Life) -> str:
    """One patient: the drawing, then everything in order, then what was not sent."""
    body = [
        '<p><a href="index.html">All patients</a></p>',
        f"<h1>{escape(life.patient)} <small>{escape(life.name)}</small></h1>",
        f"<p>{escape(life.clinic)}. Times are those of the clinic, {escape(str(life.zone))}.</p>",
        f'<div class="ruler" tabindex="0" role="region" aria-label="Timeline, scrolls sideways">{draw(life)}</div>',
        _legend(),
        *_violations(life.violations, set()),
        "<h2>What happened</h2>",
        '<ol class="story">',
        *(_event(mark, life) for mark in life.marks),
        "</ol>",
        *_unsent(life),
    ]
    return _page(f"Patient {life.patient}", body)


def page_name(patient: str) -> str:
    """The file of a patient's page: letters, digits and what else is harmless in a name."""
    return "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in patient) + ".html"


def _page(title: str, body: Iterable[str]) -> str:
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
    )
    return head + "\n".join(body) + "</main></body></html>\n"


def _counts(title: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    rows = (f"<tr><td>{escape(name)}</td><td class='n'>{n}</td></tr>" for name, n in counts.most_common())
    return [f"<h2>{escape(title)}</h2><table>", *rows, "</table>"]


def _violations(violations: Sequence[Violation], pages: set[str]) -> list[str]:
    if not violations:
        return []
    head = "<tr><th>rule</th><th>patient</th><th>session</th><th>step</th><th>UTC</th><th>what</th></tr>"
    return ["<h2>Violations</h2><table>", head, *(_violation(v, pages) for v in violations), "</table>"]


def _violation(violation: Violation, pages: set[str]) -> str:
    at = f"{violation.at:%Y-%m-%d %H:%M:%S}" if violation.at else ""
    cells = (violation.session or "", violation.step or "", at, violation.detail)
    who = _who(violation.patient or "", pages)
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="bad"><td><b>{escape(violation.rule)}</b></td><td>{who}</td>{rest}</tr>'


def _who(patient: str, pages: set[str]) -> str:
    name = escape(patient)
    return f'<a href="{escape(page_name(patient))}">{name}</a>' if patient in pages else name


def _people(everybody: Sequence[Life], pages: set[str]) -> list[str]:
    rows = ["<table><tr><th>patient</th><th>clinic</th><th>texts</th><th>violations</th></tr>"]
    for life in everybody:
        texts = sum(mark.lane == "text" and mark.sort in {"text", "reply"} for mark in life.marks)
        broken = len(life.violations)
        cells = f"<td>{escape(life.clinic)}</td><td class='n'>{texts}</td><td class='n'>{broken or ''}</td>"
        rows.append(f"<tr><td>{_who(life.patient, pages)}</td>{cells}</tr>")
    return [*rows, "</table>"]


def _event(mark: Mark, life: Life) -> str:
    at = mark.at.astimezone(life.zone)
    said = f'<p class="bubble">{escape(mark.said)}</p>' if mark.said else ""
    detail = f'<span class="detail">{escape(mark.detail)}</span>' if mark.detail else ""
    style = escape(f"{mark.lane} {mark.sort}", quote=True)
    return (
        f'<li class="{style}"><time datetime="{mark.at.isoformat()}">{_when(at)}</time>'
        f"<div><b>{escape(mark.title)}</b> {detail}{said}</div></li>"
    )


def _when(at: datetime) -> str:
    return f"{at:%a %d %b %Y %H:%M:%S}"


def _unsent(life: Life) -> list[str]:
    if not life.unsent:
        return []
    head = "<details><summary>Texts that did not leave, and why</summary><table>"
    titles = "<tr><th>session</th><th>text</th><th>state</th><th>reason</th></tr>"
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in life.unsent)
    return [head, titles, *(f"<tr>{row}</tr>" for row in rows), "</table></details>"]


def _legend() -> str:
    items = (
        ("session", "a session, or the patient's entry, changed"),
        ("text", "a text was taken by the network"),
        ("text reply", "an answer was taken"),
        ("text refused", "refused, in doubt, or not delivered"),
        ("phone said", "the phone texted, or consent changed"),
        ("fault", "a rule was broken"),
        ("trouble", "trouble or a pause"),
    )
    shown = "".join(f'<li><i class="{style}"></i>{words}</li>' for style, words in items)
    return f'<ul class="legend">{shown}</ul>'
