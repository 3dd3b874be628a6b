# SPDX-License-Identifier: Apache-2.0
"""Realms with LPA2: IPA spaces of up to 52 bits, tables from level -1 on, and descriptors without shareability."""

from __future__ import annotations

import struct

import pytest

PAGE, BLOCK, GIB = 1 << 12, 1 << 21, 1 << 30
INPUT, RTT = 1, 4
LPA2, MINUS_1 = 1, (1 << 64) - 1
NORMAL = 6 << 2 | 3 << 6
SHAREABLE = 3 << 8


def aligned(monitor, count):
    """So many delegated granules in a row, aligned to their size."""
    monitor.next_page = -(-monitor.next_page // (count * PAGE)) * count * PAGE
    return [monitor.granule() for _ in range(count)]


def create(monitor, new_params, *, s2sz, level, count=1, flags=LPA2):
    """Status of REALM_CREATE, and its RD."""
    root, rd = aligned(monitor, count)[0], monitor.granule()
    params = new_params.realm(root, s2sz=s2sz, level=level, count=count, flags=flags)
    return monitor.rmi("realm_create", rd, monitor.page(params))[0], rd


@pytest.mark.parametrize(
    ("s2sz", "level", "count"), [(33, 1, 1), (48, 0, 1), (49, 0, 2), (52, 0, 16), (49, -1, 1), (52, -1, 1)]
)
def test_shapes(monitor, new_params, s2sz, level, count):
    status, rd = create(monitor, new_params, s2sz=s2sz, level=level, count=count)
    assert status == 0
    walk_level, *entry = monitor.ok("read_entry", rd, 0, level)
    assert (walk_level, entry) == (level & MINUS_1, [0, 0, 0])
    monitor.ok("realm_destroy", rd)


@pytest.mark.parametrize(
    "shape",
    [(53, -1, 1, LPA2), (48, -1, 1, LPA2), (52, 0, 1, LPA2), (52, -2, 1, LPA2), (49, 0, 2, 0), (52, -1, 1, 0)],
)
def test_shapes_that_are_none(monitor, new_params, shape):
    s2sz, level, count, flags = shape
    assert create(monitor, new_params, s2sz=s2sz, level=level, count=count, flags=flags)[0] == INPUT


def test_from_level_minus_1_down(monitor, new_params):
    """Without tables level -1 is told, as an index of eight bits; then they come one below the other, and go."""
    _, rd = create(monitor, new_params, s2sz=52, level=-1)
    ipa, data, source = 5 << 48 | 3 * GIB, monitor.granule(), monitor.page(b"x")
    assert monitor.rmi("data_create", rd, data, ipa, source, 0)[0] == 0xFF00 | RTT
    assert monitor.rmi("rtt_create", rd, data, ipa & ~0xFFFF_FFFF_FFFF, -1)[0] == INPUT, "the root is there"
    for level, span in enumerate((1 << 48, 1 << 39, GIB, BLOCK)):
        monitor.ok("rtt_create", rd, monitor.granule(), ipa // span * span, level)
    monitor.ok("data_create", rd, data, ipa, source, 0)
    assert monitor.ok("read_entry", rd, ipa, 3) == (3, 1, data, 1)
    monitor.ok("data_destroy", rd, ipa)
    for level, span in reversed(list(enumerate((1 << 48, 1 << 39, GIB, BLOCK)))):
        monitor.ok("rtt_destroy", rd, ipa // span * span, level)
    assert monitor.ok("read_entry", rd, 5 << 48, -1) == (MINUS_1, 0, 0, 2), "DESTROYED"
    monitor.ok("realm_destroy", rd)


@pytest.mark.parametrize(("flags", "shareable"), [(0, SHAREABLE), (LPA2, 0)])
def test_shareability_makes_room_for_addresses(monitor, new_params, flags, shareable):
    """The walker takes bits 9:8 as those of the address, where that can be wide."""
    _, rd = create(monitor, new_params, s2sz=33, level=1, flags=flags)
    ipa, shared, data = GIB, 5 * GIB, monitor.granule()
    tables = {}
    for base in (ipa, shared):
        for level in (2, 3):
            tables[base] = monitor.granule()
            monitor.ok("rtt_create", rd, tables[base], base, level)
    monitor.ok("data_create", rd, data, ipa, monitor.page(b"x"), 0)
    (entry,) = struct.unpack("<Q", monitor.read(tables[ipa], 8))
    assert entry == data | NORMAL | 1 << 10 | shareable | 3
    host = monitor.page()
    monitor.ok("map_unprotected", rd, shared, 3, host | NORMAL)
    (entry,) = struct.unpack("<Q", monitor.read(tables[shared], 8))
    assert entry & 0x3FF == NORMAL | shareable | 3
    assert monitor.ok("read_entry", rd, shared, 3)[2] == host | NORMAL
    monitor.ok("unmap_unprotected", rd, shared, 3)
    wide = monitor.rmi("map_unprotected", rd, shared, 3, 1 << 48 | 1 << 9 | NORMAL)[0]
    assert wide == (0 if flags else INPUT)
    if flags:
        assert monitor.ok("read_entry", rd, shared, 3)[2] == 1 << 48 | 1 << 9 | NORMAL
