# SPDX-License-Identifier: Apache-2.0
"""Timer ticks: how many of them fall into what was sampled, and whether these are enough to say anything.

A tick comes each 1 / Hz of the machine's time, which in deterministic timing is 2^shift ns for each instruction that
the machine executes. What a phase costs with its ticks is seen only if some ticks fell into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import pandas as pd

from orchestrator.words import PHASES, Component

FEWEST = 5.0
"""Expected ticks, of all boots together, below which intervals hold less often than they say (docs/analysis.md)."""
TICK = 20_000
"""Instructions: more than a tick was seen to cost in a realm, with all that it makes host, monitors and guest do."""
_ADDED_TO = frozenset({"instructions", "duration"})  # metrics to which ticks add


@dataclass(frozen=True)
class Ticks:
    """The ticks of the rarer kind that are to be expected in a ratio's samples, host's or guest's.

    `needed` is what it takes to have FEWEST: iterations a boot (`of` is that word) or, of a phase that a boot has once,
    boots. `slack` is what one tick more or less in each boot changes in the ratio, at most.
    """

    expected: float
    needed: int
    of: str
    slack: float

    @property
    def few(self) -> bool:
        """Whether they are too few to say anything."""
        return self.expected < FEWEST


def period_ns(facts: Mapping[str, Any]) -> float:
    """Nanoseconds of the machine's time from tick to tick, of the rarer kind.

    `facts` has the rates in Hz; a run in the host alone has none of a guest.
    """
    return 1e9 / min(int(facts[key]) for key in ("host_hz", "guest_hz") if not pd.isna(facts[key]))


def ns_per_instruction(facts: Mapping[str, Any]) -> float | None:
    """Nanoseconds that an instruction lasts, of whomever; None in real time, which does not follow from them."""
    shift = facts["icount_shift"]
    return None if pd.isna(shift) else float(2 ** int(shift))


def matter(metric: str, component: str) -> bool:
    """Whether ticks add to it: not to what a program executes at EL0, but for one instruction an exit."""
    return metric in _ADDED_TO and component != Component.GUEST_USER


def ticks(expected: float, total: float, phase: str, boots: int, samples: int) -> Ticks:
    """Those of `samples` in so many `boots`, which all together executed `total` instructions."""
    slack = 2 * TICK * boots / total if total > 0 else float("inf")
    short = FEWEST / expected if expected > 0 else float("inf")
    repeats = phase in PHASES and PHASES[phase].repeats
    now = samples / boots if repeats else boots
    needed = ceil(now * short) if short < float("inf") else 0
    return Ticks(expected, needed, "iterations a boot" if repeats else "boots", slack)
