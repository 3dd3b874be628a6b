# SPDX-License-Identifier: Apache-2.0
"""What a runtime is: a bundle that executes models in a world and on the build computer, how it is asked, what it says.

A runtime's program must
- mark its phases as docs/runner.md says, with ids from `Execution.base` on, and write what it released and measured;
- with `Armed`: print the number of its process, which leads a group of its own, and wait in the background for a
  datagram; then begin `phase_us` behind a multiple of `align_us` that is at least `align_us` away, and say its last
  word whatever happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.models.anatomy import Anatomy
    from orchestrator.models.record import RunnerRecord

UNPACKED = "bundle"
"""The folder that a bundle consists of."""
_COMM = 15  # characters of its name that the kernel keeps of a process


@dataclass(frozen=True)
class Armed:
    """Wait for a datagram at a UDP `port`; at the end write `word` to `say`.

    It begins when CLOCK_MONOTONIC is `phase_us` behind a multiple of `align_us`, and not before `align_us` are over.
    """

    port: int
    align_us: int
    phase_us: int
    say: str
    word: str


@dataclass(frozen=True)
class Execution:
    """What one execution is asked for; files by their path where the program runs.

    Iterations and warm-ups are inferences, `base` is the first id of their markers. `output` is what may leave of an
    answer, `top` the number of classes of output topk and of detections. `options` are what a protection says beyond
    that, name and value. `tensors` are the outputs that are read, by the word for each; `signature` is the model's way
    of being called. `kernels` are for the oracle, which answers once by each of them.
    """

    model: str
    inputs: str
    results: str
    iterations: int
    output: str
    warmups: int = 0
    threads: int = 1
    top: int = 1
    base: int = 0
    options: tuple[tuple[str, str], ...] = ()
    armed: Armed | None = None
    tensors: tuple[tuple[str, str], ...] = ()
    dims: int | None = None
    min_score: float | None = None
    signature: str | None = None
    kernels: tuple[str, ...] = ()


def _unknown(_path: Path) -> None:
    """A runtime whose files do not say their number format."""


@dataclass(frozen=True)
class Runtime:
    """One way to execute a model, alike in all worlds and on the build computer."""

    name: str
    summary: str
    node: str
    """The artifact with the bundle for a world."""
    oracle_node: str
    """The artifact with the same release for the build computer, which says what is right."""
    argv: Callable[[Execution], list[str]]
    """The words of an execution, behind those of the program."""
    describe: Callable[[str], list[str]]
    """The words that print a model's description, JSON as orchestrator.schema.zoo.ModelDescription has it."""
    go: Callable[[str, int], list[str]]
    """The words that send the datagram to an address and port."""
    parse: Callable[[str], RunnerRecord]
    """Understands what an execution left; raises WorkloadError, IncompleteRecordError if that says nothing."""
    check: Callable[[Path], None]
    """Raises UsageError unless a file begins like a model of this runtime."""
    mib: int
    """Memory that the unpacked bundle takes of a world, MiB."""
    copies: int
    """How many times the size of a model it needs: the file, the read copy, packed weights, activations."""
    held_bytes: int
    """Bytes that it can hold of all results of one execution."""
    bundle: str = "bundle.tar.gz"
    """In the artifact of `node`: an archive of one folder, `UNPACKED`."""
    program: str = f"{UNPACKED}/runner"
    """In what was unpacked, and in the artifact of `oracle_node`."""
    model_file: str = "model.tflite"
    """What a plain model is called in the folder of a world."""
    disk: str | None = None
    """The node of the same folder's files as a disk; where guests have that very disk, nothing is copied."""
    kernels: tuple[str, ...] = ()
    """What its oracle can answer by (`Execution.kernels`), the guests' first: their spread is what answers may differ
    by. It knows output `raw` then, and writes a record for each kernel, `results` and the kernel's name. Without any
    the oracle is asked for `scores`, as a world is."""
    second_node: str | None = None
    """Another build of another release for the build computer, by the same words: an opinion that is independent."""
    anatomy: Callable[[Path], Anatomy | None] = _unknown
    """What a file says of itself; None if the runtime cannot know that."""
    options: frozenset[str] = frozenset()
    """Names of `Execution.options` that it knows, which protections may need."""

    @property
    def comm(self) -> str:
        """The name of its process."""
        return PurePosixPath(self.program).name[:_COMM]

    def command(self, folder: str, what: Execution) -> list[str]:
        """The argument vector of an execution in a world's `folder`."""
        return [f"{folder}/{self.program}", *self.argv(what)]

    def go_command(self, folder: str, address: str, port: int) -> list[str]:
        """The argument vector that starts an armed execution."""
        return [f"{folder}/{self.program}", *self.go(address, port)]
