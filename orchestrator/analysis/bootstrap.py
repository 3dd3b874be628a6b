# SPDX-License-Identifier: Apache-2.0
"""Bootstrap intervals of medians and of ratios of medians, with two levels: boots, and iterations within boots.

BCa: bias-corrected and accelerated percentile intervals (Efron 1987; Efron & Tibshirani 1993, ch. 14). A replicate
draws boots with replacement, then iterations with replacement within each drawn boot (Davison & Hinkley 1997, s. 3.8),
and is the median of all. Acceleration comes from a jackknife over boots, or over iterations where there is one boot;
for a ratio from both samples (Davison & Hinkley 1997, s. 5.3). docs/analysis.md has the formulas and their limits.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20240811  # any number: intervals are the same each time they are computed
FEW_SAMPLES = 6  # below, not even [min, max] covers the median with 95 %: 1 - 2^(1-n) (Efron & Tibshirani 1993, s. 12)
FEW_BOOTS = 5  # below, intervals are too narrow where boots differ; how much: docs/analysis.md, "Coverage"
_CHUNK = 1 << 21  # values that are sorted at a time; 40 MiB of memory
_NORMAL = NormalDist()


class Kind(StrEnum):
    """How an interval came about."""

    BCA = "bca"
    CONSTANT = "constant"  # all values are equal, and so are its ends
    NONE = "none"  # one value, or a ratio to 0: no interval


class Level(StrEnum):
    """What the jackknife of the acceleration left out, one at a time."""

    BOOTS = "boots"
    ITERATIONS = "iterations"


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval; ends are None where there is none."""

    estimate: float | None
    low: float | None
    high: float | None
    kind: Kind


@dataclass(frozen=True)
class Replicates:
    """A sample's median, its bootstrap replicates (RESAMPLES; one if constant or single), and its jackknife."""

    estimate: float
    medians: Floats
    jackknife: Floats
    level: Level
    kind: Kind
    boots: int
    samples: int


def generator(*key: str) -> np.random.Generator:
    """Random numbers that depend on what is estimated alone, not on what else is."""
    return np.random.default_rng([SEED, *(zlib.crc32(part.encode()) for part in key)])


def replicate(
    values: Floats, boots: NDArray[np.int64], random: np.random.Generator, size: int = RESAMPLES
) -> Replicates:
    """Resample n values with the n numbers of their boots; raises ValueError for none or such that are not finite."""
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("a median needs finite values")
    groups = [values[boots == boot] for boot in np.unique(boots)]
    level = Level.BOOTS if len(groups) > 1 else Level.ITERATIONS
    estimate = float(np.median(values))
    if len(values) == 1 or np.ptp(values) == 0:
        kind = Kind.NONE if len(values) == 1 else Kind.CONSTANT
        alone = np.array([estimate])
        return Replicates(estimate, alone, alone, level, kind, len(groups), len(values))
    medians = _resampled_medians(groups, random, size)
    jackknife = _jackknife(groups)
    return Replicates(estimate, medians, jackknife, level, Kind.BCA, len(groups), len(values))


def median_interval(sample: Replicates) -> Interval:
    """The interval of a median."""
    if sample.kind is Kind.NONE:
        return Interval(sample.estimate, None, None, Kind.NONE)
    if sample.kind is Kind.CONSTANT:
        return Interval(sample.estimate, sample.estimate, sample.estimate, Kind.CONSTANT)
    low, high = _bca(sample.estimate, sample.medians, _acceleration([sample.jackknife]))
    return Interval(sample.estimate, low, high, Kind.BCA)


def ratio_interval(above: Replicates, below: Replicates) -> Interval:
    """The interval of the ratio of two independent samples' medians; none at all where the lower one can be 0."""
    if below.estimate <= 0:
        return Interval(None, None, None, Kind.NONE)
    ratio = above.estimate / below.estimate
    if Kind.NONE in {above.kind, below.kind} or float(below.medians.min()) <= 0:
        return Interval(ratio, None, None, Kind.NONE)
    if above.kind is Kind.CONSTANT and below.kind is Kind.CONSTANT:
        return Interval(ratio, ratio, ratio, Kind.CONSTANT)
    left_out = [above.jackknife / below.estimate, above.estimate / below.jackknife]
    low, high = _bca(ratio, above.medians / below.medians, _acceleration(left_out))
    return Interval(ratio, low, high, Kind.BCA)


def _resampled_medians(groups: list[Floats], random: np.random.Generator, size: int) -> Floats:
    """Medians of `size` resamples; meanwhile ranks stand for values, since short integers sort four times as fast."""
    ordered = np.unique(np.concatenate(groups))
    kind = np.uint16 if len(ordered) < np.iinfo(np.uint16).max else np.uint32
    counts = np.array([len(group) for group in groups])
    table = np.full((len(groups), int(counts.max())), np.iinfo(kind).max, dtype=kind)  # shorter rows end in the largest
    for row, group in zip(table, groups, strict=True):
        row[: len(group)] = np.searchsorted(ordered, group)
    step = max(1, _CHUNK // table.size)
    parts = [_chunk(table, counts, random, min(step, size - at)) for at in range(0, size, step)]
    return np.asarray(ordered[np.concatenate(parts)].mean(axis=1), dtype=np.float64)


def _chunk(
    table: NDArray[Any], counts: NDArray[np.int64], random: np.random.Generator, size: int
) -> NDArray[np.unsignedinteger[Any]]:
    """The two middle ranks of `size` resamples, as (size, 2)."""
    boots, longest = table.shape
    drawn = random.integers(0, boots, (size, boots))
    shape = (size, boots, longest)
    if (counts == longest).all():
        picked = table[drawn[:, :, None], random.integers(0, longest, shape, dtype=np.uint32)]
        total = np.full(size, boots * longest)
    else:
        lengths = counts[drawn][:, :, None]
        picked = table[drawn[:, :, None], (random.random(shape) * lengths).astype(np.int64)]
        picked[np.arange(longest) >= lengths] = np.iinfo(table.dtype).max
        total = lengths.sum(axis=(1, 2))
    picked = np.sort(picked.reshape(size, -1), axis=1)
    rows = np.arange(size)
    return np.stack([picked[rows, (total - 1) // 2], picked[rows, total // 2]], axis=1)


def _jackknife(groups: list[Floats]) -> Floats:
    """Medians without one boot each or, of a single boot, without one iteration each."""
    if len(groups) == 1:
        values = groups[0]
        return np.array([np.median(np.delete(values, index)) for index in range(len(values))])
    return np.array([np.median(np.concatenate(groups[:index] + groups[index + 1 :])) for index in range(len(groups))])


def _acceleration(samples: list[Floats]) -> float:
    """a = 1/6 Σ_i n_i^-3 Σ_j l_ij^3 / (Σ_i n_i^-2 Σ_j l_ij^2)^1.5 with l_ij = (n_i - 1)(mean_i - left_out_ij)."""
    cubes = squares = 0.0
    for left_out in samples:
        count = len(left_out)
        influence = (count - 1) * (left_out.mean() - left_out)
        cubes += float((influence**3).sum()) / count**3
        squares += float((influence**2).sum()) / count**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def _bca(estimate: float, replicates: Floats, acceleration: float) -> tuple[float, float]:
    """Both ends (Efron & Tibshirani 1993, eq. 14.10); replicates equal to the estimate count half in the bias."""
    size = len(replicates)
    if size == 1:
        return estimate, estimate
    below = float((replicates < estimate).sum() + 0.5 * (replicates == estimate).sum()) / size
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / size), 1 - 0.5 / size))
    levels = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + _NORMAL.inv_cdf(tail)
        scale = 1 - acceleration * shifted
        levels.append(_NORMAL.cdf(bias + shifted / scale) if scale > 0 else round(tail))
    low, high = np.quantile(replicates, levels)
    return float(low), float(high)
