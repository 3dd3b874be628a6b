# SPDX-License-Identifier: Apache-2.0
"""Counters as tables: lines for people, plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.trace.markers import calibrate, pair_markers
from orchestrator.trace.tally import LEVELS, Level, SecurityState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.trace.counter import Counter, Counters
    from orchestrator.trace.tally import Tally


def totals_table(counters: Counters) -> Iterator[str]:
    """Instructions by world and exception level, world entries, and exits of guests, as aligned lines."""
    tally = counters.tally
    entries, exits = tally.entries(), tally.guest_exits()
    levels = tally.by_level()
    yield f"{'world':12}" + "".join(f"{level:>15}" for level in LEVELS) + f"{'entries':>12}{'guest exits':>13}"
    for world, total in tally.by_state().items():
        if total:
            columns = "".join(f"{levels[world, level]:15,}" for level in LEVELS)
            yield f"{world:12}{columns}{entries[world]:12,}{exits[world]:13,}"
    yield f"{'total':12}{tally.total:15,} instructions, {counters.markers} markers"


CELLS: dict[str, tuple[SecurityState, Level]] = {
    "EL3": (SecurityState.ROOT, Level.EL3),
    "R-EL2": (SecurityState.REALM, Level.EL2),
    "R-EL1": (SecurityState.REALM, Level.EL1),
    "R-EL0": (SecurityState.REALM, Level.EL0),
    "NS-EL2": (SecurityState.NON_SECURE, Level.EL2),
    "NS-EL1": (SecurityState.NON_SECURE, Level.EL1),
    "NS-EL0": (SecurityState.NON_SECURE, Level.EL0),
    "host EL0": (SecurityState.NON_SECURE, Level.HOST_EL0),
}
"""Who executes instructions, from the top of the machine down, by the name that a column has."""


def phases_table(what: str, phases: Mapping[str, Tally]) -> Iterator[str]:
    """Instructions of named stretches of execution, a line each: by who executed them. `what` heads the names."""
    yield f"{what:8}" + "".join(f"{cell:>13}" for cell in CELLS) + f"{'total':>13}"
    for name, tally in phases.items():
        levels = tally.by_level()
        yield f"{name:8}" + "".join(f"{levels[cell]:13,}" for cell in CELLS.values()) + f"{tally.total:13,}"


def as_table(counter: Counter) -> dict[str, Any]:
    """Everything the counter knows, JSON-able: totals, each vCPU, markers in order, empty-pair cost by world."""
    counters = counter.counters()
    records = counter.markers()
    vcpus = range(len(counters.tally.counts))
    ended = {(record.event, record.id) for record in records if record.end}
    complete = [record for record in records if (record.event, record.id) in ended]
    empty = [pair for pair in pair_markers(complete) if pair.begin.event == 0]
    return {
        "total": counters.tally.total,
        "worlds": _worlds(counters.tally),
        "vcpus": [_worlds(counters.tally.of_vcpu(index)) for index in vcpus],
        "stale": sum(counters.stale),
        "empty_pair": {str(world): cost for world, cost in calibrate(empty).items()} if empty else None,
        "markers": [
            {
                "seq": record.seq,
                "event": record.event,
                "id": record.id,
                "end": record.end,
                "vcpu": record.vcpu,
                "world": str(record.state),
                "worlds": _worlds(record.tally),
            }
            for record in records
        ],
    }


def _worlds(tally: Tally) -> dict[str, dict[str, int]]:
    """Instructions by level, entries and exits of guests, for each world in which anything was executed."""
    entries, exits = tally.entries(), tally.guest_exits()
    table: dict[str, dict[str, int]] = {}
    for (world, level), count in tally.by_level().items():
        table.setdefault(str(world), {"entries": entries[world], "guest_exits": exits[world]})[str(level)] = count
    return {world: row for world, row in table.items() if any(row.values())}
