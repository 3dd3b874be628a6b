# SPDX-License-Identifier: Apache-2.0
"""`make bench-rmm`: executed instructions of realm management calls by world and level, beside a yardstick.

Exact: one CPU, virtual time driven by instructions, markers around each call (tests/emulator/rmm-abi/bench.c). Every
repetition of every run must cost the same, or both ends are shown. $ORCH_RMM measures another RMM image, and
`make bench-rmm BESIDE=FILE` one more beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bare_metal import Parts, prepare, run_payload
from rich.console import Console
from rich.table import Table

from orchestrator.trace.markers import pair_markers
from orchestrator.trace.parsing import read_report
from orchestrator.trace.tally import Level, SecurityState, Tally

RUNS = 2
SECONDS = 120
EVENT = 0x100  # realm_ops.h, BENCH_EVENT

# Arm's TF-RMM 0.6.0 on this platform with TF-A 2.12.1, one CPU, hashing with the SHA-2 instructions: instructions in
# all, and of them at R-EL2 (None: not measured). REC_CREATE is with 16 auxiliary granules.
YARDSTICK: dict[str, tuple[int | None, int | None]] = {
    "RMI_VERSION": (1_213, 93),
    "DELEGATE": (2_800, 741),
    "UNDELEGATE": (2_279, 161),
    "REALM_CREATE": (39_900, None),
    "RTT_CREATE, EMPTY": (3_400, 2_286),
    "RTT_CREATE, RAM": (3_400, 2_286),
    "DATA_CREATE measured": (24_500, 23_400),
    "DATA_CREATE_UNKNOWN": (2_653, 1_530),
    "DATA_DESTROY": (3_298, 2_140),
    "DATA_DESTROY, nothing behind": (3_298, 2_140),
    "REC_CREATE": (29_200, None),
    "REC_ENTER, HOST_CALL exit": (13_042, 11_877),
    "REC_ENTER, MMIO exit": (10_021, 8_879),
    "REC_ENTER, IRQ exit": (None, None),
    "RSI_VERSION, no exit": (282, 276),
    "RSI_MEASUREMENT_EXTEND": (None, None),
    "attestation token": (20_600_000, 20_600_000),
    "demand fault": (16_465, 12_139),
}


@dataclass(frozen=True)
class Cost:
    """Executed instructions of one operation."""

    total: int
    root: int
    realm_el2: int
    realm_el1: int
    non_secure: int

    @classmethod
    def of(cls, tallies: list[Tally]) -> Cost:
        """The sum over the parts of one repetition, without the begin markers."""
        levels = [tally.by_level() for tally in tallies]
        worlds = [tally.by_state() for tally in tallies]
        el1 = sum(each[SecurityState.REALM, Level.EL1] for each in levels)
        non_secure = sum(each[SecurityState.NON_SECURE] for each in worlds)
        # The marker that begins a pair is in it; it was executed where the pair ends.
        if non_secure:
            non_secure -= len(tallies)
        else:
            el1 -= len(tallies)
        root = sum(each[SecurityState.ROOT] for each in worlds)
        el2 = sum(each[SecurityState.REALM, Level.EL2] for each in levels)
        return cls(root + el2 + el1 + non_secure, root, el2, el1, non_secure)


def names(console: str) -> dict[int, str]:
    """Operations by their number, as the payload tells them."""
    lines = [line.split(maxsplit=3) for line in console.splitlines() if line.startswith("# op ")]
    return {int(words[2]): words[3] for words in lines}


def measure(parts: Parts, folder: Path) -> dict[str, list[Cost]]:
    """One run of the machine: every repetition of every operation."""
    console = run_payload(parts, "bench", folder, count=True, timeout=SECONDS)
    assert "# bench ends" in console, "\n".join(console.splitlines()[-5:])
    report = read_report(folder / "report.json")
    report.counters.check()
    parts_of: dict[tuple[int, int], list[Tally]] = defaultdict(list)
    for pair in pair_markers(each for each in report.markers if each.event == EVENT):
        parts_of[pair.begin.id >> 32, pair.begin.id >> 8 & 0xFFFFFF].append(pair.delta)
    operations = names(console)
    costs: dict[str, list[Cost]] = defaultdict(list)
    for (operation, _), tallies in sorted(parts_of.items()):
        costs[operations[operation]].append(Cost.of(tallies))
    return costs


def measure_all(parts: Parts) -> dict[str, list[Cost]]:
    """All repetitions of several runs, each in a machine of its own."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="orch-bench-") as folder:
            for name, values in measure(parts, Path(folder)).items():
                costs[name] += values
    return costs


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _ratio(values: list[int], yard: int | None) -> str:
    if yard is None:
        return ""
    # 1.00 would hide that it is more by a little.
    return f"{max(values) / yard:.2f}{' !' if max(values) > yard else ''}"


def show(costs: dict[str, list[Cost]], beside: dict[str, list[Cost]]) -> None:
    """Print the table, with what another RMM took if it was measured."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ["total", "Root", "R-EL2", "R-EL1", "NS", "yardstick", "ratio", "its R-EL2", "ratio"]
    columns += ["beside", "its R-EL2"] if beside else []
    table.add_column("operation")
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in costs.items():
        total, el2 = YARDSTICK[name]
        fields = ("total", "root", "realm_el2", "realm_el1", "non_secure")
        seen = {field: [getattr(value, field) for value in values] for field in fields}
        table.add_row(
            name,
            *(_range(seen[field]) for field in fields),
            f"{total:,}" if total is not None else "",
            _ratio(seen["total"], total),
            f"{el2:,}" if el2 is not None else "",
            _ratio(seen["realm_el2"], el2),
            *(
                [_range([getattr(each, field) for each in beside[name]]) for field in ("total", "realm_el2")]
                if beside
                else []
            ),
        )
    console = Console(width=180 if beside else 140, highlight=False)
    console.print("Executed instructions; a range where repetitions differ; '!': more than the yardstick")
    console.print(table)


def as_json(costs: dict[str, list[Cost]]) -> str:
    """All repetitions, and the yardstick."""
    rows = {
        name: {
            "repetitions": [vars(value) for value in values],
            "yardstick": dict(zip(("total", "realm_el2"), YARDSTICK[name], strict=True)),
        }
        for name, values in costs.items()
    }
    return json.dumps({"unit": "instructions", "operations": rows}, indent=1) + "\n"


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every repetition")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="another RMM image, measured in the same run")
    arguments = parser.parse_args()
    costs = measure_all(prepare())
    show(costs, measure_all(prepare(str(arguments.beside))) if arguments.beside else {})
    if arguments.json:
        arguments.json.write_text(as_json(costs), encoding="utf-8")


if __name__ == "__main__":
    main()
