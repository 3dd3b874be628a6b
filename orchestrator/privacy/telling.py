# SPDX-License-Identifier: Apache-2.0
"""Whether counts tell inputs apart: classification by the nearest median, and what chance would give. Pure.

Formulas: docs/privacy.md, "Attack answer-time".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]
    Numbers = NDArray[np.int64]

SHUFFLES = (99, 999)  # at least, at most
_WORK = 200_000_000  # distances of all shuffles together: seconds
_DIGITS = 9  # of a distance, which is about 1
_RESOLUTION = 0.5  # of a count, which is a whole number


@dataclass(frozen=True)
class Answers:
    """`counts` of N answers (N x F, one of `columns` a thing that is counted), and which each of them was.

    `inputs` are numbered from 0 without a gap, and each is there at least twice. `boots` share their circumstances,
    `rounds` are the rounds over all inputs within a boot: there a shuffle changes nothing but what was asked when.
    """

    columns: tuple[str, ...]
    counts: Counts
    inputs: Numbers
    boots: Numbers
    rounds: Numbers

    @property
    def number(self) -> int:
        """How many inputs there are."""
        return int(self.inputs.max()) + 1

    def only(self, column: str) -> Answers:
        """The same answers, of which one thing is counted."""
        counts = self.counts[:, [self.columns.index(column)]]
        return Answers((column,), counts, self.inputs, self.boots, self.rounds)


@dataclass(frozen=True)
class Told:
    """How many inputs of `tries` answers were named rightly; `chance` is the mean share when inputs are shuffled.

    `p`: how probable as many are by chance, from that many `shuffles`.
    """

    right: int
    tries: int
    chance: float
    p: float
    shuffles: int


def told_apart(answers: Answers) -> int:
    """Of how many answers the input is that whose median, without the answer itself, is nearest."""
    return _right(_scaled(answers), answers.inputs, answers.number)


def tell_apart(answers: Answers, random: np.random.Generator) -> Told:
    """The same, against what comes of it when the inputs of each round are shuffled."""
    scaled, number = _scaled(answers), answers.number
    right = _right(scaled, answers.inputs, number)
    shuffles = int(np.clip(_WORK // (scaled.size * number), *SHUFFLES))
    rounds = [np.flatnonzero(answers.rounds == each) for each in np.unique(answers.rounds)]
    found = np.empty(shuffles, np.int64)
    for shuffle in range(shuffles):
        inputs = answers.inputs.copy()
        for places in rounds:
            inputs[places] = random.permutation(inputs[places])
        found[shuffle] = _right(scaled, inputs, number)
    p = (1 + int((found >= right).sum())) / (1 + shuffles)
    return Told(right, len(scaled), float(found.mean()) / len(scaled), p, shuffles)


def least_p(answers: Answers) -> float:
    """The smallest p that shuffling within rounds can give: one over the number of ways to do it."""
    _, sizes = np.unique(answers.rounds, return_counts=True)
    return math.exp(-sum(math.lgamma(size + 1) for size in sizes))


def medians_of(answers: Answers) -> Counts:
    """The median of each input, in the first column."""
    medians, _ = _medians(answers.counts[:, 0], answers.inputs, answers.number)
    return medians


def range_within(answers: Answers) -> float:
    """How far answers to one and the same input lie apart, over the median; the median of all inputs.

    Of the first column, without what differs between boots.
    """
    values = _centred(answers)[:, 0]
    ranges = [np.ptp(values[answers.inputs == number]) for number in range(answers.number)]
    return float(np.median(ranges)) / (float(np.median(answers.counts[:, 0])) or 1.0)


def _centred(answers: Answers) -> Counts:
    """Counts less their median in the same boot, which a host knows."""
    counts = answers.counts.astype(np.float64)
    for boot in np.unique(answers.boots):
        mine = answers.boots == boot
        counts[mine] -= np.median(counts[mine], axis=0)
    return counts


def _scaled(answers: Answers) -> Counts:
    """In units of the median deviation, so that no column outweighs another for its size."""
    centred = _centred(answers)
    unit = np.median(np.abs(centred - np.median(centred, axis=0)), axis=0)
    scaled: Counts = centred / np.maximum(unit, _RESOLUTION)
    return scaled


def _right(scaled: Counts, inputs: Numbers, number: int) -> int:
    """How many rows are nearest to the median of their own input; of equally near ones the first input is taken."""
    distances = np.zeros((len(scaled), number))
    own = np.zeros(len(scaled))
    for column in scaled.T:
        medians, without = _medians(column, inputs, number)
        distances += np.abs(column[:, np.newaxis] - medians)
        own += np.abs(column - without)
    distances[np.arange(len(scaled)), inputs] = own
    # What is equal stays so, whatever the order of additions: the same run gives the same rows on each computer.
    return int((distances.round(_DIGITS).argmin(axis=1) == inputs).sum())


def _medians(column: Counts, inputs: Numbers, number: int) -> tuple[Counts, Counts]:
    """The median of each input, and for each row that of its own input without it.

    Of an even number the lower one of the two in the middle: their mean is no count that there ever was, and an input
    with one row less, the row's own, would be met more often than the others.
    """
    order = np.lexsort((column, inputs))
    values, sizes = column[order], np.bincount(inputs, minlength=number)
    starts = np.cumsum(sizes) - sizes
    start, middle = starts[inputs[order]], (sizes[inputs[order]] - 2) // 2
    without = np.empty(len(column))
    # Behind the row that is left out, all others are one place further on.
    without[order] = values[start + middle + (middle >= np.arange(len(column)) - start)]
    return values[starts + (sizes - 1) // 2], without


def numbered(values: Numbers) -> Numbers:
    """Values numbered from 0 without a gap, in their order."""
    _, numbers = np.unique(values, return_inverse=True)
    return numbers.ravel().astype(np.int64)
