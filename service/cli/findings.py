"""Showing what checks found in texts and plans."""

from collections.abc import Iterable
from dataclasses import asdict

import typer

from service.cli.output import document, table
from service.domain.lint import Finding

FINDINGS = {
    "severity": "Severity",
    "template": "Text",
    "language": "Language",
    "position": "At",
    "code": "Rule",
    "message": "What to do",
}


def report(findings: Iterable[Finding], *, json: bool) -> bool:
    """Print them; True if any is an error. Errors are a failure; warnings are for a person to weigh."""
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
    return any(record["severity"] == "error" for record in records)
