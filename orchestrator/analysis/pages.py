# SPDX-License-Identifier: Apache-2.0
"""What a page of guest memory costs when a guest is made and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from orchestrator.analysis.estimator import Interval, mean_interval, series
from orchestrator.runs.frames import chosen, plain
from orchestrator.words import REALM_CREATE, TEARDOWN, Component, Phase, World

LIFE = (REALM_CREATE, TEARDOWN)


@dataclass(frozen=True)
class PageCost:
    """Instructions for each 4 KiB page of a guest, by world: the mean of its boots."""

    guest: str
    phase: Phase
    pages: int
    worlds: dict[str, Interval]

    @property
    def difference(self) -> float | None:
        """What a realm's page costs more than a VM's."""
        vm, realm = self.worlds.get(World.VM), self.worlds.get(World.REALM)
        if vm is None or realm is None or vm.estimate is None or realm.estimate is None:
            return None
        return realm.estimate - vm.estimate


def page_costs(rows: pd.DataFrame, guests: Mapping[str, str]) -> list[PageCost]:
    """Costs from usable rows; `guests` names the kind of guest of each cell, and cells of one kind are taken together.

    Where the number of pages was not recorded, nothing is said.
    """
    whole = _of_guests(chosen(rows, metric="instructions", component=Component.ALL, phase=LIFE), guests)
    found = []
    for guest, recorded in _of_guests(chosen(rows, metric="pages"), guests).groupby("guest", sort=False):
        pages = int(recorded["value"].median())
        for phase in LIFE:
            of_phase = whole[(whole["guest"] == guest) & (whole["phase"] == phase)]
            worlds = {
                str(world): _per_page(part, pages)
                for world, part in of_phase.groupby("world")
                if world in {World.VM, World.REALM}
            }
            if worlds and pages:
                found.append(PageCost(str(guest), phase, pages, dict(sorted(worlds.items(), reverse=True))))
    return found


def _of_guests(rows: pd.DataFrame, guests: Mapping[str, str]) -> pd.DataFrame:
    found = plain(rows)
    return found.assign(guest=found["cell_id"].map(guests))


def slope(costs: list[PageCost], phase: Phase, world: World) -> tuple[float, float] | None:
    """Least-squares line of instructions over pages, all guests: instructions a page, and R²; None with one size."""
    points = [
        (cost.pages, cost.pages * estimate)
        for cost in costs
        if cost.phase is phase and world in cost.worlds and (estimate := cost.worlds[world].estimate) is not None
    ]
    if len({pages for pages, _ in points}) < 2:
        return None
    x, y = np.array(points, dtype=np.float64).T
    each, fixed = np.polyfit(x, y, 1)
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - (each * x + fixed)) ** 2).sum())
    return float(each), 1 - left / spread if spread else 1.0


def _per_page(rows: pd.DataFrame, pages: int) -> Interval:
    """An interval of the mean of some rows, divided by pages."""
    boots = rows["boot_id"].fillna(0).to_numpy(dtype=np.int64)
    whole = mean_interval(series(rows["value"].to_numpy(dtype=np.float64), boots, np.zeros_like(boots), alone=True))
    estimate, low, high = (None if end is None else end / pages for end in (whole.estimate, whole.low, whole.high))
    return Interval(estimate, low, high, whole.kind)
