"""Writing the report into a folder: an index, and a page for each patient, or for those worth a look where there are many."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from service.simulator.judge import Verdict
from service.simulator.report.lives import lives
from service.simulator.report.pages import index_page, page_name, patient_page

FEW = 200
"""Up to so many patients each has a page."""
MOST_BROKEN = 500
"""So many pages of patients with violations are enough to see what is wrong."""


def write_report(verdict: Verdict, log: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """``index.html`` and the patients' pages. The folder is made if it is not there; pages of an earlier report are replaced."""
    everybody = list(lives(log, verdict).values())
    shown = everybody
    if len(everybody) > FEW:
        broken = [life for life in everybody if life.violations][:MOST_BROKEN]
        step = len(everybody) // FEW
        sample = [life for life in everybody[::step] if not life.violations]
        shown = [*broken, *sample[:FEW]]
    folder.mkdir(parents=True, exist_ok=True)
    index = index_page(verdict, everybody, shown=(life.patient for life in shown))
    (folder / "index.html").write_text(index, encoding="utf-8")
    for life in shown:
        (folder / page_name(life.patient)).write_text(patient_page(life), encoding="utf-8")
