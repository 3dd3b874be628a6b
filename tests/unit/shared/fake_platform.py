# SPDX-License-Identifier: Apache-2.0
"""A platform whose machines are played: for tests of what comes above, with PLATFORMS.extended(FakePlatform())."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from orchestrator.errors import BootError, OrchError, UsageError
from orchestrator.machine.memory import header
from orchestrator.machine.needs import Needs
from orchestrator.machine.platform import (
    Blueprint,
    Capability,
    Identity,
    MachineStatus,
    Parts,
    ProgressCallback,
    Saved,
)
from orchestrator.machine.ports import port_taken
from orchestrator.machine.states import Reason, State, reached
from orchestrator.schema.testbed import Machine as MachineConfig
from orchestrator.trace.counter import Counters, Info
from orchestrator.trace.markers import MarkerRecord
from orchestrator.trace.tally import LEVELS, SECURITY_STATES, Level, SecurityState, Tally

RAM = range(0x8000_0000, 0x8000_0000 + (1 << 20))


def tally_of(vcpus: int = 1, **instructions: int) -> Tally:
    """A tally with `non_secure_el2=5` and the like counted on vCPU 0."""
    counts = [[[0] * len(LEVELS) for _ in SECURITY_STATES] for _ in range(vcpus)]
    for name, value in instructions.items():
        world = next(each for each in SECURITY_STATES if name.startswith(each))
        level = Level(name.removeprefix(f"{world}_"))
        counts[0][SECURITY_STATES.index(world)][LEVELS.index(level)] = value
    nothing = tuple((0,) * len(SECURITY_STATES) for _ in SECURITY_STATES)
    return Tally(
        tuple(tuple(tuple(row) for row in cpu) for cpu in counts),
        (nothing,) * vcpus,
        ((0,) * len(SECURITY_STATES),) * vcpus,
    )


@dataclass
class FakeCounter:
    """Says what it was told: `tally` now, the markers of `mark`, and in `check` what is `wrong`."""

    tally: Tally = field(default_factory=tally_of)
    records: list[MarkerRecord] = field(default_factory=list)
    wrong: str | None = None

    def mark(self, event: int, ident: int, *, end: bool = False) -> None:
        """The machine executes a marker."""
        place = (0, SecurityState.NON_SECURE, Level.HOST_EL0)
        self.records.append(MarkerRecord(len(self.records), event, ident, end, *place, self.tally))

    def info(self) -> Info:
        return Info("1", "fast", "aarch64", len(self.tally.counts), 1)

    def counters(self) -> Counters:
        return Counters(self.tally, (0,) * len(self.tally.counts), len(self.records), 0)

    def markers(self, since: int = 0) -> tuple[MarkerRecord, ...]:
        return tuple(self.records[since:])

    def check(self) -> None:
        if self.wrong is not None:
            raise OrchError(self.wrong)


@dataclass
class FakeMachine:
    """A machine that comes up at once; `said` is all that was asked of it, in order.

    `fails` are the states that it does not reach, with what it says then; a saved state holds `memory`, unless it is
    `unsaveable`. So many of the next ports are somebody else's as `ports_taken` says.
    """

    folder: Path
    said: list[str] = field(default_factory=list)
    fails: dict[State, str] = field(default_factory=dict)
    unsaveable: bool = False
    ports_taken: int = 0
    memory: bytearray = field(default_factory=lambda: bytearray(len(RAM)))
    state: State = State.STOPPED
    counted: FakeCounter = field(default_factory=FakeCounter)
    blueprint: Blueprint | None = None
    consoles: tuple[str, ...] = ("tty0",)
    ram: range = RAM

    @property
    def console_folder(self) -> Path:
        return self.folder / "console"

    def start(self, blueprint: Blueprint, *, incoming: Path | None = None, tied: bool = False) -> None:
        assert self.state.final, "it runs already"
        if self.ports_taken:
            self.ports_taken -= 1
            raise port_taken(blueprint.ssh_port, "somebody took it")
        how = "boot" if incoming is None else "restore"
        self.said.append(f"{how} tied" if tied else how)
        if incoming is not None:
            self.memory = bytearray(incoming.read_bytes())
        self.blueprint = blueprint
        self.state = State.STARTING if incoming is None else State.RESTORING
        self.console_folder.mkdir(parents=True, exist_ok=True)
        self.console_logs()["tty0"].write_text("2026-01-01T00:00:00.000Z powered on\n", encoding="utf-8")

    def status(self) -> MachineStatus:
        line = "powered on" if self.state is not State.STOPPED else ""
        return MachineStatus(self.state, alive=not self.state.final, last_line=line)

    def wait(self, wanted: State, timeout: float, progress: ProgressCallback | None = None) -> MachineStatus:
        if wanted in self.fails:
            self.state = State.FAILED
            raise BootError(f"{wanted} not reached: {self.fails[wanted]}")
        if not reached(self.state, wanted):
            self.state = wanted
        return self.status()

    def stop(self, timeout: float = 20.0) -> MachineStatus:
        if not self.state.final:
            self.said.append("stop")
        self.state = State.STOPPED
        return MachineStatus(self.state, alive=False, reason=Reason.REQUESTED)

    def cleanup_stale(self) -> list[str]:
        return []

    def send_go(self, timeout: float = 10.0) -> None:
        self.said.append("go")

    def attach(self, console: str) -> socket.socket:
        raise NotImplementedError

    def console_logs(self) -> dict[str, Path]:
        return {name: self.console_folder / f"{name}.log" for name in self.consoles}

    def console_tail(self, lines: int = 40) -> list[str]:
        return ["powered on"]

    def counter(self, timeout: float = 5.0) -> FakeCounter:
        return self.counted

    def save_state(self, path: Path, timeout: float = 60.0) -> Saved:
        self.said.append("save")
        if self.unsaveable:
            raise BootError("save: No space left on device")
        path.write_bytes(self.memory)
        return Saved(len(self.memory), 0.1, 0.1)

    def resume_guest_now(self, timeout: float = 10.0) -> None:
        self.said.append("time and seed")

    def read_memory(self, address: int, size: int) -> bytes:
        return bytes(self.memory[address - self.ram.start :][:size])

    def pour_memory(self, into: Path) -> None:
        with into.open("wb") as stream:
            stream.write(header(self.ram.start, len(self.memory)) + self.memory + header(self.ram.stop, 0))


class FakeOptions(BaseModel):
    """The platform's own section of a testbed file: a ROM, which must exist."""

    rom: Path
    speed: int = 1


@dataclass
class FakePlatform:
    """`machine.platform: fake`, which can do what `capabilities` say; every run folder has one machine."""

    name: str = "fake"
    capabilities: frozenset[Capability] = frozenset(Capability)
    options: type[BaseModel] | None = None
    machines: dict[Path, FakeMachine] = field(default_factory=dict)

    def nodes(self, given: Collection[str]) -> list[str]:
        return []

    def version(self, parts: Parts) -> str:
        return "0.1 (of this test)"

    def needs(self, config: MachineConfig, *, deterministic: bool) -> Needs:
        return Needs(config.cpus, 7)

    def marker_limit(self, cpus: int) -> int | None:
        return None

    def check(self, blueprint: Blueprint) -> None:
        if blueprint.seed == 13:
            raise UsageError("13 is no seed")

    def command_line(self, blueprint: Blueprint, *, by_hand: bool = False) -> list[str]:
        given = [f"{key}={path}" for key, path in blueprint.parts.given.items()]
        return ["fake", *given, f"port={blueprint.ssh_port}", *(["by-hand"] if by_hand else [])]

    def identity(self, blueprint: Blueprint) -> Identity:
        facts = {"cpus": blueprint.cpus, "deterministic": blueprint.deterministic, "seed": blueprint.seed}
        return Identity([json.dumps(facts)], [])

    def restorable(self, blueprint: Blueprint) -> bool:
        return not blueprint.deterministic

    def machine(self, run_folder: Path) -> FakeMachine:
        return self.machines.setdefault(run_folder, FakeMachine(run_folder))
