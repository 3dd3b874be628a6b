# SPDX-License-Identifier: Apache-2.0
"""What an exit of each kind costs outside the guest, by component: a fit over whole executions of the runner.

The VMM counts its guest's exits by reason around an execution, loading and warm-ups included; instructions are counted
in the phases of that execution. So for each world and component, over the executions of all cells and boots,

    instructions = base + Σ over kinds of count · price

where `base` stands for what is the same in all of them. A kind that never occurs has no price, and one that occurs as
often as others (a trap of FP comes with each tick) none of its own. Of a normal VM the VMM sees few
exits, since KVM settles them: there all exits are one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from orchestrator.analysis.bootstrap import SEED, Floats
from orchestrator.analysis.decompose import OUTSIDE
from orchestrator.runs.frames import by_key, chosen
from orchestrator.words import PHASES, Component, Owner, Status, World

_ALIKE = 0.01  # of their mean: counts that vary less tell nothing, nor do those that other kinds leave less of
_REPLICATES = 400


@dataclass(frozen=True)
class ExitKind:
    """A kind of exit, and what it is counted by: the VMM's reasons for it or, without such, what the plugin counts."""

    name: str
    reasons: tuple[str, ...] = ()
    counted: Callable[[pd.DataFrame], pd.Series[float]] | None = None


def _settled(metrics: pd.DataFrame) -> pd.Series[float]:
    """Exits that did not reach the host: of a realm nearly all are traps of FP (docs/counting.md)."""
    return metrics["exits"] - metrics["host_exits"]


def _all(metrics: pd.DataFrame) -> pd.Series[float]:
    return metrics["exits"]


EXIT_KINDS: Mapping[World, tuple[ExitKind, ...]] = {
    World.VM: (ExitKind("any", counted=_all),),
    World.REALM: (
        ExitKind("tick", ("irq", "fiq")),
        ExitKind("fault", ("fault_protected", "fault_shared")),
        ExitKind("device", ("mmio_read", "mmio_write", "gic_access")),
        ExitKind("SGI", ("sysreg",)),
        ExitKind("PSCI", ("psci",)),
        ExitKind("wait", ("wfx",)),
        ExitKind("FP trap", counted=_settled),
    ),
}
"""In the order in which they are told apart: of two that occur equally often the first one has the price."""


@dataclass(frozen=True)
class ExitPrice:
    """A kind in one world: how often it occurred in an execution, least and most, and its price by component.

    Without a price there is a `reason` for that. `spread` is half of the price's 95 % interval, all components.
    """

    world: World
    kind: str
    least: float
    most: float
    parts: Mapping[Component, float] | None
    spread: float | None = None
    reason: str | None = None

    @property
    def total(self) -> float | None:
        """Of all components outside the guest."""
        return None if self.parts is None else sum(self.parts.values())


def exit_prices(samples: pd.DataFrame) -> list[ExitPrice]:
    """The prices of a run by world; those that executions are too few or too much alike for are left out."""
    good = ((samples["status"] == Status.OK) & samples["value"].notna()).to_numpy(dtype=bool)
    phases = [phase for phase in PHASES.values() if phase.owner is Owner.STEP]
    columns = ["cell_id", "boot_id", "component", "metric", "value"]
    found = []
    for world in (World.VM, World.REALM):
        rows = chosen(samples, columns, good, world=world, phase=phases)
        counts, parts = _executions(rows, EXIT_KINDS[world])
        if len(counts):
            found += _world(world, counts, parts)
    return found


def _executions(steps: pd.DataFrame, kinds: Sequence[ExitKind]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts by kind, and instructions outside the guest by component, one line a cell and boot."""
    keys = ["cell_id", "boot_id"]
    by_metric = by_key(chosen(steps, component=Component.ALL), [*keys, "metric"], "sum").unstack("metric")
    parts = (
        by_key(chosen(steps, metric="instructions", component=OUTSIDE), [*keys, "component"], "sum")
        .unstack("component")
        .reindex(columns=list(OUTSIDE))
        .fillna(0.0)
    )
    counts = pd.DataFrame(index=by_metric.index)
    for kind in kinds:
        reasons = [f"exits_{reason}" for reason in kind.reasons if f"exits_{reason}" in by_metric]
        if kind.counted is not None and {"exits", "host_exits"} <= set(by_metric.columns):
            counts[kind.name] = kind.counted(by_metric)
        elif reasons:
            counts[kind.name] = by_metric[reasons].sum(axis=1)
    both = counts.dropna().index.intersection(parts.index)
    return counts.loc[both], parts.loc[both]


def _world(world: World, counts: pd.DataFrame, parts: pd.DataFrame) -> list[ExitPrice]:
    """The kinds of one world, with prices where these can be told."""
    chosen, reasons = _told_apart(counts)
    few = len(counts) <= len(chosen) + 1
    columns = np.column_stack([np.ones(len(counts)), *(counts[name].to_numpy(dtype=float) for name in chosen)])
    values = parts.to_numpy(dtype=float)
    found, spreads = (None, None) if few else _fit(columns, values)
    made = []
    for name in counts.columns:
        about = (world, str(name), float(counts[name].min()), float(counts[name].max()))
        if found is not None and spreads is not None and name in chosen:
            row = 1 + chosen.index(str(name))
            prices: dict[Component, float] = {part: float(found[row, place]) for place, part in enumerate(OUTSIDE)}
            made.append(ExitPrice(*about, prices, float(spreads[row])))
        else:
            made.append(ExitPrice(*about, None, reason=reasons.get(str(name), "too few executions to tell")))
    return made


def _told_apart(counts: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """The kinds whose counts are no mixture of those before them, and why the others have no price."""
    chosen: list[str] = []
    reasons: dict[str, str] = {}
    for name in map(str, counts.columns):
        mine = counts[name].to_numpy(dtype=float)
        if not mine.any():
            reasons[name] = "none occurred"
        elif float(np.ptp(mine)) <= _ALIKE * float(mine.mean()):
            reasons[name] = "as many in each execution"
        else:
            before = np.column_stack([np.ones(len(mine)), *(counts[other].to_numpy(dtype=float) for other in chosen)])
            left = mine - before @ np.linalg.lstsq(before, mine, rcond=None)[0]
            if float(np.linalg.norm(left)) < _ALIKE * float(np.linalg.norm(mine - mine.mean())):
                reasons[name] = f"not told apart from {', '.join(chosen)}"
            else:
                chosen.append(name)
    return chosen, reasons


def _fit(columns: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Least squares, and half of the interval of each price over all components, with executions drawn anew."""
    found: Floats = np.linalg.lstsq(columns, values, rcond=None)[0].astype(np.float64)
    random, replicates = np.random.default_rng(SEED), []
    for _ in range(_REPLICATES):
        drawn = random.integers(0, len(values), len(values))
        if np.linalg.matrix_rank(columns[drawn]) == columns.shape[1]:
            replicates.append(np.linalg.lstsq(columns[drawn], values[drawn], rcond=None)[0].sum(axis=1))
    low, high = np.quantile(replicates, [0.025, 0.975], axis=0)
    return found, np.asarray(high - low) / 2
