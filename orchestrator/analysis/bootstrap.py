# SPDX-License-Identifier: Apache-2.0
"""Resampling of sums with two levels: boots are drawn, and within each drawn boot circular blocks of iterations.

A replicate draws boots with replacement, then blocks within each drawn boot (Politis & Romano 1992; Davison & Hinkley
1997, s. 3.8 and 8.2.3). Ticks come at a period, so that counts of neighbouring iterations depend on each other; a
block is at least as long as that period, and its length is drawn as well, since blocks of a whole number of periods
would all hold the same number of ticks. Sums of blocks are differences of running sums: n values cost O(n), whatever
the number of replicates. docs/analysis.md has the formulas and how often intervals hold.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20240811  # any number: intervals are the same each time they are computed
BLOCKS = 20  # of all boots together, or LEAST_BLOCKS of each: longer blocks need fewer assumptions
LEAST_BLOCKS = 4
_NORMAL = NormalDist()
_STUDENT = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}  # 97.5 %; from 5 on the expansion is exact to 0.001


@dataclass(frozen=True)
class Plan:
    """What is drawn: `lengths` are the boots' numbers of values, `blocks` the shortest block of each."""

    lengths: tuple[int, ...]
    blocks: tuple[int, ...]

    @classmethod
    def of(cls, lengths: Sequence[int], block: int) -> Plan:
        """Blocks of `block` values at least, and of so many that few are needed."""
        each = max(LEAST_BLOCKS, ceil(BLOCKS / len(lengths)))
        return cls(tuple(lengths), tuple(min(count, max(block, ceil(count / each))) for count in lengths))

    @property
    def starts(self) -> Ints:
        """Where each boot begins in its series, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def resamples(self) -> bool:
        """Whether there is anything to draw: another boot, or a second block."""
        return len(self.lengths) > 1 or self.lengths[0] >= 2 * self.blocks[0]


@dataclass(frozen=True)
class Draws:
    """RESAMPLES draws: boots as (RESAMPLES, boots), and blocks within them as places in running sums."""

    plan: Plan
    boots: Ints
    begins: Ints  # (RESAMPLES, boots, blocks)
    ends: Ints  # the same as its begin where a shorter boot has no further block
    weights: Floats  # (RESAMPLES, boots): values of the boot over those of its blocks

    def within(self, values: Floats) -> Floats:
        """Sums of the replicates with both levels, (RESAMPLES,)."""
        running = self._running(values)
        sums = (running[self.ends] - running[self.begins]).sum(axis=2)
        return np.asarray((sums * self.weights).sum(axis=1))

    def between(self, values: Floats) -> Floats:
        """Sums of the same boots without the level within, (RESAMPLES,)."""
        return np.asarray(by_boot(values, self.plan)[self.boots].sum(axis=1))

    def _running(self, values: Floats) -> Floats:
        """Running sums of each boot twice, since blocks go round."""
        starts = self.plan.starts
        parts = [values[begin:end] for begin, end in pairwise(starts)]
        return np.concatenate([each for part in parts for each in ([0.0], np.cumsum(np.concatenate([part, part])))])


def by_boot(values: Floats, plan: Plan) -> Floats:
    """The sum of each boot."""
    return np.asarray(np.add.reduceat(values, plan.starts[:-1]))


def left_out(values: Floats, plan: Plan) -> Floats:
    """Sums without one boot each or, of a single boot, without one block each: a jackknife's samples, in O(n)."""
    if len(plan.lengths) > 1:
        return np.asarray(values.sum() - by_boot(values, plan))
    count = max(1, plan.lengths[0] // plan.blocks[0])
    edges = np.arange(count) * plan.lengths[0] // count
    return np.asarray(values.sum() - np.add.reduceat(values, edges))


@lru_cache(maxsize=16)
def draw(plan: Plan, salt: str = "") -> Draws:
    """The draws of a plan: the same each time, so that parts of a whole are resampled alike."""
    random = np.random.default_rng([SEED, zlib.crc32(salt.encode()), *plan.lengths, *plan.blocks])
    lengths, shortest = (np.array(each, dtype=np.int64) for each in (plan.lengths, plan.blocks))
    longest = np.minimum(lengths, 2 * shortest - 1)
    counts = np.maximum(1, np.rint(2 * lengths / (shortest + longest))).astype(np.int64)
    boots = random.integers(0, len(lengths), (RESAMPLES, len(lengths)))
    shape = (*boots.shape, int(counts.max()))
    sizes = shortest[boots][:, :, None] + _below(random, (longest - shortest + 1)[boots], shape)
    sizes *= np.arange(shape[2]) < counts[boots][:, :, None]
    offsets = plan.starts[:-1] * 2 + np.arange(len(lengths))  # each boot has twice its values, and a zero before them
    begins = offsets[boots][:, :, None] + _below(random, lengths[boots], shape)
    return Draws(plan, boots, begins, begins + sizes, lengths[boots] / sizes.sum(axis=2))


def _below(random: np.random.Generator, limits: Ints, shape: tuple[int, int, int]) -> Ints:
    """Integers from 0 to below the limit of each boot."""
    return np.asarray(random.random(shape) * limits[:, :, None]).astype(np.int64)


def widened(estimate: float, within: Floats, between: Floats, boots: int) -> Floats:
    """Replicates whose part between boots is scaled as few boots need it: by t / z · √(B / (B - 1)).

    Draws from B boots vary by (B - 1) / B of what boots do, and of few boots nobody knows how they vary; the factor is
    that of expanded percentiles (Hesterberg 2015, Am. Stat. 69). The part within boots is left as it is. What lies
    below the estimate is scaled as its reciprocal: nothing becomes negative that was not.
    """
    if boots == 1:
        return within
    factor = student(boots - 1) / _NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * (boots / (boots - 1)) ** 0.5
    if estimate <= 0 or min(float(within.min()), float(between.min())) < 0:
        return np.asarray(estimate + factor * (between - estimate) + (within - between))
    over = between / estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(over >= 1, 1 + factor * (over - 1), 1 / (1 + factor * (1 / over - 1)))
        inside = np.where(between > 0, within / between, 0.0)
    return np.asarray(estimate * scaled * inside)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t: tabulated below 5 degrees of freedom, else Abramowitz & Stegun 26.7.5."""
    if freedom in _STUDENT:
        return _STUDENT[freedom]
    z: float = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def acceleration(samples: Sequence[Floats]) -> float:
    """a = 1/6 Σ_i n_i^-3 Σ_j l_ij^3 / (Σ_i n_i^-2 Σ_j l_ij^2)^1.5 with l_ij = (n_i - 1)(mean_i - left_out_ij).

    Davison & Hinkley 1997, s. 5.3; of one sample it is Efron's.
    """
    cubes = squares = 0.0
    for jackknife in samples:
        count = len(jackknife)
        influence = (count - 1) * (jackknife.mean() - jackknife)
        cubes += float((influence**3).sum()) / count**3
        squares += float((influence**2).sum()) / count**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def bca(estimate: float, replicates: Floats, accelerated: float) -> tuple[float, float]:
    """Both ends (Efron & Tibshirani 1993, eq. 14.10); replicates equal to the estimate count half in the bias."""
    size = len(replicates)
    below = float((replicates < estimate).sum() + 0.5 * (replicates == estimate).sum()) / size
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / size), 1 - 0.5 / size))
    levels = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + _NORMAL.inv_cdf(tail)
        scale = 1 - accelerated * shifted
        levels.append(_NORMAL.cdf(bias + shifted / scale) if scale > 0 else round(tail))
    low, high = np.quantile(replicates, levels)
    return float(low), float(high)
