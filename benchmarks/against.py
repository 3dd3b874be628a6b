# SPDX-License-Identifier: Apache-2.0
"""`make bench-against OLD=CHECKOUT`: what users wait for, in another checkout of this project and in this one.

Turn about on the same computer; the ratios are those of medians. Both checkouts need their `.venv` and what their
testbeds are made of (`make testbed` in each). The quickstart is the one that each checkout ships.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS: dict[str, tuple[str, ...]] = {
    "realm up": ("up", "--realm"),
    "realm down": ("down", "realm"),
    "pre-touched realm up": ("up", "--realm", "--pretouch"),
    "pre-touched realm down": ("down", "realm"),
}
QUICKSTART = "quickstart"
BARS = {
    QUICKSTART: 0.45,
    "realm up": 0.7,
    "realm down": 0.6,
    "pre-touched realm up": 0.7,
    "pre-touched realm down": 0.6,
}
"""Most that a step may take, of what it takes in the other checkout of before the runtime was a disk."""
Seconds = dict[str, list[float]]


def orch(checkout: Path, state: str, *arguments: str) -> float:
    """Seconds of the real command of a checkout; a failure ends the benchmark with its message."""
    command = [checkout / ".venv/bin/orch", *arguments]
    began = time.monotonic()
    environment = os.environ | {"XDG_STATE_HOME": state}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout, env=environment)
    if done.returncode:
        sys.exit(f"{checkout}: orch {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return time.monotonic() - began


def guests(checkout: Path, state: str, taken: Seconds) -> None:
    """One start and end of a realm of each kind, in a machine that is up already."""
    for step, arguments in STEPS.items():
        taken[step].append(orch(checkout, state, *arguments))


def measure(checkouts: dict[str, Path], rounds: int) -> dict[str, Seconds]:
    """What each step took in each checkout, in a state folder of its own, so that a user's machine is left alone."""
    taken: dict[str, Seconds] = {name: defaultdict(list) for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="orch-against-") as folder:
        for name, checkout in checkouts.items():
            orch(checkout, f"{folder}/{name}", "up", "--realm")  # what is copied at the first start is no part
            orch(checkout, f"{folder}/{name}", "down")
        for turn in range(rounds):
            for name, checkout in checkouts.items():
                state = f"{folder}/{name}"
                results = f"{folder}/results-{name}-{turn}"
                quick = orch(checkout, state, "run", "workloads/quickstart.yaml", "--results", results)
                taken[name][QUICKSTART].append(quick)
                orch(checkout, state, "down")
                orch(checkout, state, "up")
                try:
                    guests(checkout, state, taken[name])
                finally:
                    orch(checkout, state, "down")
    return taken


def main() -> None:
    """Print seconds of each step, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=3, help="of all steps in both [3]")
    options = parser.parse_args()
    taken = measure({"old": options.old.resolve(), "new": ROOT}, options.rounds)
    print(f"{'step':24} {'old':>8} {'new':>8} {'new/old':>8}   bar")
    missed = []
    for step, bar in BARS.items():
        old, new = (statistics.median(taken[name][step]) for name in ("old", "new"))
        print(f"{step:24} {old:7.1f}s {new:7.1f}s {new / old:8.2f}   {bar:g}")
        if new / old > bar:
            missed.append(step)
    sys.exit(f"not as asked for: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
