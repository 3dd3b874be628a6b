# SPDX-License-Identifier: Apache-2.0
"""The guest's side of a virtio device of the harness: registers, rings, buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Harness

# Registers (virtio 1.2, 4.2.2).
MAGIC, VERSION, DEVICE_ID, FEATURES, FEATURES_SEL, ACCEPTED, ACCEPTED_SEL = 0, 4, 8, 0x10, 0x14, 0x20, 0x24
QUEUE_SEL, QUEUE_MAX, QUEUE_SIZE, READY = 0x30, 0x34, 0x38, 0x44
NOTIFY, INTERRUPTS, ACK, STATUS = 0x50, 0x60, 0x64, 0x70
DESC, AVAIL, USED, SHM_LEN, GENERATION, CONFIG = 0x80, 0x90, 0xA0, 0xB0, 0xFC, 0x100
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 64, 128
USED_BUFFER, CONFIG_CHANGE = 1, 2
NEXT, WRITE, INDIRECT = 1, 2, 4

RAM, SHARED, RAM_BYTES = 0x4000_0000, 1 << 32, 0x1_0000
# Where this driver has its rings, 0x4000 apart for each queue, and buffers.
DESC_AT, AVAIL_AT, USED_AT, STRIDE, BUFFERS = 0x0, 0x1000, 0x2000, 0x4000, 0x8000
# Of devices with two queues: one to receive, one to send.
RX, TX = 0, 1
RUNNING = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK

Buffer = tuple[int, int, int]  # offset in memory, size, flags


class Driver:
    """The guest's side of a device: the entropy device, or one that keeps chains until told to give them back."""

    def __init__(self, harness: Harness, *, keeps: bool = False, realm: bool = False, seed: int = 0) -> None:
        self.ask = harness.ask
        self.base = RAM | (SHARED if realm else 0)
        self.ask("vinit", keeps, realm, seed)
        self.offered = self.size = 0

    def read(self, register: int, size: int = 4) -> int:
        return self.ask("vread", register, size)[0]

    def write(self, register: int, value: int, size: int = 4) -> None:
        self.ask("vwrite", register, size, value)

    def wide(self, register: int, value: int) -> None:
        self.write(register, value & 0xFFFF_FFFF)
        self.write(register + 4, value >> 32)

    def poke(self, offset: int, size: int, value: int) -> None:
        self.ask("vpoke", offset, size, value)

    def peek(self, offset: int, size: int) -> int:
        return self.ask("vpeek", offset, size)[0]

    def negotiate(self, low: int = 0, high: int = 3) -> bool:
        self.write(STATUS, ACKNOWLEDGE | DRIVER)
        for half, word in enumerate((low, high)):
            self.write(ACCEPTED_SEL, half)
            self.write(ACCEPTED, word)
        self.write(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        return self.read(STATUS) & FEATURES_OK != 0

    def queue(self, number: int = 0, size: int = 4) -> bool:
        """Make a queue; is it ready then?"""
        at = self.base + number * STRIDE
        self.write(QUEUE_SEL, number)
        self.write(QUEUE_SIZE, size)
        for register, ring in ((DESC, DESC_AT), (AVAIL, AVAIL_AT), (USED, USED_AT)):
            self.wide(register, at + ring)
        self.write(READY, 1)
        self.size = size
        return self.read(READY) == 1

    def up(self, size: int = 4) -> Driver:
        assert self.negotiate()
        assert self.queue(size=size)
        self.write(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
        return self

    def describe(self, index: int, offset: int, size: int, flags: int, follower: int = 0) -> None:
        self.poke(DESC_AT + 16 * index, 8, self.base + offset & 0xFFFF_FFFF_FFFF_FFFF)
        self.poke(DESC_AT + 16 * index + 8, 8, size | flags << 32 | follower << 48)

    def offer(self, head: int, *, notify: bool = True) -> None:
        self.poke(AVAIL_AT + 4 + 2 * (self.offered % self.size), 2, head)
        self.offered = (self.offered + 1) & 0xFFFF
        self.poke(AVAIL_AT + 2, 2, self.offered)
        if notify:
            self.write(NOTIFY, 0)

    def chain(self, *buffers: Buffer, first: int = 0, notify: bool = True) -> None:
        for i, (offset, size, flags) in enumerate(buffers):
            more = i + 1 < len(buffers)
            self.describe(first + i, offset, size, flags | (NEXT if more else 0), first + i + 1 if more else 0)
        self.offer(first, notify=notify)

    def used(self) -> int:
        return self.peek(USED_AT + 2, 2)

    def used_entry(self, index: int) -> tuple[int, int]:
        value = self.peek(USED_AT + 4 + 8 * (index % self.size), 8)
        return value & 0xFFFF_FFFF, value >> 32

    def line(self) -> int:
        return self.ask("vstate")[0]

    def broken(self) -> bool:
        """Has it asked for a reset, as it should?"""
        if not self.read(STATUS) & NEEDS_RESET:
            return False
        assert self.read(INTERRUPTS) & CONFIG_CHANGE
        assert self.line() == 1
        return True


class Pair(Driver):
    """A driver with a queue to receive and one to send."""

    def __init__(self, harness: Harness, kind: int, *, realm: bool = False, features: int = 0, size: int = 4) -> None:
        super().__init__(harness, realm=realm)
        self.ask("vinit", kind, realm, 0)
        self.start(features, size)

    def start(self, features: int = 0, size: int = 4) -> None:
        """Set the device up, after a reset of device and rings."""
        self.write(STATUS, 0)
        for queue in (RX, TX):
            for i in range(0, 0x3000, 8):
                self.poke(queue * STRIDE + i, 8, 0)
        assert self.negotiate(features)
        assert self.queue(RX, size)
        assert self.queue(TX, size)
        self.write(STATUS, RUNNING)
        self.made = {RX: 0, TX: 0}

    def post(self, queue: int, *buffers: Buffer, first: int = 0, notify: bool = True) -> None:
        at = queue * STRIDE
        for i, (offset, size, flags) in enumerate(buffers):
            more = i + 1 < len(buffers)
            place = at + DESC_AT + 16 * (first + i)
            self.poke(place, 8, self.base + offset & 0xFFFF_FFFF_FFFF_FFFF)
            self.poke(place + 8, 8, size | (flags | (NEXT if more else 0)) << 32 | (first + i + 1 if more else 0) << 48)
        self.poke(at + AVAIL_AT + 4 + 2 * (self.made[queue] % self.size), 2, first)
        self.made[queue] += 1
        self.poke(at + AVAIL_AT + 2, 2, self.made[queue])
        if notify:
            self.write(NOTIFY, queue)

    def done(self, queue: int) -> list[tuple[int, int]]:
        """What came back: heads and bytes written."""
        at = queue * STRIDE + USED_AT
        entries = [self.peek(at + 4 + 8 * (i % self.size), 8) for i in range(self.peek(at + 2, 2))]
        return [(entry & 0xFFFF_FFFF, entry >> 32) for entry in entries]

    def quiet(self, queue: int) -> bool:
        """Has the device said that it needs no notifications?"""
        return self.peek(queue * STRIDE + USED_AT, 2) == 1

    def seen(self) -> tuple[int, bytes]:
        """What reached the other side: how much, and the beginning of it."""
        size, *start = self.ask("n_seen")
        return size, bytes(start)

    def bytes_at(self, offset: int, count: int) -> bytes:
        return bytes(self.peek(offset + i, 1) for i in range(count))
