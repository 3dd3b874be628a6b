# SPDX-License-Identifier: Apache-2.0
"""Total work and its intervals: they hold the truth as often as they say where ticks come rarely, and cost O(n)."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.bootstrap import BLOCKS, RESAMPLES, Plan, draw, left_out, student
from orchestrator.analysis.estimator import (
    Interval,
    Kind,
    Series,
    mean_interval,
    paired,
    ratio_apart,
    ratio_interval,
    series,
)
from orchestrator.analysis.ticks import FEWEST, matter, ticks
from orchestrator.analysis.verdict import judge
from orchestrator.words import Verdict

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks/coverage.py"


def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SIMULATED = benchmark()
PERIOD = SIMULATED.PERIOD


def of(values: Any, boots: int = 1, block: int = 1, **more: Any) -> Series:
    """A series of boots of equal length, one behind the other."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    each = len(flat) // boots
    return series(flat, np.repeat(np.arange(boots), each), np.tile(np.arange(each), boots), block=block, **more)


# --- how often intervals hold the truth -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boots", "iterations", "exits", "spread"),
    [(1, 400, 0.3, 0.0), (2, 400, 0.04, 0.0), (2, 128, 0.3, 0.1), (5, 5, 10.0, 0.1), (10, 10, 1.0, 0.0)],
)
def test_coverage(boots: int, iterations: int, exits: float, spread: float) -> None:
    """200 runs: a true coverage of 95 % is seen as 91 % or more but for 1 time in 200; intervals may be wider."""
    regime = SIMULATED.Regime(exits * PERIOD / 2, spread=spread)
    assert SIMULATED.coverage(SIMULATED.of_sums, regime, boots, iterations, 200) >= 0.905


def test_a_median_does_not_see_rare_ticks_and_a_sum_does() -> None:
    regime = SIMULATED.Regime(0.04 * PERIOD / 2)
    random = np.random.default_rng(5)
    vm, realm = (SIMULATED.world(random, regime, place, 4, 400) for place in (0, 1))
    medians, sums = SIMULATED.of_medians(vm, realm, 50), SIMULATED.of_sums(vm, realm, 50)
    assert medians.estimate == medians.high == 1
    assert regime.truth == pytest.approx(1.0112, abs=1e-4)
    assert sums.low < regime.truth < sums.high
    assert sums.low > 1.005
    assert SIMULATED.coverage(SIMULATED.of_medians, regime, 4, 400, 20) == 0


def test_one_boot_does_not_speak_for_others() -> None:
    """As the documents and the report say."""
    regime = SIMULATED.Regime(3 * PERIOD / 2, spread=0.1)
    assert SIMULATED.coverage(SIMULATED.of_sums, regime, 1, 400, 100) < 0.5


def test_the_quickstart_comes_to_a_conclusion() -> None:
    """In 19 of 20 runs at least, with the numbers of its file."""
    file = SIMULATED.yaml.safe_load(SIMULATED.WORKLOAD.read_text(encoding="utf-8"))
    regime = SIMULATED.Regime(SIMULATED.QUICKSTART_WORK, 1e7 / 2 ** file["timing"]["shift"], meeting=True)
    share, width = SIMULATED.conclusive(regime, file["boots"], file["iterations"], 300)
    assert share >= 0.95
    assert width < 0.5


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_blocks_know_that_ticks_come_at_a_period() -> None:
    """One tick in ten iterations, never two: sums vary by one tick, not by the root of their number."""
    values = 100.0 + 50.0 * (np.arange(1000) % 10 == 3)
    by_block, as_if_independent = (mean_interval(of(values, block=block)) for block in (50, 1))
    shuffled = mean_interval(of(np.random.default_rng(1).permutation(values)))
    width = [each.high - each.low for each in (by_block, as_if_independent, shuffled)]
    assert 0 < width[0] < 0.3 * width[2]
    assert width[1] < 0.5 * width[2]  # long series have long blocks whatever the period


def test_blocks_of_whole_periods_are_not_taken_for_certainty() -> None:
    values = 100.0 + 50.0 * (np.arange(40) % 10 == 3)
    found = mean_interval(of(values, block=10))
    assert found.kind is Kind.BCA
    assert found.low < 105 < found.high


def test_pairs_cancel_what_both_worlds_share() -> None:
    random = np.random.default_rng(2)
    vm = random.normal(100, 10, (4, 50))
    realm = 1.01 * vm + random.normal(0, 0.01, vm.shape)
    both, alone = (each(of(realm, 4), of(vm, 4)) for each in (ratio_interval, ratio_apart))
    assert both.estimate == pytest.approx(alone.estimate)
    assert both.high - both.low < 0.01 * (alone.high - alone.low)
    assert both.low < 1.01 < both.high


def test_what_one_world_lacks_is_left_out_of_both() -> None:
    vm, realm = (of(np.arange(12.0) + start, 3) for start in (100, 200))
    lacking = Series(*(each[[0, 1, 2, 5, 6, 9]] for each in (realm.values, realm.boots, realm.places)))
    both = paired(lacking, vm)
    assert both is not None
    assert (both[0].values - both[1].values).tolist() == [100] * 6
    found = ratio_interval(lacking, vm)
    assert found.estimate == both[0].values.sum() / both[1].values.sum()
    other = Series(realm.values, realm.boots + 7, realm.places)
    assert paired(other, vm) is None
    assert ratio_interval(other, vm) == ratio_apart(other, vm)


def test_what_happens_twice_at_a_place_is_paired_in_order() -> None:
    """Two guests of one boot: both make their memory, and neither has an iteration."""
    vm = series(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([-1, -1, -1]))
    realm = series(np.array([30.0, 10.0, 20.0]), np.array([1, 0, 0]), np.array([-1, -1, -1]))
    both = paired(realm, vm)
    assert both is not None
    assert (both[0].values / both[1].values).tolist() == [10, 10, 10]


def test_boots_that_differ_widen_the_interval() -> None:
    """What is the same in a boot is no independent evidence."""
    values = np.repeat([100.0, 110.0, 120.0, 130.0, 140.0], 20) + np.tile(np.linspace(0, 1, 20), 5)
    by_boot, as_one = mean_interval(of(values, 5)), mean_interval(of(np.random.default_rng(1).permutation(values)))
    assert by_boot.high - by_boot.low > 3 * (as_one.high - as_one.low)


def test_two_boots_are_widened_as_two_values_need_it() -> None:
    """Where nothing varies within boots, the interval is about Student's: mean ± 12.7 standard errors."""
    found = mean_interval(of([1000.0] * 5 + [1002.0] * 5, 2))
    assert found.estimate == 1001
    assert found.high - found.estimate == pytest.approx(student(1) / 1.96 * 2**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (2, 4.303), (4, 2.776), (5, 2.571), (9, 2.262), (29, 2.045), (99, 1.984)]
)
def test_quantiles_of_student(freedom: int, expected: float) -> None:
    assert student(freedom) == pytest.approx(expected, abs=1.5e-3)


def test_a_short_boot_has_its_own_weight() -> None:
    """A boot of one value and one of 99: half of the drawn boots are the small one."""
    values, boots = np.concatenate([[1000.0], np.arange(99.0)]), np.array([0] + [1] * 99)
    sample = series(values, boots, np.arange(100))
    drawn = draw(sample.plan)
    counts = drawn.between(np.ones(100))
    assert 0.2 < float((counts == 2).mean()) < 0.3  # both draws are the small boot: 1/4
    assert drawn.within(np.ones(100)) == pytest.approx(counts)
    assert mean_interval(sample).high <= 1000 * student(1)


# --- arithmetic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(5, 7, 9), (40,)])
def test_the_jackknife_is_that_of_the_definition(lengths: tuple[int, ...]) -> None:
    random = np.random.default_rng(4)
    above, below = (random.normal(100, 5, sum(lengths)) for _ in "ab")
    plan = Plan.of(lengths, 4)
    closed = left_out(above, plan) / left_out(below, plan)
    if len(lengths) > 1:
        edges = np.concatenate([[0], np.cumsum(lengths)])
        parts = [np.arange(start, end) for start, end in pairwise(edges)]
    else:
        parts = np.array_split(np.arange(40), 10)
    slow = [np.delete(above, part).sum() / np.delete(below, part).sum() for part in parts]
    assert closed == pytest.approx(slow, rel=1e-12)


def test_many_values_cost_no_more_replicates() -> None:
    """100,000 values, as many as the schema allows: what is drawn does not grow with them."""
    values = 100.0 + np.random.default_rng(6).poisson(0.04, 100_000)
    sample = of(values, block=25)
    assert draw(sample.plan).begins.size <= RESAMPLES * BLOCKS
    found = mean_interval(sample)
    assert found.low < 100.04 < found.high
    assert len(left_out(values, sample.plan)) <= BLOCKS
    assert ratio_interval(of(values * 2, block=25), sample).estimate == pytest.approx(2)


def test_degenerate_data() -> None:
    one, same, zeros = of([5.0]), of([7.0] * 6, 2), of(np.zeros(4), 4)
    varied = of([0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 7.0])
    assert mean_interval(one) == Interval(5, None, None, Kind.NONE)
    assert mean_interval(same) == Interval(7, 7, 7, Kind.CONSTANT)
    assert mean_interval(of([7.0] * 6, alone=True)) == Interval(7, None, None, Kind.NONE)
    assert mean_interval(of([7.0] * 6, block=4)) == Interval(7, None, None, Kind.NONE)  # which may not have met a tick
    assert mean_interval(of(np.arange(9.0), block=5)) == Interval(4, None, None, Kind.NONE)  # shorter than two blocks
    assert ratio_interval(one, same) == Interval(5 / 7, None, None, Kind.NONE)
    assert ratio_interval(same, same) == Interval(1, 1, 1, Kind.CONSTANT)
    assert ratio_interval(same, zeros) == Interval(None, None, None, Kind.NONE)
    assert ratio_interval(zeros, of([7.0] * 4, 4)) == Interval(0, 0, 0, Kind.CONSTANT)
    assert ratio_interval(of([7.0] * 7), varied).kind is Kind.NONE  # some replicates are 0
    assert ratio_interval(of(varied.values * 3), varied).kind is Kind.NONE
    proportional = of(np.arange(1.0, 21.0), 4)
    assert ratio_interval(of(proportional.values * 3, 4), proportional) == Interval(3, 3, 3, Kind.CONSTANT)
    for bad in ([], [1.0, np.nan], [np.inf]):
        with pytest.raises(ValueError, match="finite"):
            of(bad)


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 1.0, 1.0, 2.0], [3.0, 3.0, 9.0]])
def test_small_samples_have_finite_intervals_that_hold_the_mean(values: list[float]) -> None:
    interval = mean_interval(of(values, len(values)))
    assert 0 < interval.low <= np.mean(values) <= interval.high < 100 * max(values)


def test_counts_of_which_some_boots_have_none_are_not_negative() -> None:
    interval = mean_interval(of([0.0, 0.0, 0.0, 5.0], 4))
    assert interval.low == 0
    assert interval.high > 2.5


def test_intervals_are_the_same_each_time_and_both_sides_are_drawn_apart() -> None:
    values = np.random.default_rng(3).normal(100, 1, 30)
    sample = of(values, 3)
    assert mean_interval(sample) == mean_interval(of(values, 3))
    assert ratio_interval(sample, sample) == Interval(1, 1, 1, Kind.CONSTANT)
    apart = ratio_apart(sample, sample)
    assert apart.low < 1 < apart.high


# --- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.021, 1.05, Verdict.SLOWER),
        (0.9, 0.979, Verdict.FASTER),
        (0.981, 1.019, Verdict.INDISTINGUISHABLE),
        (1.0, 1.0, Verdict.INDISTINGUISHABLE),
        (0.98, 1.02, Verdict.INDISTINGUISHABLE),
        (1.01, 1.03, Verdict.INCONCLUSIVE),
        (0.9, 1.1, Verdict.INCONCLUSIVE),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(low: float | None, high: float | None, verdict: Verdict) -> None:
    assert judge(Interval(1.0, low, high, Kind.BCA), 0.02) is verdict
    enough = ticks(FEWEST, 1e9, "infer", 1, 10)
    assert judge(Interval(1.0, low, high, Kind.BCA), 0.02, enough) is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0, 1.0, Verdict.TOO_FEW_TICKS),  # no inference met one
        (None, None, Verdict.TOO_FEW_TICKS),
        (1.03, 1.05, Verdict.TOO_FEW_TICKS),  # which one tick could have done
        (1.1, 1.2, Verdict.SLOWER),  # which no tick does
        (0.8, 0.9, Verdict.FASTER),
    ],
)
def test_with_too_few_ticks_nothing_is_said_but_what_no_tick_would_change(
    low: float | None, high: float | None, verdict: Verdict
) -> None:
    few = ticks(4.4, 4.4e6 / 2, "infer", 2, 10)
    assert 0.03 < few.slack < 0.04
    assert judge(Interval(1.0, low, high, Kind.BCA), 0.02, few) is verdict


def test_what_is_needed_is_enough() -> None:
    few = ticks(0.8, 8e6, "infer", 2, 8)
    assert (few.few, few.needed, few.of) == (True, 25, "iterations a boot")
    assert not ticks(0.8 * 25 / 4, 8e6, "infer", 2, 50).few
    once = ticks(3.7, 4.6e6, "load", 2, 2)
    assert (once.few, once.needed, once.of) == (True, 3, "boots")
    assert ticks(0.0, 0.0, "infer", 1, 3).few
    assert matter("instructions", "all")
    assert not matter("instructions", "guest_user")
    assert not matter("exits", "all")
