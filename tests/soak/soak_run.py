# SPDX-License-Identifier: Apache-2.0
"""`make soak-run`: one `orch run`, killed with SIGKILL at random moments and resumed; no row may be lost or doubled."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil

from orchestrator.runs.merge import merge

ROOT = Path(__file__).resolve().parents[2]
ORCH = Path(sys.executable).parent / "orch"
WORKLOAD = ROOT / "workloads/smoke.yaml"
BOOTS, ITERATIONS, WARMUPS = 3, 3, 1
CHANGES = ("timing={mode: fast}", f"boots={BOOTS}", f"iterations={ITERATIONS}", f"warmups={WARMUPS}")
LATEST = 40.0  # s after the steps that an attempt is left to finish: about what a step takes, with its guest's start
GONE_LIMIT = 10.0  # s for whatever orch started to end when it was killed
STEP_LIMIT = 900.0  # s for one more step: whatever takes longer hangs
KEY = ["cell_id", "world", "boot_id", "phase", "component", "metric", "method", "iteration"]


def killed_after(arguments: list[str], results: Path, steps: int, seconds: float) -> bool:
    """Run orch and kill it, `seconds` after there are so many finished steps; its machine must end by itself.

    False if it ended by itself before.
    """
    process = subprocess.Popen([ORCH, *arguments], start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + STEP_LIMIT
    while finished_steps(results) < steps and process.poll() is None:
        assert time.monotonic() < deadline, f"no step was finished in {STEP_LIMIT:g} s"
        time.sleep(0.2)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        below = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _, left = psutil.wait_procs(below, timeout=GONE_LIMIT)
        assert not left, f"still running {GONE_LIMIT:g} s after the kill: {left}"
        return True
    return False


def ok_rows(results: Path) -> set[tuple[object, ...]]:
    """What is on record as measured; raises AssertionError for doubled rows."""
    for folder in results.glob("*/shards"):
        merge(folder.parent)
    files = list(results.glob("*/samples.csv"))
    if not files:
        return set()
    rows = pd.read_csv(files[0])
    rows = rows[rows["status"] == "ok"]
    doubled = rows.duplicated(KEY)
    assert not doubled.any(), rows[doubled][KEY]
    return set(rows[[*KEY, "value"]].fillna(-1).itertuples(index=False, name=None))


def finished_steps(results: Path) -> int:
    """Steps that the journal calls done."""
    logs = results.glob("*/shards/boot-*/events.jsonl")
    return sum(path.read_text().count('"event": "step-done"') for path in logs)


def main() -> None:
    """Kill, resume, compare what was there before with what is there after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="orch-soak-run-") as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        results = Path(folder) / "results"
        changes = [part for change in CHANGES for part in ("--set", change)]
        arguments = ["run", str(WORKLOAD), *changes, "--results", str(results)]
        try:
            for number in range(options.kills):
                before, steps = ok_rows(results), finished_steps(results)
                more, seconds = rng.randint(0, 1), rng.uniform(0, LATEST)
                killed = killed_after(arguments, results, steps + more, seconds)
                if any(results.glob("*/run.yaml")):
                    arguments = ["run", "--resume", "latest", "--results", str(results)]
                now = finished_steps(results)
                how = f"killed {seconds:.1f} s after step {steps + more}" if killed else "ended"
                print(f"{number + 1}: {how}, {now} steps done", flush=True)
                assert now >= steps
                lost = {row for row in before if row[-1] is not None} - ok_rows(results)
                assert not lost, f"{len(lost)} rows lost: {sorted(map(str, lost))[:3]}"
            done = subprocess.run([ORCH, *arguments], check=False)
            assert done.returncode == 0, f"the last resume ended with {done.returncode}"
            rows = pd.read_csv(next(iter(results.glob("*/samples.csv"))))
            inferences = rows.query("phase == 'infer' and metric == 'instructions' and component == 'all'")
            assert len(inferences) == 3 * BOOTS * (ITERATIONS + WARMUPS), len(inferences)
            assert set(rows["status"]) == {"ok"}
            print(f"{options.kills} kills: {len(rows)} rows, none lost, none doubled")
        finally:
            subprocess.run([ORCH, "down"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
