# SPDX-License-Identifier: Apache-2.0
"""Markers become pairs, and empty pairs a cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_platform import tally_of as tally

from orchestrator.errors import OrchError
from orchestrator.trace.markers import MarkerPair, MarkerRecord, calibrate, pair_markers
from orchestrator.trace.tally import Level, Tally
from orchestrator.trace.tally import SecurityState as S
from orchestrator.words import PHASES, Mark


def record(
    seq: int, event: int, ident: int, *, end: bool = False, at: Tally | None = None, vcpu: int = 0
) -> MarkerRecord:
    return MarkerRecord(seq, event, ident, end, vcpu, S.NON_SECURE, Level.HOST_EL0, at or tally())


class TestPairs:
    def test_nested_and_interleaved_pairs(self) -> None:
        records = [
            record(0, 2, 1, at=tally(realm_el0=100)),
            record(1, 7, 1, at=tally(realm_el0=110)),
            record(2, 7, 2, at=tally(realm_el0=120)),
            record(3, 7, 1, end=True, at=tally(realm_el0=130)),
            record(4, 7, 2, end=True, at=tally(realm_el0=150)),
            record(5, 2, 1, end=True, at=tally(realm_el0=200)),
        ]
        pairs = pair_markers(reversed(records))
        assert [(p.begin.event, p.begin.id, p.delta.total) for p in pairs] == [(2, 1, 100), (7, 1, 20), (7, 2, 30)]

    def test_no_records(self) -> None:
        assert pair_markers([]) == ()

    @pytest.mark.parametrize(
        ("records", "message"),
        [
            ([record(0, 7, 1)], "event 0x7 id 1 .*never ended"),
            ([record(0, 7, 1, end=True)], "never began"),
            ([record(0, 7, 1), record(1, 7, 1)], "second time"),
            ([record(0, 7, 1), record(1, 7, 1, end=True), record(2, 7, 1)], "number 2.*second time"),
            ([record(0, 7, 1), record(1, 7, 1, end=True), record(2, 7, 1, end=True)], "second time"),
            ([record(0, 7, 1), record(1, 8, 1, end=True)], "never began"),
        ],
    )
    def test_unbalanced_or_duplicate(self, records: list[MarkerRecord], message: str) -> None:
        with pytest.raises(OrchError, match=message):
            pair_markers(records)


class TestCalibration:
    @staticmethod
    def pair(ident: int, cost: int, *, end_vcpu: int = 0) -> MarkerPair:
        end = record(2 * ident + 1, 0, ident, end=True, at=tally(vcpus=2, non_secure_host_el0=cost), vcpu=end_vcpu)
        return MarkerPair(record(2 * ident, 0, ident, at=tally(vcpus=2)), end)

    def test_median_is_a_value_that_was_seen(self) -> None:
        costs = calibrate(self.pair(i, cost) for i, cost in enumerate([4, 4, 4000, 6]))
        assert costs == {
            S.NON_SECURE: 4,
            S.REALM: 0,
            S.ROOT: 0,
            S.SECURE: 0,
        }

    def test_migrated_pairs_are_left_out(self) -> None:
        pairs = [self.pair(0, 4), self.pair(1, 9, end_vcpu=1), self.pair(2, 9, end_vcpu=1)]
        assert calibrate(pairs)[S.NON_SECURE] == 4
        with pytest.raises(OrchError, match="calibrate"):
            calibrate(pairs[1:])


def test_events_are_those_of_the_header() -> None:
    header = Path(__file__).resolve().parents[3] / "guest" / "abi" / "orch_marker.h"
    defined = re.findall(r"#define ORCH_EVENT_(\w+)\s+(0x\w+)", header.read_text(encoding="utf-8"))
    numbers = {name: int(number, 16) for name, number in defined if name != "MAX"}
    phases = {phase.upper(): phase.event for phase in PHASES.values()}
    assert numbers == {mark.name: mark.value for mark in Mark} | phases
