# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of fractions."""

from __future__ import annotations

from math import sqrt

_Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson(successes: int, tries: int) -> tuple[float, float]:
    """95 % interval of a fraction (Wilson 1927; Brown, Cai, DasGupta 2001), also for none and for all of them.

    Raises ValueError unless 0 <= successes <= tries and tries > 0.
    """
    if not 0 <= successes <= tries or tries == 0:
        raise ValueError(f"{successes} of {tries} is no fraction")
    share, square = successes / tries, _Z95 * _Z95 / tries
    middle = (share + square / 2) / (1 + square)
    half = _Z95 * sqrt(share * (1 - share) / tries + square / tries / 4) / (1 + square)
    # The ends are exact where arithmetic is not.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == tries else min(1.0, middle + half)
    return low, high
