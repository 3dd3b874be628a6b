# SPDX-License-Identifier: Apache-2.0
"""The matrix of a workload as data: cells, and the boots of machines and guests in which they are measured.

Pure, but that models of the user's are read for what they are: a cell is about a file's content, not its place.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError
from orchestrator.registry import RUNTIMES
from orchestrator.runs.matrix import Boot, Cell, GuestKind, MachineKind, Own, Session, Step
from orchestrator.schema.workload import OutputOf, OwnModel, Workload
from orchestrator.words import GUEST_WORLDS, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.models.runtime import Runtime
    from orchestrator.words import Quantization


_ID_DIGITS = 6
_ORDER = (*GUEST_WORLDS, World.HOST)


def cells_of(workload: Workload, folder: Path = Path()) -> tuple[Cell, ...]:
    """The matrix of a workload, in the order of its file; a model of the user's has the quantization it says.

    Such models are relative to `folder`. Raises UsageError if one cannot be read.
    """
    return tuple(dict.fromkeys(_cells(workload, folder)))


def _cells(workload: Workload, folder: Path) -> Iterator[Cell]:
    machines = [MachineKind(*pair) for pair in itertools.product(workload.ticks, workload.timing)]
    guests = [
        GuestKind(memory, workload.vcpus, pretouch)
        for memory, pretouch in itertools.product(workload.memory_mib, workload.pretouch)
    ]
    models = [(model, _own(model, folder) if isinstance(model, OwnModel) else None) for model in workload.models]
    rest = tuple(itertools.product(workload.runtime, workload.protection, workload.threads))
    for machine, guest, (model, own), (runtime, protection, threads) in itertools.product(
        machines, guests, models, rest
    ):
        name = model.name if isinstance(model, OwnModel) else model
        outputs = [model.output] if isinstance(model, OwnModel) and model.output is not None else workload.output
        for output, quantization in itertools.product(outputs, _quantizations(workload, model, own, runtime)):
            reading = output if isinstance(output, OutputOf) else None
            kind = output.read if isinstance(output, OutputOf) else output
            yield Cell(name, own, quantization, protection, kind, threads, guest, machine, runtime, reading)


def _quantizations(
    workload: Workload, model: str | OwnModel, own: Own | None, runtime: str
) -> tuple[Quantization, ...]:
    """Those of the zoo's models are an axis; a file of the user's has one, which it says itself."""
    if not isinstance(model, OwnModel) or own is None:
        return workload.quantization
    return (model.quantization or file_quantization(model.name, own.path, runtime),)


def file_quantization(name: str, path: Path, runtime: str) -> Quantization:
    """The number format that a file says it has; raises UsageError if the runtime cannot know it."""
    record: Runtime = RUNTIMES[runtime]
    anatomy = record.anatomy(path)
    if anatomy is None:
        raise UsageError(f"model {name}: {path}: its quantization is not known", hint="say `quantization` of the model")
    return anatomy.quantization


def _own(model: OwnModel, folder: Path) -> Own:
    path = folder / model.path
    try:
        return Own(path, file_digest(path), model.signature, model.inputs)
    except OSError as error:
        raise UsageError(f"model {model.name}: {path}: cannot be read: {error.strerror}") from None


def input_digests(workload: Workload, folder: Path) -> list[str]:
    """SHA-256 of each of the user's input files, which are relative to `folder`; raises UsageError."""
    digests = []
    for path in workload.input_files:
        try:
            digests.append(file_digest(folder / path))
        except OSError as error:
            raise UsageError(f"inputs.files: {folder / path}: cannot be read: {error.strerror}") from None
    return digests


def plan(workload: Workload, done: frozenset[str] = frozenset(), folder: Path = Path()) -> dict[int, Boot]:
    """The boots that are left to do, by their place in the whole plan.

    `done` are keys of steps that need no repetition, `folder` is that of `cells_of`. Worlds take turns within a boot,
    one guest at a time, so that no guest works beside another. All realms come first and the host last: an attack must
    not find what an earlier deployment left in the host's memory.
    """
    cells = cells_of(workload, folder)
    worlds = [world for world in _ORDER if world in workload.worlds]
    machines = dict.fromkeys(cell.machine for cell in cells)
    boots = (
        Boot(number, machine, tuple(_sessions([cell for cell in cells if cell.machine == machine], worlds, number)))
        for machine in machines
        for number in range(workload.boots)
    )
    left = {index: boot.without(done) for index, boot in enumerate(boots)}
    return {index: boot for index, boot in left.items() if boot.sessions}


def _sessions(cells: list[Cell], worlds: Sequence[World], boot: int) -> Iterator[Session]:
    for world, guest in itertools.product(worlds, dict.fromkeys(cell.guest for cell in cells)):
        yield Session(world, guest, tuple(Step(cell, world, boot) for cell in cells if cell.guest == guest))
