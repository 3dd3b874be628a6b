# SPDX-License-Identifier: Apache-2.0
"""What the workers of a cluster offer: how many machines each has room for; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.machine.needs import Needs


@dataclass(frozen=True)
class Worker:
    """A Dask worker: its address and host, threads, and memory limit in MiB (0: none is known)."""

    address: str
    host: str
    threads: int
    memory_mib: int

    def room(self, needs: Needs) -> int:
        """How many machines that keep so many cores busy fit at once."""
        rooms = [self.threads // needs.cores]
        if self.memory_mib:
            rooms.append(self.memory_mib // needs.memory_mib)
        return min(rooms)


def workers_of(info: Mapping[str, Any]) -> list[Worker]:
    """The workers of a scheduler's own account (Client.scheduler_info)."""
    return [
        Worker(address, str(each.get("host", "")), int(each["nthreads"]), int(each.get("memory_limit") or 0) >> 20)
        for address, each in info["workers"].items()
        if each.get("status", "running") == "running"
    ]


def slots_of(workers: Sequence[Worker], needs: Needs) -> int:
    """How many machines fit in all."""
    return sum(each.room(needs) for each in workers)


def told(workers: Sequence[Worker], needs: Needs) -> str:
    """For people: what there is, and what a machine takes of it."""
    threads = sum(each.threads for each in workers)
    slots = slots_of(workers, needs)
    return (
        f"{slots} boots at once: {len(workers)} workers with {threads} threads, of which a machine takes {needs.cores}"
        f" (and up to {needs.memory_mib} MiB)"
    )


def numbered(workers: Sequence[Worker], before: Mapping[str, int]) -> dict[str, int]:
    """A number for each worker by address: that it had, or the lowest that is free."""
    found = {each.address: before[each.address] for each in workers if each.address in before}
    for each in workers:
        if each.address not in found:
            found[each.address] = lowest_free(list(found.values()))
    return found


def lowest_free(taken: Sequence[int]) -> int:
    """The lowest number that is not taken."""
    return min(set(range(len(taken) + 1)) - set(taken))
