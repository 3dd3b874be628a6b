# SPDX-License-Identifier: Apache-2.0
"""How many workers this computer has room for: cores that their machines keep busy, and memory that they may take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from orchestrator.errors import UsageError
from orchestrator.machine.needs import Needs, needs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runs.matrix import Boot
    from orchestrator.schema.testbed import TestbedConfig

# A worker's own Python with what it has loaded, MiB: 120 to 160 were seen.
WORKER_MIB = 192


@dataclass(frozen=True)
class Admission:
    """How many workers there will be, and why no more; `reason` is for people."""

    workers: int
    reason: str


def admit(wanted: int, boots: Sequence[Boot], config: TestbedConfig) -> Admission:
    """As many workers as were asked for, unless boots, cores or memory do not suffice.

    Raises UsageError if not even one has room and more than one was asked for.
    """
    if wanted == 1 or not boots:
        return Admission(1, "")
    each = largest(boots, config)
    cores, free = len(os.sched_getaffinity(0)), psutil.virtual_memory().available >> 20
    memory = each.memory_mib + WORKER_MIB
    rooms = {
        f"{cores} cores, and a machine keeps {each.cores} busy": cores // each.cores,
        f"{free} MiB of memory are free, and a worker may take {memory}": free // memory,
        f"{len(boots)} boots are to be done": len(boots),
    }
    reason, room = min(rooms.items(), key=lambda pair: pair[1])
    if room < 1:
        raise UsageError(f"--workers {wanted}: there is no room for one: {reason}", hint="leave out --workers")
    return Admission(min(wanted, room), reason if room < wanted else "")


def largest(boots: Sequence[Boot], config: TestbedConfig) -> Needs:
    """What the largest machine of these boots takes."""
    needs = [needs_of(config, deterministic=boot.machine.deterministic) for boot in boots]
    return Needs(max(each.cores for each in needs), max(each.memory_mib for each in needs))
