# SPDX-License-Identifier: Apache-2.0
"""`make bench-guests`: what creation, boot and end of a guest cost in both worlds, and whether it always boots.

Instructions are those of the whole machine between the VMM's markers, by world and level; `creation` ends when the
guest could run, `boot` at its first shell, `end` when its memory is the host's again. Wall times are the emulator's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from orchestrator.build.progress import Silent
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed
from orchestrator.trace.markers import MarkerPair, pair_markers
from orchestrator.trace.table import CELLS
from orchestrator.words import BOOT, REALM_CREATE, TEARDOWN

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"
PHASES = {REALM_CREATE.event: "creation", BOOT.event: "boot", TEARDOWN.event: "end"}
PAGE_KIB = 4
# The paper's table 6 (published-systems.md 1.6): MobileNet in 400 MB under TF-RMM on Arm's FVP, millions of
# instructions of realm and normal-world VM. Its boot is all until the guest runs its program, creation included.
PAPER_MIB = 400
PAPER = {"boot": (7630.1, 788.7), "end": (619.9, 83.3)}

# The world, and whether all memory is populated before the guest runs.
Case = tuple[str, bool]


def orch(*arguments: str) -> str:
    """Run the real command; a failure ends the benchmark with its message."""
    done = subprocess.run([ORCH, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"orch {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def measure(runs: int, memory_mib: int) -> dict[Case, list[dict[str, MarkerPair]]]:
    """Start and stop guests in a counting host; the phases of each."""
    orch("up", "--fresh", "--count")
    order: dict[int, Case] = {}
    for _ in range(runs):
        for world in ("realm", "vm"):
            for pretouch in (False, True):
                orch("up", f"--{world}", "--mem", str(memory_mib), *(["--pretouch"] if pretouch else []))
                run = json.loads(orch("status", "--json"))["guests"][world]["run"]
                order[run] = (world, pretouch)
                orch("down", world)
    client = Testbed(Project.open(), Silent()).counter()
    client.counters().check()
    measured: dict[int, dict[str, MarkerPair]] = defaultdict(dict)
    for pair in pair_markers(each for each in client.markers() if each.event in PHASES):
        measured[pair.begin.id][PHASES[pair.begin.event]] = pair
    orch("down")
    table: dict[Case, list[dict[str, MarkerPair]]] = defaultdict(list)
    for run, case in order.items():
        table[case].append(measured[run])
    return table


def _millions(values: list[int]) -> str:
    middle, spread = statistics.median(values) / 1e6, (max(values) - min(values)) / 2e6
    return f"{middle:,.2f} ±{spread:,.2f}" if middle else "0"


def show(table: dict[Case, list[dict[str, MarkerPair]]], memory_mib: int) -> None:
    """Print instructions in millions: median and half of the range."""
    output = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("guest", "phase"):
        output.add_column(column)
    for column in ("total", *CELLS):
        output.add_column(column, justify="right")
    totals: dict[tuple[Case, str], float] = {}
    for case, runs in table.items():
        for phase in PHASES.values():
            deltas = [run[phase].delta for run in runs]
            total = [delta.total for delta in deltas]
            totals[case, phase] = statistics.median(total)
            levels = [_millions([delta.by_level()[cell] for delta in deltas]) for cell in CELLS.values()]
            name = f"{case[0]}{', pre-touched' if case[1] else ''}"
            output.add_row(name, phase, _millions(total), *levels)
    console = Console(width=180, highlight=False)
    console.print(f"Millions of executed instructions, guest of {memory_mib} MiB: median ± half the range")
    console.print(output)
    pages = memory_mib * 1024 // PAGE_KIB
    for phase in PHASES.values():
        extra = totals[("realm", True), phase] - totals[("vm", True), phase]
        print(f"{phase}: a pre-touched realm costs {extra / pages:,.0f} instructions a page of {PAGE_KIB} KiB more")
    beside_the_paper(totals, memory_mib)


def beside_the_paper(totals: dict[tuple[Case, str], float], memory_mib: int) -> None:
    """Boot (with creation) and end of both worlds, in all and what a realm's page costs more, ours and the paper's."""
    output = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("whose", "phase", "memory", "realm", "vm", "ratio", "more a page"):
        output.add_column(column, justify="left" if column in ("whose", "phase") else "right")
    phases = {"boot": ("creation", "boot"), "end": ("end",)}
    for pretouch, name in ((False, "ours, on demand"), (True, "ours, pre-touched")):
        for phase, parts in phases.items():
            realm, vm = (sum(totals[(world, pretouch), part] for part in parts) / 1e6 for world in ("realm", "vm"))
            output.add_row(name, phase, *_beside(realm, vm, memory_mib))
    for phase, (realm, vm) in PAPER.items():
        output.add_row("paper", phase, *_beside(realm, vm, PAPER_MIB))
    console = Console(width=180, highlight=False)
    console.print("Millions of instructions beside the paper's; a page: instructions, of 4 KiB of the guest's memory")
    console.print(output)


def _beside(realm: float, vm: float, memory_mib: int) -> tuple[str, ...]:
    more = (realm - vm) * 1e6 / (memory_mib * 1024 / PAGE_KIB)
    return f"{memory_mib} MiB", f"{realm:,.1f}", f"{vm:,.1f}", f"{realm / vm:.2f}", f"{more:,.0f}"


def boots(count: int) -> None:
    """Boot each world `count` times; how many got ready, and how fast."""
    orch("up", "--fresh")
    for world in ("realm", "vm"):
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            done = subprocess.run([ORCH, "up", f"--{world}"], capture_output=True, text=True, check=False, cwd=ROOT)
            if done.returncode == 0:
                seconds.append(time.perf_counter() - began)
            else:
                print(done.stderr)
            orch("down", world)
        middle = statistics.median(seconds) if seconds else float("nan")
        print(f"{world}: {len(seconds)} of {count} boots got ready; `orch up --{world}` took {middle:.1f} s (median)")
    driver = json.loads(orch("status", "--json"))["guests"]["driver"]
    print(f"afterwards: {driver['granules']} granules delegated, {driver['leaked']} leaked")
    orch("down")


def main() -> None:
    """Run in a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="starts counted in each case [3]")
    parser.add_argument("--boots", type=int, default=20, help="boots of each world [20]")
    parser.add_argument("--mem", type=int, default=256, metavar="MIB", help="guest memory [256]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as state:
        os.environ["XDG_STATE_HOME"] = state
        try:
            if options.runs:
                show(measure(options.runs, options.mem), options.mem)
            if options.boots:
                boots(options.boots)
        finally:
            subprocess.run([ORCH, "down"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
