# SPDX-License-Identifier: Apache-2.0
"""What the law of exits is fitted to: means of an inference by component, of one cell in one world and boot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.analysis.decompose import PARTS
from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.analysis.pairing import BOOT, PLACE, in_both
from orchestrator.runs.frames import by_key, chosen
from orchestrator.schema.law import Rates
from orchestrator.words import INFER, Component, World


@dataclass(frozen=True)
class Point:
    """Instructions of one inference by component, a mean over the `iterations` of a boot in one world."""

    cell: str  # unique among all runs
    model: str  # with its number format: what own work is the same for
    rates: Rates
    world: World
    boot: int
    iterations: int
    parts: Mapping[Component, float]

    @property
    def total(self) -> float:
        """Of all components."""
        return sum(self.parts.values())

    @property
    def ticks(self) -> float:
        """Ticks of host and guest that are to be expected in all iterations."""
        return self.total * self.iterations * self.rates.ticks


@dataclass(frozen=True)
class CellPoints:
    """A cell with its points in VM and realm, boot by boot, and its overhead as a part of the VM's."""

    run_id: str
    cell_id: str
    line: str
    points: tuple[Point, ...]
    measured: float
    low: float | None = None
    high: float | None = None

    @property
    def rates(self) -> Rates:
        """How often things come."""
        return self.points[0].rates

    @property
    def model(self) -> str:
        """With its number format."""
        return self.points[0].model


def rates_of(cell: CellFacts) -> Rates | None:
    """A cell's rates; None in real time, where they do not follow from what is executed."""
    if cell.icount_shift is None:
        return None
    return Rates(icount_shift=cell.icount_shift, host_hz=cell.host_hz, guest_hz=cell.guest_hz)


def model_of(cell: CellFacts) -> str:
    """What own work is the same for: model and number format."""
    return f"{cell.model} {cell.quantization}"


def cell_points(facts: RunFacts) -> list[CellPoints]:
    """The cells of a run whose inferences were counted in VM and realm in deterministic time."""
    found = []
    for cell in facts.cells:
        rates, ratio = rates_of(cell), cell.over_vm.get((World.REALM, INFER))
        if rates is None or ratio is None or ratio.estimate is None or ratio.estimate == 1:
            continue
        rows = in_both(facts.run.samples, cell.cell_id, [INFER], placed=True)
        name = f"{facts.run.info.run_id}/{cell.cell_id}"
        points = tuple(_points(rows, name, model_of(cell), rates))
        if {point.world for point in points} == {World.VM, World.REALM}:
            low, high = (None if end is None else end - 1 for end in (ratio.low, ratio.high))
            measured = ratio.estimate - 1
            found.append(CellPoints(facts.run.info.run_id, cell.cell_id, cell.line, points, measured, low, high))
    return found


def _points(rows: pd.DataFrame, cell: str, model: str, rates: Rates) -> Iterable[Point]:
    """One a world and boot that has all components."""
    groups: Any = chosen(rows, metric="instructions").groupby(["world", BOOT], observed=True)
    for (world, boot), part in groups:
        means: dict[Any, float] = by_key(part, ["component"], "mean").to_dict()
        if Component.ALL in means and means[Component.ALL] > 0:
            parts: dict[Component, float] = {component: float(means.get(component, 0.0)) for component in PARTS}
            yield Point(cell, model, rates, World(world), int(boot), int(part[PLACE].nunique()), parts)
