# SPDX-License-Identifier: Apache-2.0
"""The matrix of a workload as data: cells, and the boots of machines and guests in which they are measured.

Pure, but that models of the user's are read for what they are: a cell is about a file's content, not its place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError
from orchestrator.schema.workload import OwnModel, TicksOf, Timing, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.schema.workload import Quantization

_ID_DIGITS = 6
_ORDER = ("realm", "vm", "host")


def short_hash(value: Any) -> str:
    """A few digits that stand for a JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True)
class MachineKind:
    """What decides which machine is booted."""

    ticks: TicksOf
    timing: Timing

    @property
    def label(self) -> str:
        """For people: `deterministic, shift 3, host 1000 Hz, guest 100 Hz`."""
        how = f"{self.timing.mode}, shift {self.timing.shift}" if self.deterministic else self.timing.mode
        return f"{how}, host {self.ticks.host_hz} Hz, guest {self.ticks.guest_hz} Hz"

    @property
    def deterministic(self) -> bool:
        """Whether instructions drive its time."""
        return self.timing.mode == "deterministic"


@dataclass(frozen=True)
class GuestKind:
    """What decides how a guest is started; the host world has the same cells, and ignores it."""

    memory_mib: int
    vcpus: int
    pretouch: bool

    @property
    def label(self) -> str:
        """For people and cell ids: `256m-1c-pretouch`."""
        return f"{self.memory_mib}m-{self.vcpus}c-{'pretouch' if self.pretouch else 'demand'}"


@dataclass(frozen=True)
class Own:
    """A model file of the user's: where it is now, and its SHA-256, which is what it is."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One point of the experiment matrix; it is measured in every world."""

    model: str
    own: Own | None
    quantization: Quantization
    protection: str
    output: str
    threads: int
    guest: GuestKind
    machine: MachineKind

    def top(self, workload: Workload) -> int | None:
        """How many classes an inference releases; None unless its output is `topk`."""
        return workload.top if self.output == "topk" else None

    @property
    def cell_id(self) -> str:
        """Unique in a run, and the same in each run of an equal cell."""
        return f"{self.model}-{self.quantization}-{short_hash(self.as_table())}"

    def as_table(self) -> dict[str, Any]:
        """JSON-able: everything that the cell is about."""
        return {
            "model": self.model,
            "own": self.own.sha256 if self.own else None,
            "quantization": self.quantization,
            "protection": self.protection,
            "output": self.output,
            "threads": self.threads,
            "memory_mib": self.guest.memory_mib,
            "vcpus": self.guest.vcpus,
            "pretouch": self.guest.pretouch,
            "host_hz": self.machine.ticks.host_hz,
            "guest_hz": self.machine.ticks.guest_hz,
            "timing": self.machine.timing.mode,
            "icount_shift": self.machine.timing.shift if self.machine.deterministic else None,
        }


@dataclass(frozen=True)
class Step:
    """One cell in one world in one boot: what is done whole or not at all, and never twice."""

    cell: Cell
    world: str
    boot: int

    @property
    def key(self) -> str:
        """Names it in the journal."""
        return f"{self.cell.cell_id}/{self.world}/{self.boot}"


@dataclass(frozen=True)
class Session:
    """The cells that share one start of a guest (or the bare host) in one boot."""

    world: str
    guest: GuestKind
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Boot:
    """One boot of a machine, and all that is done in it."""

    number: int
    machine: MachineKind
    sessions: tuple[Session, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All its steps, in order."""
        return tuple(step for session in self.sessions for step in session.steps)


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
    rest = itertools.product(workload.protection, workload.output, workload.threads)
    for machine, guest, (model, own), (protection, output, threads) in itertools.product(
        machines, guests, models, tuple(rest)
    ):
        name = model.name if isinstance(model, OwnModel) else model
        for quantization in [model.quantization] if isinstance(model, OwnModel) else workload.quantization:
            yield Cell(name, own, quantization, protection, output, threads, guest, machine)


def _own(model: OwnModel, folder: Path) -> Own:
    path = folder / model.path
    try:
        return Own(path, file_digest(path))
    except OSError as error:
        raise UsageError(f"model {model.name}: {path}: cannot be read: {error.strerror}") from None


def input_digests(workload: Workload, folder: Path) -> list[str]:
    """SHA-256 of each of the user's input files, which are relative to `folder`; raises UsageError."""
    digests = []
    for path in workload.inputs.files:
        try:
            digests.append(file_digest(folder / path))
        except OSError as error:
            raise UsageError(f"inputs.files: {folder / path}: cannot be read: {error.strerror}") from None
    return digests


def plan(workload: Workload, done: frozenset[str] = frozenset(), folder: Path = Path()) -> tuple[Boot, ...]:
    """The boots that are left to do; `done` are keys of steps that need no repetition, `folder` is that of `cells_of`.

    Worlds take turns within a boot, one guest at a time, so that no guest works beside another. All realms come first
    and the host last: an attack must not find what an earlier deployment left in the host's memory.
    """
    cells = cells_of(workload, folder)
    boots = []
    for machine in dict.fromkeys(cell.machine for cell in cells):
        mine = [cell for cell in cells if cell.machine == machine]
        for number in range(workload.boots):
            worlds = [world for world in _ORDER if world in workload.worlds]
            sessions = tuple(session for session in _sessions(mine, worlds, number, done) if session.steps)
            if sessions:
                boots.append(Boot(number, machine, sessions))
    return tuple(boots)


def _sessions(cells: list[Cell], worlds: Sequence[str], boot: int, done: frozenset[str]) -> Iterator[Session]:
    for world, guest in itertools.product(worlds, dict.fromkeys(cell.guest for cell in cells)):
        steps = (Step(cell, world, boot) for cell in cells if cell.guest == guest)
        yield Session(world, guest, tuple(step for step in steps if step.key not in done))
