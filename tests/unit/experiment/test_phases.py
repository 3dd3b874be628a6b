# SPDX-License-Identifier: Apache-2.0
"""Phases: drawn anew for each boot and cell, and where ticks of host and guest can be kept apart."""

from __future__ import annotations

import pytest

from orchestrator.experiment.phases import ALIGN_US, apart_ns, start_phase_us
from orchestrator.runs.matrix import MachineKind
from orchestrator.schema.workload import TicksOf, Timing

PERIOD_US = 10_000


def test_each_boot_and_cell_has_a_phase_of_its_own() -> None:
    """All over the period of a tick; the same seed has the same."""
    drawn = [start_phase_us(seed, "cnn-int8-abc") for seed in range(100, 500)]
    assert drawn == [start_phase_us(seed, "cnn-int8-abc") for seed in range(100, 500)]
    assert all(0 <= each < ALIGN_US for each in drawn)
    for tenth in range(10):
        inside = [each for each in drawn if each % PERIOD_US * 10 // PERIOD_US == tenth]
        assert 20 <= len(inside) <= 60
    assert start_phase_us(100, "cnn-int8-abc") != start_phase_us(100, "cnn-int8-abd")


@pytest.mark.parametrize("rate", [100, 250, 300, 1000])
def test_a_start_is_aligned_to_whole_ticks(rate: int) -> None:
    """Of every rate that a kernel may have: else the phase to the tick would not be what was drawn."""
    assert ALIGN_US * rate % 1_000_000 == 0


@pytest.mark.parametrize(
    ("host", "guest", "expected"),
    [(100, 100, 10_000_000), (1000, 100, 1_000_000), (100, 1000, 1_000_000), (250, 100, 2_000_000), (300, 100, None)],
)
def test_ticks_that_would_always_or_never_meet(host: int, guest: int, expected: int | None) -> None:
    """At 300 Hz, which is no whole number of ns, they pass by each other."""
    ticks = TicksOf.model_validate({"host_hz": host, "guest_hz": guest})
    assert apart_ns(MachineKind(ticks, Timing())) == expected
    assert apart_ns(MachineKind(ticks, Timing(mode="fast"))) is None
