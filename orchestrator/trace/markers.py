# SPDX-License-Identifier: Apache-2.0
"""Executed markers, the pairs that they make, and what marking itself costs; pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import OrchError
from orchestrator.trace.tally import SECURITY_STATES, Level, SecurityState, Tally


@dataclass(frozen=True)
class MarkerRecord:
    """One executed marker; `tally` holds all counters just before it (the marker itself is not in it)."""

    seq: int
    event: int
    id: int
    end: bool
    vcpu: int
    state: SecurityState
    level: Level
    tally: Tally


@dataclass(frozen=True)
class MarkerPair:
    """A begin marker and its end."""

    begin: MarkerRecord
    end: MarkerRecord

    @property
    def delta(self) -> Tally:
        """What was counted between the two, the begin marker included, the end marker not."""
        return self.end.tally - self.begin.tally


def pair_markers(records: Iterable[MarkerRecord]) -> tuple[MarkerPair, ...]:
    """Match begin and end markers by (event, id), in the order of their begins.

    Raises OrchError for an end without a begin, a begin without an end, or an (event, id) that is used again.
    """
    begins: dict[tuple[int, int], MarkerRecord] = {}
    pairs: dict[tuple[int, int], MarkerPair] = {}
    for record in sorted(records, key=lambda r: r.seq):
        key = (record.event, record.id)
        if key in pairs or (not record.end and key in begins):
            raise _marker_error(record, "is used a second time", "ids must be unique for an event within a run")
        if not record.end:
            begins[key] = record
        elif key in begins:
            pairs[key] = MarkerPair(begins[key], record)
        else:
            raise _marker_error(record, "ends but never began", "read the markers from an earlier number on")
    for key, record in begins.items():
        if key not in pairs:
            raise _marker_error(record, "began but never ended", "did the program between the markers fail?")
    return tuple(sorted(pairs.values(), key=lambda pair: pair.begin.seq))


def calibrate(pairs: Iterable[MarkerPair]) -> dict[SecurityState, int]:
    """Median cost of empty pairs per world, in instructions: what marking adds to every measured pair.

    Only the vCPU that executed both markers counts, so that the others' background work is not taken for a cost; pairs
    that migrated are left out. The median is one of the values seen (the lower of two).
    """
    costs = [p.delta.of_vcpu(p.begin.vcpu).by_state() for p in pairs if p.begin.vcpu == p.end.vcpu]
    if not costs:
        raise OrchError("no empty marker pairs to calibrate with", hint="run `marker pair 0 ID` a few times")
    return {world: statistics.median_low(cost[world] for cost in costs) for world in SECURITY_STATES}


def _marker_error(record: MarkerRecord, what: str, hint: str) -> OrchError:
    return OrchError(f"marker event {record.event:#x} id {record.id} (number {record.seq}) {what}", hint=hint)
