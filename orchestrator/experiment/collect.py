# SPDX-License-Identifier: Apache-2.0
"""From markers and the runner's own record to observations of the vocabulary's phases and metrics; all pure."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import WorkloadError
from orchestrator.runs.observation import Observation
from orchestrator.trace.markers import MarkerPair, pair_markers
from orchestrator.trace.tally import Level, SecurityState, Tally
from orchestrator.words import (
    INFER,
    LOAD,
    METRICS,
    REALM_CREATE,
    WRITE,
    Component,
    Mark,
    Method,
    Owner,
    Phase,
    World,
    phases_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.models.record import RunnerRecord
    from orchestrator.models.tensors import Tensors
    from orchestrator.trace.markers import MarkerRecord

CALIBRATIONS = 8
"""Empty pairs that a runner marks: CALIBRATIONS in guest/world/runner/worker.c."""
Place = tuple[SecurityState, Level]

# Whose instructions these are, by the world that a cell ran in. The host's own programs (HOST_EL0) are the VMM beside
# a guest and the inference itself without one.
_SHARED: dict[Component, tuple[Place, ...]] = {
    Component.RMM: ((SecurityState.REALM, Level.EL2),),
    Component.EL3: ((SecurityState.ROOT, Level.EL3),),
    Component.HOST_KERNEL: ((SecurityState.NON_SECURE, Level.EL2),),
}
_OWN: dict[World, dict[Component, tuple[Place, ...]]] = {
    World.HOST: {Component.GUEST_USER: ((SecurityState.NON_SECURE, Level.HOST_EL0),)},
    World.VM: {
        Component.GUEST_USER: ((SecurityState.NON_SECURE, Level.EL0),),
        Component.GUEST_KERNEL: ((SecurityState.NON_SECURE, Level.EL1),),
        Component.VMM: ((SecurityState.NON_SECURE, Level.HOST_EL0),),
    },
    World.REALM: {
        Component.GUEST_USER: ((SecurityState.REALM, Level.EL0),),
        Component.GUEST_KERNEL: ((SecurityState.REALM, Level.EL1),),
        Component.VMM: ((SecurityState.NON_SECURE, Level.HOST_EL0),),
    },
}
_GUEST_STATE = {World.VM: SecurityState.NON_SECURE, World.REALM: SecurityState.REALM}


def components(tally: Tally, world: World) -> dict[Component, int]:
    """Instructions by component for a cell that ran in `world`; `all` is everything the machine executed."""
    levels = tally.by_level()
    parts = {name: sum(levels[place] for place in places) for name, places in (_OWN[world] | _SHARED).items()}
    return {Component.ALL: tally.total} | parts


def empty_pair(pairs: Iterable[MarkerPair], world: World) -> dict[Component, int]:
    """What marking itself adds to a phase, by component: the median of empty pairs of the same program."""
    seen = [components(pair.delta, world) for pair in pairs]
    if not seen:
        raise WorkloadError("no empty marker pairs to calibrate with")
    return {name: statistics.median_low(each[name] for each in seen) for name in seen[0]}


def exits(tally: Tally, world: World) -> dict[str, int]:
    """How often the guest was left, and how often that reached the host; nothing for the host itself."""
    if world not in _GUEST_STATE:
        return {}
    left = tally.guest_exits()[_GUEST_STATE[world]]
    realm, root = (list(SecurityState).index(each) for each in (SecurityState.REALM, SecurityState.ROOT))
    to_host = sum(cpu[realm][root] for cpu in tally.moves) if world == World.REALM else left
    return {"exits": left, "host_exits": to_host}


def _counted(phase: Phase, tally: Tally, world: World, cost: Mapping[Component, int]) -> Iterator[Observation]:
    for component, count in components(tally, world).items():
        left = max(0, count - cost.get(component, 0))
        yield Observation(phase, component, "instructions", left, Method.TCG_PLUGIN)
    for metric, count in exits(tally, world).items():
        yield Observation(phase, Component.ALL, metric, count, Method.TCG_PLUGIN)


def inference_rows(
    markers: Sequence[MarkerRecord], record: RunnerRecord, world: World, base: int
) -> Iterator[Observation]:
    """Observations of one execution of the runner, whose first marker id is `base`.

    Raises WorkloadError if markers of a phase that is required are missing: counts would be of something else.
    """
    phases = phases_of(Owner.STEP)
    known = {Mark.CALIBRATE, *(phase.event for phase in phases)}
    end = base + len(record.iterations) + 64
    mine = [each for each in markers if base <= each.id < end and each.event in known]
    pairs = {(pair.begin.event, pair.begin.id - base): pair for pair in pair_markers(mine)}
    cost = empty_pair((pair for (event, _), pair in pairs.items() if event == Mark.CALIBRATE), world)
    for phase in phases:
        if not phase.repeats and (pair := _pair(pairs, phase, 0)) is not None:
            yield from _counted(phase, pair.delta, world, cost)
    yield Observation(LOAD, Component.ALL, "duration", record.load_ns, Method.GUEST_CLOCK)
    for line in record.iterations:
        k, warmup = int(line["k"]), bool(line["warmup"])
        for phase in phases:
            pair = _pair(pairs, phase, k) if phase.repeats else None
            if pair is None:
                continue
            rows = [*_counted(phase, pair.delta, world, cost)]
            if str(phase) in line["ns"]:
                rows.append(Observation(phase, Component.ALL, "duration", line["ns"][phase], Method.GUEST_CLOCK))
            yield from (replace(row, iteration=k, is_warmup=warmup) for row in rows)
    yield from _procfs(record)


def _pair(pairs: Mapping[tuple[int, int], MarkerPair], phase: Phase, k: int) -> MarkerPair | None:
    found = pairs.get((phase.event, k))
    if found is None and phase.required:
        raise WorkloadError(f"the markers of {phase} {k} are missing")
    return found


def _procfs(record: RunnerRecord) -> Iterator[Observation]:
    """What the runtime says of itself in its last word, of all metrics that are found there."""
    for metric in METRICS.values():
        value = record.end.get(metric.record) if metric.record is not None else None
        if value is not None:
            note = record.disturbed if metric.name == "rx_packets" else None
            yield Observation(INFER, Component.GUEST_USER, metric.name, value, Method.PROCFS, note=note)


# As guest/host/rvmm/stats.h calls what a guest was left for; its other figures count work, not exits.
_REASONS = (
    *("mmio_read", "mmio_write", "gic_access", "irq", "fiq", "serror", "wfx", "sysreg", "psci"),
    *("ripas_change", "host_call", "fault_protected", "fault_shared", "other"),
)


def exit_rows(spent: Mapping[str, int]) -> Iterator[Observation]:
    """How often the guest came back to its VMM around an execution, by the VMM's word for the reason."""
    for reason, count in spent.items():
        if reason in _REASONS:
            yield Observation(INFER, Component.ALL, f"exits_{reason}", count, Method.PROCFS)


def life_events() -> frozenset[int]:
    """Numbers of the markers of a guest's life: creation, boot, attestation, end."""
    return frozenset(phase.event for phase in phases_of(Owner.GUEST))


def life_rows(markers: Sequence[MarkerRecord], world: World, run: int) -> Iterator[Observation]:
    """Observations of creation, boot and end of the guest that was start number `run` of its machine.

    Without `host_exits`: the host calls the monitor all the time then, and returns of calls look like exits.
    """
    phases = {phase.event: phase for phase in phases_of(Owner.GUEST)}
    mine = [each for each in markers if each.id == run and each.event in phases]
    ended = {each.event for each in mine if each.end}
    for pair in pair_markers(each for each in mine if each.event in ended):
        counted = _counted(phases[pair.begin.event], pair.delta, world, {})
        yield from (row for row in counted if row.metric != "host_exits")


def size_rows(counts: Mapping[str, int]) -> Iterator[Observation]:
    """Of a guest that was made: its pages, and the granules that were delegated when it was ready."""
    for metric, count in counts.items():
        yield Observation(REALM_CREATE, Component.ALL, metric, count, Method.PROCFS)


def oracle_row(worst: float) -> Observation:
    """How far the answers of an execution were from the oracle's."""
    return Observation(WRITE, Component.ALL, "oracle_difference", worst, Method.PROCFS)


def correct_rows(record: RunnerRecord, tensors: Tensors, answers: Sequence[int | None]) -> Iterator[Observation]:
    """Whether each iteration's answer (a class) is right for its input; nothing where that is not known."""
    for line, answer in zip(record.iterations, answers, strict=True):
        right = tensors.correct(int(line["input"]) % tensors.count, answer)
        if right is not None:
            k, warmup = int(line["k"]), bool(line["warmup"])
            yield Observation(WRITE, Component.ALL, "correct", float(right), Method.PROCFS, k, is_warmup=warmup)
