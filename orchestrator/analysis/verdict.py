# SPDX-License-Identifier: Apache-2.0
"""Verdict words: a ratio's interval against the margin that a run declares."""

from __future__ import annotations

from orchestrator.analysis.estimator import Interval
from orchestrator.analysis.ticks import Ticks
from orchestrator.words import Verdict


def judge(ratio: Interval, margin: float, ticks: Ticks | None = None) -> Verdict:
    """Two one-sided tests by inclusion (Schuirmann 1987): is the interval in [1 - margin, 1 + margin], or outside?

    A larger value is a slower one. The interval has 95 %, so each of the tests has a level of 2.5 %. With too few ticks
    nothing is said but what a tick more or less in each boot would not change.
    """
    few = ticks is not None and ticks.few
    slack = ticks.slack if ticks is not None and few else 0.0
    if ratio.low is not None and ratio.low - slack > 1 + margin:
        return Verdict.SLOWER
    if ratio.high is not None and ratio.high + slack < 1 - margin:
        return Verdict.FASTER
    if few:
        return Verdict.TOO_FEW_TICKS
    if ratio.low is None or ratio.high is None:
        return Verdict.INCONCLUSIVE
    if ratio.low >= 1 - margin and ratio.high <= 1 + margin:
        return Verdict.INDISTINGUISHABLE
    return Verdict.INCONCLUSIVE
