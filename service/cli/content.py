"""Looking at what is said and when: a clinic's texts and plan, or the shipped ones, and whether they may be used."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import content_files
from service.cli.context import open_app
from service.cli.findings import report
from service.cli.output import FAILED, Clinic, Json, document, table
from service.cli.plan_words import HEADINGS, row
from service.domain.careplan import CarePlan
from service.domain.composition import TemplateText
from service.domain.lint import Finding
from service.domain.plan_file import read_plan
from service.flows import checking
from service.flows.checking import InUse

TEXTS = ("Text", "Language", "Version", "State", "Approved by", "On", "Parts at most", "Words")
PlanFile = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, metavar="[FILE]", help="A plan file, else the plan in use."),
]


def register(app: typer.Typer) -> None:
    texts = typer.Typer(no_args_is_help=True, help="The texts that patients get.")
    texts.command("list")(list_templates)
    texts.command("check")(check_templates)
    texts.command("approve")(content_files.approve)
    texts.command("export")(content_files.export_texts)
    texts.command("apply")(content_files.apply_texts)
    app.add_typer(texts, name="templates")
    plans = typer.Typer(no_args_is_help=True, help="Which text goes out when.")
    plans.command("show")(show_plan)
    plans.command("check")(check_plan)
    plans.command("export")(content_files.export_plan)
    plans.command("apply")(content_files.apply_plan)
    app.add_typer(plans, name="plan")


def list_templates(*, clinic: Clinic = None, json: Json = False) -> None:
    """List the texts in use and the drafts that wait, with who approved them and how many parts they take at the most."""
    used = _in_use(clinic)
    records = _records(used, read_plan(used.document))
    if json:
        document(records)
    else:
        table(TEXTS, (tuple(record.values()) for record in records))


def check_templates(*, clinic: Clinic = None, json: Json = False) -> None:
    """Check the texts in use and those that wait for approval: what a text may not say, and how long it can get."""
    if clinic is None:
        used = checking.shipped()
        _report(checking.check_texts(used.texts, read_plan(used.document)), json=json)
        return
    app = open_app()
    with app.sessions.begin() as db:
        findings = checking.check_clinic(db, clinic, now=app.clock())
    _report(findings, json=json)


def show_plan(*, clinic: Clinic = None, json: Json = False) -> None:
    """Show which text goes out when; with --json the plan file itself."""
    used = _in_use(clinic)
    if json:
        document(used.document)
    else:
        table(HEADINGS, map(row, read_plan(used.document).steps))


def check_plan(file: PlanFile = None, *, clinic: Clinic = None, json: Json = False) -> None:
    """Check a plan file, or the plan in use: can it be read, and is there a text for every step?"""
    used = _in_use(clinic)
    if file is None:
        findings = checking.check_plan(used.document, used.template_keys)
    else:
        findings = checking.check_plan_file(file.read_bytes(), used.template_keys)
    _report(findings, json=json)


def _in_use(clinic: str | None) -> InUse:
    if clinic is None:
        return checking.shipped()
    app = open_app()
    with app.sessions.begin() as db:
        return checking.of_clinic(db, clinic, now=app.clock())


def _records(used: InUse, plan: CarePlan) -> list[dict[str, Any]]:
    in_use = [
        _record(text, plan, state="live", approval=used.approvals.get(place)) for place, text in used.texts.items()
    ]
    waiting = [_record(text, plan, state="draft", approval=None) for text in used.drafts.values()]
    return sorted(in_use + waiting, key=lambda record: (record["template"], record["language"], record["version"]))


def _record(text: TemplateText, plan: CarePlan, *, state: str, approval: tuple[str, datetime] | None) -> dict[str, Any]:
    by, at = approval or (None, None)
    return {
        "template": text.key,
        "language": text.language,
        "version": text.version,
        "state": state,
        "approved_by": by,
        "approved_at": at,
        "segments": checking.parts_at_most(text.text, plan),
        "text": text.text,
    }


def _report(findings: Iterable[Finding], *, json: bool) -> None:
    if report(findings, json=json):
        raise typer.Exit(FAILED)
