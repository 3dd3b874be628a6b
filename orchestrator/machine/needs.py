# SPDX-License-Identifier: Apache-2.0
"""What one machine takes of the computer that runs it, so that no more are started than fit; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.registry import PLATFORMS

if TYPE_CHECKING:
    from orchestrator.schema.testbed import TestbedConfig


@dataclass(frozen=True)
class Needs:
    """Cores that are busy while the machine runs, and memory in MiB that it may come to use.

    Memory is an upper bound: most workloads touch a fraction of a machine's RAM.
    """

    cores: int
    memory_mib: int


def needs_of(config: TestbedConfig, *, deterministic: bool) -> Needs:
    """What the machine of a testbed may come to use."""
    needs: Needs = PLATFORMS.find(config.machine.platform).needs(config.machine, deterministic=deterministic)
    return needs
