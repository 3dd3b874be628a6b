# SPDX-License-Identifier: Apache-2.0
"""Counts of execution: totals, differences, and what is left of one CPU."""

from __future__ import annotations

import dataclasses

import pytest
from fake_platform import tally_of as tally

from orchestrator.trace.tally import Level, Tally
from orchestrator.trace.tally import SecurityState as S


class TestTally:
    def test_totals_merge_the_two_kinds_of_el0(self) -> None:
        t = tally(non_secure_el0=1, non_secure_host_el0=10, non_secure_el2=100, realm_el2=1000)
        assert t.total == 1111
        assert t.by_state() == {
            S.NON_SECURE: 111,
            S.REALM: 1000,
            S.ROOT: 0,
            S.SECURE: 0,
        }
        assert t.by_el()[S.NON_SECURE, 0] == 11
        assert t.by_level()[S.NON_SECURE, Level.HOST_EL0] == 10
        assert t.by_el()[S.REALM, 2] == 1000

    def test_entries_and_exits_are_the_sums_of_moves(self) -> None:
        moves = ((0, 0, 3, 0), (0, 0, 2, 0), (3, 1, 0, 0), (0, 0, 0, 0))
        t = Tally((), (moves, moves), ())
        assert t.entries() == {
            S.NON_SECURE: 6,
            S.REALM: 2,
            S.ROOT: 10,
            S.SECURE: 0,
        }
        assert t.exits() == {
            S.NON_SECURE: 6,
            S.REALM: 4,
            S.ROOT: 8,
            S.SECURE: 0,
        }

    def test_guest_exits_are_those_of_all_vcpus(self) -> None:
        t = Tally(tally(vcpus=2).counts, tally(vcpus=2).moves, ((5, 2, 0, 0), (1, 0, 0, 0)))
        assert t.guest_exits() == {
            S.NON_SECURE: 6,
            S.REALM: 2,
            S.ROOT: 0,
            S.SECURE: 0,
        }
        assert t.of_vcpu(1).guest_exits()[S.NON_SECURE] == 1
        earlier = dataclasses.replace(t, left=((4, 0, 0, 0), (1, 0, 0, 0)))
        assert (t - earlier).left == ((1, 2, 0, 0), (0, 0, 0, 0))

    def test_difference(self) -> None:
        assert (tally(realm_el1=7) - tally(realm_el1=5)).by_state()[S.REALM] == 2

    def test_difference_of_machines_with_other_vcpus_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            tally(vcpus=2) - tally(vcpus=1)
