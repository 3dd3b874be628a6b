# SPDX-License-Identifier: Apache-2.0
"""Realm life cycle, parameter checks, measurement."""

from __future__ import annotations

import pytest

INPUT, REALM, REC = 1, 2, 3
VALID_SHAPES = [(32, 2, 4), (34, 2, 16), (40, 1, 2), (42, 1, 8), (48, 0, 1), (33, 1, 1), (39, 1, 1), (43, 1, 16)]


def aligned_granules(monitor, count):
    monitor.next_page = (monitor.next_page + count * 4096 - 1) // (count * 4096) * (count * 4096)
    return [monitor.granule() for _ in range(count)]


@pytest.mark.parametrize(("s2sz", "level", "count"), VALID_SHAPES)
def test_shapes(monitor, new_params, s2sz, level, count):
    root = aligned_granules(monitor, count)
    rd = monitor.granule()
    params = monitor.page(new_params.realm(root[0], s2sz=s2sz, level=level, count=count))
    monitor.ok("realm_create", rd, params)
    top = (1 << s2sz) - (1 << 39 - 9 * level)
    assert monitor.ok("read_entry", rd, top, level) == (level, 0, 0, 0)
    monitor.ok("realm_destroy", rd)
    for granule in (rd, *root):
        assert monitor.read(granule) == bytes(4096)
        monitor.ok("undelegate", granule)


@pytest.mark.parametrize(
    "changes",
    [
        {"s2sz": 49}, {"s2sz": 24}, {"s2sz": 30}, {"s2sz": 44}, {"level": 0}, {"level": 3}, {"level": -1}, {"count": 2},
        {"count": 0}, {"flags": 2}, {"flags": 4}, {"num_bps": 0}, {"num_bps": 16},
        {"num_wps": 0}, {"num_wps": 16}, {"hash_algo": 2}, {"hash_algo": 255},
    ],
)  # fmt: skip
def test_bad_parameters(monitor, new_params, changes):
    rd, root = monitor.granule(), monitor.granule()
    assert monitor.rmi("realm_create", rd, monitor.page(new_params.realm(root, **changes)))[0] == INPUT
    monitor.ok("undelegate", rd)
    monitor.ok("undelegate", root)


def test_reserved_flags_are_no_failure(monitor, new_params):
    rd, root = monitor.granule(), monitor.granule()
    monitor.ok("realm_create", rd, monitor.page(new_params.realm(root, flags=0xFFFF_FFFF_FFFF_FFF8)))


def test_bad_granules(monitor, realm, new_params):
    rd, root, plain = monitor.granule(), monitor.granule(), monitor.page()
    good = monitor.page(new_params.realm(root, vmid=2))
    for refused_rd in (root, plain, realm.rd, realm.root, rd + 8, 0):
        assert monitor.rmi("realm_create", refused_rd, good)[0] == INPUT
    for refused_root in (plain, realm.root, realm.rd, rd, root + 8, 0, (1 << 64) - 4096):
        assert monitor.rmi("realm_create", rd, monitor.page(new_params.realm(refused_root, vmid=2)))[0] == INPUT
    for refused_params in (rd, good + 8, 0):
        assert monitor.rmi("realm_create", rd, refused_params)[0] == INPUT
    assert monitor.rmi("realm_create", rd, monitor.page(new_params.realm(root, vmid=1)))[0] == INPUT, "VMID in use"
    monitor.ok("realm_create", rd, good)


def test_life(monitor, realm):
    rec = realm.rec()
    assert realm.enter(rec) == REALM
    realm.activate()
    assert monitor.rmi("realm_activate", realm.rd)[0] == REALM
    assert monitor.rmi("realm_destroy", realm.rd)[0] == REALM
    monitor.ok("rec_destroy", rec)
    assert monitor.rmi("realm_destroy", realm.rd)[0] == REALM, "tables left"
    for level in (3, 2):
        monitor.ok("rtt_destroy", realm.rd, realm.RAM, level)
    monitor.ok("realm_destroy", realm.rd)
    for granule in (realm.rd, realm.root, *realm.tables, rec):
        assert monitor.read(granule) == bytes(4096)
        monitor.ok("undelegate", granule)


def test_rec_parameters(monitor, realm, new_params):
    rec = monitor.granule()
    for wrong in ({"mpidr": 1}, {"mpidr": 1 << 8}, {"mpidr": 1 << 31}, {"aux": 1}):
        assert monitor.rmi("rec_create", realm.rd, rec, monitor.page(new_params.rec(**wrong)))[0] == INPUT
    page = monitor.page(new_params.rec())
    for refused in (realm.rd, monitor.page(), rec + 8):
        assert monitor.rmi("rec_create", realm.rd, refused, page)[0] == INPUT
    assert monitor.ok("rec_aux_count", realm.rd)[0] == 0
    monitor.ok("rec_create", realm.rd, rec, page)
    realm.activate()
    assert monitor.rmi("rec_create", realm.rd, monitor.granule(), monitor.page(new_params.rec(mpidr=1)))[0] == REALM


def test_reserved_bits_of_a_rec_are_no_failure(monitor, realm, new_params):
    rec, flags, mpidr = monitor.granule(), 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_0000_00F0
    monitor.ok("rec_create", realm.rd, rec, monitor.page(new_params.rec(flags=flags, mpidr=mpidr)))
    realm.rec(mpidr=1)
    realm.activate()
    assert realm.enter(rec) == REC, "the bit that counts says not runnable"


def test_rec_indices_carry_into_aff1(realm):
    for index in range(18):
        realm.rec(mpidr=index % 16 | index // 16 << 8, flags=0)


def measurement(monitor, realm, rec):
    """The RIM, as the realm reads it (RSI MEASUREMENT_READ)."""
    monitor.trap(0, 0x17 << 26, gprs=(0xC400_0192, 0))
    assert realm.enter(rec) == 0
    gprs = monitor.rec_state()[3]
    assert gprs[0] == 0
    return b"".join(word.to_bytes(8, "little") for word in gprs[1:9])


@pytest.mark.parametrize("hash_algo", [0, 1])
def test_rim(monitor, new_realm, hash_algo):
    realm = new_realm(monitor, hash_algo=hash_algo)
    realm.init_ripas(realm.RAM, realm.RAM + 0x8000)
    realm.init_ripas(realm.RAM + 0x20_0000, realm.RAM + 0x100_0000, span=0x20_0000)
    realm.data(realm.RAM, b"kernel")
    realm.data(realm.RAM + 0x1000, b"unmeasured", flags=0)
    monitor.ok("data_create_unknown", realm.rd, monitor.granule(), realm.RAM + 0x2000)
    rec = realm.rec(pc=realm.RAM, gprs=(0x1234, 0, 0, 0, 0, 0, 0, 7))
    realm.rec(mpidr=1, flags=0, pc=99)
    realm.activate()
    assert measurement(monitor, realm, rec) == realm.rim.ljust(64, b"\0")
