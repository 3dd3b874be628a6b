# SPDX-License-Identifier: Apache-2.0
"""Everything that a report says about each cell of a run, computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.analysis.checks import Equality, el0_equality, sums
from orchestrator.analysis.decompose import Decomposition, ExitCost, decompose, exit_cost
from orchestrator.analysis.estimator import Interval, Series, mean_interval, ratio_interval, series
from orchestrator.analysis.pairing import BOOT, PLACE, WHERE, by_seed, in_both, with_pairs
from orchestrator.analysis.paper import is_regime
from orchestrator.analysis.summary import Group, count_key, groups, summarise, ticks_of
from orchestrator.analysis.ticks import Ticks
from orchestrator.analysis.verdict import judge
from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.runs.frames import firsts, plain, usable
from orchestrator.runs.reading import Run
from orchestrator.schema.samples import SummaryRow
from orchestrator.words import INFER, Component, Phase, Verdict, World, phases_in_total

TOTAL = "total"
_ABOUT = ("cell_id", "model", "quantization", "runtime", "protection", "icount_shift", "host_hz", "guest_hz", "mem_mib")
MIDDLE_DOT = "\u00b7"


@dataclass(frozen=True)
class CellFacts:
    """One cell: what it is, its inference by world, and why the realm's costs more."""

    cell_id: str
    model: str
    quantization: str
    runtime: str
    protection: str
    icount_shift: int | None
    host_hz: int
    guest_hz: int
    mem_mib: int
    name: str
    regime: str
    inference: Mapping[str, Interval]  # mean instructions, by world
    medians: Mapping[str, float]  # of the same, for description
    over_vm: Mapping[tuple[str, str], Interval]  # ratios of sums, by (world, phase or TOTAL)
    ticks: Ticks | None  # of the realm's and the VM's inferences
    verdict: Verdict | None
    boots: int
    samples: int
    infer: Decomposition | None
    all_phases: Decomposition | None
    exits: ExitCost | None

    @property
    def line(self) -> str:
        """What it is called, with its ticks."""
        return f"{self.name}, {self.regime}"

    @property
    def one_boot(self) -> bool:
        """Whether intervals are about other stretches of the one boot's time, and not about other boots."""
        return self.boots == 1

    @property
    def is_paper_regime(self) -> bool:
        """Can it be shown beside the paper's figures."""
        return is_regime(self.icount_shift, self.host_hz, self.guest_hz)


@dataclass(frozen=True)
class RunFacts:
    """A run and what was computed of it."""

    run: Run
    groups: Mapping[tuple[str, ...], Group]
    summary: tuple[SummaryRow, ...]
    cells: tuple[CellFacts, ...]

    @property
    def rows(self) -> pd.DataFrame:
        """All usable rows with all columns: a copy, so that of a long run `usable` of `run.samples` takes less."""
        return usable(self.run.samples)

    @cached_property
    def equalities(self) -> list[Equality]:
        """EL0 of vm and realm, cell by cell."""
        return el0_equality(self.run.samples)

    @cached_property
    def sums(self) -> tuple[int, int, float]:
        """Whether components add up: see checks.sums."""
        return sums(self.run.samples)

    def cell(self, cell_id: str) -> CellFacts | None:
        """The cell of that id, if it has usable rows."""
        return next((cell for cell in self.cells if cell.cell_id == cell_id), None)

    def name(self, cell_id: str) -> str:
        """How a cell is called in a sentence."""
        found = self.cell(cell_id)
        return found.line if found else cell_id


def gather(run: Run) -> RunFacts:
    """Compute everything."""
    found = groups(run.samples)
    abouts = _abouts(run.samples)
    names = _names(abouts)
    cells = [_cell(run.samples, about, found, names[cell], run.info.margin) for cell, about in abouts.items()]
    return RunFacts(run, found, tuple(summarise(found, run.info.margin)), tuple(cells))


def _abouts(samples: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    """What a usable row of each cell says of it, one of a guest if there is one."""
    first = firsts(usable(samples, [*_ABOUT, "world"]), ["cell_id", "world"])
    abouts: dict[str, dict[Any, Any]] = {}
    for cell in first["cell_id"].unique():
        mine = first[first["cell_id"] == cell].to_dict("records")
        abouts[str(cell)] = next((row for row in mine if row["world"] != World.HOST), mine[0])
    return abouts


def _cell(
    samples: pd.DataFrame,
    about: Mapping[Any, Any],
    found: Mapping[tuple[str, ...], Group],
    name: tuple[str, str],
    margin: float,
) -> CellFacts:
    cell_id = str(about["cell_id"])
    phases = phases_of_total(samples, cell_id)
    pairs = in_both(samples, cell_id)
    inference, over_vm, sizes = _ratios(samples, cell_id, phases, found)
    infer = over_vm.get((World.REALM, INFER))
    sides = [found.get(count_key(cell_id, world, INFER)) for world in (World.REALM, World.VM)]
    few = ticks_of(sides[0], sides[1]) if sides[0] is not None and sides[1] is not None else None
    return CellFacts(
        cell_id=cell_id,
        model=str(about["model"]),
        quantization=str(about["quantization"]),
        runtime=str(about["runtime"]),
        protection=str(about["protection"]),
        icount_shift=None if pd.isna(about["icount_shift"]) else int(about["icount_shift"]),
        host_hz=int(about["host_hz"]),
        guest_hz=int(about["guest_hz"]),
        mem_mib=int(about["mem_mib"]),
        name=name[0],
        regime=name[1],
        inference=inference,
        medians={world: found[count_key(cell_id, world, INFER)].series.median for world in inference},
        over_vm=over_vm,
        ticks=few,
        verdict=judge(infer, margin, few) if infer else None,
        boots=min((boots for boots, _ in sizes), default=0),
        samples=min((samples for _, samples in sizes), default=0),
        infer=decompose(pairs[pairs["metric"] == "instructions"], (INFER,)),
        all_phases=decompose(pairs[pairs["metric"] == "instructions"], phases),
        exits=exit_cost(pairs),
    )


def _ratios(
    samples: pd.DataFrame, cell_id: str, total_phases: Sequence[Phase], found: Mapping[tuple[str, ...], Group]
) -> tuple[dict[str, Interval], dict[tuple[str, str], Interval], list[tuple[int, int]]]:
    """Inference by world; ratios to the VM by world and phase, and of load + one inference; sizes of samples."""
    made: dict[tuple[str, str], Series] = {}
    columns = ["phase", *WHERE, "value"]
    whole = usable(samples, columns, cell_id=cell_id, metric="instructions", component=Component.ALL)
    whole = with_pairs(plain(whole), seeded=by_seed(usable(samples, ["world", "boot_id", "seed"], cell_id=cell_id)))
    for world in World:
        for phase in total_phases:
            group = found.get(count_key(cell_id, world, phase))
            if group is not None:
                made[world, phase] = group.series
        total = _total(whole[whole["world"] == world], total_phases)
        if total is not None:
            block = made[world, INFER].block if (world, INFER) in made else 1
            values, boots, places = (total[name].to_numpy() for name in ("value", BOOT, PLACE))
            # All iterations of a boot share its one load: of a single boot they tell nothing about how loads vary.
            made[world, TOTAL] = series(values.astype(np.float64), boots, places, block=block, alone=True)
    inference = {str(world): mean_interval(made[world, INFER]) for world in World if (world, INFER) in made}
    over_vm = {
        (str(world), str(phase)): ratio_interval(sample, made[World.VM, phase])
        for (world, phase), sample in made.items()
        if world != World.VM and (World.VM, phase) in made
    }
    compared = (made.get((world, INFER)) for world in (World.VM, World.REALM))
    return inference, over_vm, [(each.boot_count, len(each.values)) for each in compared if each is not None]


def phases_of_total(samples: pd.DataFrame, cell_id: str) -> tuple[Phase, ...]:
    """The phases of "load + one inference" of a cell: all that are required, and those others that were counted."""
    there = set(usable(samples, ["phase"], cell_id=cell_id, metric="instructions")["phase"].unique())
    return tuple(phase for phase in phases_in_total() if phase.required or phase in there)


def _total(rows: pd.DataFrame, phases: Sequence[Phase]) -> pd.DataFrame | None:
    """Load plus one inference, for each iteration of each boot; None if a required phase is missing."""
    each = rows[rows["phase"].isin([phase for phase in phases if phase.repeats])]
    table = each.pivot_table(index=[BOOT, PLACE], columns="phase", values="value", aggfunc="sum")
    needed = [phase for phase in phases if phase.repeats and phase.required]
    if table.empty or not set(needed) <= set(table.columns):
        return None
    table = table.dropna(subset=needed).fillna(0.0)
    total = table.sum(axis=1).rename("value").reset_index()
    for phase in phases:
        if not phase.repeats:
            once = total[BOOT].map(rows[rows["phase"] == phase].groupby(BOOT)["value"].mean())
            total["value"] += once if phase.required else once.fillna(0.0)
    total = total.dropna()
    return None if total.empty else total


def _names(abouts: Mapping[str, Mapping[Any, Any]]) -> dict[str, tuple[str, str]]:
    """What cells are called: model and number format, ticks; a part of the id where these do not tell them apart."""
    names = {}
    for cell, about in abouts.items():
        name = f"{about['model']} {about['quantization']}"
        for key, usual in (("runtime", DEFAULT_RUNTIME), ("protection", DEFAULT_PROTECTION)):
            name += f", {about[key]}" if about[key] != usual else ""
        shift = "real time" if pd.isna(about["icount_shift"]) else f"shift {int(about['icount_shift'])}"
        names[cell] = (name, f"{shift} {MIDDLE_DOT} {about['host_hz']}/{about['guest_hz']} Hz")
    often = Counter(names.values())
    return {
        cell: pair if often[pair] == 1 else (f"{pair[0]} ({cell.rsplit('-', 1)[-1]})", pair[1])
        for cell, pair in names.items()
    }
