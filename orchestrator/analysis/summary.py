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
from orchestrator.analysis.pairing import ONCE, by_seed, common_boots
from orchestrator.analysis.ticks import Ticks, matter, ns_per_instruction, period_ns, ticks
from orchestrator.analysis.verdict import judge
from orchestrator.runs.frames import integers, places_by, plain, usable
from orchestrator.schema.samples import SummaryRow
from orchestrator.words import METRICS, PHASES, Component, Method, Verdict, World, unit_of

KEYS = ["cell_id", "world", "phase", "component", "metric", "unit", "method"]
OF_CELL = ["run_id", "workload", "model", "quantization", "runtime", "protection"]
REGIME = ["icount_shift", "smp", "mem_mib", "host_hz", "guest_hz"]
_OF_PLACE = [*KEYS[2:], "boot_id", "iteration", "seed", "value"]
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
    cells = {str(cell): place for place, cell in enumerate(samples["cell_id"].unique())}
    found: dict[Key, Group] = {}
    for cell in cells:
        seeded = by_seed(usable(samples, ["world", "boot_id", "seed"], cell_id=cell))
        for world in World:  # one after the other takes less memory
            rows = usable(samples, _OF_PLACE, cell_id=cell, world=world)
            if len(rows):
                facts = plain(samples.loc[rows.index[:1], [*OF_CELL, *REGIME]]).to_dict("records")[0]
                about = {str(name): _plain(value) for name, value in facts.items()}
                found |= _Place((cell, str(world)), about, rows, seeded=seeded).groups()
    orders = _orders()
    return {key: found[key] for key in sorted(found, key=lambda key: _place(key, cells, orders))}


class _Place:
    """The usable rows of a cell in one world."""

    def __init__(self, place: tuple[str, str], facts: Mapping[str, Any], rows: pd.DataFrame, *, seeded: bool) -> None:
        self._place, self._facts, self._seeded = place, facts, seeded
        self._named = {(*place, *key): rows_of for key, rows_of in places_by(rows, KEYS[2:]).items()}
        self._values = rows["value"].to_numpy(dtype=np.float64)
        self._boots = common_boots(rows, seeded=seeded)
        self._places = integers(rows["iteration"], ONCE)
        self._shared: dict[str, Series] = {}

    def groups(self) -> dict[Key, Group]:
        """All of them, by KEYS."""
        block = self._block()
        return {key: self._group(key, 1 if key[3] == Component.GUEST_USER else block) for key in self._named}

    def _group(self, key: Key, block: int) -> Group:
        """Of what a program executes, which knows nothing of ticks, each iteration is a `block` of its own."""
        mine, counted = self._named[key], self._named.get(count_key(*key[:3]))
        made = series(self._values[mine], self._boots[mine], self._places[mine], block=block)
        made = made.sharing(self._shared.setdefault(key[2], made))
        executed = 0.0 if counted is None else float(self._values[counted].sum())
        return Group(key, made, self._facts, self._seeded, self._expected(key), executed)

    def _elapsed_ns(self, phase: str) -> tuple[float, int]:
        """Nanoseconds of the machine's time that a phase took in all samples together, and how many these are."""
        ns = ns_per_instruction(self._facts)
        rows = self._named.get((*self._place, phase, Component.ALL, *(_TIME if ns is None else _COUNT)))
        return (0.0, 0) if rows is None else (float(self._values[rows].sum()) * (ns or 1.0), len(rows))

    def _block(self) -> int:
        """Iterations from one tick of the rarer kind to the next, at least 1."""
        phases = [self._elapsed_ns(phase) for phase in PHASES if PHASES[phase].repeats]
        cycle = sum(elapsed / count for elapsed, count in phases if count)
        return max(1, ceil(period_ns(self._facts) / cycle)) if cycle > 0 else 1

    def _expected(self, key: Key) -> float | None:
        elapsed, count = self._elapsed_ns(key[2])
        return elapsed / period_ns(self._facts) if count else None


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
