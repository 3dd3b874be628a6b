# SPDX-License-Identifier: Apache-2.0
"""How long a run will take and how much disk, before anything of it is done; about.

Seconds are those of the computer that docs/running.md speaks of, set right by the newest run here or, without one, by
how fast this computer is with something else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.build.bootstrap import pace, spoken
from orchestrator.build.progress import Silent
from orchestrator.build.schedule import estimate
from orchestrator.errors import OrchError
from orchestrator.experiment.parts import machine_nodes, testbeds
from orchestrator.experiment.plan import cells_of, plan
from orchestrator.experiment.prepare import chosen, nodes_of
from orchestrator.models.zoo import Zoo
from orchestrator.runs.run_file import RUN_FILE, read_run_file
from orchestrator.schema.workload import Workload
from orchestrator.words import GUEST_WORLDS, Component, Owner, Quantization, World, phases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from orchestrator.build.schedule import Planned
    from orchestrator.runs.matrix import Boot, Cell, Session
    from orchestrator.runs.run_file import RunFile
    from orchestrator.testbed.project import Project

# Of the reference computer, s: what each of these takes that a run consists of.
_BOOT, _DEPLOY, _COUNT, _ATTACK = 12.0, 3.0, 3.0, 28.0
_GUEST, _GUEST_PER_MIB, _STOP, _STOP_PER_MIB = 8.0, 0.08, 2.0, 0.06
_INFERENCE = 0.03
_MACS_PER_SECOND = {Quantization.FLOAT32: 70e6, Quantization.INT8: 800e6}
_MACS_PER_BYTE = {Quantization.FLOAT32: 5.0, Quantization.INT8: 20.0}  # of a model of which nobody says more
# Bytes of a run's folder: a row is there twice, in its shard and in the run's table, and in the Parquet file.
_ROW_BYTES, _COPIES, _SCORE_BYTES, _BOOT_BYTES, _RUN_BYTES = 245, 2.1, 24, 1 << 20, 3 << 20


@dataclass(frozen=True)
class Outlook:
    """Seconds and bytes of a run, of the reference computer."""

    seconds: float
    bytes: int


def outlook(boots: Iterable[Boot], workload: Workload, macs: Mapping[Cell, float]) -> Outlook:
    """What these boots take; `macs` are multiplications of an inference, by cell."""
    seconds, size = 0.0, _RUN_BYTES
    for boot in boots:
        seconds += _BOOT
        size += _BOOT_BYTES
        for session in boot.sessions:
            seconds += _session_seconds(session, workload, macs)
            seconds += _ATTACK * len(session.steps) * (boot.number == 0 and bool(workload.attacks))
            size += sum(_step_bytes(session.world, step.cell, workload) for step in session.steps)
    return Outlook(seconds, size)


def _session_seconds(session: Session, workload: Workload, macs: Mapping[Cell, float]) -> float:
    inferences = workload.iterations + workload.warmups
    each = [_INFERENCE + macs[step.cell] / _MACS_PER_SECOND[step.cell.quantization] for step in session.steps]
    seconds = sum(_DEPLOY + _COUNT + inferences * one for one in each)
    if session.world not in GUEST_WORLDS:
        return seconds
    pages = session.guest.memory_mib if session.guest.pretouch else 0
    return seconds + _GUEST + _GUEST_PER_MIB * pages + _STOP + _STOP_PER_MIB * pages


def _step_bytes(world: World, cell: Cell, workload: Workload) -> int:
    """A row for each component and what else is observed of a phase, in each inference; and what it released."""
    inferences = workload.iterations + workload.warmups
    repeated = sum(phase.repeats for phase in phases_of(Owner.STEP))
    components = len(Component) if world in GUEST_WORLDS else len(Component) - 2
    rows = inferences * (repeated * (components + 3) + 1)
    released = workload.top if cell.output == "topk" else 10
    return round(rows * _ROW_BYTES * _COPIES) + inferences * released * _SCORE_BYTES


def macs_of(cells: Iterable[Cell], zoo: Zoo) -> dict[Cell, float]:
    """Multiplications of an inference: as the zoo says, or by the size of a model of the user's."""
    return {
        cell: cell.own.path.stat().st_size * _MACS_PER_BYTE[cell.quantization]
        if cell.own is not None
        else float(zoo.describe(cell.model).macs)
        for cell in cells
    }


def outlook_lines(
    workload: Workload,
    workload_file: Path,
    project: Project,
    results: Path,
    *,
    workers: int = 1,
    done: frozenset[str] = frozenset(),
) -> list[str]:
    """What is told of it, for people; first what is built before, if anything is."""
    folder, zoo = workload_file.resolve().parent, Zoo.load(project.root)
    boots, cells = plan(workload, done, folder), cells_of(workload, folder)
    told = outlook(boots.values(), workload, macs_of(cells, zoo))
    factor, by = _factor(results, zoo)
    seconds = told.seconds * factor / max(1, min(workers, len(boots)))
    lines = _build_lines(workload, cells, project)
    return [*lines, f"about {spoken(seconds)} and {told.bytes / 1e6:,.0f} MB of {results}, {by}"]


def _factor(results: Path, zoo: Zoo) -> tuple[float, str]:
    """How many times as long as the reference computer this one takes, and how that is known."""
    for info in _newest_first(results):
        try:
            workload = Workload.model_validate(info.workload)
            boots = plan(workload).values()
            cells = {step.cell for boot in boots for session in boot.sessions for step in session.steps}
            expected = outlook(boots, workload, macs_of(cells, zoo)).seconds
        except (OrchError, ValueError, OSError):
            continue  # of files that are somewhere else by now, or of another version
        emulated = (info.cost.emulation_s or 0.0) / max(1, info.cost.workers or 1)
        if emulated and expected:
            return emulated / expected, f"going by {info.run_id}"
    return pace(), "going by how fast this computer is; there is no run here yet"


def _newest_first(results: Path) -> list[RunFile]:
    """Whole runs in `results`."""
    found = []
    for path in results.glob(f"*/{RUN_FILE}"):
        try:
            info = read_run_file(path.parent)
        except OrchError:
            continue
        if info.status == "ok" and not info.resumed:
            found.append(info)
    return sorted(found, key=lambda info: info.started_utc or "", reverse=True)


def _build_lines(workload: Workload, cells: tuple[Cell, ...], project: Project) -> list[str]:
    """What has to be built before the first boot, if anything has."""
    planned: dict[str, Planned] = {}
    try:
        for bed in testbeds(project, Silent(), cells).values():
            nodes = nodes_of(bed.graph, chosen(project.root, cells), attacked=bool(workload.attacks))
            wanted = list((nodes | machine_nodes(bed, workload)).values())
            planned |= {item.key: item for item in bed.builder.plan(wanted)}
    except OrchError as error:
        return [f"what has to be built is not known: {error.message}"]
    if not planned:
        return []
    items, cores = list(planned.values()), os.cpu_count() or 1
    mib = sum(item.node.spec.mib for item in items)
    took = spoken(estimate(items, cores) * pace())
    return [f"before that {len(items)} artifacts are built: about {took}, {mib:,} MiB of the cache, and downloads"]
