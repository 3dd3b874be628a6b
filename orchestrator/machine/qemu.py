# SPDX-License-Identifier: Apache-2.0
"""Platform `qemu`: QEMU's `virt` machine under a supervisor of ours, with the counter plugin."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.run import run
from orchestrator.errors import OrchError, UsageError
from orchestrator.machine.cmdline import (
    RAM_BASE,
    RAM_END,
    RAM_MIB,
    TRANSLATION_CACHE_MIB,
    command_line,
    cpu_argument,
    stable_command_line,
)
from orchestrator.machine.instance import Instance
from orchestrator.machine.memory import header
from orchestrator.machine.needs import Needs
from orchestrator.machine.paths import RunPaths, runtime_folder
from orchestrator.machine.platform import Blueprint, Capability, Identity, Parts, Platform
from orchestrator.machine.spec import Counter, Initrd, MachineSpec
from orchestrator.trace.client import CounterClient, marker_limit

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.schema.testbed import Machine as MachineConfig

# Beside RAM and translated code: QEMU's program, page tables and device models, and the supervisor (24 MiB). Seen of a
# deterministic machine with a realm of 256 MiB: 426 MiB of RAM touched, 229 MiB beside it with its translated code.
EMULATOR_MIB = 128
# Artifacts in whose place the testbed file may put a part of its own; our module fits our own kernel only.
_NODES = {
    "qemu": "stack.qemu",
    "qemu-plugin": None,
    "firmware": None,
    "kernel": "stack.host_kernel",
    "host-image": None,
    "rearm": "stack.host_kernel",
}
_PIECE = 128 << 20  # bytes of memory that one command writes, during which QEMU does nothing else
_PIECE_SECONDS = 60.0
_VERSION_SECONDS = 30.0


class QemuMachine(Instance):
    """One QEMU as every platform's machine is seen."""

    ram = range(RAM_BASE, RAM_END)

    def start(self, blueprint: Blueprint, *, incoming: Path | None = None, tied: bool = False) -> None:
        """Start or restore it; raises EnvError with QEMU's own text."""
        self.start_spec(machine_spec(blueprint, incoming), tied=tied)

    def counter(self, timeout: float = 5.0) -> CounterClient:
        """The plugin of this QEMU."""
        return CounterClient(self.counter_socket, timeout)

    def read_memory(self, address: int, size: int) -> bytes:
        """Memory as QEMU has it; raises BootError."""
        with tempfile.TemporaryDirectory(prefix="orch-memory-") as folder:
            path = Path(folder) / "memory"
            self._save_memory(address, size, path)
            return path.read_bytes()

    def pour_memory(self, into: Path) -> None:
        """All of its memory that was ever touched; raises BootError."""
        request = {"do": "pour", "start": self.ram.start, "stop": self.ram.stop, "into": str(into.resolve())}
        if not self._ask(request, _PIECE_SECONDS)["poured"]:
            self._save_all(into)

    def _save_all(self, into: Path) -> None:
        """The same by QEMU itself, piece by piece, untouched memory as well."""
        with into.open("wb", buffering=0) as stream:
            for address in range(self.ram.start, self.ram.stop, _PIECE):
                size = min(_PIECE, self.ram.stop - address)
                stream.write(header(address, size))
                self._save_memory(address, size, into)
            stream.write(header(self.ram.stop, 0))

    def _save_memory(self, address: int, size: int, path: Path) -> None:
        arguments = {"val": address, "size": size, "filename": str(path.resolve())}
        self.qmp("pmemsave", arguments, timeout=_PIECE_SECONDS)


@dataclass(frozen=True)
class Qemu:
    """The platform that everything else was written for."""

    name: str = "qemu"
    capabilities: frozenset[Capability] = frozenset(Capability)
    options: None = None

    def nodes(self, given: Collection[str]) -> list[str]:
        """What its machines are built of."""
        return [node for node, key in _NODES.items() if key not in given]

    def version(self, parts: Parts) -> str:
        """As in `10.0.13 (Debian …)`."""
        line = run([program(parts), "--version"], timeout=_VERSION_SECONDS).stdout.partition("\n")[0]
        said = line.partition(" version ")[2] or line
        if not said:
            raise OrchError(f"{program(parts)}: it does not say its version")
        return said

    def needs(self, config: MachineConfig, *, deterministic: bool) -> Needs:
        """A deterministic machine runs all of its CPUs in one thread; RAM is taken as the guests touch it."""
        return Needs(
            cores=1 if deterministic else config.cpus,
            memory_mib=RAM_MIB + TRANSLATION_CACHE_MIB + EMULATOR_MIB,
        )

    def marker_limit(self, cpus: int) -> int | None:
        """Of the plugin's log."""
        return marker_limit(cpus)

    def check(self, blueprint: Blueprint) -> None:
        """With icount all vCPUs share a thread, and plugins are told the wrong one of them."""
        if blueprint.deterministic and blueprint.count is not None and blueprint.cpus > 1:
            raise UsageError(
                f"{blueprint.file}: machine.deterministic.cpus: only 1 CPU can be counted deterministically",
                hint="leave out --count, or set it to 1; docs/counting.md says why",
            )

    def command_line(self, blueprint: Blueprint, *, by_hand: bool = False) -> list[str]:
        """QEMU's argument vector."""
        return command_line(machine_spec(blueprint), by_hand=by_hand)

    def identity(self, blueprint: Blueprint) -> Identity:
        """Paths of artifacts hold their content's key; of other files the content itself counts."""
        spec = machine_spec(dataclasses.replace(blueprint, count=None))
        given = blueprint.parts.given
        ready_made = [given[key] for key in ("stack.qemu", "stack.host_kernel") if key in given]
        overlay = [blueprint.overlay] if blueprint.overlay is not None else []
        return Identity(stable_command_line(spec), [*overlay, *ready_made])

    def restorable(self, blueprint: Blueprint) -> bool:
        """A restored host needs our module to get its timers back; a deterministic one takes nothing from outside."""
        return "rearm" in blueprint.parts.artifacts and not blueprint.deterministic

    def machine(self, run_folder: Path) -> QemuMachine:
        """The QEMU of a run folder."""
        return QemuMachine(run_folder)


def program(parts: Parts) -> Path:
    """QEMU itself: the testbed file's own, or the built one."""
    return parts.given.get("stack.qemu") or parts.artifacts["qemu"] / "bin/qemu-system-aarch64"


def machine_spec(blueprint: Blueprint, incoming: Path | None = None) -> MachineSpec:
    """The blueprint in QEMU's terms; raises EnvError where the paths of its sockets would be too long."""
    config, artifacts = blueprint.config, blueprint.parts.artifacts
    kernel = blueprint.parts.given.get("stack.host_kernel") or artifacts["kernel"] / "Image"
    initrds = [artifacts["host-image"] / "base.cpio", *filter(None, [blueprint.overlay])]
    plugin = artifacts["qemu-plugin"] / "libcounter.so"
    run_folder = RunPaths(blueprint.run_folder.resolve()).folder
    return MachineSpec(
        qemu=(os.fspath(program(blueprint.parts)),),
        run_folder=str(run_folder),
        sockets=str(runtime_folder(run_folder)),
        flash=str(artifacts["firmware"] / "flash.bin"),
        kernel=str(kernel),
        initrds=tuple(Initrd(str(path), path.stat().st_size if path.exists() else 0) for path in initrds),
        cpu=cpu_argument(config.cpu),
        cpus=blueprint.cpus,
        machine=config.type,
        ssh_port=blueprint.ssh_port,
        kernel_args=blueprint.kernel_args,
        icount_shift=config.deterministic.icount_shift if blueprint.deterministic else None,
        seed=blueprint.seed,
        counter=Counter(str(plugin), blueprint.count) if blueprint.count is not None else None,
        incoming=str(incoming) if incoming is not None else None,
    )


RECORD: Platform = Qemu()
