"""Texts and plans that change hands: approved by a clinician, written to a file for git, taken from one again."""

import json as json_format
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.cli.context import open_app
from service.cli.findings import report
from service.cli.output import FAILED, USAGE, Clinic, Json, document, fail, operator, say
from service.domain.errors import AftercareError
from service.flows import approving, checking, rewriting
from service.flows.approving import Approved, RefusedText
from service.flows.practice import find_clinic
from service.store import content, tables

Written = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", show_default=False, help="As export writes it.")
]
ToWrite = Annotated[Path, typer.Argument(dir_okay=False, metavar="FILE", show_default=False, help="Is written anew.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who writes this, for the journal.")]


def approve(
    key: Annotated[str | None, typer.Argument(metavar="KEY", show_default=False, help="Which text.")] = None,
    *,
    by: Annotated[str, typer.Option(metavar="NAME", help="The clinician who has read and approves them.")],
    all_texts: Annotated[bool, typer.Option("--all", help="Every text that is not approved yet.")] = False,
    clinic: Annotated[str | None, typer.Option(metavar="K", help="Of this clinic; else of every clinic.")] = None,
    json: Json = False,
) -> None:
    """Put a clinician's name and the date to texts: without both, real patients are not sent them."""
    if (key is None) is not all_texts:
        fail("Name one text, or say --all for every text that is not approved yet.", USAGE)
    if not by.strip():
        fail("--by is the name of the clinician who approves; it can not be empty.", USAGE)
    approved: list[tuple[str, Approved]] = []
    with _changing(json=json) as (db, now):
        of = _clinics(db, clinic)
        approved += [(each.key, approving.approve(db, each, key, by=by.strip(), now=now)) for each in of]
        records = [_approval(where, version) for where, found in approved for version in found.versions]
    if json:
        document(records)
        return
    for record in records:
        typer.echo(f"{record['clinic']}: {record['template']} ({record['language']}), version {record['version']}")
    already, released = (sum(getattr(found, name) for _, found in approved) for name in ("already", "released"))
    say(
        f"Approved {len(records)} texts by {by.strip()}; {already} were approved before. {released} that waited leave now."
    )


def export_texts(file: ToWrite, *, clinic: Clinic = None) -> None:
    """Write a clinic's texts to a file, to be edited and applied, or kept in git."""
    _export(file, clinic, stored=rewriting.texts_document, shipped=content.shipped_templates)


def apply_texts(file: Written, *, clinic: Clinic = None, by: By = None, json: Json = False) -> None:
    """Make a new version, which has to be approved, of each text that differs in the file."""
    with _changing(json=json) as (db, now):
        change = rewriting.apply_texts(db, _the_clinic(db, clinic), file.read_bytes(), by=by or operator(), now=now)
        new = [_place(version) | {"state": version.state} for version in change.new]
    if json:
        document({"new": new, "unchanged": change.unchanged})
        return
    for record in new:
        typer.echo(f"{record['template']} ({record['language']}), version {record['version']}")
    say(
        f"{len(new)} new versions, {change.unchanged} texts unchanged. Nobody has approved the new ones: `aftercare templates "
        f"approve`. {change.waiting} of them wait for that while the approved version before them is sent."
    )


def export_plan(file: ToWrite, *, clinic: Clinic = None) -> None:
    """Write the plan in use to a file, to be edited and applied, or kept in git."""
    _export(file, clinic, stored=_plan_document, shipped=content.shipped_plan)


def apply_plan(file: Written, *, clinic: Clinic = None, by: By = None, json: Json = False) -> None:
    """Let a clinic follow the plan in a file, if nothing is wrong with it; what is planned moves by itself."""
    with _changing(json=json) as (db, now):
        change = rewriting.apply_plan(db, _the_clinic(db, clinic), file.read_bytes(), by=by or operator(), now=now)
    if json:
        document(asdict(change))
    elif change.version is None:
        say("The plan in use is this very plan; nothing was changed.")
    else:
        for words, keys in (("added", change.added), ("removed", change.removed), ("changed", change.changed)):
            typer.echo(f"{len(keys)} steps {words}{': ' if keys else ''}{', '.join(keys)}")
        parts = f" Other parts that differ: {', '.join(change.parts)}." if change.parts else ""
        say(f"Version {change.version} of the plan is in use now.{parts} What is planned already follows it.")


@contextmanager
def _changing(*, json: bool) -> Iterator[tuple[Session, datetime]]:
    """One transaction; where texts are refused nothing is written, and the findings are shown."""
    app = open_app()
    try:
        with app.sessions.begin() as db:
            yield db, app.clock()
    except RefusedText as refused:
        report(refused.findings, json=json)
        fail(str(refused), FAILED)


def _export(
    file: Path, clinic: str | None, *, stored: Callable[..., dict[str, Any]], shipped: Callable[[], dict[str, Any]]
) -> None:
    if clinic is None and not _has_clinics():
        written = shipped()
    else:
        app = open_app()
        with app.sessions.begin() as db:
            written = stored(db, _the_clinic(db, clinic), now=app.clock())
    file.write_text(json_format.dumps(written, ensure_ascii=False, indent=2) + "\n", "utf-8")
    say(f"Written to {file}.")


def _plan_document(db: Session, clinic: tables.Clinic, *, now: datetime) -> dict[str, Any]:
    return dict(checking.of_clinic(db, clinic.key, now=now).document)


def _has_clinics() -> bool:
    with open_app().sessions() as db:
        return db.scalar(select(tables.Clinic.id).limit(1)) is not None


def _clinics(db: Session, key: str | None) -> list[tables.Clinic]:
    if key is not None:
        return [find_clinic(db, key)]
    found = list(db.scalars(select(tables.Clinic).order_by(tables.Clinic.key)))
    if not found:
        raise AftercareError("There is no clinic yet. `aftercare clinic add` makes one, with its texts.")
    return found


def _the_clinic(db: Session, key: str | None) -> tables.Clinic:
    """The one that is named, or the only one there is."""
    first, *others = _clinics(db, key)
    if others:
        names = ", ".join(each.key for each in (first, *others))
        raise AftercareError(f"There are several clinics: say which one with --clinic ({names}). Nothing was done.")
    return first


def _place(version: tables.TemplateVersion) -> dict[str, Any]:
    return {"template": version.key, "language": version.language, "version": version.version}


def _approval(clinic: str, version: tables.TemplateVersion) -> dict[str, Any]:
    approval = {"approved_by": version.approved_by, "approved_at": version.approved_at}
    return {"clinic": clinic} | _place(version) | approval
