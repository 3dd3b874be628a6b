# SPDX-License-Identifier: Apache-2.0
"""Virtio over MMIO: registers, negotiation, virtqueues, the entropy device, and guests that mean no good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from virtio_driver import (
    ACCEPTED,
    ACK,
    ACKNOWLEDGE,
    AVAIL,
    AVAIL_AT,
    BUFFERS,
    CONFIG,
    CONFIG_CHANGE,
    DESC,
    DESC_AT,
    DEVICE_ID,
    DRIVER,
    DRIVER_OK,
    FAILED,
    FEATURES,
    FEATURES_OK,
    FEATURES_SEL,
    GENERATION,
    INDIRECT,
    INTERRUPTS,
    MAGIC,
    NEEDS_RESET,
    NEXT,
    NOTIFY,
    QUEUE_MAX,
    QUEUE_SEL,
    QUEUE_SIZE,
    RAM,
    RAM_BYTES,
    READY,
    SHARED,
    SHM_LEN,
    STATUS,
    USED,
    USED_AT,
    USED_BUFFER,
    VERSION,
    WRITE,
    Buffer,
    Driver,
)

if TYPE_CHECKING:
    from conftest import Harness


def stream(harness: Harness, seed: int, count: int) -> list[int]:
    return harness.ask("vstream", seed, count)


# ---- Registers -----------------------------------------------------------------------------------------------


def test_identification(harness: Harness) -> None:
    device = Driver(harness)
    assert [device.read(register) for register in (MAGIC, VERSION, DEVICE_ID)] == [0x7472_6976, 2, 4]
    assert device.read(SHM_LEN) == device.read(SHM_LEN + 4) == 0xFFFF_FFFF
    assert device.read(GENERATION) == 0
    assert device.read(CONFIG) == 0
    assert device.read(MAGIC, 1) == device.read(MAGIC + 1) == 0, "registers are read whole"


def test_features_are_told_by_half(harness: Harness) -> None:
    for keeps, low in ((False, 0), (True, 1 << 5)):
        device = Driver(harness, keeps=keeps)
        assert device.read(FEATURES) == low
        device.write(FEATURES_SEL, 1)
        assert device.read(FEATURES) == 3
        device.write(FEATURES_SEL, 2)
        assert device.read(FEATURES) == 0


@pytest.mark.parametrize(
    ("low", "high", "accepted"),
    [(0, 3, True), (0, 1, False), (0, 2, False), (0, 0, False), (0, 7, False), (1, 3, False), (1 << 28, 3, False)],
)
def test_negotiation(harness: Harness, low: int, high: int, accepted: bool) -> None:
    device = Driver(harness)
    assert device.negotiate(low, high) == accepted
    device.write(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
    assert device.read(STATUS) == (15 if accepted else 3)


def test_features_are_fixed_once_accepted(harness: Harness) -> None:
    device = Driver(harness, keeps=True)
    assert device.negotiate(1 << 5)
    device.write(ACCEPTED, 0)
    device.write(STATUS, 15)
    assert device.read(STATUS) == 15
    device.write(STATUS, 15 | NEEDS_RESET | FAILED)
    assert device.read(STATUS) == 15 | FAILED, "NEEDS_RESET is the device's"
    device.write(STATUS, 1)
    assert device.read(STATUS) == 15 | FAILED, "only a reset takes a bit back"


def test_configuration_by_any_size(harness: Harness) -> None:
    device = Driver(harness, keeps=True)
    assert [device.read(CONFIG + i, 1) for i in range(7)] == [1, 2, 3, 4, 5, 6, 0]
    assert device.read(CONFIG, 2) == 0x0201
    assert device.read(CONFIG + 2) == 0x0605_0403
    assert device.read(CONFIG + 4) == 0x0605, "there is no more of it"
    assert device.read(CONFIG + 0xF8, 8) == 0
    device.write(CONFIG, 0xFFFF_FFFF)
    assert device.read(CONFIG, 1) == 1


def test_a_queue_that_is_not_there(harness: Harness) -> None:
    device = Driver(harness)
    assert device.read(QUEUE_MAX) == 256
    assert not device.queue(1)
    assert device.read(QUEUE_MAX) == 0
    device.write(QUEUE_SEL, 0xFFFF_FFFF)
    device.write(READY, 1)
    assert device.read(READY) == device.read(QUEUE_MAX) == device.read(STATUS) == 0
    device.write(NOTIFY, 5)


def test_a_ready_queue_stays_as_it_is(harness: Harness) -> None:
    device = Driver(harness, seed=1).up()
    device.wide(AVAIL, (1 << 64) - 2)
    device.write(QUEUE_SIZE, 3)
    device.write(READY, 1)
    device.chain((BUFFERS, 8, WRITE))
    assert device.used() == 1
    device.write(READY, 0)
    assert device.read(READY) == 0
    device.offer(0)
    assert device.used() == 1


def test_nothing_happens_before_driver_ok(harness: Harness) -> None:
    device = Driver(harness)
    assert device.negotiate()
    assert device.queue()
    device.chain((BUFFERS, 8, WRITE))
    assert (device.used(), device.line()) == (0, 0)
    device.write(STATUS, 15)
    device.write(NOTIFY, 0)
    assert (device.used(), device.line()) == (1, 1)


def test_reset(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up()
    device.chain((BUFFERS, 8, WRITE))
    device.chain((BUFFERS, 8, WRITE), first=1)
    assert device.ask("vpop", 0, 0)[0] == device.ask("vpop", 0, 1)[0] == 1
    device.ask("vpush", 0, 8)
    assert device.line() == 1
    device.write(STATUS, 0)
    for register in (STATUS, INTERRUPTS, READY):
        assert device.read(register) == 0
    assert device.ask("vstate")[::3] == [0, 1], "the line is low, and the device knows"
    for i in range(0, 0x3000, 8):
        device.poke(i, 8, 0)
    device.offered = 0
    device.up()
    device.chain((BUFFERS, 8, WRITE))
    assert device.ask("vpop", 0, 2)[:2] == [1, 0]
    device.ask("vpush", 1, 8)
    assert device.used() == 0, "a chain of the time before"
    device.ask("vpush", 2, 8)
    assert device.used() == 1


# ---- Virtqueues ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", [False, True])
def test_chains_have_parts_to_read_then_to_write(harness: Harness, realm: bool) -> None:
    device = Driver(harness, keeps=True, realm=realm).up()
    device.chain((BUFFERS, 16, 0), (BUFFERS + 0x100, 0, 0), (BUFFERS + 0x200, 512, WRITE), first=1)
    assert device.ask("vstate")[2] == 1
    assert device.ask("vpop", 0, 0) == [1, 1, 2, 1, BUFFERS, 16, BUFFERS + 0x100, 0, BUFFERS + 0x200, 512]
    assert device.ask("vpop", 0, 1) == [0]
    device.ask("vpush", 0, 100)
    assert (device.used(), device.used_entry(0)) == (1, (1, 100))


def test_chains_come_back_in_any_order(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up()
    for first in range(4):
        device.chain((BUFFERS, 8, WRITE), first=first)
        assert device.ask("vpop", 0, first)[:2] == [1, first]
    for chain in (2, 0, 3, 1):
        device.ask("vpush", chain, chain)
    assert [device.used_entry(i) for i in range(4)] == [(2, 2), (0, 0), (3, 3), (1, 1)]
    assert device.read(STATUS) == 15


def test_queues_are_apart(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up()
    assert device.queue(1)
    device.chain((BUFFERS, 8, WRITE))
    assert device.ask("vpop", 1, 0) == [0]
    assert device.ask("vpop", 0, 0)[0] == 1


def test_parts_to_read_come_first(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up()
    device.chain((BUFFERS, 8, WRITE), (BUFFERS, 8, 0))
    assert device.ask("vpop", 0, 0) == [0]
    assert device.broken()


@pytest.mark.parametrize("size", [1, 4, 256])
def test_rings_and_indices_wrap(harness: Harness, size: int) -> None:
    device = Driver(harness, seed=7).up(size)
    rounds = 300
    for i in range(rounds):
        device.chain((BUFFERS + 8 * (i % 100), 8, WRITE), first=i % size)
        assert (device.used(), device.used_entry(i)) == (i + 1, (i % size, 8))
    assert device.read(STATUS) == 15


def test_the_index_of_16_bits_wraps(harness: Harness) -> None:
    """65,536 requests, 64 a notification; the last ones are looked at."""
    device = Driver(harness).up(64)
    for i in range(64):
        device.describe(i, BUFFERS, 1, WRITE)
        device.poke(AVAIL_AT + 4 + 2 * i, 2, i)
    for index in range(64, 0x1_0000 + 65, 64):
        device.poke(AVAIL_AT + 2, 2, index & 0xFFFF)
        device.write(NOTIFY, 0)
    assert (device.used(), device.read(STATUS)) == (64, 15)


def test_interrupts(harness: Harness) -> None:
    device = Driver(harness).up()
    device.chain((BUFFERS, 8, WRITE))
    assert (device.read(INTERRUPTS), device.line()) == (USED_BUFFER, 1)
    device.chain((BUFFERS, 8, WRITE))
    device.write(ACK, CONFIG_CHANGE)
    assert device.line() == 1
    device.write(ACK, USED_BUFFER | 1 << 31)
    assert device.ask("vstate")[:2] == [0, 2], "the line has changed twice"
    device.poke(AVAIL_AT, 2, 1)  # no interrupt wanted
    device.chain((BUFFERS, 8, WRITE))
    assert (device.used(), device.read(INTERRUPTS), device.line()) == (3, 0, 0)
    device.poke(AVAIL_AT, 2, 0)
    device.chain((BUFFERS, 8, WRITE))
    assert device.line() == 1


# ---- Entropy -------------------------------------------------------------------------------------------------


def test_stream_is_splitmix64(harness: Harness) -> None:
    """The first words for seed 1234567, as its author's program prints them."""
    words = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    expected = b"".join(word.to_bytes(8, "little") for word in words)
    assert bytes(stream(harness, 1234567, 24)) == expected
    assert bytes(stream(harness, 1234567, 13)) == expected[:13]


@pytest.mark.parametrize("realm", [False, True])
def test_entropy_fills_what_it_is_given(harness: Harness, realm: bool) -> None:
    device = Driver(harness, realm=realm, seed=42).up()
    device.chain((BUFFERS, 8, WRITE), (BUFFERS + 0x40, 24, WRITE))
    assert device.used_entry(0) == (0, 32)
    got = [device.peek(BUFFERS + at, 1) for at in (*range(8), *range(0x40, 0x58))]
    assert got == stream(harness, 42, 32)
    assert device.peek(BUFFERS + 8, 8) == device.peek(BUFFERS + 0x58, 8) == 0


def test_a_request_is_bounded(harness: Harness) -> None:
    device = Driver(harness).up()
    device.chain((BUFFERS, 4000, WRITE), (BUFFERS + 0x1000, 0x6000, WRITE))
    assert device.used_entry(0) == (0, 4096)
    assert device.peek(BUFFERS + 0x1000 + 96, 8) == 0


# ---- Guests that mean no good --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "buffers",
    [
        [(BUFFERS, 8, 0)],  # nothing to write to
        [(BUFFERS, 8, 0), (BUFFERS, 8, WRITE)],
        [(BUFFERS, 8, WRITE), (BUFFERS, 8, 0)],
        [(BUFFERS, 0, WRITE)],
        [(RAM_BYTES - 8, 9, WRITE)],
        [(RAM_BYTES, 1, WRITE)],
        [(-1, 2, WRITE)],
        [(-RAM, 8, WRITE)],
        [(SHARED, 8, WRITE)],
        [(-SHARED, 8, WRITE)],
        [(BUFFERS, 0xFFFF_FFFF, WRITE)],
        [(BUFFERS, 8, WRITE | INDIRECT)],
        [(BUFFERS, 8, WRITE), (1 << 63, 8, WRITE)],
    ],
)
@pytest.mark.parametrize("realm", [False, True])
def test_buffers_that_make_no_sense(harness: Harness, realm: bool, buffers: list[Buffer]) -> None:
    device = Driver(harness, realm=realm).up()
    device.chain(*buffers)
    assert device.broken()
    assert device.used() == 0
    device.chain((BUFFERS, 8, WRITE))
    assert device.used() == 0, "it does nothing until it is reset"
    device.write(STATUS, 0)
    assert (device.read(STATUS), device.line()) == (0, 0)
    for i in range(0, 0x3000, 8):
        device.poke(i, 8, 0)
    device.offered = 0
    device.up().chain((BUFFERS, 8, WRITE))
    assert device.used() == 1, "and works again then"


def test_loops_and_indices_out_of_range(harness: Harness) -> None:
    device = Driver(harness).up()
    device.describe(0, BUFFERS, 8, WRITE | NEXT, 1)
    device.describe(1, BUFFERS, 8, WRITE | NEXT, 0)
    device.offer(0)
    assert device.broken()

    device = Driver(harness).up()
    device.describe(0, BUFFERS, 8, WRITE | NEXT, 4)
    device.offer(0)
    assert device.broken()

    device = Driver(harness).up()
    device.offer(0xFFFF)
    assert device.broken()


def test_the_longest_chain(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up(64)
    device.chain(*[(BUFFERS, 8, WRITE)] * 64)
    assert device.ask("vpop", 0, 0)[:4] == [1, 0, 0, 64]
    device = Driver(harness, keeps=True).up(64)
    device.chain(*[(BUFFERS, 8, WRITE)] * 64, notify=False)
    device.describe(63, BUFFERS, 8, WRITE | NEXT, 0)
    assert device.ask("vpop", 0, 0) == [0]
    assert device.broken()


def test_a_chain_has_less_than_4_gib(harness: Harness) -> None:
    """In a memory of 3 GiB, the largest, as far as the device knows; nobody looks into the buffers."""
    device = Driver(harness, keeps=True).up()
    device.ask("vwiden", 3 << 30)
    device.chain((0, 3 << 30, WRITE), (BUFFERS, (1 << 30) - 1, WRITE))
    assert device.ask("vpop", 0, 0)[:4] == [1, 0, 0, 2]
    device.chain((0, 3 << 30, WRITE), (BUFFERS, 1 << 30, WRITE))
    assert device.ask("vpop", 0, 0) == [0]
    assert device.broken()


def test_more_requests_than_the_ring_has_room_for(harness: Harness) -> None:
    device = Driver(harness).up()
    device.poke(AVAIL_AT + 2, 2, 5)
    device.write(NOTIFY, 0)
    assert device.broken()

    device = Driver(harness, keeps=True).up()
    for first in range(4):
        device.chain((BUFFERS, 8, WRITE), first=first)
        device.ask("vpop", 0, first)
    device.offer(0)
    assert device.ask("vpop", 0, 4) == [0]
    assert device.broken()
    device.ask("vpush", 0, 8)
    assert device.used() == 0


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (QUEUE_SIZE, 0),
        (QUEUE_SIZE, 3),
        (QUEUE_SIZE, 512),
        (QUEUE_SIZE, 0x8000_0000),
        (DESC, RAM + 8),
        (AVAIL, RAM + 1),
        (USED, RAM + 2),
        (DESC, RAM + RAM_BYTES - 16),
        (AVAIL, RAM + RAM_BYTES - 12),
        (USED, RAM + RAM_BYTES - 36),
        (DESC, 0),
        (AVAIL, (1 << 64) - 2),
        (USED, SHARED | RAM),
    ],
)
def test_rings_that_make_no_sense(harness: Harness, register: int, value: int) -> None:
    device = Driver(harness)
    assert device.negotiate()
    assert device.queue()
    device.write(READY, 0)
    device.write(QUEUE_SIZE, 4)
    for other, ring in ((DESC, DESC_AT), (AVAIL, AVAIL_AT), (USED, USED_AT)):
        device.wide(other, RAM + ring)
    if register == QUEUE_SIZE:
        device.write(register, value)
    else:
        device.wide(register, value)
    device.write(READY, 1)
    assert device.read(READY) == 0
    assert device.read(STATUS) & NEEDS_RESET
    assert device.line() == 0, "no driver yet that could be told"


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_hostile_guest_finds_no_hole(harness: Harness, kind: int, seed: int) -> None:
    """Entropy, a device that keeps its chains, network and console."""
    taken, broken, used = harness.ask("vfuzz", kind, seed, 40_000)
    assert (taken > 100) == (kind == 1)
    assert broken > 100
    assert used > 100


def test_memory_that_is_not_shared_is_not_touched(harness: Harness) -> None:
    """A realm shares page by page: what it has not shared is nothing that a device may use."""
    driver = Driver(harness, realm=True).up()
    harness.ask("vdeny", BUFFERS)
    driver.chain((BUFFERS - 64, 128, WRITE))
    assert driver.broken()
    assert driver.peek(BUFFERS, 8) == 0
    driver = Driver(harness, realm=True)
    assert driver.negotiate()
    harness.ask("vdeny", USED_AT)
    assert not driver.queue()


@pytest.mark.parametrize("realm", [False, True])
@pytest.mark.parametrize(
    ("base", "top", "breaks"),
    [
        (DESC_AT, DESC_AT + 0x1000, True),
        (DESC_AT + 4 * 16 - 1, DESC_AT + 4 * 16, True),
        (DESC_AT + 4 * 16, AVAIL_AT, False),
        (AVAIL_AT + 13, AVAIL_AT + 14, True),
        (AVAIL_AT + 14, USED_AT, False),
        (USED_AT, USED_AT + 1, True),
        (USED_AT + 37, USED_AT + 38, True),
        (USED_AT + 38, RAM_BYTES, False),
        (-RAM, 1 << 40, True),
        (DESC_AT, DESC_AT, False),
    ],
)
def test_rings_that_the_guest_takes_back(harness: Harness, realm: bool, base: int, top: int, breaks: bool) -> None:
    """The device breaks, and goes on with neither rings nor chains; memory beside them is of no matter."""
    device = Driver(harness, keeps=True, realm=realm).up()
    device.chain((BUFFERS, 8, WRITE))
    device.chain((BUFFERS, 8, WRITE), first=1)
    assert device.ask("vpop", 0, 0)[0] == 1
    device.ask("vwithdraw", base % (1 << 64), top)
    assert device.broken() == breaks
    device.ask("vpush", 0, 8)
    assert device.used() == (0 if breaks else 1)
    assert device.ask("vpop", 0, 1)[0] == (0 if breaks else 1)


def test_a_queue_that_is_not_ready_has_no_rings(harness: Harness) -> None:
    device = Driver(harness, keeps=True).up()
    device.write(READY, 0)
    device.ask("vwithdraw", 0, RAM_BYTES)
    assert not device.broken()
