# SPDX-License-Identifier: Apache-2.0
"""UART, timers, GIC and what a realm's exits mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Harness

DR, FR, IMSC, MIS, ICR = 0x00, 0x18, 0x38, 0x40, 0x44
RX, TX = 1 << 4, 1 << 5

GICD, GICR, SGI = 0x0800_0000, 0x080A_0000, 0x080B_0000
PENDING, ACTIVE, EOI = 1 << 62, 1 << 63, 1 << 41
TIMER, UART = 27, 33
CTLR, IGROUPR, ISENABLER, ICENABLER, ISPENDR, ISACTIVER, IPRIORITYR, ICFGR, IROUTER = (
    0x0, 0x80, 0x100, 0x180, 0x200, 0x300, 0x400, 0xC00, 0x6000,
)  # fmt: skip
NPIE, LRENPIE = 1 << 3, 1 << 2

SECOND = 1_000_000_000
RAM_BYTES = 256 << 20


# ---- Clock ---------------------------------------------------------------------------------------------------


def test_the_clock_has_the_hosts_date_and_may_be_set(harness: Harness) -> None:
    now, data, match, load, control, mask, raw = 0x6950_0000, 0x0, 0x4, 0x8, 0xC, 0x10, 0x14
    harness.ask("rtc")
    assert harness.ask("rtcread", data, now) == [now]
    assert harness.ask("rtcread", control, now) == [1], "it runs: Linux sets it to zero otherwise"
    harness.ask("rtcwrite", control, 0, now)
    assert harness.ask("rtcread", data, now + 5) == [now + 5]
    harness.ask("rtcwrite", load, 100, now)
    assert harness.ask("rtcread", data, now + 7) == [107]
    harness.ask("rtcwrite", match, 103, now)
    harness.ask("rtcwrite", mask, 0xFFFF_FFFF, now)
    assert harness.ask("rtcread", match, now) + harness.ask("rtcread", mask, now) == [103, 1]
    assert harness.ask("rtcread", raw, now + 60) == [0], "there is no alarm"
    identity = [harness.ask("rtcread", 0xFE0 + 4 * place, now)[0] for place in range(8)]
    assert identity == [0x31, 0x10, 0x04, 0x00, 0x0D, 0xF0, 0x05, 0xB1]
    assert harness.ask("rtcread", 0x20, now) == [0]


# ---- Disks ---------------------------------------------------------------------------------------------------


def test_a_disk_is_filled_up_to_a_whole_sector(harness: Harness, tmp_path: Path) -> None:
    """Of a file of 1000 bytes Linux saw the first 512."""
    file = tmp_path / "disk"
    file.write_bytes(b"\x5a" * 1000)
    sectors, content = harness.text(f"disk 0 0 400 {file}").split()
    assert (sectors, bytes.fromhex(content)) == ("2", b"\x5a" * 1000 + bytes(24))
    assert bytes.fromhex(harness.text(f"disk 0 200 200 {file}").split()[1]) == b"\x5a" * 488 + bytes(24)
    file.write_bytes(b"\x5a" * 1024)
    assert harness.text(f"disk 0 200 200 {file}") == "2 " + "5a" * 512
    assert harness.text(f"disk 0 400 200 {file}") == "2 !", "beyond the end there is nothing"
    file.write_bytes(b"\x5a")
    assert harness.text(f"disk 0 0 200 {file}") == "1 5a" + "00" * 511


def test_a_disk_that_is_to_be_written_has_whole_sectors(harness: Harness, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(1000))
    assert harness.text(f"disk 1 0 200 {file}").startswith(f"! {file}: 1000 bytes, which is no multiple of 512")
    file.write_bytes(bytes(1024))
    assert harness.text(f"disk 1 0 200 {file}") == "2 " + "00" * 512
    file.write_bytes(b"")
    assert harness.text(f"disk 0 0 200 {file}") == f"! {file}: empty (a disk has a byte at least)"


# ---- UART ----------------------------------------------------------------------------------------------------


def test_uart_sends_and_interrupts_until_cleared(harness: Harness) -> None:
    harness.ask("uart")
    harness.ask("uwrite", IMSC, TX)
    assert harness.ask("uirq") == [0]
    for byte in b"hi":
        harness.ask("uwrite", DR, byte)
    assert harness.text("usent") == "hi"
    assert harness.ask("uirq") == [1]
    harness.ask("uwrite", ICR, TX)
    assert harness.ask("uirq") == [0]


def test_uart_receives_level(harness: Harness) -> None:
    harness.ask("uart")
    harness.ask("uwrite", IMSC, RX)
    assert harness.ask("uread", FR) == [0x90]
    harness.text("utype ab")
    assert harness.ask("uread", MIS) == [RX]
    harness.ask("uwrite", ICR, 0x7FF)
    assert harness.ask("uirq") == [1], "there is still something to read"
    assert harness.ask("uread", DR) + harness.ask("uread", DR) == [ord("a"), ord("b")]
    assert harness.ask("uirq") == [0]
    assert harness.ask("uread", DR) == [0]


def test_uart_is_full_and_drops_no_order(harness: Harness) -> None:
    harness.ask("uart")
    assert harness.text("utype " + "x" * 1023 + "yz") == "0"
    assert harness.ask("uread", FR)[0] & 1 << 6
    assert {harness.ask("uread", DR)[0] for _ in range(1023)} == {ord("x")}
    assert harness.ask("uread", DR) == [ord("y")]
    assert harness.ask("uread", FR)[0] & 1 << 4


def test_uart_tells_what_it_is(harness: Harness) -> None:
    harness.ask("uart")
    assert [harness.ask("uread", 0xFE0 + 4 * i)[0] for i in range(8)] == [0x11, 0x10, 0x14, 0, 0x0D, 0xF0, 5, 0xB1]


# ---- Timers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timer", "asserted", "delay"),
    [
        ((0, 0, 100), 0, 3600 * SECOND),  # off
        ((5, 0, 100), 1, 0),  # expired before the exit
        ((7, 0, 100), 0, 3600 * SECOND),  # masked
        ((1, 100, 100), 1, 0),  # expired since
        ((1, 101, 100), 0, 1),
        ((1, 3 * SECOND + 100, 100), 0, 3 * SECOND),
        ((1, (1 << 64) - 1, 0), 0, 3600 * SECOND),
    ],
)
def test_timer(harness: Harness, timer: tuple[int, int, int], asserted: int, delay: int) -> None:
    """`timer`: control, compare value, counter."""
    assert harness.ask("asserted", *timer) == [asserted]
    assert harness.ask("delay", *timer, SECOND) == [delay]


def test_timer_rounds_up(harness: Harness) -> None:
    assert harness.ask("delay", 1, 1, 0, 3) == [333_333_334]
    assert harness.ask("delay", 1, 1, 0, 0) == [3600 * SECOND]


# ---- GIC -----------------------------------------------------------------------------------------------------


class Gic:
    """A GIC with everything in group 1 and enabled."""

    def __init__(self, harness: Harness, cpus: int = 1, lrs: int = 4) -> None:
        self.ask = harness.ask
        self.ask("gic", cpus, lrs)
        self.write(GICD + CTLR, 2)
        for frame in [GICD + 4, *(SGI + 0x2_0000 * cpu for cpu in range(cpus))]:
            self.write(frame + IGROUPR, 0xFFFF_FFFF)
            self.write(frame + ISENABLER, 0xFFFF_FFFF)

    def write(self, address: int, value: int, size: int = 4) -> int:
        there, _, wake = self.ask("write", address, size, value)
        assert there
        return wake

    def read(self, address: int, size: int = 4) -> int:
        there, value, _ = self.ask("read", address, size)
        assert there
        return value

    def fill(self, cpu: int = 0) -> tuple[int, list[int]]:
        hcr, *lrs = self.ask("fill", cpu)
        return hcr, lrs

    def fold(self, lrs: list[int], cpu: int = 0, eois: int = 0) -> int:
        return self.ask("fold", cpu, eois << 27, *lrs)[0]


def intids(lrs: list[int]) -> list[int]:
    return [lr & 0xFFFF for lr in lrs if lr]


def test_gic_identifies_itself(harness: Harness) -> None:
    gic = Gic(harness, cpus=2)
    assert gic.read(GICD + 4) & 31 == 1
    assert gic.read(GICD + 0xFFE8) == gic.read(GICR + 0xFFE8) == 0x3B
    assert gic.read(GICR + 8, 8) == 0
    assert gic.read(GICR + 0x2_0000 + 8, 8) == 1 << 32 | 1 << 8 | 1 << 4
    assert harness.ask("read", GICR + 0x4_0000, 4)[0] == 0, "there is no third redistributor"


def test_level_interrupt_ends_with_its_line(harness: Harness) -> None:
    gic = Gic(harness)
    assert gic.ask("ppi", 0, TIMER, 1) == [1]
    _, lrs = gic.fill()
    assert intids(lrs) == [TIMER]
    assert lrs[0] & (PENDING | ACTIVE | EOI) == PENDING | EOI
    gic.fold([lrs[0] ^ PENDING ^ ACTIVE])  # taken
    assert gic.ask("waiting", 0) == [0]
    _, lrs = gic.fill()
    assert lrs[0] & (PENDING | ACTIVE) == ACTIVE, "not pending once more while it is handled"
    gic.fold([lrs[0] & ~ACTIVE])  # ended, the line is still high
    assert gic.ask("waiting", 0) == [1]
    gic.ask("ppi", 0, TIMER, 0)
    assert gic.fill()[1] == [0] * 4


def test_quiet_timer_gets_a_register_of_its_own(harness: Harness) -> None:
    gic = Gic(harness)
    gic.ask("sgi", 0, 3 << 24 | 1)
    _, lrs = gic.fill()
    lr, index = gic.ask("aside", 0, TIMER)
    assert (lr & 0xFFFF, lr & (PENDING | ACTIVE | EOI), index) == (TIMER, PENDING | EOI, 1)
    gic.ask("ppi", 0, TIMER, 1)
    assert gic.ask("waiting", 0) == [0], "it is with the vCPU"
    gic.fold([lrs[0], 0])  # whoever kept it has seen no rise: the level counts
    assert gic.ask("waiting", 0) == [1]
    _, lrs = gic.fill()
    assert sorted(intids(lrs)) == [3, TIMER]


def test_kept_timer_is_active_where_it_was_taken(harness: Harness) -> None:
    gic = Gic(harness)
    gic.fill()
    lr, index = gic.ask("aside", 0, TIMER)
    assert index == 0
    gic.fold([lr ^ PENDING ^ ACTIVE])
    _, lrs = gic.fill()
    assert lrs[0] == lr ^ PENDING ^ ACTIVE
    assert gic.ask("aside", 0, TIMER) == [lr, 0], "the register that it is in"


def test_timer_without_a_register_or_a_way_is_not_kept(harness: Harness) -> None:
    gic = Gic(harness, lrs=1)
    gic.ask("sgi", 0, 3 << 24 | 1)
    _, _lrs = gic.fill()
    assert gic.ask("aside", 0, TIMER)[0] == 0, "all registers are taken"
    gic.fold([0])
    for register, value in ((GICD + CTLR, 0), (SGI + ICENABLER, 1 << TIMER), (SGI + IGROUPR, 0)):
        gic = Gic(harness)
        gic.write(register, value)
        gic.fill()
        assert gic.ask("aside", 0, TIMER)[0] == 0
    gic = Gic(harness)
    gic.write(SGI + ICFGR + 4, 0xFFFF_FFFF)  # an edge is the VMM's
    gic.fill()
    assert gic.ask("aside", 0, TIMER)[0] == 0


def test_entry_that_did_not_happen_loses_nothing(harness: Harness) -> None:
    gic = Gic(harness)
    assert gic.ask("sgi", 0, 3 << 24 | 1) == [1]
    for _ in range(3):
        _, lrs = gic.fill()
        assert intids(lrs) == [3]
        gic.fold(lrs)
    gic.fold([])
    gic.fold([0] if gic.fill() else [])
    assert gic.fill()[1] == [0] * 4


def test_edge_while_active_comes_again(harness: Harness) -> None:
    gic = Gic(harness)
    gic.ask("sgi", 0, 5 << 24 | 1)
    _, lrs = gic.fill()
    gic.fold([lrs[0] ^ PENDING ^ ACTIVE])
    gic.ask("sgi", 0, 5 << 24 | 1)
    _, lrs = gic.fill()
    assert lrs[0] & (PENDING | ACTIVE) == PENDING | ACTIVE


def test_disabled_interrupts_wait(harness: Harness) -> None:
    gic = Gic(harness)
    gic.write(GICD + CTLR, 0)
    gic.ask("spi", 1, 1)
    assert gic.ask("waiting", 0) == [0]
    assert gic.write(GICD + CTLR, 2) == 1
    gic.write(GICD + 0x184, 1 << 1)  # ICENABLER1
    assert gic.ask("waiting", 0) == [0]
    assert gic.read(GICD + ISPENDR + 4) == 1 << 1


def test_priority_decides_and_the_rest_gets_its_turn(harness: Harness) -> None:
    gic = Gic(harness)
    for intid in range(6):
        gic.write(SGI + IPRIORITYR + intid, 0x80 - 8 * intid, 1)
        gic.ask("sgi", 0, intid << 24 | 1)
    hcr, lrs = gic.fill()
    assert intids(lrs) == [5, 4, 3, 2]
    assert hcr == NPIE
    assert lrs[0] >> 48 & 0xFF == 0x58
    gic.fold([0] * 4)
    assert intids(gic.fill()[1]) == [0, 1] or intids(gic.fill()[1]) == [1, 0]


def test_more_active_than_list_registers(harness: Harness) -> None:
    gic = Gic(harness)
    gic.write(SGI + ISACTIVER, 0x3F)
    gic.ask("sgi", 0, 9 << 24 | 1)
    hcr, lrs = gic.fill()
    assert hcr == LRENPIE
    assert intids(lrs) == [0, 1, 2, 9], "the pending one is among them"
    gic.fold(lrs, eois=2)
    assert gic.read(SGI + ISACTIVER) == 0x3F & ~(1 << 3 | 1 << 4)


def test_sgis_go_where_they_are_sent(harness: Harness) -> None:
    gic = Gic(harness, cpus=4)
    assert gic.ask("sgi", 1, 1 << 40 | 2 << 24) == [0b1101], "all but the sender"
    gic = Gic(harness, cpus=4)
    assert gic.ask("sgi", 0, 2 << 24 | 0b0110) == [0b0110]
    assert gic.ask("sgi", 0, 3 << 24 | 1 << 16 | 1) == [0], "Aff1 = 1: nobody"
    assert gic.ask("sgi", 0, 3 << 24 | 0xFFF0) == [0b0110], "vCPUs that are not there"


def test_spi_follows_its_route(harness: Harness) -> None:
    gic = Gic(harness, cpus=2)
    gic.write(GICD + IROUTER + 8 * UART, 1, 8)
    assert gic.read(GICD + IROUTER + 8 * UART, 8) == 1
    assert gic.ask("spi", 1, 1) == [0b10]
    assert gic.fill(0)[1] == [0] * 4
    _, lrs = gic.fill(1)
    assert intids(lrs) == [UART]
    gic.write(GICD + IROUTER + 8 * UART, 0, 8)
    assert gic.fill(0)[1] == [0] * 4, "it is in vCPU 1's list registers"
    gic.fold([lrs[0] ^ PENDING ^ ACTIVE], cpu=1)
    assert gic.fill(0)[1] == [0] * 4, "vCPU 1 handles it"
    assert intids(gic.fill(1)[1]) == [UART]
    gic.write(GICD + IROUTER + 8 * UART, 0xFF_0000_0000, 8)
    gic.fold([0], cpu=1)
    assert gic.ask("waiting", 0) + gic.ask("waiting", 1) == [0, 0], "an affinity that nobody has"


def test_rerouted_spi_wakes_its_new_target(harness: Harness) -> None:
    gic = Gic(harness, cpus=2)
    gic.ask("spi", 1, 1)
    _, lrs = gic.fill(0)
    assert intids(lrs) == [UART]
    assert gic.write(GICD + IROUTER + 8 * UART, 1, 8) == 0, "vCPU 0 still has it"
    assert gic.fold(lrs) == 0b10, "not taken: it is vCPU 1's now"
    assert intids(gic.fill(1)[1]) == [UART]


def test_rerouted_spi_wakes_its_new_target_once_deactivated(harness: Harness) -> None:
    gic = Gic(harness, cpus=2)
    gic.ask("spi", 1, 1)
    _, lrs = gic.fill(0)
    gic.write(GICD + IROUTER + 8 * UART, 1, 8)
    assert gic.fold([lrs[0] ^ PENDING ^ ACTIVE]) == 0
    assert gic.ask("deactivate", 0, UART) == [0b10], "by ICC_DIR_EL1"
    assert gic.ask("deactivate", 0, 1 << 40) == [0]


def test_eoi_without_list_register_wakes_the_new_target(harness: Harness) -> None:
    gic = Gic(harness, cpus=2, lrs=1)
    gic.ask("spi", 1, 1)
    gic.fold([gic.fill(0)[1][0] ^ PENDING ^ ACTIVE])
    gic.write(GICD + IROUTER + 8 * UART, 1, 8)
    gic.ask("sgi", 0, 3 << 24 | 1)
    _, lrs = gic.fill(0)
    assert intids(lrs) == [3], "the only list register is for the pending one"
    assert gic.fold(lrs, eois=1) == 0b10


def test_fold_wakes_nobody_without_need(harness: Harness) -> None:
    gic = Gic(harness, cpus=2)
    gic.write(GICD + IROUTER + 8 * UART, 0xFF_0000_0000, 8)
    gic.ask("spi", 1, 1)
    gic.ask("sgi", 0, 3 << 24 | 0b11)
    for cpu in range(2):
        assert gic.fold([0] * 4 if gic.fill(cpu) else [], cpu=cpu) == 0


def test_edge_configuration(harness: Harness) -> None:
    gic = Gic(harness)
    assert gic.read(SGI + ICFGR) == 0xAAAA_AAAA
    gic.write(SGI + ICFGR, 0)
    assert gic.read(SGI + ICFGR) == 0xAAAA_AAAA
    gic.write(GICD + ICFGR + 8, 2 << 2)
    gic.ask("spi", 1, 1)
    gic.ask("spi", 1, 0)
    assert gic.ask("waiting", 0) == [1], "an edge is remembered"


@pytest.mark.parametrize(
    ("address", "size"),
    [(GICD + 0x1_0000, 4), (GICD + 2, 4), (GICD, 3), (GICD + 0xFFFE, 4), (GICR - 4, 4), (1 << 63, 8)],
)
def test_gic_is_nowhere_else(harness: Harness, address: int, size: int) -> None:
    Gic(harness)
    assert harness.ask("read", address, size)[0] == 0


@pytest.mark.parametrize(("cpus", "lrs"), [(1, 4), (8, 4), (3, 16), (2, 1)])
def test_a_hostile_guest_finds_no_hole(harness: Harness, cpus: int, lrs: int) -> None:
    Gic(harness, cpus, lrs)
    harness.ask("fuzz", cpus * 100 + lrs, 20_000)


# ---- Exits ---------------------------------------------------------------------------------------------------

WFX, WFE, SGI_WRITE, DIR_WRITE, SYSREG, PROTECTED, SHARED, MMIO, NOTHING, BAD = range(10)
DATA = 0x24 << 26
ISV = 1 << 24


def decode(harness: Harness, esr: int, ipa: int = 0, value: int = 0) -> list[int]:
    return harness.ask("decode", esr, ipa & 0xFFF, ipa >> 12 << 4, value, RAM_BYTES)


def test_aborts_by_address(harness: Harness) -> None:
    assert decode(harness, DATA | 7, 0x4123_4000)[:2] == [PROTECTED, 0x4123_4000]
    assert decode(harness, 0x20 << 26 | 7, 0x4000_0000)[0] == PROTECTED
    assert decode(harness, DATA | 7, 0x5000_0000)[0] == BAD, "behind the RAM"
    assert decode(harness, DATA | ISV | 7, 0x1_4FFF_F000)[:2] == [SHARED, 0x4FFF_F000]
    assert decode(harness, DATA | 7, 0x1_5000_0000)[0] == NOTHING
    assert decode(harness, DATA | 7, 0x1_0900_0000)[0] == NOTHING, "cannot be emulated"
    assert decode(harness, DATA | ISV | 7, 0x2_0000_0000)[0] == BAD, "behind the address space"


def test_mmio(harness: Harness) -> None:
    write, word = 1 << 6, 2 << 22
    assert decode(harness, DATA | ISV | word | write | 7, 0x1_0900_0018, 5) == [MMIO, 0x0900_0018, 5, 4, 1, 0]
    assert decode(harness, DATA | ISV | 3 << 22 | 7, 0x1_0800_6108)[3:] == [8, 0, 0]


def test_system_registers(harness: Harness) -> None:
    def msr(op2: int, *, read: bool = False) -> int:
        return 0x18 << 26 | 3 << 20 | op2 << 17 | 12 << 10 | 11 << 1 | read

    assert decode(harness, msr(5), value=0x10001)[:4:2] == [SGI_WRITE, 0x10001]
    assert decode(harness, msr(1), value=33)[0] == DIR_WRITE
    assert decode(harness, msr(7))[0] == decode(harness, msr(5, read=True))[0] == SYSREG
    assert decode(harness, 0x3C << 26)[0] == BAD


@pytest.mark.parametrize(
    ("instruction", "kind", "until"),
    [(0, WFX, (0, 0)), (1, WFE, (0, 0)), (2, WFX, (77, 1)), (3, WFE, (77, 1))],
)
def test_waits(harness: Harness, instruction: int, kind: int, until: tuple[int, int]) -> None:
    """WFI, WFE, WFIT, WFET: the last two have a time-out."""
    answer = decode(harness, 1 << 26 | instruction, value=77)
    assert (answer[0], (answer[2], answer[5])) == (kind, until)
