"""Seven months of a clinic with a hundred patients, in which everything goes wrong that can: no promise is broken.

In processes of their own, as an operator starts them: measuring coverage would make them take twice as long.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

SEEDS = ("1", "2", "3")


def live(seed: str) -> "tuple[list[str], subprocess.CompletedProcess[str]]":
    """What repeats it, and how it ended."""
    world = ["simulate", "--seed", seed, "--patients", "100", "--weeks", "30", "--chaos"]
    whole = [sys.executable, "-m", "service", *world, "--json"]
    return world, subprocess.run(whole, capture_output=True, text=True, check=False)


def test_no_promise_is_broken(subtests: pytest.Subtests) -> None:
    """One on each processor: they are by far the longest of all tests."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        lived = list(pool.map(live, SEEDS))
    for seed, (world, ended) in zip(SEEDS, lived, strict=True):
        with subtests.test(seed):
            assert ended.stdout, ended.stderr
            verdict = json.loads(ended.stdout)
            assert verdict["violations"] == [], f"repeat it with: aftercare {' '.join(world)}"
            assert (verdict["ok"], ended.returncode) == (True, 0)
            assert verdict["texts"] > 1_000
