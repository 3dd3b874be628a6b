# SPDX-License-Identifier: Apache-2.0
"""The network device: negotiation, frames both ways, merged buffers, and drivers that make mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from virtio_driver import (
    BUFFERS,
    CONFIG,
    QUEUE_MAX,
    QUEUE_SEL,
    RUNNING,
    RX,
    STATUS,
    TX,
    WRITE,
    Buffer,
    Pair,
)

if TYPE_CHECKING:
    from conftest import Harness

NET = 2
CSUM, GUEST_CSUM, MAC, GUEST_TSO4, HOST_TSO4, MRG = 1 << 0, 1 << 1, 1 << 5, 1 << 7, 1 << 11, 1 << 15
HEADER = 12
NEEDS_CSUM, TCP_IPV4 = 1, 1


class Net(Pair):
    def __init__(self, harness: Harness, features: int = 0, *, realm: bool = False, size: int = 4) -> None:
        super().__init__(harness, NET, realm=realm, features=features, size=size)

    def deliver(self, size: int, flags: int = 0, segments: int = 0) -> bool:
        """A frame from the host, `size` with its header; was it done with, received or dropped?"""
        return bool(self.ask("n_deliver", size, flags, segments)[0])

    def wants(self) -> bool:
        return bool(self.ask("n_wants")[0])

    def counts(self) -> list[int]:
        """Frames received, sent and dropped."""
        return self.ask("n_state")[:3]

    def offloads(self) -> int:
        return self.ask("n_state")[3]

    def changes(self) -> int:
        return self.ask("n_state")[4]


def frame(size: int) -> bytes:
    """What the harness delivers, without the header's number of buffers."""
    return bytes(HEADER) + bytes(i & 0xFF for i in range(HEADER, size))


# ---- Negotiation ---------------------------------------------------------------------------------------------


def test_what_it_says_of_itself(harness: Harness) -> None:
    device = Net(harness)
    device.write(0x14, 0)
    assert device.read(8) == 1
    assert device.read(0x10) == CSUM | GUEST_CSUM | MAC | GUEST_TSO4 | HOST_TSO4 | MRG
    assert [device.read(CONFIG + i, 1) for i in range(7)] == [2, 0, 0, 0, 1, 7, 0]


def test_queues_leave_room_in_a_small_pool(harness: Harness) -> None:
    """A realm bounces what it posts; the longest frame, 64 KiB, has to fit all the same."""
    device = Net(harness)
    device.write(QUEUE_SEL, RX)
    assert 65536 / 1536 < device.read(QUEUE_MAX) == 64
    device.write(QUEUE_SEL, TX)
    assert device.read(QUEUE_MAX) == 32


@pytest.mark.parametrize(
    ("features", "offloads"),
    [(0, 0), (GUEST_CSUM, 1), (GUEST_CSUM | GUEST_TSO4, 3), (GUEST_TSO4, 0), (CSUM | HOST_TSO4 | MRG, 0)],
)
def test_the_host_leaves_to_the_guest_what_it_accepted(harness: Harness, features: int, offloads: int) -> None:
    device = Net(harness, features)
    assert device.offloads() == offloads
    device.write(STATUS, 0)
    assert device.offloads() == 0


# ---- From the guest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", [False, True])
def test_a_frame_goes_out_with_its_header(harness: Harness, realm: bool) -> None:
    device = Net(harness, realm=realm)
    for i in range(42):
        device.poke(BUFFERS + i, 1, 100 + i)
    device.post(TX, (BUFFERS, HEADER, 0), (BUFFERS + HEADER, 20, 0), (BUFFERS + 32, 10, 0))
    assert device.seen() == (42, bytes(range(100, 142)))
    assert device.done(TX) == [(0, 0)]
    assert (device.line(), device.counts()) == (1, [0, 1, 0])


def test_frames_that_the_host_does_not_take_are_counted_and_given_back(harness: Harness) -> None:
    device = Net(harness)
    device.ask("n_refuse", 1)
    device.post(TX, (BUFFERS, 60, 0))
    device.ask("n_refuse", 0)
    device.post(TX, (BUFFERS, 60, 0))
    assert device.done(TX) == [(0, 0), (0, 0)]
    assert device.counts() == [0, 1, 1]


def test_no_frame_is_larger_than_the_largest(harness: Harness) -> None:
    """64 KiB, an Ethernet header with a tag, and our own; a guest may give the same memory twice."""
    device = Net(harness)
    largest = 65536 + 18 + HEADER
    device.post(TX, (BUFFERS, 0x8000, 0), (BUFFERS, 0x8000, 0), (BUFFERS, largest - 0x10000, 0))
    assert (device.seen()[0], device.counts()) == (largest, [0, 1, 0])
    device.post(TX, (BUFFERS, 0x8000, 0), (BUFFERS, 0x8000, 0), (BUFFERS, largest - 0x10000 + 1, 0))
    assert (device.seen()[0], device.counts()) == (0, [0, 1, 1])
    assert device.read(STATUS) == RUNNING


@pytest.mark.parametrize("buffers", [[(BUFFERS, HEADER + 13, 0)], [(BUFFERS, 64, 0), (BUFFERS, 64, WRITE)]])
def test_frames_that_make_no_sense(harness: Harness, buffers: list[Buffer]) -> None:
    device = Net(harness)
    device.post(TX, *buffers)
    assert device.broken()
    assert (device.done(TX), device.seen()[0]) == ([], 0)


# ---- To the guest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("realm", [False, True])
@pytest.mark.parametrize("features", [0, MRG])
def test_a_frame_in_one_buffer(harness: Harness, realm: bool, features: int) -> None:
    device = Net(harness, features, realm=realm)
    device.post(RX, (BUFFERS, 40, WRITE), (BUFFERS + 0x100, 100, WRITE), first=1)
    assert device.deliver(60)
    assert device.done(RX) == [(1, 60)]
    got = device.bytes_at(BUFFERS, 40) + device.bytes_at(BUFFERS + 0x100, 20)
    assert got == frame(60)[:10] + b"\1\0" + frame(60)[12:]
    assert device.peek(BUFFERS + 0x100 + 20, 1) == 0
    assert (device.line(), device.counts()) == (1, [1, 0, 0])


def test_a_frame_in_several_buffers(harness: Harness) -> None:
    device = Net(harness, MRG)
    for i in range(3):
        device.post(RX, (BUFFERS + 0x100 * i, 64, WRITE), first=i)
    assert device.deliver(150)
    assert device.done(RX) == [(0, 64), (1, 64), (2, 22)]
    got = device.bytes_at(BUFFERS, 64) + device.bytes_at(BUFFERS + 0x100, 64) + device.bytes_at(BUFFERS + 0x200, 22)
    assert got == frame(150)[:10] + b"\3\0" + frame(150)[12:]
    assert device.ask("vstate")[1] == 1, "one interrupt for all"


def test_all_buffers_that_a_ring_can_have(harness: Harness) -> None:
    """The number of buffers has two bytes, which may be in different parts of the first."""
    device = Net(harness, MRG, size=256)
    device.post(RX, (BUFFERS, 11, WRITE), (BUFFERS + 0x80, 1, WRITE), notify=False)
    for i in range(2, 256):
        device.post(RX, (BUFFERS + 0x100 + i, 1, WRITE), first=i, notify=False)
    assert device.deliver(12 + 254)
    assert len(device.done(RX)) == 255
    assert device.bytes_at(BUFFERS + 10, 1) == b"\xff"
    assert device.bytes_at(BUFFERS + 0x80, 1) == b"\0"


def test_without_buffers_a_frame_waits(harness: Harness) -> None:
    device = Net(harness)
    assert not device.wants()
    assert not device.deliver(60)
    assert device.counts() == [0, 0, 0]
    before = device.changes()
    device.post(RX, (BUFFERS, 100, WRITE))
    assert device.changes() == before + 1
    assert device.wants()
    assert device.deliver(60)
    assert device.counts() == [1, 0, 0]


def test_too_few_buffers_are_left_alone_until_there_are_more(harness: Harness) -> None:
    device = Net(harness, MRG)
    device.post(RX, (BUFFERS, 64, WRITE))
    assert device.wants()
    assert not device.deliver(100)
    assert (device.done(RX), device.wants()) == ([], False)
    device.post(RX, (BUFFERS + 0x100, 64, WRITE), first=1)
    assert device.wants()
    assert device.deliver(100)
    assert device.done(RX) == [(0, 64), (1, 36)]
    assert device.counts() == [1, 0, 0]


def test_what_no_buffer_can_take_is_dropped(harness: Harness) -> None:
    device = Net(harness)
    device.post(RX, (BUFFERS, 99, WRITE))
    assert device.deliver(100)
    assert (device.done(RX), device.counts()) == ([], [0, 0, 1])
    assert device.deliver(99), "the buffer is still there"
    assert (device.done(RX), device.counts()) == ([(0, 99)], [1, 0, 1])

    device = Net(harness, MRG)
    for i in range(4):
        device.post(RX, (BUFFERS, 20, WRITE), first=i)
    assert device.deliver(81)
    assert (device.done(RX), device.counts()) == ([], [0, 0, 1])
    assert device.deliver(80)
    assert len(device.done(RX)) == 4


def test_frames_that_the_driver_did_not_ask_for_are_dropped(harness: Harness) -> None:
    """The tap may hold some from before a reset."""
    for features, flags, segments, there in (
        (0, NEEDS_CSUM, 0, False),
        (GUEST_CSUM, NEEDS_CSUM, 0, True),
        (GUEST_CSUM, NEEDS_CSUM, TCP_IPV4, False),
        (GUEST_CSUM | GUEST_TSO4, NEEDS_CSUM, TCP_IPV4, True),
        (GUEST_CSUM | GUEST_TSO4, NEEDS_CSUM, TCP_IPV4 | 0x80, False),
        (GUEST_CSUM | GUEST_TSO4, 0, 3, False),
        (0, 2, 0, True),
    ):
        device = Net(harness, features)
        device.post(RX, (BUFFERS, 100, WRITE))
        assert device.deliver(60, flags, segments)
        assert device.counts() == ([1, 0, 0] if there else [0, 0, 1])
        assert len(device.done(RX)) == there


def test_a_frame_without_a_header_is_none(harness: Harness) -> None:
    device = Net(harness)
    device.post(RX, (BUFFERS, 100, WRITE))
    assert device.deliver(HEADER - 1)
    assert device.counts() == [0, 0, 1]


@pytest.mark.parametrize(
    "buffers",
    [
        [(BUFFERS, 100, 0)],
        [(BUFFERS, 8, 0), (BUFFERS, 100, WRITE)],
        [(BUFFERS, 0, WRITE)],
        [(BUFFERS, 11, WRITE)],
        [(-1, 100, WRITE)],
    ],
)
@pytest.mark.parametrize("features", [0, MRG])
def test_buffers_to_receive_that_make_no_sense(harness: Harness, buffers: list[Buffer], features: int) -> None:
    device = Net(harness, features)
    device.post(RX, *buffers)
    assert device.deliver(60)
    assert device.broken()
    assert (device.done(RX), device.counts()) == ([], [0, 0, 1])
    assert not device.wants()
    device.start()
    device.post(RX, (BUFFERS, 100, WRITE))
    assert device.deliver(60)
    assert device.counts() == [1, 0, 1]


def test_a_bad_buffer_behind_a_good_one(harness: Harness) -> None:
    device = Net(harness, MRG)
    device.post(RX, (BUFFERS, 20, WRITE))
    device.post(RX, (BUFFERS, 20, 0), first=1)
    assert device.deliver(60)
    assert device.broken()
    assert device.done(RX) == []


def test_a_reset_in_the_middle(harness: Harness) -> None:
    """The frame that waited for buffers goes; those of the new driver are not measured by what the old one lacked."""
    device = Net(harness, MRG)
    for i in range(3):
        device.post(RX, (BUFFERS, 20, WRITE), first=i)
    assert not device.deliver(100)
    device.write(STATUS, 0)
    assert not device.wants()
    assert device.deliver(100)
    assert device.counts() == [0, 0, 1]
    device.start(MRG)
    device.post(RX, (BUFFERS, 100, WRITE))
    assert device.wants()
    assert device.deliver(100)
    assert device.done(RX) == [(0, 100)]


def test_notifications_only_while_they_are_of_use(harness: Harness) -> None:
    device = Net(harness)
    assert not device.wants()
    assert not device.quiet(RX)
    device.post(RX, (BUFFERS, 100, WRITE))
    assert device.wants()
    assert device.quiet(RX)
    assert device.deliver(60)
    assert not device.wants()
    assert not device.quiet(RX)
