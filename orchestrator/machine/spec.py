# SPDX-License-Identifier: Apache-2.0
"""What one QEMU is made of; written to `machine.json` and read back by the supervisor."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.machine.platform import DEFAULT_SEED


@dataclass(frozen=True)
class Initrd:
    """One initramfs archive: absolute path and size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Counter:
    """The instruction-counter plugin and its mode; its socket lies beside the others."""

    plugin: str
    mode: str = "fast"


@dataclass(frozen=True)
class MachineSpec:
    """Everything that influences a machine; nothing else does. All paths are absolute.

    `qemu` is the start of the argument vector and `env` is added to a minimal environment. `sockets` is the
    short runtime folder (paths.runtime_folder). `ssh_port` is on 127.0.0.1. `icount_shift` makes the machine
    deterministic, 2^shift ns of virtual time an instruction; its random numbers then follow from `seed`.
    `incoming` is a saved state to continue from.
    """

    qemu: tuple[str, ...]
    run_folder: str
    sockets: str
    flash: str
    kernel: str
    initrds: tuple[Initrd, ...]
    cpu: str
    ssh_port: int
    cpus: int = 2
    machine: str = "virt-10.0"
    kernel_args: tuple[str, ...] = ()
    icount_shift: int | None = None
    seed: int = DEFAULT_SEED
    counter: Counter | None = None
    incoming: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()

    @property
    def deterministic(self) -> bool:
        """Whether virtual time is driven by executed instructions."""
        return self.icount_shift is not None

    def to_json(self) -> str:
        """The spec as JSON text; `from_json` gives an equal spec back."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> MachineSpec:
        """Rebuild a spec; raises TypeError or ValueError for text that `to_json` did not write."""
        data: dict[str, Any] = json.loads(text)
        for key in ("qemu", "kernel_args", "extra"):
            data[key] = tuple(data[key])
        data["initrds"] = tuple(Initrd(**each) for each in data["initrds"])
        if data["counter"] is not None:
            data["counter"] = Counter(**data["counter"])
        return cls(**data)
