# SPDX-License-Identifier: Apache-2.0
"""The estimator: total work, as means and as ratios of sums that are paired by boot and iteration, with intervals.

Overhead is exits times their cost, and most inferences of a small model meet no exit at all. Their median says what
happens when nothing happens; sums hold every exit. Intervals: bootstrap.py. Method and coverage: docs/analysis.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from orchestrator.analysis.bootstrap import (
    Draws,
    Floats,
    Ints,
    Plan,
    acceleration,
    bca,
    draw,
    left_out,
    widened,
)

ESTIMATOR = "ratio-of-sums-1"
"""Name and version, as tables have them: another estimator of the same samples gives other figures."""
_AGAIN = 1 << 24  # more than a boot has iterations: places of what happened there once more
_EQUAL = 1e-12  # replicates that lie closer to each other than this, relatively, differ by rounding


class Kind(StrEnum):
    """How an interval came about."""

    BCA = "bca"
    CONSTANT = "constant"  # nothing varies: its ends are the estimate
    NONE = "none"  # nothing to resample, or a ratio to 0: no interval


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval; ends are None where there is none."""

    estimate: float | None
    low: float | None
    high: float | None
    kind: Kind


@dataclass(frozen=True, eq=False)
class Series:
    """n finite values by boot and, within a boot, in the order in which they came.

    `boots` are what boots of two worlds share, `places` what iterations share within a boot; a pair of both occurs
    once. `block` is the number of iterations in which the rarest tick comes round. Values of one boot that are not
    independent at all (`alone`) give no interval without a second boot. Raises ValueError for none or not finite ones.
    """

    values: Floats
    boots: Ints
    places: Ints
    block: int = 1
    alone: bool = False

    def __post_init__(self) -> None:
        if len(self.values) == 0 or not np.isfinite(self.values).all():
            raise ValueError("an estimate needs finite values")

    @cached_property
    def numbers(self) -> tuple[Ints, Ints]:
        """Boots in order, and how many values each has."""
        boots, counts = np.unique(self.boots, return_counts=True)
        return boots, counts

    @property
    def boot_count(self) -> int:
        """How many boots there are."""
        return len(self.numbers[0])

    @property
    def mean(self) -> float:
        """Of all values."""
        return float(self.values.mean())

    @property
    def median(self) -> float:
        """Of all values: a description."""
        return float(np.median(self.values))

    def sharing(self, other: Series) -> Series:
        """Itself, with the boots and places of another one where these are the same: in memory they are once."""
        if other is self or not (np.array_equal(self.boots, other.boots) and np.array_equal(self.places, other.places)):
            return self
        return replace(self, boots=other.boots, places=other.places)

    @cached_property
    def plan(self) -> Plan:
        """How it is resampled."""
        return Plan.of(self.numbers[1].tolist(), self.block)

    @property
    def resamples(self) -> bool:
        """Whether there is something to draw."""
        return self.boot_count > 1 or (self.plan.resamples and not self.alone)

    @property
    def constant(self) -> bool:
        """Whether there are two values at least, and all are equal."""
        return len(self.values) > 1 and float(np.ptp(self.values)) == 0


def series(values: Floats, boots: Ints, places: Ints, *, block: int = 1, alone: bool = False) -> Series:
    """A series of values in any order; of several at one place, the first ones of two series belong together."""
    order = np.lexsort((places, boots))
    values, boots, places = values[order], boots[order], places[order]
    again = np.concatenate([[False], (np.diff(boots) == 0) & (np.diff(places) == 0)]) if len(values) else None
    if again is not None and again.any():
        at = np.arange(len(values))
        places = places + (at - np.maximum.accumulate(np.where(again, 0, at))) * _AGAIN
    return Series(values, boots, places, block, alone)


def paired(above: Series, below: Series) -> tuple[Series, Series] | None:
    """What both have, boot by boot and iteration by iteration; None if that is nothing."""
    if np.array_equal(above.boots, below.boots) and np.array_equal(above.places, below.places):
        return above, below
    both = np.unique(np.concatenate([above.boots, below.boots]))
    keys = [np.searchsorted(both, each.boots) * (1 << 40) + each.places for each in (above, below)]
    _, mine, others = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    if not len(mine):
        return None
    return _chosen(above, mine), _chosen(below, others)


def identical(one: Series, other: Series) -> bool:
    """Whether both have the same values at the same places of the same boots: nothing is left to estimate."""
    pairs = ((one.boots, other.boots), (one.places, other.places), (one.values, other.values))
    return all(np.array_equal(*pair) for pair in pairs)


def mean_interval(sample: Series) -> Interval:
    """The interval of a mean."""
    if not sample.resamples:
        return Interval(sample.mean, None, None, Kind.NONE)
    if sample.constant:
        return Interval(sample.mean, sample.mean, sample.mean, Kind.CONSTANT)
    plan, drawn = sample.plan, draw(sample.plan)
    ones = np.ones(len(sample.values))
    within, between = (each(sample.values) / each(ones) for each in (drawn.within, drawn.between))
    replicates = widened(sample.mean, within, between, sample.boot_count)
    return _ends(sample.mean, replicates, [left_out(sample.values, plan) / left_out(ones, plan)])


def ratio_interval(above: Series, below: Series) -> Interval:
    """The interval of the ratio of two sums over what both have: boots and blocks are drawn once for both.

    Of series that have nothing in common it is that of independent ones.
    """
    both = paired(above, below)
    if both is None:
        return ratio_apart(above, below)
    over, under = both
    found = _degenerate(over, under)
    if found is not None:
        return found
    ratio = float(over.values.sum() / under.values.sum())
    plan = Plan.of(under.numbers[1].tolist(), max(over.block, under.block))
    drawn = draw(plan)
    wholes = [left_out(each.values, plan) for each in both]
    denominators = [drawn.within(under.values), drawn.between(under.values)]
    if min(float(each.min()) for each in (*denominators, wholes[1])) <= 0:
        return Interval(ratio, None, None, Kind.NONE)
    numerators = [drawn.within(over.values), drawn.between(over.values)]
    within, between = (up / down for up, down in zip(numerators, denominators, strict=True))
    return _ends(ratio, widened(ratio, within, between, under.boot_count), [wholes[0] / wholes[1]])


def ratio_apart(above: Series, below: Series) -> Interval:
    """The interval of the ratio of two means of independent series: each is drawn by itself."""
    found = _degenerate(above, below)
    if found is not None:
        return found
    ratio = above.mean / below.mean
    sides = [_replicates(each, salt) for each, salt in ((above, "above"), (below, "below"))]
    if min(float(each.min()) for each in sides[1]) <= 0:
        return Interval(ratio, None, None, Kind.NONE)
    jackknife = [sides[0][1] / below.mean, above.mean / sides[1][1]]
    return _ends(ratio, sides[0][0] / sides[1][0], jackknife)


def _replicates(sample: Series, salt: str) -> tuple[Floats, Floats]:
    """Replicates of a mean, and its jackknife."""
    if sample.constant:
        return np.full(1, sample.mean), np.full(1, sample.mean)
    drawn: Draws = draw(sample.plan, salt)
    ones = np.ones(len(sample.values))
    within, between = (each(sample.values) / each(ones) for each in (drawn.within, drawn.between))
    jackknife = left_out(sample.values, sample.plan) / left_out(ones, sample.plan)
    return widened(sample.mean, within, between, sample.boot_count), jackknife


def _degenerate(above: Series, below: Series) -> Interval | None:
    """The interval where there is no need or no way to resample; None where there is."""
    if below.mean <= 0:
        return Interval(None, None, None, Kind.NONE)
    ratio = float(above.mean / below.mean)
    if not above.resamples or not below.resamples:
        return Interval(ratio, None, None, Kind.NONE)
    return Interval(ratio, ratio, ratio, Kind.CONSTANT) if above.constant and below.constant else None


def _ends(estimate: float, replicates: Floats, jackknife: list[Floats]) -> Interval:
    if float(np.ptp(replicates)) <= _EQUAL * abs(estimate):
        return Interval(estimate, estimate, estimate, Kind.CONSTANT)
    low, high = bca(estimate, replicates, acceleration(jackknife))
    return Interval(estimate, low, high, Kind.BCA)


def _chosen(sample: Series, places: Ints) -> Series:
    order = np.sort(places)
    return Series(sample.values[order], sample.boots[order], sample.places[order], sample.block, sample.alone)
