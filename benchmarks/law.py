# SPDX-License-Identifier: Apache-2.0
"""`make bench-law`: fit the law of exits to a few calibration cells, and hold it against cells that it has not seen.

Runs of `orch`: the calibration (two models at three pairs of ticks and shift), cells of other models, formats, shifts
and memory, and one with memory on demand, which tells what a fault costs. What is there already in the folder of
results is not counted again. Asked for: a median error of at most 10 % of the overhead over 12 unseen cells, 25 % at
worst. With --save the law is written down, which `orch predict` and the report read.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.analysis.calibration import cell_points
from orchestrator.analysis.facts import RunFacts, gather
from orchestrator.analysis.fitting import law_of
from orchestrator.analysis.law import SHIPPED, Compared, against
from orchestrator.analysis.prices import exit_prices
from orchestrator.runs.reading import load_run
from orchestrator.schema.law import Law, write_law

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"
MEDIAN_BAR, WORST_BAR, CELLS_BAR = 0.10, 0.25, 12
PAPER, QUIET = {"host_hz": 1000, "guest_hz": 100}, {"host_hz": 100, "guest_hz": 100}
SMALL, ALEX, MOBILE, RES, EFFICIENT = (
    *("fashion_cnn", "alexnet", "mobilenet_v1_1.0_224", "resnet18", "efficientnet_lite0"),
)
LENGTHS = {SMALL: 0.45e6, ALEX: 18e6, MOBILE: 50e6, RES: 100e6, EFFICIENT: 100e6}
"""Instructions of an inference, about: how many of them it takes to meet some ticks."""
TICKS = 40
"""Of the rarer kind, that a boot of a cell is to have: the phase of one is about 1 % of them then."""


@dataclass(frozen=True)
class Cells:
    """A run: models at one pair of ticks and one shift; `changes` are further keys of its workload."""

    name: str
    ticks: dict[str, int]
    shift: int
    models: tuple[str, ...]
    changes: dict[str, Any] = field(default_factory=dict)

    def workload(self, boots: int) -> dict[str, Any]:
        """Its file's content, with so many iterations that its shortest model meets enough ticks."""
        period = 1e9 / min(self.ticks.values()) / 2**self.shift
        shortest = min(LENGTHS[model] for model in self.models)
        return {
            "name": f"law-{self.name}",
            "models": list(self.models),
            "quantization": "int8",
            "inputs": {"count": 4},
            "worlds": ["vm", "realm"],
            "memory_mib": 256,
            "boots": boots,
            "iterations": max(5, round(TICKS * period / shortest)),
            "warmups": 1,
            "ticks": [self.ticks],
            "timing": [{"mode": "deterministic", "shift": self.shift}],
            **self.changes,
        }


CALIBRATION = (  # three pairs of ticks and shift tell ticks of host and guest, and own work, apart
    Cells("paper", PAPER, 3, (ALEX, MOBILE)),
    Cells("quiet", QUIET, 3, (ALEX, MOBILE)),
    Cells("quiet-shift-0", QUIET, 0, (ALEX, MOBILE)),
)
UNSEEN = (
    Cells("unseen-models", PAPER, 3, (RES, EFFICIENT)),
    Cells("unseen-small", PAPER, 3, (SMALL,)),
    Cells("unseen-format", PAPER, 3, (MOBILE,), {"quantization": "float32"}),
    Cells("unseen-models-quiet", QUIET, 3, (RES,)),
    Cells("unseen-small-quiet", QUIET, 3, (SMALL,)),
    Cells("unseen-shift-1", PAPER, 1, (ALEX, MOBILE)),
    Cells("unseen-small-shift-1", PAPER, 1, (SMALL,)),
    Cells("unseen-shift-5", QUIET, 5, (ALEX, MOBILE)),
    Cells("unseen-shift-0", PAPER, 0, (ALEX, RES)),
    Cells("unseen-memory", PAPER, 2, (ALEX,), {"memory_mib": [128, 512]}),
)
KINDS = Cells("kinds", PAPER, 3, (SMALL, ALEX), {"iterations": 20, "pretouch": [True, False]})


def counted(content: dict[str, Any], results: Path, workers: int) -> Path:
    """The run of a workload: the one that is there, or a new one; ends if a step of it fails."""
    found = sorted(results.glob(f"{content['name']}-2*/run.yaml"))
    for path in found:
        if yaml.safe_load(path.read_text(encoding="utf-8")).get("status") == "ok":
            return path.parent
    file = results / f"{content['name']}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    done = subprocess.run([ORCH, "run", file, "--results", results, "--workers", str(workers)], check=False)
    if done.returncode:
        sys.exit(f"{content['name']}: orch run ended with {done.returncode}")
    return sorted(results.glob(f"{content['name']}-2*/run.yaml"))[-1].parent


def show(compared: Sequence[Compared]) -> None:
    """Print each unseen cell, counted and predicted."""
    print(f"\n{'cell':58} {'counted':>9} {'predicted':>10} {'error':>8}")
    for each in compared:
        ends = "" if each.low is None or each.high is None else f"  [{100 * each.low:+.2f}, {100 * each.high:+.2f}]"
        beyond = "  extrapolated" if each.extrapolates else ""
        print(
            f"{each.cell.line:58} {100 * each.cell.measured:+8.2f}% {100 * each.predicted:+9.2f}% "
            f"{100 * each.error:+7.1f}%{ends}{beyond}"
        )


def judge(compared: Sequence[Compared]) -> list[str]:
    """What is not as it is asked for."""
    errors = [abs(each.error) for each in compared]
    middle, worst = statistics.median(errors), max(errors)
    print(f"\n{len(errors)} unseen cells: median error {100 * middle:.1f} % of the overhead, worst {100 * worst:.1f} %")
    held = [each for each in compared if each.low is not None and each.high is not None]
    inside = sum(each.low <= each.cell.measured <= each.high for each in held)
    print(f"in {inside} of {len(held)} the prediction's interval holds what was counted")
    bars = ((middle, MEDIAN_BAR, "median error"), (worst, WORST_BAR, "worst error"))
    missed = [f"{name} {100 * value:.1f} % (bar: {100 * bar:g})" for value, bar, name in bars if value > bar]
    return missed + ([f"{len(errors)} cells (bar: {CELLS_BAR})"] if len(errors) < CELLS_BAR else [])


def show_law(law: Law) -> None:
    """Print what a tick costs, and how the law does on its own cells."""
    for kind in law.kinds:
        vm, realm = (law.total(world, kind) for world in ("vm", "realm"))
        print(f"one {kind}: {vm:,.0f} instructions in the VM, {realm:,.0f} in the realm")
    error = "not known" if law.error is None else f"{100 * law.error:.1f} %"
    print(f"error in calibration cells that are left out: {error}")


def show_prices(facts: RunFacts) -> None:
    """Print what an exit of each kind costs outside the guest, where executions can tell."""
    print("\nexits by kind, in an execution and instructions outside the guest for each:")
    for each in exit_prices(facts.run.samples):
        spread = "" if each.spread is None else f" ± {each.spread:,.0f}"
        told = each.reason if each.total is None else f"{each.total:,.0f}{spread}"
        print(f"{each.world:6} {each.kind:8} {each.least:10,.0f} to {each.most:10,.0f}: {told}")


def main() -> None:
    """Count what is not there yet, fit, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boots", type=int, default=3, help="of each cell [3]")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results/law", help="runs that are there are not repeated"
    )
    parser.add_argument("--workers", type=int, default=1, help="machines at once, each on a core of its own [1]")
    parser.add_argument("--save", type=Path, nargs="?", const=SHIPPED, help="write the law down [the shipped one]")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    known, other = (
        [gather(load_run(counted(cells.workload(options.boots), options.results, options.workers))) for cells in group]
        for group in (CALIBRATION, UNSEEN)
    )
    law = law_of(known)
    show_law(law)
    compared = against(law, [cell for facts in other for cell in cell_points(facts)])
    show(compared)
    kinds = counted(KINDS.workload(options.boots), options.results, options.workers)
    show_prices(gather(load_run(kinds)))
    if options.save is not None:
        write_law(options.save, law)
        print(f"written: {options.save}")
    missed = judge(compared)
    sys.exit(f"not as asked for: {'; '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
