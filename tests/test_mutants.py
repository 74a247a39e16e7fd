"""The faults that ``make mutants`` plants still fit the engine. That each is noticed takes minutes, and a command of its own."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import PROJECT, mutate
from tests.mutants.engine import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_fault_can_be_planted(mutant: Mutant) -> None:
    found = (PROJECT / mutant.file).read_text(encoding="utf-8")
    changed = mutate(found, mutant)
    assert changed != found
    compile(changed, mutant.file, "exec")


def test_words_that_do_not_stand_there_are_no_fault() -> None:
    with pytest.raises(ValueError, match="0 times, not once"):
        mutate("nothing of the kind", Mutant("no look", "service/x.py", "look()", ""))


def test_enough_ways_to_break_it() -> None:
    assert len({mutant.name for mutant in MUTANTS}) >= 15
    assert all(Path(mutant.file).suffix == ".py" for mutant in MUTANTS)
