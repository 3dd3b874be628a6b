# SPDX-License-Identifier: Apache-2.0
"""summary.csv from samples.csv: means and ratios to the normal VM with intervals and verdicts; medians, quartiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.analysis.estimator import ESTIMATOR, Series, mean_interval, ratio_interval, series
from orchestrator.analysis.pairing import BOOT, PLACE, SEEDED, with_pairs
from orchestrator.analysis.ticks import Ticks, matter, ns_per_instruction, period_ns, ticks
from orchestrator.analysis.verdict import judge
from orchestrator.runs.frames import usable
from orchestrator.schema.samples import SummaryRow
from orchestrator.words import METRICS, PHASES, Component, Method, Verdict, World, unit_of

KEYS = ["cell_id", "world", "phase", "component", "metric", "unit", "method"]
OF_CELL = ["run_id", "workload", "model", "quantization", "runtime", "protection"]
REGIME = ["icount_shift", "smp", "mem_mib", "host_hz", "guest_hz"]
_COUNT = ("instructions", str(unit_of("instructions", Method.TCG_PLUGIN)), Method.TCG_PLUGIN)
_TIME = ("duration", str(unit_of("duration", Method.GUEST_CLOCK)), Method.GUEST_CLOCK)
Key = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The usable samples of one line of the summary.

    `seeded`: their boots are known by seeds, which other runs share. `expected` are the ticks of the rarer kind that
    fell into them, as the machine's time says; None where that is not known. `executed` are the instructions, of
    whomever, that these ticks are among.
    """

    key: Key
    series: Series
    facts: Mapping[str, Any]
    seeded: bool
    expected: float | None
    executed: float


def count_key(cell: str, world: str, phase: str, component: str = Component.ALL) -> Key:
    """KEYS of the instructions that a component executes in a phase."""
    return (cell, world, phase, component, *_COUNT)


def groups(samples: pd.DataFrame) -> dict[Key, Group]:
    """Usable rows by KEYS, in the order cell (as it first came), world, phase, component, metric."""
    rows = with_pairs(usable(samples).reset_index(drop=True))
    cells = {cell: place for place, cell in enumerate(samples["cell_id"].unique())}
    about = {
        (row["cell_id"], row["world"]): {name: _plain(row[name]) for name in [*OF_CELL, *REGIME, SEEDED]}
        for row in rows.drop_duplicates(["cell_id", "world"]).to_dict("records")
    }
    values, boots, places = (rows[name].to_numpy() for name in ("value", BOOT, PLACE))
    indices: dict[Any, Any] = dict(rows.groupby(KEYS, sort=False).indices)
    named = {tuple(str(name) for name in key): rows_of for key, rows_of in indices.items()}
    blocks = {place: _block(named, values, place, facts) for place, facts in about.items()}
    orders = _orders()
    found = {}
    for key in sorted(named, key=lambda key: _place(key, cells, orders)):
        mine, facts = named[key], about[key[0], key[1]]
        block = 1 if key[3] == Component.GUEST_USER else blocks[key[0], key[1]]  # which knows nothing of ticks
        made = series(values[mine].astype(np.float64), boots[mine], places[mine], block=block)
        counted = named.get(count_key(*key[:3]))
        executed = 0.0 if counted is None else float(values[counted].sum())
        found[key] = Group(key, made, facts, facts[SEEDED], _expected(named, values, key, facts), executed)
    return found


def _elapsed_ns(named: Mapping[Key, Any], values: Any, key: Key, facts: Mapping[str, Any]) -> tuple[float, int]:
    """Nanoseconds of the machine's time that a phase took in all samples together, and how many these are."""
    ns = ns_per_instruction(facts)
    rows = named.get((*key[:3], Component.ALL, *(_TIME if ns is None else _COUNT)))
    return (0.0, 0) if rows is None else (float(values[rows].sum()) * (ns or 1.0), len(rows))


def _block(named: Mapping[Key, Any], values: Any, place: tuple[str, str], facts: Mapping[str, Any]) -> int:
    """Iterations from one tick of the rarer kind to the next, at least 1."""
    phases = [_elapsed_ns(named, values, (*place, phase), facts) for phase in PHASES if PHASES[phase].repeats]
    cycle = sum(elapsed / count for elapsed, count in phases if count)
    return max(1, ceil(period_ns(facts) / cycle)) if cycle > 0 else 1


def _expected(named: Mapping[Key, Any], values: Any, key: Key, facts: Mapping[str, Any]) -> float | None:
    elapsed, count = _elapsed_ns(named, values, key, facts)
    return elapsed / period_ns(facts) if count else None


def ticks_of(above: Group, below: Group) -> Ticks | None:
    """The ticks in the samples of a ratio, of the side that has fewer; None if they add nothing, or nobody knows."""
    _, _, phase, component, metric, *_ = below.key
    if above.expected is None or below.expected is None or not matter(metric, component):
        return None
    less = min(above, below, key=lambda group: group.expected or 0.0)
    total = float(less.series.values.sum()) if metric == "instructions" else less.executed
    return ticks(less.expected or 0.0, total, phase, less.series.boot_count, len(less.series.values))


def summarise(found: Mapping[Key, Group], margin: float) -> list[SummaryRow]:
    """One row a group; `margin` is what verdicts are judged by."""
    return [_row(group, found.get((group.key[0], World.VM, *group.key[2:])), margin) for group in found.values()]


def _row(group: Group, vm: Group | None, margin: float) -> SummaryRow:
    named = dict(zip(KEYS, group.key, strict=True))
    interval = mean_interval(group.series)
    q1, median, q3 = np.quantile(group.series.values, [0.25, 0.5, 0.75])
    row: dict[str, Any] = {
        **named,
        **{name: group.facts[name] for name in (*OF_CELL, *REGIME)},
        "estimator": ESTIMATOR,
        "boots": group.series.boot_count,
        "samples": len(group.series.values),
        "mean": interval.estimate,
        "median": float(median),
        "q1": float(q1),
        "q3": float(q3),
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
    if vm is not None and named["world"] != World.VM and _has_ratio(named):
        row |= _ratio(group, vm, margin, judged=_is_judged(named["metric"]))
    return SummaryRow.model_validate(row)


def _ratio(group: Group, vm: Group, margin: float, *, judged: bool) -> dict[str, Any]:
    """The columns about a group's ratio to the normal VM."""
    ratio, few = ratio_interval(group.series, vm.series), ticks_of(group, vm)
    row: dict[str, Any] = {"ratio_to_vm": ratio.estimate, "ratio_ci_low": ratio.low, "ratio_ci_high": ratio.high}
    if judged and ratio.estimate is not None:
        row["verdict"] = judge(ratio, margin, few)
        if few is not None and row["verdict"] is Verdict.TOO_FEW_TICKS:
            row["needed"] = few.needed
    return row


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


def _place(key: Key, cells: Mapping[Any, int], orders: Mapping[str, Mapping[str, int]]) -> tuple[object, ...]:
    named = dict(zip(KEYS, key, strict=True))
    words = [places.get(named[name], len(places)) for name, places in orders.items()]
    return (cells[key[0]], *words, named["metric"], named["method"])


def _plain(value: Any) -> Any:
    """A value of a frame as Python has it."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
