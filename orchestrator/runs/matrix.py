# SPDX-License-Identifier: Apache-2.0
"""The matrix of a run as data: cells, the steps that measure them, and the boots in which that is done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.schema.workload import Inputs, OutputOf, TicksOf, Timing, Workload
from orchestrator.words import World

if TYPE_CHECKING:
    from orchestrator.words import Quantization

_ID_DIGITS = 6


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
    """A model file of the user's: where it is now, and its SHA-256, which is what it is; how it is called, and fed.

    `inputs` are its own, in place of the workload's.
    """

    path: Path
    sha256: str
    signature: str | None = None
    inputs: Inputs | None = field(default=None, compare=False)


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
    runtime: str = DEFAULT_RUNTIME
    reading: OutputOf | None = None
    """Which tensors are read and how, where the workload says more than `output`."""

    def top(self, workload: Workload) -> int | None:
        """How many classes or boxes an inference releases; None unless its output has so many."""
        if self.output not in ("topk", "detections"):
            return None
        return (self.reading.top if self.reading else None) or workload.top

    def reading_of(self, workload: Workload) -> OutputOf | None:
        """Which tensors are read, with the number of classes or boxes; None where a word says it all."""
        if self.reading is None or self.top(workload) is None:
            return self.reading
        return self.reading.model_copy(update={"top": self.top(workload)})

    def inputs(self, workload: Workload) -> Inputs:
        """What its model is given."""
        return self.own.inputs if self.own and self.own.inputs is not None else workload.inputs

    @property
    def cell_id(self) -> str:
        """Unique in a run, and the same in each run of an equal cell."""
        return f"{self.model}-{self.quantization}-{short_hash(self.as_table())}"

    def as_table(self) -> dict[str, Any]:
        """JSON-able: everything that the cell is about."""
        # The usual runtime goes without saying: ids of cells are those of runs from before there was another one.
        more: dict[str, Any] = {} if self.runtime == DEFAULT_RUNTIME else {"runtime": self.runtime}
        if self.own is not None and self.own.signature is not None:
            more["signature"] = self.own.signature
        if self.reading is not None:
            more["reading"] = self.reading.model_dump(mode="json", exclude_none=True)
        return {
            "model": self.model,
            "own": self.own.sha256 if self.own else None,
            "quantization": str(self.quantization),
            **more,
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
class SubjectKey:
    """What decides which files are deployed: the cells of one key share them, those of two never do."""

    model: str
    quantization: str
    protection: str
    runtime: str

    @classmethod
    def of(cls, cell: Cell) -> SubjectKey:
        """That of a cell."""
        return cls(cell.model, str(cell.quantization), cell.protection, cell.runtime)

    def __str__(self) -> str:
        """For people: what is not the usual is named."""
        usual = (DEFAULT_PROTECTION, DEFAULT_RUNTIME)
        return " ".join(
            [self.model, self.quantization, *(x for x in (self.protection, self.runtime) if x not in usual)]
        )


@dataclass(frozen=True)
class Step:
    """One cell in one world in one boot: what is done whole or not at all, and never twice."""

    cell: Cell
    world: World
    boot: int

    @property
    def key(self) -> str:
        """Names it in the journal."""
        return f"{self.cell.cell_id}/{self.world}/{self.boot}"


@dataclass(frozen=True)
class Session:
    """The cells that share one start of a guest (or the bare host) in one boot."""

    world: World
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

    def without(self, done: frozenset[str]) -> Boot:
        """The same boot with the steps that are left when those are done."""
        left = (
            Session(each.world, each.guest, tuple(step for step in each.steps if step.key not in done))
            for each in self.sessions
        )
        return Boot(self.number, self.machine, tuple(each for each in left if each.steps))
