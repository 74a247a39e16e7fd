"""``aftercare simulate``: a seeded clinic lives through weeks of virtual time with the real service, and a judge looks on."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from service import logs
from service.cli.output import FAILED, Json, document, fail, say, table

Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write the transcript and a report of every violation there.")
]
Database = Annotated[
    str | None, typer.Option(metavar="URL", help="An empty database to live in; without it SQLite in memory.")
]
SHOWN = 20
"""So many violations are shown to people; --json gives all."""
GARBAGE = 100_000
"""A world makes millions of objects that live for a moment: looking for circles among them more rarely saves a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which world was asked for."""

    seed: int
    patients: int
    weeks: int
    chaos: bool

    @property
    def command(self) -> str:
        """What repeats it."""
        chaos = " --chaos" if self.chaos else ""
        return f"aftercare simulate --seed {self.seed} --patients {self.patients} --weeks {self.weeks}{chaos}"


def register(app: typer.Typer) -> None:
    app.command()(simulate)


def simulate(
    *,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of all that looks like chance: the same one, the same world.")
    ],
    patients: Annotated[int, typer.Option(metavar="P", min=1)] = 100,
    weeks: Annotated[int, typer.Option(metavar="W", min=1)] = 30,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Processes die, clocks jump and the database goes away, too.")
    ] = False,
    database: Database = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Live through weeks in minutes, on an invented clinic and a pretend phone network, and judge every text; exit 1 with violations."""
    logs.configure(None, "critical")  # what goes wrong goes wrong on purpose here
    gc.set_threshold(GARBAGE)
    asked = Asked(seed, patients, weeks, chaos)
    found = _live(asked, database, report)
    document(found) if json else _print(found)
    if not found["ok"]:
        fail(f"Repeat it: {asked.command}", FAILED)


def _live(asked: Asked, database: str | None, report: Path | None) -> dict[str, Any]:
    from service.simulator.judge import judge
    from service.simulator.report import write_report
    from service.simulator.running import simulate as live

    lived = live(asked.seed, patients=asked.patients, weeks=asked.weeks, chaos=asked.chaos, database_url=database)
    verdict = judge(lived.log)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        lived.log.write(report / "transcript.jsonl")
        write_report(verdict, lived.log, report)
    violations = [*map(_record, verdict.violations), *lived.broken]
    return {
        "ok": not violations,
        "patients": asked.patients,
        "weeks": asked.weeks,
        "texts": verdict.texts,
        "missed": dict(sorted(verdict.missed.items())),
        "violations": violations,
    }


def _record(violation: Any) -> dict[str, Any]:
    names = ("rule", "patient", "session", "step", "at", "detail")
    return {name: getattr(violation, name) for name in names}


def _print(found: dict[str, Any]) -> None:
    lived = f"{found['patients']} patients lived through {found['weeks']} weeks and got {found['texts']} texts."
    typer.echo(lived)
    if found["missed"]:
        table(("Not sent because", "Texts"), tuple(found["missed"].items()))
    broken: Sequence[dict[str, Any]] = found["violations"]
    if not broken:
        typer.echo("Every promise was kept.")
        return
    typer.echo(f"\nBroken promises: {len(broken)}{f', the first {SHOWN}' if len(broken) > SHOWN else ''}:")
    columns = ("rule", "patient", "session", "step", "at", "detail")
    table([name.capitalize() for name in columns], ([row[name] for name in columns] for row in broken[:SHOWN]))
    if len(broken) > SHOWN:
        say("--json gives all of them.")
