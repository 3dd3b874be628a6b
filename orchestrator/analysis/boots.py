# SPDX-License-Identifier: Apache-2.0
"""What independent boots of one cell differ by, component by component, and what of it ticks explain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.analysis.ticks import ns_per_instruction, period_ns
from orchestrator.runs.frames import Words, by_key, chosen, usable
from orchestrator.words import INFER, LOAD, Component, World

REPEATABLE: Mapping[str, float] = {INFER: 0.0005, LOAD: 0.01}
"""How far means of independent boots may lie apart in deterministic timing, as a part of their mean."""


@dataclass(frozen=True)
class Apart:
    """Largest less smallest of the boots' means of one phase, instructions, as a whole and by component.

    `tick` is what a tick more or less in a boot makes of such a mean: of the rarer kind, with all that comes in its
    period. None in real time.
    """

    cell_id: str
    world: str
    phase: str
    boots: int
    mean: float
    parts: Mapping[str, float]
    tick: float | None

    @property
    def all(self) -> float:
        """Of all that the machine executes."""
        return self.parts.get(Component.ALL, 0.0)

    @property
    def allowed(self) -> float:
        """How far they may lie apart: what is expected of the phase or, of a mean of inferences, one tick."""
        expected = REPEATABLE[self.phase] * self.mean
        return max(expected, self.tick or 0.0) if self.phase == INFER else expected

    @property
    def good(self) -> bool:
        """Whether they do not lie farther apart than that."""
        return self.all <= self.allowed


def between_boots(samples: pd.DataFrame) -> list[Apart]:
    """Loads and inferences of all cells and worlds with more than one boot; warm-ups are left out."""
    columns = ["phase", "component", "boot_id", "value", "icount_shift", "host_hz", "guest_hz"]
    found = []
    for cell in samples["cell_id"].unique():
        for world in World:
            words: dict[str, Words] = {"cell_id": str(cell), "world": world}
            mine = usable(samples, columns, metric="instructions", phase=REPEATABLE, **words)
            found += list(_of_world(str(cell), str(world), mine))
    return found


def _of_world(cell: str, world: str, rows: pd.DataFrame) -> Iterator[Apart]:
    infer = rows[rows["phase"] == INFER]
    tick = _tick(infer, {str(name): value for name, value in infer.iloc[0].items()}) if len(infer) else None
    for phase in rows["phase"].unique():
        part = chosen(rows, phase=phase)
        means = by_key(part, ["component", "boot_id"], "mean").unstack("boot_id")
        if means.shape[1] < 2 or Component.ALL not in means.index:
            continue
        apart = means.max(axis=1) - means.min(axis=1)
        each = part[part["component"] == Component.ALL].groupby("boot_id").size().min()
        yield Apart(
            *(cell, world, str(phase), int(means.shape[1]), float(means.loc[str(Component.ALL)].to_numpy().mean())),
            parts={str(name): float(value) for name, value in apart.items()},
            tick=None if tick is None else tick / float(each),
        )


def _tick(infer: pd.DataFrame, facts: Mapping[str, Any]) -> float | None:
    """Instructions of a tick in an inference: what is not the program's own, over the ticks to be expected."""
    each, means = ns_per_instruction(facts), by_key(infer, ["component"], "mean")
    if each is None or not {Component.ALL, Component.GUEST_USER} <= set(means.index):
        return None
    expected = float(means[Component.ALL]) * each / period_ns(facts)
    return float(means[Component.ALL] - means[Component.GUEST_USER]) / expected if expected else None
