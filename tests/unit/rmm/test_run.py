# SPDX-License-Identifier: Apache-2.0
"""A running realm: exits, emulated MMIO, RSI, PSCI, injected exceptions (A4, B5, B6)."""

from __future__ import annotations

import struct

import pytest

SYNC, IRQ, FIQ, PSCI, RIPAS_CHANGE, HOST_CALL, SERROR = range(7)
INPUT, REALM, REC = 1, 2, 3
EC_SMC, EC_HVC, EC_SYS, EC_INST, EC_DATA = 0x17, 0x16, 0x18, 0x20, 0x24
IL = 1 << 25
SHARED = 1 << 32
NOT_SUPPORTED = (1 << 64) - 1


def smc(monitor, *gprs):
    monitor.trap(0, EC_SMC << 26, gprs=gprs)


def sysreg(op0, op1, crn, crm, op2, *, rt=0, read=True):
    return EC_SYS << 26 | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | read


@pytest.fixture
def rec(realm):
    realm.init_ripas(realm.RAM, realm.RAM + 0x10000)
    realm.code = realm.data(realm.RAM, bytes(4096))
    granule = realm.rec(pc=realm.RAM)
    realm.second = realm.rec(mpidr=1, flags=0)
    realm.activate()
    return granule


@pytest.mark.parametrize(("kind", "reason"), [(1, IRQ), (2, FIQ), (3, SERROR)])
def test_interrupts(monitor, realm, rec, kind, reason):
    monitor.trap(kind)
    assert realm.enter(rec) == 0
    assert realm.reason == reason


@pytest.mark.parametrize(
    ("control", "high"),
    [(0b000, False), (0b001, False), (0b100, False), (0b101, True), (0b111, False), (0b110, False)],
)
def test_a_timer_that_was_high_is_masked_for_one_entry(monitor, realm, rec, control, high):
    monitor.timers(control, 0)
    assert realm.enter(rec) == 0
    assert realm.exit_word(0x410) == control
    assert monitor.timers(0, control) == (False, False), "nothing was high before the first entry"
    assert realm.enter(rec) == 0
    assert monitor.timers(0, 0) == (high, False)
    assert realm.exit_word(0x400) == control
    assert realm.enter(rec) == 0
    assert monitor.timers(0, 0) == (False, high)
    assert realm.enter(rec) == 0
    assert monitor.timers(0, 0) == (False, False)


def test_refused_entries(monitor, realm, rec):
    assert realm.enter(realm.second) == REC, "not runnable"
    assert realm.enter(rec, flags=1) == REC, "no MMIO to emulate"
    assert realm.enter(rec, hcr=1) == REC
    assert realm.enter(rec, hcr=1 << 8) == REC
    assert realm.enter(rec, lrs=(1 << 61,)) == REC
    assert realm.enter(rec, lrs=(0, 0, 0, 0, 1)) == REC, "beyond the implemented list registers"
    assert monitor.rmi("rec_enter", realm.rd, realm.run)[0] == INPUT
    assert monitor.rmi("rec_enter", rec, realm.rd)[0] == INPUT
    assert realm.enter(rec, hcr=1 << 1, lrs=(1 << 62 | 27,)) == 0


def test_ripas_decides_about_aborts(monitor, realm, rec):
    empty, absent = 0x4000_0000, realm.RAM + 0x3000
    monitor.trap(0, EC_DATA << 26 | 7, 0xFF0, empty >> 8)
    assert realm.enter(rec) == 0
    assert realm.reason == IRQ, "the realm went on, into its handler"
    assert monitor.rec_state()[0] == 0x25 << 26 | 1 << 25 | 1 << 9 | 0x10
    monitor.trap(0, EC_INST << 26 | 1 << 25 | 7, 0, absent >> 8)
    assert realm.enter(rec) == 0
    assert (realm.reason, realm.exit_word(0x100), realm.exit_word(0x110)) == (SYNC, EC_INST << 26 | 7, absent >> 8)
    monitor.trap(0, EC_DATA << 26 | 7, 0, (1 << 33) >> 8)
    assert realm.enter(rec) == 0
    assert monitor.rec_state()[0] == 0x25 << 26 | 1 << 25, "address size fault, level 0"


def mmio(monitor, *, write, size=2, srt=3, sign=False, wide=False):
    esr = EC_DATA << 26 | 1 << 25 | 1 << 24 | size << 22 | sign << 21 | srt << 16 | wide << 15 | write << 6 | 7
    monitor.trap(0, esr, 0xFFFF_0000_0900_0018, (SHARED + 0x0900_0000) >> 8, gprs=(1, 2, 3, 0x1_2345_6789))
    return esr


def test_mmio_write(monitor, realm, rec):
    esr = mmio(monitor, write=True)
    assert realm.enter(rec) == 0
    assert realm.exit_word(0x100) == esr & ~(31 << 16 | IL), "neither the register nor the instruction's length"
    assert (realm.exit_word(0x108), realm.exit_word(0x200)) == (0x18, 0x2345_6789)
    assert realm.exit_word(0x208) == 0, "no other register is shown"
    assert realm.enter(rec, flags=1) == 0
    assert monitor.rec_state()[2] == realm.RAM + 4


@pytest.mark.parametrize(
    ("access", "value"),
    [
        ({"size": 0, "sign": False, "wide": False}, 0x80),
        ({"size": 0, "sign": True, "wide": False}, 0xFFFF_FF80),
        ({"size": 0, "sign": True, "wide": True}, NOT_SUPPORTED - 0x7F),
        ({"size": 3, "sign": False, "wide": True}, 0x180),
    ],
)
def test_mmio_read(monitor, realm, rec, access, value):
    mmio(monitor, write=False, **access)
    assert realm.enter(rec) == 0
    assert realm.exit_word(0x200) == 0
    assert realm.enter(rec, flags=1, gprs=(0x180,)) == 0
    assert monitor.rec_state()[3][3] == value


def test_mmio_refused_by_host(monitor, realm, rec):
    mmio(monitor, write=True)
    realm.enter(rec)
    assert realm.enter(rec, flags=3) == 0
    assert monitor.rec_state()[0] == 0x25 << 26 | 1 << 25 | 1 << 9 | 0x10
    assert realm.enter(rec, flags=1) == REC


def test_host_call(monitor, realm, rec):
    monitor.write(realm.code + 0x100, struct.pack("<Q31Q", 7, *range(31)))
    smc(monitor, 0xC400_0199, realm.RAM + 0x100)
    assert realm.enter(rec) == 0
    assert (realm.reason, realm.exit_word(0x600), realm.exit_word(0x200 + 8 * 30)) == (HOST_CALL, 7, 30)
    assert realm.enter(rec, gprs=tuple(range(100, 131))) == 0
    assert monitor.read(realm.code + 0x108, 31 * 8) == struct.pack("<31Q", *range(100, 131))
    assert monitor.rec_state()[2:][0] == realm.RAM + 4
    assert monitor.rec_state()[3][0] == 0


def test_host_call_refused_and_absent(monitor, realm, rec):
    for ipa in (realm.RAM + 8, SHARED, 0x4000_0000):
        smc(monitor, 0xC400_0199, ipa)
        realm.enter(rec)
        assert (realm.reason, monitor.rec_state()[3][0]) == (IRQ, 1)
    smc(monitor, 0xC400_0199, realm.RAM + 0x3000)
    realm.enter(rec)
    assert (realm.reason, realm.exit_word(0x110)) == (SYNC, realm.RAM + 0x3000 >> 8)


def test_host_call_page_taken_before_the_answer(monitor, realm, rec):
    smc(monitor, 0xC400_0199, realm.RAM)
    realm.enter(rec)
    monitor.ok("data_destroy", realm.rd, realm.RAM)
    assert realm.enter(rec) == 0
    assert (realm.reason, realm.exit_word(0x110)) == (SYNC, realm.RAM >> 8)


def test_realm_config(monitor, realm, rec):
    smc(monitor, 0xC400_0196, realm.RAM)
    realm.enter(rec)
    config = monitor.read(realm.code)
    assert config[:9] == struct.pack("<QB", 33, 0)
    assert config[0x200:0x240] == bytes(range(64))


def test_ripas_change(monitor, realm, rec):
    base, top = realm.RAM, realm.RAM + 0x4000
    smc(monitor, 0xC400_0197, base, top, 0, 1)
    realm.enter(rec)
    assert (realm.reason, realm.exit_word(0x500), realm.exit_word(0x508), realm.exit_word(0x510)) == (4, base, top, 0)
    assert monitor.rmi("set_ripas", realm.rd, rec, base + 4096, top)[0] == INPUT
    assert monitor.rmi("set_ripas", realm.rd, rec, base, top + 4096)[0] == INPUT
    assert monitor.rmi("set_ripas", realm.rd, realm.rd, base, top)[0] == INPUT
    before = monitor.rec_state()[1]
    assert monitor.ok("set_ripas", realm.rd, rec, base, base + 0x2000)[0] == base + 0x2000
    assert monitor.rec_state()[1] == before + 1, "one of the two pages was mapped"
    assert monitor.ok("read_entry", realm.rd, base, 3) == (3, 1, realm.code, 0)
    realm.enter(rec)
    assert monitor.rec_state()[3][:3] == [0, base + 0x2000, 0]
    assert monitor.rmi("set_ripas", realm.rd, rec, base + 0x2000, top)[0] == INPUT, "the request is over"


def test_ripas_change_rejected(monitor, realm, rec):
    smc(monitor, 0xC400_0197, realm.RAM, realm.RAM + 0x1000, 1, 0)
    realm.enter(rec)
    realm.enter(rec, flags=1 << 4)
    assert monitor.rec_state()[3][:3] == [0, realm.RAM, 1]


def test_destroyed_needs_consent(monitor, realm, rec):
    monitor.ok("data_destroy", realm.rd, realm.RAM)
    for consent, status in ((0, 4 | 3 << 8), (1, 0)):
        smc(monitor, 0xC400_0197, realm.RAM, realm.RAM + 0x1000, 1, consent)
        realm.enter(rec)
        assert monitor.rmi("set_ripas", realm.rd, rec, realm.RAM, realm.RAM + 0x1000)[0] == status
        realm.enter(rec)


def test_ipa_state_get(monitor, realm, rec):
    smc(monitor, 0xC400_0198, realm.RAM + 0x1000, realm.RAM + 0x20000)
    realm.enter(rec)
    assert monitor.rec_state()[3][:3] == [0, realm.RAM + 0x10000, 1]
    smc(monitor, 0xC400_0198, realm.RAM, SHARED + 4096)
    realm.enter(rec)
    assert monitor.rec_state()[3][0] == 1


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ((0x8400_0000, 0), 0x10001),
        ((0x8000_0000, 0), 0x10002),
        ((0x8400_000A, 0x8000_0000), 0),
        ((0x8400_000A, 0xC400_0003), 0),
        ((0x8400_000A, 0x8400_0006), NOT_SUPPORTED),
        ((0x8400_0006, 0), NOT_SUPPORTED),
        ((0xC400_0150, 0), NOT_SUPPORTED),
        ((0xC400_019A, 0), NOT_SUPPORTED),
    ],
)
def test_calls_without_exit(monitor, realm, rec, call, result):
    smc(monitor, *call)
    realm.enter(rec)
    assert (realm.reason, monitor.rec_state()[3][0]) == (IRQ, result)


def test_cpu_on(monitor, realm, rec):
    smc(monitor, 0xC400_0003, 1, realm.RAM + 0x40, 99)
    realm.enter(rec)
    assert (realm.reason, realm.exit_word(0x200), realm.exit_word(0x208)) == (PSCI, 0xC400_0003, 1)
    assert realm.enter(rec) == REC, "waits for PSCI_COMPLETE"
    for arguments in ((rec, rec, 0), (realm.second, rec, 0), (rec, realm.rd, 0), (rec, realm.second, -2)):
        assert monitor.rmi("psci_complete", *arguments)[0] == INPUT
    monitor.ok("psci_complete", rec, realm.second, 0)
    assert realm.enter(rec) == 0
    assert monitor.rec_state()[3][:4] == [0, 0, 0, 0]
    assert realm.enter(realm.second) == 0
    assert monitor.rec_state()[2] == realm.RAM + 0x40
    assert monitor.rec_state()[3][0] == 99


@pytest.mark.parametrize(
    ("arguments", "result"), [((1, SHARED, 0), -9), ((2, 0, 0), -2), ((0, 0, 0), -4), ((1 << 31, 0, 0), -2)]
)
def test_cpu_on_refused_at_once(monitor, realm, rec, arguments, result):
    smc(monitor, 0xC400_0003, *arguments)
    realm.enter(rec)
    assert (realm.reason, monitor.rec_state()[3][0]) == (IRQ, result + (1 << 64))


def test_off(monitor, realm, rec):
    smc(monitor, 0x8400_0008)
    realm.enter(rec)
    assert realm.reason == PSCI
    assert realm.enter(rec) == REALM | 1 << 8


def test_registers_of_the_host(monitor, realm, rec):
    monitor.trap(0, sysreg(3, 0, 12, 11, 5, rt=2, read=False), gprs=(0, 0, 0x1234))
    realm.enter(rec)
    assert (realm.reason, realm.exit_word(0x200)) == (SYNC, 0x1234)
    assert realm.exit_word(0x100) == sysreg(3, 0, 12, 11, 5, read=False)


@pytest.mark.parametrize(
    ("register", "hidden"),
    [
        ((4, 0), 0xF << 32 | 0xF << 40 | 0xF << 44 | 0xF << 52 | 0xFF << 8),
        ((4, 4), NOT_SUPPORTED),
        ((6, 2), 0xF << 16),
        ((7, 3), NOT_SUPPORTED),
    ],
)
def test_features_that_a_realm_does_not_see(monitor, realm, rec, register, hidden):
    monitor.trap(0, sysreg(3, 0, 0, *register, rt=5))
    realm.enter(rec)
    assert monitor.rec_state()[3][5] & hidden == 0


def test_caches_of_a_virtual_machine(monitor, realm, rec):
    for register, value in (((1, 0, 0, 1), 1 << 24 | 4), ((1, 0, 0, 0), 2)):
        monitor.trap(0, sysreg(3, *register, rt=5))
        realm.enter(rec)
        assert monitor.rec_state()[3][5] == value
    monitor.trap(0, sysreg(3, 2, 0, 0, 0, rt=1, read=False), gprs=(0, 0x13))
    realm.enter(rec)
    monitor.trap(0, sysreg(3, 2, 0, 0, 0, rt=5))
    realm.enter(rec)
    assert monitor.rec_state()[3][5] == 3


def test_undefined(monitor, realm, rec):
    for esr in (EC_HVC << 26, sysreg(3, 3, 9, 12, 0), 0x19 << 26, 0):
        monitor.trap(0, esr)
        realm.enter(rec)
        assert (realm.reason, monitor.rec_state()[0]) == (IRQ, 1 << 25)


def test_hvc_is_undefined_where_it_stands(monitor, realm, rec):
    monitor.trap(0, EC_HVC << 26)
    realm.enter(rec)
    assert monitor.rec_state()[2] == realm.RAM - 4, "the trap's return address was behind it"


def test_external_abort_on_a_walk_is_the_realms(monitor, realm, rec):
    monitor.trap(0, EC_DATA << 26 | 0x16, 0, 0x123 << 4)
    realm.enter(rec)
    assert (realm.reason, monitor.rec_state()[0]) == (IRQ, 0x25 << 26 | 1 << 25 | 1 << 9 | 0x10)


def test_a_shared_page_that_was_delegated(monitor, realm, rec):
    monitor.trap(0, EC_DATA << 26 | 0x28, 0, 0x123 << 4)
    realm.enter(rec)
    assert (realm.reason, realm.exit_word(0x100), realm.exit_word(0x110)) == (SYNC, EC_DATA << 26 | 0x28, 0)
    assert realm.enter(rec, flags=2) == 0
    assert monitor.rec_state()[0] == 0x25 << 26 | 1 << 25 | 1 << 9 | 0x10


def test_run_page_given_away(monitor, realm, rec):
    page = monitor.granule()
    assert monitor.rmi("rec_enter", rec, page)[0] == INPUT


def test_host_memory_below_the_monitor_serves_as_well(monitor, new_realm):
    """It cannot be delegated, but a host may have its structures and sources there."""
    low = 0x4000_0000
    monitor.write(low, bytes(range(256)) * 16)
    realm = new_realm(monitor, vmid=7)
    granule = monitor.granule()
    monitor.ok("data_create", realm.rd, granule, realm.RAM, low, 1)
    assert monitor.read(granule) == bytes(range(256)) * 16
    rec = realm.rec(pc=realm.RAM)
    realm.activate()
    monitor.write(low + 4096, bytes(4096))
    monitor.trap(1)
    assert monitor.rmi("rec_enter", rec, low + 4096)[0] == 0
    assert monitor.read(low + 4096 + 0x800, 1) == bytes([IRQ])


@pytest.mark.parametrize("address", [0x4010_0000, 0x3FFF_F000, 0, 1 << 32, 1 << 63, NOT_SUPPORTED & ~0xFFF])
def test_addresses_that_are_no_memory_of_the_host(monitor, rec, realm, address):
    assert monitor.rmi("rec_enter", rec, address)[0] == INPUT
    assert monitor.rmi("realm_create", monitor.granule(), address)[0] == INPUT
