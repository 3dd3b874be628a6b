# SPDX-License-Identifier: Apache-2.0
"""One saved moment of a deterministic machine gives the same counts each time it is continued."""

from __future__ import annotations

import subprocess
import sys

import pytest
from emulated import ROOT


@pytest.mark.parametrize(("world", "times"), [("realm", 2), ("host", 3)])
def test_replays_are_identical(world: str, times: int) -> None:
    """`make bench-replay` does it five times in every world; a host that differs does so only in some of them."""
    command = [sys.executable, ROOT / "benchmarks/replay.py", "--iterations", "6", "--worlds", world]
    done = subprocess.run([*command, "--times", str(times)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *replays, verdict = done.stdout.splitlines()
    assert replays[0].startswith(f"{world:6} replay 1: 7 inferences, "), done.stdout
    assert len({line.partition(":")[2] for line in replays}) == 1
    assert len(replays) == times
    assert verdict.endswith("identical in every inference and component")
