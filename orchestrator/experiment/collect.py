# SPDX-License-Identifier: Apache-2.0
"""From markers and the runner's own record to rows of samples.csv; all pure."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import WorkloadError
from orchestrator.trace.counters import Event, Level, MarkerPair, Tally, World, pair_markers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.experiment.tensors import Tensors
    from orchestrator.trace.counters import MarkerRecord

Place = tuple[World, Level]

# Whose instructions these are, by the world that a cell ran in. The host's own programs (HOST_EL0) are the VMM beside
# a guest and the inference itself without one.
_SHARED: dict[str, tuple[Place, ...]] = {
    "rmm": ((World.REALM, Level.EL2),),
    "el3": ((World.ROOT, Level.EL3),),
    "host_kernel": ((World.NON_SECURE, Level.EL2),),
}
_OWN: dict[str, dict[str, tuple[Place, ...]]] = {
    "host": {"guest_user": ((World.NON_SECURE, Level.HOST_EL0),)},
    "vm": {
        "guest_user": ((World.NON_SECURE, Level.EL0),),
        "guest_kernel": ((World.NON_SECURE, Level.EL1),),
        "vmm": ((World.NON_SECURE, Level.HOST_EL0),),
    },
    "realm": {
        "guest_user": ((World.REALM, Level.EL0),),
        "guest_kernel": ((World.REALM, Level.EL1),),
        "vmm": ((World.NON_SECURE, Level.HOST_EL0),),
    },
}
_GUEST_WORLD = {"vm": World.NON_SECURE, "realm": World.REALM}
_PHASES = {Event.LOAD: "load", Event.READ: "read", Event.INFER: "infer", Event.WRITE: "write"}
LIFE: dict[int, str] = {Event.REALM_CREATE: "realm_create", Event.BOOT: "boot", Event.TEARDOWN: "teardown"}


@dataclass(frozen=True)
class Observation:
    """One value of samples.csv; `iteration` is None where a phase happens once."""

    phase: str
    component: str
    metric: str
    value: float
    unit: str
    method: str
    iteration: int | None = None
    is_warmup: bool = False
    note: str | None = None


@dataclass(frozen=True)
class RunnerRecord:
    """What the runner wrote of one execution; raises WorkloadError in `parse` if it does not tell a success."""

    load_ns: int
    iterations: tuple[dict[str, Any], ...]
    end: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> RunnerRecord:
        """Understand the JSON lines; the runner's own words are the error's where it failed."""
        try:
            lines = [json.loads(line) for line in text.splitlines()]
            end = next(line for line in reversed(lines) if line["event"] == "end")
        except (json.JSONDecodeError, StopIteration, KeyError, TypeError):
            raise WorkloadError("the runner left no complete record") from None
        if end["status"] != "ok":
            raise WorkloadError(f"the runner failed: {end.get('error') or 'it does not say why'}")
        load = next((line["ns"] for line in lines if line["event"] == "load"), 0)
        return cls(int(load), tuple(line for line in lines if line["event"] == "iteration"), end)

    @property
    def disturbed(self) -> str | None:
        """What came from outside while instructions were counted, if anything did."""
        packets = self.end.get("rx_packets_during") or 0
        return f"{packets} packets arrived while instructions were counted" if packets else None

    @property
    def outputs(self) -> tuple[dict[str, Any], ...]:
        """What was released, of every iteration."""
        return tuple(line["output"] for line in self.iterations)


def components(tally: Tally, world: str) -> dict[str, int]:
    """Instructions by component for a cell that ran in `world`; `all` is everything the machine executed."""
    levels = tally.by_level()
    parts = {name: sum(levels[place] for place in places) for name, places in (_OWN[world] | _SHARED).items()}
    return {"all": tally.total} | parts


def empty_pair(pairs: Iterable[MarkerPair], world: str) -> dict[str, int]:
    """What marking itself adds to a phase, by component: the median of empty pairs of the same program."""
    seen = [components(pair.delta, world) for pair in pairs]
    if not seen:
        raise WorkloadError("no empty marker pairs to calibrate with")
    return {name: statistics.median_low(each[name] for each in seen) for name in seen[0]}


def exits(tally: Tally, world: str) -> dict[str, int]:
    """How often the guest was left, and how often that reached the host; nothing for the host itself."""
    if world not in _GUEST_WORLD:
        return {}
    left = tally.guest_exits()[_GUEST_WORLD[world]]
    realm, root = (list(World).index(each) for each in (World.REALM, World.ROOT))
    to_host = sum(cpu[realm][root] for cpu in tally.moves) if world == "realm" else left
    return {"exits": left, "host_exits": to_host}


def _counted(phase: str, tally: Tally, world: str, cost: Mapping[str, int]) -> Iterator[Observation]:
    for component, count in components(tally, world).items():
        yield Observation(phase, component, "instructions", max(0, count - cost.get(component, 0)), "1", "tcg_plugin")
    for metric, count in exits(tally, world).items():
        yield Observation(phase, "all", metric, count, "1", "tcg_plugin")


def inference_rows(
    markers: Sequence[MarkerRecord], record: RunnerRecord, world: str, base: int
) -> Iterator[Observation]:
    """Rows of one execution of the runner, whose first marker id is `base`.

    Raises WorkloadError if markers are missing: counts would be of something else.
    """
    end = base + len(record.iterations) + 64
    mine = [each for each in markers if base <= each.id < end and each.event in (*_PHASES, Event.CALIBRATE)]
    pairs = {(pair.begin.event, pair.begin.id - base): pair for pair in pair_markers(mine)}
    cost = empty_pair((pair for (event, _), pair in pairs.items() if event == Event.CALIBRATE), world)
    yield from _counted("load", _pair(pairs, Event.LOAD, 0).delta, world, cost)
    yield Observation("load", "all", "duration", record.load_ns, "ns", "guest_clock")
    for line in record.iterations:
        k, warmup = int(line["k"]), bool(line["warmup"])
        for event in (Event.READ, Event.INFER, Event.WRITE):
            phase = _PHASES[event]
            rows = [
                *_counted(phase, _pair(pairs, event, k).delta, world, cost),
                Observation(phase, "all", "duration", line["ns"][phase], "ns", "guest_clock"),
            ]
            for row in rows:
                yield Observation(
                    row.phase, row.component, row.metric, row.value, row.unit, row.method, k, is_warmup=warmup
                )
    yield from _procfs(record)


def _pair(pairs: Mapping[tuple[int, int], MarkerPair], event: Event, k: int) -> MarkerPair:
    try:
        return pairs[event, k]
    except KeyError:
        raise WorkloadError(f"the markers of {_PHASES[event]} {k} are missing") from None


_PROCFS = (
    ("peak_rss_kib", "peak_rss", "KiB"),
    ("minor_faults", "minor_faults", "1"),
    ("major_faults", "major_faults", "1"),
    ("rx_packets_during", "rx_packets", "1"),
)


def _procfs(record: RunnerRecord) -> Iterator[Observation]:
    for name, metric, unit in _PROCFS:
        if record.end.get(name) is not None:
            note = record.disturbed if metric == "rx_packets" else None
            yield Observation("infer", "guest_user", metric, record.end[name], unit, "procfs", note=note)


# As guest/host/rvmm/stats.h calls what a guest was left for; its other figures count work, not exits.
_REASONS = (
    *("mmio_read", "mmio_write", "gic_access", "irq", "fiq", "serror", "wfx", "sysreg", "psci"),
    *("ripas_change", "host_call", "fault_protected", "fault_shared", "other"),
)


def exit_rows(spent: Mapping[str, int]) -> Iterator[Observation]:
    """How often the guest came back to its VMM around a measurement, by the VMM's word for the reason."""
    for reason, count in spent.items():
        if reason in _REASONS:
            yield Observation("infer", "all", f"exits_{reason}", count, "1", "procfs")


def life_rows(markers: Sequence[MarkerRecord], world: str, run: int) -> Iterator[Observation]:
    """Rows about creation, boot and end of the guest that was start number `run` of its machine.

    Without `host_exits`: the host calls the monitor all the time then, and returns of calls look like exits.
    """
    mine = [each for each in markers if each.id == run and each.event in LIFE]
    ended = {each.event for each in mine if each.end}
    for pair in pair_markers(each for each in mine if each.event in ended):
        counted = _counted(LIFE[Event(pair.begin.event)], pair.delta, world, {})
        yield from (row for row in counted if row.metric != "host_exits")


def correct_rows(record: RunnerRecord, tensors: Tensors, answers: Sequence[int]) -> Iterator[Observation]:
    """Whether each iteration's answer (a class) is right for its input; nothing where that is not known."""
    for line, answer in zip(record.iterations, answers, strict=True):
        right = tensors.correct(int(line["input"]) % tensors.count, answer)
        if right is not None:
            yield Observation(
                "write", "all", "correct", float(right), "1", "procfs", int(line["k"]), bool(line["warmup"])
            )
