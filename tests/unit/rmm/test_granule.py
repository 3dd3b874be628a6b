# SPDX-License-Identifier: Apache-2.0
"""Granule states and wiping (A2.2)."""

from __future__ import annotations

import random

import pytest

INPUT = 1


def test_round_trip_wipes(monitor):
    page = monitor.page(b"\x5a" * 4096)
    monitor.ok("delegate", page)
    assert monitor.read(page) == bytes(4096)
    monitor.ok("undelegate", page)
    assert monitor.read(page) == bytes(4096)


@pytest.mark.parametrize("address", [0, 0x4010_0000, 0x418F_F000, 0x4190_0008, 0x1_0000_0000, (1 << 64) - 4096])
def test_outside(monitor, address):
    assert monitor.rmi("delegate", address)[0] == INPUT
    assert monitor.rmi("undelegate", address)[0] == INPUT


def test_no_memory_behind(monitor):
    monitor.ask("memory-end 80000000")
    assert monitor.rmi("delegate", 0x8000_0000)[0] == INPUT
    assert monitor.rmi("undelegate", 0x8000_0000)[0] == INPUT
    monitor.ok("delegate", 0x7FFF_F000)


def test_objects_cannot_be_undelegated(monitor, realm):
    data, rec = realm.data(realm.RAM, b"secret"), realm.rec()
    for granule in (realm.rd, realm.root, *realm.tables, data, rec):
        assert monitor.rmi("undelegate", granule)[0] == INPUT
        assert monitor.rmi("delegate", granule)[0] == INPUT


def test_random_operations(monitor):
    random.seed(3)
    delegated: set[int] = set()
    for _ in range(10_000):
        page = 0x4190_0000 + 4096 * random.randrange(16)
        if random.random() < 0.5:
            assert monitor.rmi("delegate", page)[0] == (INPUT if page in delegated else 0)
            delegated.add(page)
        else:
            assert monitor.rmi("undelegate", page)[0] == (0 if page in delegated else INPUT)
            delegated.discard(page)
