# SPDX-License-Identifier: Apache-2.0
"""`make bench`: what the machine itself costs. Wall times are medians of five with their range; nothing is asserted."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.build.progress import Silent
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed
from orchestrator.trace.tally import SecurityState

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"
WORK = "dd if=/dev/zero bs=1M count=64 2>/dev/null | sha256sum >/dev/null"


def orch(*arguments: str) -> str:
    """Run the real command; a failure ends the benchmark with its message."""
    done = subprocess.run([ORCH, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"orch {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def timed(action: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def show(what: str, values: list[float], unit: str = "s") -> float:
    """Print median and range; returns the median."""
    middle = statistics.median(values)
    print(f"{what:52} {middle:9.2f} {unit:6} ({min(values):.2f} to {max(values):.2f}, n={len(values)})")
    return middle


def up_times(runs: int, *options: str) -> list[float]:
    """Whole `orch up` commands, from nothing running to an answered SSH command."""
    values = []
    for _ in range(runs):
        values.append(timed(lambda: orch("up", *options)))
        orch("down")
    return values


def up_and_down(runs: int) -> None:
    """Cold boots, restores, memory at idle, and doing nothing when nothing changed."""
    orch("up", "--fresh")
    orch("down")
    show("orch up, cold, to an answered SSH command", up_times(runs, "--fresh"))
    show("orch up, from snapshot, to an answered SSH command", up_times(runs))
    show("orch up --deterministic, cold", up_times(runs, "--fresh", "--deterministic"))
    orch("up")
    show("resident memory of the idle machine", [float(json.loads(orch("status", "--json"))["rss_mib"])], "MiB")
    show("orch ssh host -- true", [timed(lambda: orch("ssh", "host", "--", "true")) for _ in range(runs)])
    orch("down")
    again = ["make", "-s", "testbed"]
    values = [timed(lambda: subprocess.run(again, cwd=ROOT, check=True, capture_output=True)) for _ in range(runs)]
    show("make testbed, nothing changed", values)


def counting(runs: int) -> None:
    """Slowdown by the plugin: the same work in machines without, with, and with the reference mode, in turn."""
    modes: dict[str, tuple[str, ...]] = {
        "no plugin": (),
        "plugin, fast": ("--count",),
        "plugin, reference": ("--count", "--count-mode", "reference"),
    }
    boots: dict[str, list[float]] = {mode: [] for mode in modes}
    works: dict[str, list[float]] = {mode: [] for mode in modes}
    testbed = Testbed(Project.open(), Silent())
    for _ in range(runs):
        for mode, options in modes.items():
            orch("up", "--fresh", *options)
            boots[mode].append(testbed.instance.status().timeline["host-ready"])
            works[mode].append(timed(lambda: orch("ssh", "host", "--", WORK)))
            orch("down")
    for what, table in (("boot to host-ready", boots), ("sha256sum of 64 MiB over SSH", works)):
        base = show(f"{what}, no plugin", table["no plugin"])
        for mode in list(modes)[1:]:
            middle = show(f"{what}, {mode}", table[mode])
            print(f"{'':52} {middle / base:9.2f} x      of the run without")


def deterministic_boot() -> None:
    """Instructions of a boot by world: exact, so one run says it all."""
    orch("up", "--fresh", "--deterministic", "--count")
    client = Testbed(Project.open(), Silent()).counter()
    (record,) = [each for each in client.markers() if each.event == 1 and not each.end]
    orch("down")
    for world in (SecurityState.NON_SECURE, SecurityState.REALM, SecurityState.ROOT):
        print(f"{f'instructions of a boot to host-ready, {world}':52} {record.tally.by_state()[world]:16,}")


def main() -> None:
    """Run in a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="repetitions of each wall time [5]")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as state:
        os.environ["XDG_STATE_HOME"] = state
        try:
            deterministic_boot()
            up_and_down(runs)
            counting(runs)
        finally:
            subprocess.run([ORCH, "down"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
