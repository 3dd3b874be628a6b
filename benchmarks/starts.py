# SPDX-License-Identifier: Apache-2.0
"""`make bench`: from `orch up` in a running host to an answered SSH command, step by step (wall times, medians).

Create, populate, pretouch and activate are the VMM's own clock; kernel and user land the guest's, from its first
instruction to /init and from there to its ready line; the rest is SSH and what `orch` itself adds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.build.progress import Silent
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"
VMM_STEPS = ("create", "populate", "pretouch", "activate")
# What a start and an end may take: s, for 256 MiB and one vCPU on demand.
BARS = {"vm": ("total", 6.0), "realm": ("total", 15.0)}
DOWN_BAR = 5.0
CASES = {"vm": ("vm",), "realm": ("realm",), "realm, pre-touched": ("realm", "--pretouch")}


@dataclass
class Steps:
    """Seconds of each step, and how many calls its end took; one value a start."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, step: str, seconds: float) -> None:
        """One more start."""
        self.values.setdefault(step, []).append(seconds)

    def median(self, step: str) -> float:
        """Of all starts so far."""
        return statistics.median(self.values[step])


def orch(*arguments: str) -> str:
    """Run the real command; a failure ends the benchmark with its message."""
    done = subprocess.run([ORCH, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"orch {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def facts(testbed: Testbed, world: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of the guest: the VMM's statistics, and the record of its start."""
    stats: dict[str, Any] = testbed.guests.status()[world]["stats"]
    return stats, testbed.guests.record.guest(GuestName(World(world)))


def rmi_calls(testbed: Testbed) -> int:
    """How many the host has made so far."""
    calls: int = testbed.guests.status()["driver"]["calls"]
    return calls


def measure(testbed: Testbed, arguments: tuple[str, ...], memory_mib: int, steps: Steps) -> None:
    """Start and stop one guest."""
    world, *more = arguments
    began = time.perf_counter()
    orch("up", f"--{world}", "--mem", str(memory_mib), *more)
    steps.add("total", time.perf_counter() - began)
    stats, record = facts(testbed, world)
    for step in VMM_STEPS:
        steps.add(step, stats["time_us"][step] / 1e6)
    steps.add("kernel", record["kernel_seconds"])
    steps.add("user land", record["ready_seconds"] - record["kernel_seconds"])
    known = ("create", "populate", "pretouch", "activate", "kernel", "user land")
    steps.add("SSH and orch", steps.values["total"][-1] - sum(steps.values[step][-1] for step in known))
    before = rmi_calls(testbed)
    began = time.perf_counter()
    orch("down", world)
    steps.add("down", time.perf_counter() - began)
    steps.add("RMI calls", rmi_calls(testbed) - before)


def show(table: dict[str, Steps], runs: int, memory_mib: int) -> None:
    """Print the medians, and how they stand to what is asked for."""
    output = Table(box=None, pad_edge=False, header_style="bold")
    output.add_column("guest")
    columns = (*VMM_STEPS, "kernel", "user land", "SSH and orch", "total", "down")
    for column in columns:
        output.add_column(column, justify="right")
    for case, steps in table.items():
        output.add_row(case, *(f"{steps.median(column):.2f}" for column in columns))
    console = Console(width=140, highlight=False)
    console.print(f"Seconds, guest of {memory_mib} MiB with one vCPU, host running; medians of {runs}")
    console.print(output)
    for case, (step, bar) in BARS.items():
        print(f"{case}: SSH answered after {table[case].median(step):.1f} s (asked for: at most {bar:g})")
    down = table["realm"]
    print(f"realm: down after {down.median('down'):.1f} s (asked for: at most {DOWN_BAR:g})")
    print(f"which is {down.median('RMI calls'):,.0f} RMI calls, and what the command itself takes, as for a VM")


def main() -> None:
    """Run in a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="starts of each case [5]")
    parser.add_argument("--mem", type=int, default=256, metavar="MIB", help="guest memory [256]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as state:
        os.environ["XDG_STATE_HOME"] = state
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every module at each call is no part of a start
        try:
            orch("up")
            testbed = Testbed(Project.open(ROOT / "testbed.yaml"), Silent())
            for world in ("vm", "realm"):  # what is copied at the first start is not what a start takes
                orch("up", f"--{world}")
                orch("down", world)
            table = {case: Steps() for case in CASES}
            for _ in range(options.runs):
                for case, arguments in CASES.items():
                    measure(testbed, arguments, options.mem, table[case])
            show(table, options.runs, options.mem)
        finally:
            subprocess.run([ORCH, "down"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
