# SPDX-License-Identifier: Apache-2.0
"""What the rest of orch asks of an emulator: `Platform` is a kind of machine, `Machine` one of them in its run folder.

A platform is one record in a module of its own, registered in orchestrator/registry.py (PLATFORMS). It declares what it
can do; what it cannot is refused in one place (`need`). docs/machine.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import UsageError
from orchestrator.machine.process import ProcessId
from orchestrator.machine.states import Reason, State

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from pydantic import BaseModel

    from orchestrator.machine.needs import Needs
    from orchestrator.schema.testbed import Machine as MachineConfig
    from orchestrator.trace.counter import Counter

DEFAULT_SEED = 42
"""Of all that a deterministic machine and its guests draw at random, unless another one is asked for."""


class Capability(StrEnum):
    """What a platform may be able to do."""

    RUN = "run"
    COUNT = "count"
    DETERMINISTIC = "deterministic"
    SNAPSHOT = "snapshot"
    REPLAY = "replay"
    MEMORY_VIEW = "memory-view"
    DMA = "dma"


_LACK = {
    Capability.RUN: "its command line is all that orch makes; it neither builds for it nor runs it",
    Capability.COUNT: "it does not count what it executes",
    Capability.DETERMINISTIC: "it cannot let time follow from executed instructions",
    Capability.SNAPSHOT: "it cannot save a machine and go on from there",
    Capability.REPLAY: "it cannot go on from a saved machine twice in the same way",
    Capability.MEMORY_VIEW: "it does not show the machine's memory from outside",
    Capability.DMA: "it has no device that writes where granule protection would forbid it",
}


@dataclass(frozen=True)
class Parts:
    """Where the files of a machine are: `artifacts` are folders by node, `given` files by key of the testbed file."""

    artifacts: Mapping[str, Path]
    given: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Blueprint:
    """All that a machine is made of and how it is to run, the same for every platform.

    `file` is the testbed file, for messages; `overlay` the host's second initrd. `ssh_port` is on 127.0.0.1. A
    deterministic machine draws its random numbers from `seed`; `count` is the mode of its counter, None without one.
    """

    file: Path
    config: MachineConfig
    run_folder: Path
    parts: Parts
    ssh_port: int
    overlay: Path | None = None
    kernel_args: tuple[str, ...] = ()
    deterministic: bool = False
    seed: int = DEFAULT_SEED
    count: str | None = None

    @property
    def cpus(self) -> int:
        """The number of emulated CPUs."""
        return self.config.deterministic.cpus if self.deterministic else self.config.cpus


@dataclass(frozen=True)
class Identity:
    """What tells two machines apart: `arguments`, and the content of `files`.

    Two machines with the same one can go on from each other's saved states.
    """

    arguments: list[str]
    files: list[Path]


@dataclass(frozen=True)
class MachineStatus:
    """What is known of a machine; `alive` says whether it is looked after now, so that it can be asked and ended.

    `since` and `started` are ISO 8601; `timeline` maps each state entered to seconds since the start; memory in bytes.
    """

    state: State
    alive: bool
    reason: Reason | None = None
    detail: str = ""
    since: str = ""
    started: str = ""
    timeline: dict[str, float] = field(default_factory=dict)
    ssh_port: int | None = None
    last_line: str = ""
    supervisor: ProcessId | None = None
    emulator: ProcessId | None = None
    supervisor_rss: int = 0
    emulator_rss: int = 0


@dataclass(frozen=True)
class Progress:
    """One step of a wait, for people: what is waited for, how far the machine is, s, and its last console line."""

    wanted: State
    state: State
    elapsed: float
    limit: float
    last_line: str


@dataclass(frozen=True)
class Saved:
    """A state on disk: its size, how long writing took and how long the guest stood still, s."""

    bytes: int
    seconds: float
    paused_seconds: float


ProgressCallback = Callable[[Progress], None]


class Machine(Protocol):
    """The machine of one run folder; any process of the user may hold one. Times are in seconds.

    Whatever a platform does not declare among its capabilities may raise NotImplementedError here: `need` is asked
    before.
    """

    @property
    def consoles(self) -> tuple[str, ...]:
        """Names of its consoles, that of Linux first."""

    @property
    def ram(self) -> range:
        """Physical addresses of its memory, as the host sees them."""

    @property
    def console_folder(self) -> Path:
        """Where the consoles' logs are, once there are any."""

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self, blueprint: Blueprint, *, incoming: Path | None = None, tied: bool = False) -> None:
        """Power on, or go on from the saved state `incoming`; returns when the emulator runs. Raises EnvError.

        A `tied` machine ends with this process. What a crash left is cleaned first.
        """

    def status(self) -> MachineStatus:
        """The newest status, checked against the processes that really run."""

    def wait(self, wanted: State, timeout: float, progress: ProgressCallback | None = None) -> MachineStatus:
        """Wait until it is in `wanted` or beyond; raises BootError, at once if it can never come there."""

    def stop(self, timeout: float = 20.0) -> MachineStatus:
        """End it, with ever more force; nothing of it runs afterwards. Harmless if it does not run."""

    def cleanup_stale(self) -> list[str]:
        """Remove what a crash left behind; returns what was done, in words."""

    # --- talking to it --------------------------------------------------------------------------------------------

    def send_go(self, timeout: float = 10.0) -> None:
        """Let the reader of the emulated host's FIFO /run/go go on, without a network packet; raises BootError."""

    def attach(self, console: str) -> socket.socket:
        """A socket to a console: first some past output, then both ways; raises BootError."""

    def console_logs(self) -> dict[str, Path]:
        """The time-stamped log of each console, there or not."""

    def console_tail(self, lines: int = 40) -> list[str]:
        """The last lines of all consoles."""

    # --- what not every platform can do ---------------------------------------------------------------------------

    def counter(self, timeout: float = 5.0) -> Counter:
        """The counter of a machine that was started with one; `timeout` is that of a request (COUNT)."""

    def save_state(self, path: Path, timeout: float = 60.0) -> Saved:
        """Save it to `path`, all or nothing; it runs on afterwards. Raises BootError (SNAPSHOT)."""

    def resume_guest_now(self, timeout: float = 10.0) -> None:
        """Give the guest of a restored machine the time and new randomness; raises BootError (SNAPSHOT)."""

    def read_memory(self, address: int, size: int) -> bytes:
        """Physical memory as the emulator has it: no granule protection is between (MEMORY_VIEW)."""

    def pour_memory(self, into: Path) -> None:
        """Write all of `ram` into a named pipe, from its start to its end (MEMORY_VIEW).

        A `machine.memory.header` is before each piece, and one of the end without bytes; what is left out is zero.
        """


class Platform(Protocol):
    """A kind of machine: how its command line is made, what it needs, and where one is."""

    @property
    def name(self) -> str:
        """What testbed files and rows call it."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""

    @property
    def options(self) -> type[BaseModel] | None:
        """The model of its own section of the testbed file, `machine.NAME`; None if it has none.

        A path in there is that of a file, which must exist; it is handed on in `Parts.given`.
        """

    def nodes(self, given: Collection[str]) -> list[str]:
        """The artifacts of its machines; what the testbed file gives (keys as in `Parts.given`) needs none."""

    def version(self, parts: Parts) -> str:
        """What the emulator says of itself, the number first; raises OrchError if it says nothing."""

    def needs(self, config: MachineConfig, *, deterministic: bool) -> Needs:
        """What a machine may come to use of the computer that runs it."""

    def marker_limit(self, cpus: int) -> int | None:
        """How many markers the counter of a machine with so many CPUs holds; None if there is no limit (COUNT)."""

    def check(self, blueprint: Blueprint) -> None:
        """Raises UsageError for a combination that it cannot do."""

    def command_line(self, blueprint: Blueprint, *, by_hand: bool = False) -> list[str]:
        """The complete argument vector; `by_hand` is for a terminal, without orch. Pure."""

    def identity(self, blueprint: Blueprint) -> Identity:
        """What the saved state of such a machine depends on: not port, folders or counter."""

    def restorable(self, blueprint: Blueprint) -> bool:
        """Whether such a machine, saved after its boot, would do for the next start."""

    def machine(self, run_folder: Path) -> Machine:
        """The machine of a run folder, which need not exist."""


def need(platform: Platform, capability: Capability, file: Path) -> None:
    """Raises UsageError, naming the testbed `file`, for what this platform cannot do."""
    if capability not in platform.capabilities:
        hint = "docs/machine.md says what is missing"
        raise UsageError(
            f"{file}: machine.platform: {platform.name}: {_LACK[capability]}",
            hint=f"`orch show cmdline` prints it; {hint}" if capability is Capability.RUN else hint,
        )
