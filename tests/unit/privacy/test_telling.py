# SPDX-License-Identifier: Apache-2.0
"""Telling inputs apart: what is there is found, what is not there is not, and constant counts say nothing."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest

from orchestrator.privacy import telling
from orchestrator.privacy.telling import Answers, least_p, medians_of, numbered, range_within, tell_apart, told_apart


def answers(counts: Any, inputs: int, boots: int = 1) -> Answers:
    """Counts (N or N x F) of inputs in turn, boot after boot."""
    values = np.asarray(counts, np.float64)
    values = values[:, np.newaxis] if values.ndim == 1 else values
    each = len(values) // boots
    place = np.arange(len(values)) % each
    boot = np.arange(len(values)) // each
    rounds = numbered(boot * each + place // inputs)
    names = tuple(f"c{column}" for column in range(values.shape[1]))
    return Answers(names, values, place % inputs, boot, rounds)


def by_hand(values: list[float], inputs: list[int]) -> int:
    """The same for one column, as a book would do it."""
    middle = statistics.median(values)
    unit = max(statistics.median(abs(value - middle) for value in values), 0.5)
    right = 0
    for place, value in enumerate(values):
        others = [(other, kind) for at, (other, kind) in enumerate(zip(values, inputs, strict=True)) if at != place]
        medians = {
            kind: statistics.median_low(other for other, its in others if its == kind) for kind in sorted(set(inputs))
        }
        distances = {kind: round(abs(value - median) / unit, 9) for kind, median in medians.items()}
        right += min(distances, key=lambda kind: distances[kind]) == inputs[place]
    return right


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_a_book_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, rounds = int(random.integers(2, 6)), int(random.integers(2, 6))
    values = random.integers(0, 12, inputs * rounds).astype(float)  # many are equal
    given = answers(values, inputs)
    assert told_apart(given) == by_hand(values.tolist(), given.inputs.tolist())


def test_inputs_of_unequal_numbers() -> None:
    values = np.array([1.0, 5, 1, 5, 1, 5, 2])
    given = answers(values, 2)
    assert np.bincount(given.inputs).tolist() == [4, 3]
    assert told_apart(given) == by_hand(values.tolist(), given.inputs.tolist()) == 7


def test_what_depends_on_the_input_is_found() -> None:
    random = np.random.default_rng(1)
    inputs, rounds = 8, 6
    values = 1e6 + 1000.0 * (np.arange(inputs * rounds) % inputs) + random.normal(0, 50, inputs * rounds)
    told = tell_apart(answers(values, inputs), random)
    assert (told.right, told.tries) == (48, 48)
    assert told.p == pytest.approx(1 / (1 + told.shuffles))
    assert told.chance == pytest.approx(1 / 8, abs=0.06)  # counts in groups are named alike by chance more often


def test_one_column_of_three_is_enough() -> None:
    random = np.random.default_rng(2)
    counts = random.normal(1e6, 1000, (64, 3)).round()
    counts[:, 2] = 4 + (np.arange(64) % 8 == 3)  # as exits: constant, but for one input
    given = answers(counts, 8)
    told = tell_apart(given, random)
    assert told.p <= 0.05
    assert told_apart(given.only("c2")) >= 8


def test_constant_counts_tell_nothing() -> None:
    given = answers(np.full(32, 77.0), 8)
    told = tell_apart(given, np.random.default_rng(3))
    assert (told.right, told.tries, told.p, told.chance) == (4, 32, 1.0, 1 / 8)
    assert medians_of(given).tolist() == [77] * 8
    assert range_within(given) == 0


def test_p_is_uniform_where_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 runs without a difference one in twenty has p below 0.05, also with slow drift within a boot."""
    monkeypatch.setattr(telling, "_WORK", 1)
    low = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        noise = random.normal(0, 1, 32) + np.arange(32) / 4
        low += tell_apart(answers((1e4 + 100 * noise).round(), 4), random).p <= 0.05
    # Binomial(200, 0.05): 10 expected, more than 20 once in a thousand. p counts equal ones, so that it errs upwards.
    assert 0 < low <= 20


def test_what_differs_between_boots_is_no_difference_of_inputs() -> None:
    random = np.random.default_rng(4)
    values = np.concatenate([random.normal(0, 1, 16), 1e5 + random.normal(0, 1, 16)]) + 10 * (np.arange(32) % 4)
    given = answers(values, 4, boots=2)
    assert tell_apart(given, random).right == 32
    assert range_within(given) * np.median(values) < 10


def test_the_least_p_is_one_over_all_ways_to_shuffle() -> None:
    assert least_p(answers(np.arange(8), 4)) == pytest.approx(1 / math.factorial(4) ** 2)
    assert least_p(answers(np.arange(7), 2)) == pytest.approx(1 / 8)  # the last round has one answer


def test_many_inputs_are_shuffled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    given = answers(np.arange(64), 8)
    for work, shuffles in ((1, 99), (64 * 8 * 200, 200), (10**9, 999)):
        monkeypatch.setattr(telling, "_WORK", work)
        assert tell_apart(given, np.random.default_rng(5)).shuffles == shuffles


def test_the_same_seed_gives_the_same() -> None:
    given = answers(np.random.default_rng(6).normal(0, 9, (48, 2)), 6)
    one, other = (tell_apart(given, np.random.default_rng(7)) for _ in range(2))
    assert one == other
