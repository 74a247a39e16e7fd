"""Looking at what is said and when: a clinic's texts and plan, or the shipped ones, and whether they may be used."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.context import open_app
from service.cli.output import FAILED, Clinic, Json, document, table
from service.cli.plan_words import HEADINGS, row
from service.domain.careplan import CarePlan
from service.domain.lint import Finding
from service.domain.plan_file import read_plan
from service.flows import checking
from service.flows.checking import InUse

FINDINGS = {
    "severity": "Severity",
    "template": "Text",
    "language": "Language",
    "position": "At",
    "code": "Rule",
    "message": "What to do",
}
TEXTS = ("Text", "Language", "Version", "Approved by", "On", "Parts at most", "Words")
PlanFile = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, metavar="[FILE]", help="A plan file, else the plan in use."),
]


def register(app: typer.Typer) -> None:
    texts = typer.Typer(no_args_is_help=True, help="The texts that patients get.")
    texts.command("list")(list_templates)
    texts.command("check")(check_templates)
    app.add_typer(texts, name="templates")
    plans = typer.Typer(no_args_is_help=True, help="Which text goes out when.")
    plans.command("show")(show_plan)
    plans.command("check")(check_plan)
    app.add_typer(plans, name="plan")


def list_templates(*, clinic: Clinic = None, json: Json = False) -> None:
    """List the texts in use, with who approved them and how many parts they take at the most."""
    used = _in_use(clinic)
    records = _records(used, read_plan(used.document))
    if json:
        document(records)
    else:
        table(TEXTS, (tuple(record.values()) for record in records))


def check_templates(*, clinic: Clinic = None, json: Json = False) -> None:
    """Check the texts in use: what a text may not say, and how long it can get."""
    used = _in_use(clinic)
    _report(checking.check_texts(used.texts, read_plan(used.document)), json=json)


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
    return [
        {
            "template": key,
            "language": language,
            "version": template.version,
            "approved_by": used.approvals.get((key, language), (None, None))[0],
            "approved_at": used.approvals.get((key, language), (None, None))[1],
            "segments": checking.parts_at_most(template.text, plan),
            "text": template.text,
        }
        for (key, language), template in sorted(used.texts.items())
    ]


def _report(findings: Iterable[Finding], *, json: bool) -> None:
    """Errors are a failure; warnings are for a person to weigh."""
    records = [
        asdict(finding) | {"template": finding.template or None, "language": finding.language or None}
        for finding in findings
    ]
    if json:
        document(records)
    elif records:
        table(tuple(FINDINGS.values()), (tuple(record[name] for name in FINDINGS) for record in records))
    else:
        typer.echo("Nothing to object to.")
    if any(record["severity"] == "error" for record in records):
        raise typer.Exit(FAILED)
