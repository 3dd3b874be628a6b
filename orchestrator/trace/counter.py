# SPDX-License-Identifier: Apache-2.0
"""What the rest of orch asks of whatever counts execution; an emulator's counter is one class that has this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.errors import OrchError
from orchestrator.trace.markers import MarkerRecord
from orchestrator.trace.tally import Tally


@dataclass(frozen=True)
class Info:
    """What a counter says about itself: its version, how it counts, the CPUs, and the ABI of its markers."""

    version: str
    mode: str
    arch: str
    smp: int
    marker_abi: int


@dataclass(frozen=True)
class Counters:
    """All counters since the machine was started.

    `stale` (per vCPU), `dropped` and `mismatches` must be 0: see `check`. `reference` and `mismatches` exist only in
    a mode that counts twice.
    """

    tally: Tally
    stale: tuple[int, ...]
    markers: int
    dropped: int
    mismatches: int | None = None
    reference: Tally | None = None

    def check(self) -> None:
        """Raise OrchError if the counter knows that its counts or its log are not the whole truth."""
        if any(self.stale):
            raise OrchError(f"instructions were counted for the wrong world: {sum(self.stale)} stale blocks")
        if self.dropped:
            raise OrchError(f"{self.dropped} markers were lost", hint="the log is full: mark fewer events")
        if self.mismatches:
            raise OrchError(f"fast and reference counts differed at {self.mismatches} markers")


class Counter(Protocol):
    """Counts what one running machine executes, world by world, and keeps a log of its markers.

    Asking it does not disturb the machine. Every method raises OrchError if there is no answer, or a wrong one.
    """

    def info(self) -> Info:
        """What is counting."""

    def counters(self) -> Counters:
        """All counters now; the machine goes on meanwhile, so no two values are of quite the same moment."""

    def markers(self, since: int = 0) -> tuple[MarkerRecord, ...]:
        """All marker records from number `since` on (the first has number 0)."""

    def check(self) -> None:
        """Raises OrchError if the counter knows that its counts or its log are not the whole truth."""
