# SPDX-License-Identifier: Apache-2.0
"""`make bench-sweep`: boots per minute of one deterministic sweep by one worker, by two, and by a Dask cluster of two.

Each worker is pinned to a core in every arm. The arms alternate on the same computer; the ratios are those of medians.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"
BARS = {"two": 1.7, "dask": 1.6}
"""Least throughput of an arm, of that of `one`."""
Counts = dict[tuple[str | None, ...], float]
_WHAT, _WHICH = ("phase", "component", "metric"), ("infer", "guest_user", "instructions")
_KEY = ("cell_id", "world", "boot_id", "iteration")


def sweep(name: str, options: list[str], boots: int, worlds: str, folder: Path) -> tuple[float, Counts]:
    """Seconds of `orch run` from start to end, and the instructions of its programs in each inference."""
    results = folder / f"{name}-{time.monotonic_ns()}"
    changes = [f"boots={boots}", f"worlds={worlds}", "iterations=2", "warmups=1", "inputs.count=2"]
    sets = [part for change in changes for part in ("--set", change)]
    began = time.monotonic()
    command = [ORCH, "run", ROOT / "workloads/smoke.yaml", *sets, *options, "--pin", "--results", results]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{name}: orch run ended with {done.returncode}:\n{done.stderr[-2000:]}")
    (run,) = (path for path in results.iterdir() if path.is_dir())
    with (run / "samples.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if tuple(map(row.get, _WHAT)) == _WHICH]
    return seconds, {tuple(map(row.get, _KEY)): float(row["value"]) for row in rows}


def deviation(one: Counts, other: Counts) -> float:
    """The largest difference of an inference in two sweeps, as a part of it; raises SystemExit if one is missing."""
    if one.keys() != other.keys():
        sys.exit("the sweeps have not the same inferences")
    return max(abs(other[key] / value - 1) for key, value in one.items())


def main() -> None:
    """In a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boots", type=int, default=8)
    parser.add_argument("--worlds", default="[vm]")
    parser.add_argument("--rounds", type=int, default=3, help="of all arms [3]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-sweep-") as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        cluster = folder / "cluster.yaml"
        cluster.write_text("kind: local\nworkers: 2\n", encoding="utf-8")
        arms = {"one": ["--workers", "1"], "two": ["--workers", "2"], "dask": ["--cluster", str(cluster)]}
        seen: dict[str, list[float]] = {arm: [] for arm in arms}
        first: Counts = {}
        for number in range(options.rounds):
            for arm, choice in arms.items():
                seconds, counts = sweep(arm, choice, options.boots, options.worlds, folder)
                seen[arm].append(seconds)
                first = first or counts
                rate, load = 60 * options.boots / seconds, os.getloadavg()[0]
                told = f"programs as in the first within {1e6 * deviation(first, counts):.1f} ppm"
                print(
                    f"{number + 1} {arm:5} {seconds:6.1f} s  {rate:5.2f} boots/min  load {load:.1f}  {told}", flush=True
                )
    medians = {arm: statistics.median(times) for arm, times in seen.items()}
    missed = []
    for arm, bar in BARS.items():
        ratio = medians["one"] / medians[arm]
        print(f"{arm}: {ratio:.2f} times the throughput of one worker (bar: {bar})")
        missed += [arm] if ratio < bar else []
    sys.exit(f"below the bar: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
