"""Seven months of a clinic with a hundred patients, in which everything goes wrong that can: no promise is broken.

In processes of their own, as an operator starts them: measuring coverage would make them take twice as long.
"""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_no_promise_is_broken(seed: str) -> None:
    world = ["simulate", "--seed", seed, "--patients", "100", "--weeks", "30", "--chaos"]
    ended = subprocess.run(
        [sys.executable, "-m", "service", *world, "--json"], capture_output=True, text=True, check=False
    )
    assert ended.stdout, ended.stderr
    verdict = json.loads(ended.stdout)
    assert verdict["violations"] == [], f"repeat it with: aftercare {' '.join(world)}"
    assert (verdict["ok"], ended.returncode) == (True, 0)
    assert verdict["texts"] > 1_000
