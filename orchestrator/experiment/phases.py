# SPDX-License-Identifier: Apache-2.0
"""At which phase of the ticks a measurement begins, and how ticks of host and guest lie to each other; all pure."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.runs.matrix import MachineKind

ALIGN_US = 100_000
"""A multiple of every tick's period."""
_NS_PER_S = 1_000_000_000
_LEAST_NS = 500_000  # two ticks that are nearer than half of this cannot be kept apart


def start_phase_us(seed: int, cell_id: str) -> int:
    """How far behind a multiple of `ALIGN_US` of its world's clock a measurement begins, 0 to `ALIGN_US` - 1.

    Drawn for each boot (`seed`) and cell, and the same in all worlds. Ticks come at multiples of their period: were it
    always 0, all boots of a cell would meet them at one phase, and what that does to a count would look like the truth.
    """
    drawn = hashlib.sha256(f"{seed} {cell_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % ALIGN_US


def apart_ns(machine: MachineKind) -> int | None:
    """Ticks of host and guest are to lie half of this away from each other, modulo this; None where it cannot be.

    If one's period goes into the other's, or both are multiples of something, then ticks meet over and over or never,
    by when the guest's clock happened to begin. Two that meet share an exit, so that such a boot executes less.
    """
    rates = (machine.ticks.host_hz, machine.ticks.guest_hz)
    if not machine.deterministic or any(_NS_PER_S % rate for rate in rates):
        return None
    common = math.gcd(*(_NS_PER_S // rate for rate in rates))
    return common if common >= _LEAST_NS else None
