# SPDX-License-Identifier: Apache-2.0
"""What one machine takes of the computer that runs it, so that no more are started than fit; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.machine.cmdline import RAM_MIB, TRANSLATION_CACHE_MIB

if TYPE_CHECKING:
    from orchestrator.schema.testbed import TestbedConfig

# Beside RAM and translated code: QEMU's program, page tables and device models, and the supervisor.
EMULATOR_MIB = 128


@dataclass(frozen=True)
class Needs:
    """Cores that are busy while the machine runs, and memory in MiB that it may come to use."""

    cores: int
    memory_mib: int


def needs_of(config: TestbedConfig, *, deterministic: bool) -> Needs:
    """What the machine of a testbed may come to use; a deterministic one runs all of its CPUs in one thread.

    Memory is an upper bound: RAM is taken as the guests touch it, and most workloads touch a fraction.
    """
    return Needs(
        cores=1 if deterministic else config.machine.cpus,
        memory_mib=RAM_MIB + TRANSLATION_CACHE_MIB + EMULATOR_MIB,
    )
