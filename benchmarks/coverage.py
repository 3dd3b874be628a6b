# SPDX-License-Identifier: Apache-2.0
"""`make bench-coverage`: how often 95 % intervals of an overhead hold the truth, for inferences that meet ticks.

Simulated: a guest computes, and ticks of host and guest come at their period, at a phase that each boot and world
draws. An inference costs its own work, what its ticks cost, and now and then a little more. The truth is the ratio of
expected work. Beside the estimator of today stands the one before it, ratios of medians. Then: in how many of so many
runs the quickstart, as its file has it, comes to a conclusion.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import NormalDist

import numpy as np
import yaml
from numpy.typing import NDArray

from orchestrator.analysis.estimator import Interval, Kind, ratio_interval, series
from orchestrator.analysis.ticks import FEWEST, ticks
from orchestrator.analysis.verdict import judge
from orchestrator.report.wording import DASH, TIMES
from orchestrator.words import DEFAULT_MARGIN, Verdict

Floats = NDArray[np.float64]
Estimate = Callable[[Floats, Floats, int], Interval]

PERIOD = 1.25e6  # instructions from tick to tick: 100 Hz at shift 3
COSTS = ((4400.0, 5330.0), (6750.0, 16700.0))  # of a tick of host and guest, in VM and realm, as a quickstart had them
MEET, SHARED = 15_000.0, 0.4  # a guest's tick so few instructions after the host's shares its exit, and costs less
OTHER = (0.1, 600.0)  # how many for each tick, and instructions each: what comes at no period
STRAY = 195_000.0  # instructions: something else that one boot of a realm once did meanwhile
QUICKSTART_WORK = 444_858.0  # instructions at EL0 of an inference of fashion_cnn int8
EXITS = (0.04, 0.3, 1.0, 3.0, 10.0, 30.0)
SIZES = ((1, 32), (1, 400), (2, 32), (2, 128), (3, 32), (5, 5), (5, 32), (10, 10), (20, 5))
WORKLOAD = Path(__file__).resolve().parents[1] / "workloads/quickstart.yaml"
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Regime:
    """What is simulated: own work of an inference, instructions; how much the cost of ticks differs between boots."""

    work: float
    period: float = PERIOD
    spread: float = 0.0  # standard deviation over mean
    meeting: bool = False  # whether ticks of host and guest that come together share an exit
    stray: bool = False  # whether something else happens in one inference of the realm's first boot

    @property
    def lengths(self) -> tuple[float, float]:
        """Expected instructions of an inference in VM and realm."""
        found = []
        for costs in COSTS:
            other = OTHER[0] * OTHER[1] * len(costs)
            found.append(self.work / (1 - (sum(costs) + other) / self.period))
        return found[0], found[1]

    @property
    def truth(self) -> float:
        """The realm's expected work over the VM's."""
        return self.lengths[1] / self.lengths[0]


def world(random: np.random.Generator, regime: Regime, place: int, boots: int, iterations: int) -> Floats:
    """Instructions of inferences in VM (`place` 0) or realm (1), as (boots, iterations)."""
    length = regime.lengths[place]
    phases = random.random((2, boots)) * regime.period
    factor = 1 + regime.spread * random.normal(size=(boots, 1))
    values = np.full((boots, iterations), float(regime.work))
    edges = np.arange(iterations + 1) * length
    for kind, cost in enumerate(COSTS[place]):
        count = np.diff(np.floor((edges + phases[kind][:, None]) / regime.period), axis=1)
        together = kind == 1 and regime.meeting
        apart = (phases[0] - phases[1]) % regime.period if together else np.full(boots, MEET)
        values += count * cost * np.where(apart < MEET, SHARED, 1.0)[:, None] * factor
    values += random.poisson(OTHER[0] * 2 * length / regime.period, values.shape) * OTHER[1]
    if regime.stray and place:
        values[0, random.integers(iterations)] += STRAY
    return values


def of_sums(vm: Floats, realm: Floats, block: int) -> Interval:
    """The estimator of today."""
    boots, places = (index.ravel() for index in np.indices(vm.shape))
    above, below = (series(each.ravel(), boots, places, block=block) for each in (realm, vm))
    return ratio_interval(above, below)


def of_medians(vm: Floats, realm: Floats, _block: int) -> Interval:
    """The one before: medians of all, unpaired; boots, then iterations; BCa with a jackknife of boots or iterations."""
    random = np.random.default_rng(zlib.crc32(vm.tobytes()))
    below, above = (_medians(random, each) for each in (vm, realm))
    estimate = float(np.median(realm) / np.median(vm))
    kept = [_without(each) for each in (realm, vm)]
    low, high = _bca(estimate, above / below, [kept[0] / np.median(vm), np.median(realm) / kept[1]])
    return Interval(estimate, low, high, Kind.BCA)


def _medians(random: np.random.Generator, values: Floats, size: int = 400) -> Floats:
    boots, iterations = values.shape
    drawn = random.integers(0, boots, (size, boots, 1))
    return np.median(values[drawn, random.integers(0, iterations, (size, boots, iterations))].reshape(size, -1), axis=1)


def _without(values: Floats) -> Floats:
    parts = values if len(values) > 1 else values.reshape(-1, 1)
    return np.array([np.median(np.delete(parts, place, axis=0)) for place in range(len(parts))])


def _bca(estimate: float, replicates: Floats, jackknife: Sequence[Floats]) -> tuple[float, float]:
    cubes = squares = 0.0
    for left_out in jackknife:
        influence = (len(left_out) - 1) * (left_out.mean() - left_out)
        cubes += float((influence**3).sum()) / len(left_out) ** 3
        squares += float((influence**2).sum()) / len(left_out) ** 2
    accelerated = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    size = len(replicates)
    share = ((replicates < estimate).sum() + 0.5 * (replicates == estimate).sum()) / size
    bias = _NORMAL.inv_cdf(float(np.clip(share, 0.5 / size, 1 - 0.5 / size)))
    shifted = [bias + sign * 1.959964 for sign in (-1, 1)]
    low, high = np.quantile(replicates, [_NORMAL.cdf(bias + z / (1 - accelerated * z)) for z in shifted])
    return float(low), float(high)


def coverage(estimate: Estimate, regime: Regime, boots: int, iterations: int, runs: int) -> float | None:
    """The share of runs whose interval holds the truth; None where there are no intervals."""
    random = np.random.default_rng([boots, iterations, round(1000 * regime.work)])
    block = ceil(regime.period / regime.lengths[0])
    held = []
    for _ in range(runs):
        vm, realm = (world(random, regime, place, boots, iterations) for place in (0, 1))
        found = estimate(vm, realm, block)
        if found.low is not None and found.high is not None:
            held.append(found.low <= regime.truth <= found.high)
    return sum(held) / len(held) if held else None


def table(spread: float, runs: int) -> None:
    """Print a table in Markdown: today's coverage, and that of ratios of medians."""
    print(f"\nSpread of a tick's cost between boots: {100 * spread:g} %; sums / medians\n")
    print(f"| boots {TIMES} iterations | {' | '.join(f'{exits:g}' for exits in EXITS)} |")
    print(f"|{'---|' * (len(EXITS) + 1)}")
    for boots, iterations in SIZES:
        cells = []
        for exits in EXITS:
            regime = Regime(exits * PERIOD / 2, spread=spread)
            both = [coverage(each, regime, boots, iterations, runs) for each in (of_sums, of_medians)]
            told = " / ".join(DASH if share is None else f"{share:.2f}" for share in both)
            few = boots * iterations * regime.lengths[0] / regime.period < FEWEST
            cells.append(f"({told})" if few else told)
        print(f"| {boots} {TIMES} {iterations} | {' | '.join(cells)} |", flush=True)


def verdict(random: np.random.Generator, regime: Regime, boots: int, iterations: int) -> tuple[Verdict, Interval]:
    """What a run of this regime comes to at the usual margin."""
    vm, realm = (world(random, regime, place, boots, iterations) for place in (0, 1))
    found = of_sums(vm, realm, ceil(regime.period / regime.lengths[0]))
    total = float(vm.sum())
    return judge(found, DEFAULT_MARGIN, ticks(total / regime.period, total, "infer", boots, vm.size)), found


def conclusive(regime: Regime, boots: int, iterations: int, runs: int) -> tuple[float, float]:
    """The share of runs that come to a conclusion, and the middle half width of their intervals, percent."""
    random = np.random.default_rng([boots, iterations])
    found = [verdict(random, regime, boots, iterations) for _ in range(runs)]
    widths = [50 * (each.high - each.low) for _, each in found if each.low is not None and each.high is not None]
    good = sum(word not in {Verdict.INCONCLUSIVE, Verdict.TOO_FEW_TICKS} for word, _ in found)
    return good / runs, float(np.median(widths)) if widths else float("nan")


def quickstart(runs: int) -> None:
    """Print how often the quickstart would be conclusive, as its file has it and with other numbers."""
    file = yaml.safe_load(WORKLOAD.read_text(encoding="utf-8"))
    shift, shipped = int(file["timing"]["shift"]), (int(file["boots"]), int(file["iterations"]))
    print(f"\nQuickstart at shift {shift}, 100 and 100 Hz, a margin of {100 * DEFAULT_MARGIN:g} %: conclusive runs\n")
    print(
        f"| boots {TIMES} iterations | boots alike | ticks may meet | and cost 5 % more or less | a stray in one boot |"
    )
    print("|---|---|---|---|---|")
    for boots, iterations in dict.fromkeys([shipped, (2, 32), (2, 128), (2, 512), (3, 32), (3, 64), (3, 128)]):
        told = []
        for spread, meeting, stray in ((0, False, False), (0, True, False), (0.05, True, False), (0, True, True)):
            regime = Regime(QUICKSTART_WORK, 1e7 / 2**shift, spread, meeting, stray)
            share, width = conclusive(regime, boots, iterations, runs)
            told.append(f"{100 * share:.1f} % (± {width:.2f} %)")
        mark = " (the file)" if (boots, iterations) == shipped else ""
        print(f"| {boots} {TIMES} {iterations}{mark} | {' | '.join(told)} |", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="simulated runs for each figure [300]")
    parser.add_argument("--only-quickstart", action="store_true")
    options = parser.parse_args()
    if not options.only_quickstart:
        print(
            f"Coverage of 95 % intervals, {options.runs} runs each, by exits an inference; in brackets: too few ticks"
        )
        for spread in (0.0, 0.1):
            table(spread, options.runs)
    quickstart(2 * options.runs)


if __name__ == "__main__":
    main()
