# SPDX-License-Identifier: Apache-2.0
"""One saved moment of a deterministic machine gives the same counts each time it is continued."""

from __future__ import annotations

import subprocess
import sys

import pytest
from emulated import ROOT


@pytest.mark.parametrize("world", ["realm"])
def test_two_replays_are_identical(world: str) -> None:
    """`make bench-replay` does it five times in every world."""
    command = [sys.executable, ROOT / "benchmarks/replay.py", "--times", "2", "--iterations", "6", "--worlds", world]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("realm  replay 1: 7 inferences, "), done.stdout
    assert lines[0].partition(":")[2] == lines[1].partition(":")[2]
    assert lines[2].endswith("identical in every inference and component")
