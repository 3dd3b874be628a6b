# SPDX-License-Identifier: Apache-2.0
"""summary.csv from samples.csv: median, quartiles, interval, ratio to the normal VM and its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.analysis.bootstrap import Floats, Replicates, generator, median_interval, ratio_interval, replicate
from orchestrator.analysis.verdict import judge
from orchestrator.runs.frames import usable
from orchestrator.schema.samples import SummaryRow
from orchestrator.words import METRICS, PHASES, Component, Method, World, unit_of

KEYS = ["cell_id", "world", "phase", "component", "metric", "unit", "method"]
OF_CELL = ["run_id", "workload", "model", "quantization", "runtime", "protection"]
REGIME = ["icount_shift", "smp", "mem_mib", "host_hz", "guest_hz"]
_COUNT = ("instructions", str(unit_of("instructions", Method.TCG_PLUGIN)), Method.TCG_PLUGIN)


@dataclass(frozen=True)
class Group:
    """The usable samples of one line of the summary, resampled."""

    key: tuple[str, ...]
    values: Floats
    sample: Replicates
    facts: dict[str, Any]


def count_key(cell: str, world: str, phase: str, component: str = Component.ALL) -> tuple[str, ...]:
    """KEYS of the instructions that a component executes in a phase."""
    return (cell, world, phase, component, *_COUNT)


def groups(samples: pd.DataFrame, salt: str = "") -> dict[tuple[str, ...], Group]:
    """Usable rows by KEYS, in the order cell (as it first came), world, phase, component, metric.

    `salt` makes the random numbers others: samples that are compared with each other must not be resampled alike.
    """
    rows = usable(samples).sort_values(["boot_id", "iteration"], kind="stable")
    cells = {cell: place for place, cell in enumerate(samples["cell_id"].unique())}
    about = {
        (row["cell_id"], row["world"]): {name: _plain(row[name]) for name in OF_CELL + REGIME}
        for row in rows.drop_duplicates(["cell_id", "world"]).to_dict("records")
    }
    values, boots = rows["value"].to_numpy(dtype=np.float64), rows["boot_id"].fillna(0).to_numpy(dtype=np.int64)
    found = {}
    indices: dict[Any, Any] = dict(rows.groupby(KEYS, sort=False).indices)
    for key, places in indices.items():
        names = tuple(str(name) for name in key)
        mine = values[places]
        sample = replicate(mine, boots[places], generator(salt, *names))
        found[names] = Group(names, mine, sample, about[names[0], names[1]])
    orders = _orders()
    return {key: found[key] for key in sorted(found, key=lambda key: _place(key, cells, orders))}


def resample(rows: pd.DataFrame, *key: str) -> Replicates:
    """Bootstrap the values of some rows with the boots that they come from."""
    boots = rows["boot_id"].fillna(0).to_numpy(dtype=np.int64)
    return replicate(rows["value"].to_numpy(dtype=np.float64), boots, generator(*key))


def summarise(found: Mapping[tuple[str, ...], Group], margin: float) -> list[SummaryRow]:
    """One row a group; `margin` is what verdicts are judged by."""
    return [_row(group, found.get((group.key[0], World.VM, *group.key[2:])), margin) for group in found.values()]


def _row(group: Group, vm: Group | None, margin: float) -> SummaryRow:
    named = dict(zip(KEYS, group.key, strict=True))
    interval = median_interval(group.sample)
    q1, q3 = np.quantile(group.values, [0.25, 0.75])
    row: dict[str, Any] = {
        **named,
        **group.facts,
        "boots": group.sample.boots,
        "samples": group.sample.samples,
        "median": interval.estimate,
        "q1": float(q1),
        "q3": float(q3),
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
    if vm is not None and named["world"] != World.VM and _has_ratio(named):
        ratio = ratio_interval(group.sample, vm.sample)
        row |= {"ratio_to_vm": ratio.estimate, "ratio_ci_low": ratio.low, "ratio_ci_high": ratio.high}
        if _is_judged(named["metric"]) and ratio.estimate is not None:
            row["verdict"] = judge(ratio, margin)
    return SummaryRow.model_validate(row)


def _has_ratio(named: dict[str, str]) -> bool:
    """Not of a flag, nor of what the harness cost."""
    known = METRICS.get(named["metric"])
    return not (known and known.flag) and named["method"] != Method.HOST_CLOCK


def _is_judged(metric: str) -> bool:
    known = METRICS.get(metric)
    return known is not None and known.judged


def _orders() -> dict[str, dict[str, int]]:
    """The places of words in the vocabulary as it is now."""
    vocabulary: dict[str, Iterable[str]] = {"world": World, "phase": PHASES, "component": Component}
    return {name: {str(word): place for place, word in enumerate(words)} for name, words in vocabulary.items()}


def _place(
    key: tuple[str, ...], cells: Mapping[Any, int], orders: Mapping[str, Mapping[str, int]]
) -> tuple[object, ...]:
    named = dict(zip(KEYS, key, strict=True))
    words = [places.get(named[name], len(places)) for name, places in orders.items()]
    return (cells[key[0]], *words, named["metric"], named["method"])


def _plain(value: Any) -> Any:
    """A value of a frame as Python has it."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
