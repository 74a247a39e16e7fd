"""``make mutants``: breaks a copy of the engine in each of the ways, lets the simulated world live on it, and expects complaints.

``python -m tests.mutants [WORD]`` tries only those whose names hold the word. Exit 1 if one goes unnoticed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.engine import MUTANTS, Mutant

PROJECT = Path(__file__).resolve().parents[2]
COPIED = ("service", "migrations", "alembic.ini")
WORLDS = (("5", "24", "8"), ("1", "40", "14"), ("2", "100", "30"))
"""Seed, patients, weeks: a mutant that lives through the first is shown the next."""
AT_MOST_SECONDS = 900


def mutate(text: str, mutant: Mutant) -> str:
    """The text of the file, broken. ValueError where the words to be replaced do not stand there exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} holds the words of “{mutant.name}” {text.count(mutant.old)} times, not once")
    return text.replace(mutant.old, mutant.new)


def complaint(folder: Path) -> str | None:
    """What the judge first complains of in the worlds that live on the engine in ``folder``; None if of nothing."""
    for seed, patients, weeks in WORLDS:
        world = ["--seed", seed, "--patients", patients, "--weeks", weeks, "--chaos", "--json"]
        ended = subprocess.run(
            [sys.executable, "-m", "service", "simulate", *world],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=AT_MOST_SECONDS,
            check=False,
        )
        try:
            violations = json.loads(ended.stdout)["violations"]
        except ValueError:
            return f"no verdict: {ended.stderr.strip().splitlines()[-1:]}"
        if violations:
            return f"{len(violations)} violations with seed {seed}, first {violations[0]['rule']}: {violations[0]['detail']}"
    return None


def broken(mutant: Mutant | None) -> str | None:
    """What the judge says of the engine with this one fault (None: with none)."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
            copy(PROJECT / part, folder / part)
        if mutant is not None:
            file = folder / mutant.file
            file.write_text(mutate(file.read_text(encoding="utf-8"), mutant), encoding="utf-8")
        return complaint(folder)


def main(word: str = "") -> Iterator[str]:
    """A line for each mutant; those that went unnoticed begin with ``UNNOTICED``."""
    if (wrongly := broken(None)) is not None:
        yield f"UNNOTICED nothing: the judge complains of the engine as it is: {wrongly}"
        return
    chosen = [mutant for mutant in MUTANTS if word in mutant.name]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, said in zip(chosen, pool.map(broken, chosen), strict=True):
            yield f"noticed   {mutant.name}: {said}" if said else f"UNNOTICED {mutant.name}"


if __name__ == "__main__":
    unnoticed = 0
    for line in main(*sys.argv[1:2]):
        unnoticed += line.startswith("UNNOTICED")
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    sys.exit(min(unnoticed, 1))
