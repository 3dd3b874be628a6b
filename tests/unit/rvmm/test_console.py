# SPDX-License-Identifier: Apache-2.0
"""The virtio console, and where input goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from virtio_driver import BUFFERS, CONFIG, RUNNING, RX, STATUS, TX, WRITE, Buffer, Pair

if TYPE_CHECKING:
    from conftest import Harness

CONSOLE = 3
UART_BYTES, AT_ONCE = 1024, 256


class Consoles(Pair):
    def __init__(self, harness: Harness, *, realm: bool = False) -> None:
        super().__init__(harness, CONSOLE, realm=realm)

    def print(self, text: bytes) -> None:
        for i, byte in enumerate(text):
            self.poke(BUFFERS + 0x1000 + i, 1, byte)
        self.post(TX, (BUFFERS + 0x1000, len(text), 0))

    def in_use(self) -> bool:
        return bool(self.ask("n_used")[0])

    def changes(self) -> int:
        return self.ask("n_used")[1]

    def room(self) -> int:
        return self.ask("n_room")[0]

    def type(self, byte: str, count: int = 1) -> None:
        assert self.room() >= count
        self.ask("n_type", ord(byte), count)

    def uart(self) -> tuple[int, int]:
        """A byte from the UART, and how many it has left."""
        byte, left = self.ask("n_uart")
        return byte, left


def test_what_it_says_of_itself(harness: Harness) -> None:
    device = Consoles(harness)
    assert (device.read(8), device.read(0x10), device.read(CONFIG)) == (3, 0, 0)


@pytest.mark.parametrize("realm", [False, True])
def test_output(harness: Harness, realm: bool) -> None:
    device = Consoles(harness, realm=realm)
    device.print(b"hello ")
    device.post(TX, (BUFFERS + 0x1000, 2, 0), (BUFFERS, 0, 0), (BUFFERS + 0x1002, 3, 0))
    assert device.seen() == (11, b"hello hello")
    assert device.done(TX) == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    "buffers", [[(BUFFERS, 8, WRITE)], [(BUFFERS, 8, 0), (BUFFERS, 8, WRITE)], [(BUFFERS, 0x8000, 0)] * 2 + [(0, 1, 0)]]
)
def test_output_that_makes_no_sense(harness: Harness, buffers: list[Buffer]) -> None:
    device = Consoles(harness)
    device.post(TX, *buffers)
    assert device.broken()
    assert device.seen()[0] == 0


def test_input_goes_to_the_uart_until_the_guest_prints_here(harness: Harness) -> None:
    """A driver alone, whose terminal nobody has opened, would lose it."""
    device = Consoles(harness)
    device.post(RX, (BUFFERS, 16, WRITE))
    device.type("a")
    assert (device.in_use(), device.done(RX), device.uart()) == (False, [], (ord("a"), 0))
    before = device.changes()
    device.print(b"$ ")
    assert (device.in_use(), device.changes()) == (True, before + 1)
    device.type("b", 3)
    assert (device.done(RX), device.bytes_at(BUFFERS, 4)) == ([(0, 3)], b"bbb\0")
    assert device.uart() == (0, 0)


def test_what_the_uart_still_has_moves_along_and_comes_first(harness: Harness) -> None:
    device = Consoles(harness)
    device.type("a", 20)
    assert device.uart() == (ord("a"), 19)
    device.print(b"$ ")
    assert device.room() == 0, "no buffers"
    device.post(RX, (BUFFERS, 16, WRITE))
    assert device.room() == 0, "3 of 19 are left"
    assert device.bytes_at(BUFFERS, 16) == b"a" * 16
    assert device.uart() == (0, 0)
    device.post(RX, (BUFFERS + 0x100, 2, WRITE), first=1)
    device.post(RX, (BUFFERS + 0x200, 9, WRITE), first=2)
    assert device.room() == 0, "passed on, and no more buffers"
    assert device.done(RX) == [(0, 16), (1, 2), (2, 1)]
    device.post(RX, (BUFFERS + 0x300, 9, WRITE), first=3)
    assert device.room() == AT_ONCE


def test_nothing_is_lost_without_room(harness: Harness) -> None:
    device = Consoles(harness)
    device.print(b"$ ")
    device.post(RX, (BUFFERS, 10, WRITE))
    device.type("a", 25)
    assert (device.done(RX), device.room()) == ([(0, 10)], 0)
    assert not device.quiet(RX), "it wants to hear of new buffers"
    before = device.changes()
    device.post(RX, (BUFFERS + 0x100, 10, WRITE), first=1)
    assert device.changes() == before + 1
    assert device.room() == 0
    device.post(RX, (BUFFERS + 0x200, 10, WRITE), first=2)
    assert device.room() == 0
    device.post(RX, (BUFFERS + 0x300, 10, WRITE), first=3)
    assert device.room() == AT_ONCE
    assert device.quiet(RX)
    assert [size for _, size in device.done(RX)] == [10, 10, 5]


def test_a_full_uart(harness: Harness) -> None:
    device = Consoles(harness)
    for _ in range(UART_BYTES // AT_ONCE):
        device.type("a", AT_ONCE)
    assert device.room() == 0
    device.uart()
    assert device.room() == 1
    device.type("b")
    assert device.room() == 0


@pytest.mark.parametrize("printed", [False, True])
def test_input_that_nobody_had_room_for(harness: Harness, printed: bool) -> None:
    """Nothing is written beyond the buffer, also when the UART gives back what it has."""
    device = Consoles(harness)
    if printed:
        device.print(b"$ ")
    for _ in range(10):
        device.ask("n_type", ord("a"), AT_ONCE)
    assert device.room() == 0
    device.print(b"$ ")
    assert device.room() == 0
    device.post(RX, (BUFFERS, 0x1000, WRITE))
    assert device.room() == 0
    assert device.done(RX) == [(0, UART_BYTES + AT_ONCE)]


def test_a_reset_takes_input_back_to_the_uart(harness: Harness) -> None:
    device = Consoles(harness)
    device.print(b"$ ")
    device.post(RX, (BUFFERS, 2, WRITE))
    device.type("a", 5)
    before = device.changes()
    device.write(STATUS, 0)
    assert (device.in_use(), device.changes()) == (False, before + 1)
    assert device.room() == AT_ONCE
    assert device.uart() == (ord("a"), 2), "what was held, and not the two that the driver had"
    device.start()
    device.post(RX, (BUFFERS, 16, WRITE))
    device.type("b")
    assert device.done(RX) == [], "the new driver has not printed yet"


@pytest.mark.parametrize("buffers", [[(BUFFERS, 8, 0)], [(BUFFERS, 0, WRITE)], [(BUFFERS, 4, 0), (BUFFERS, 4, WRITE)]])
def test_buffers_for_input_that_make_no_sense(harness: Harness, buffers: list[Buffer]) -> None:
    """A device that asks for a reset is not in use: input is the UART's."""
    device = Consoles(harness)
    device.print(b"$ ")
    device.post(RX, *buffers)
    device.type("a")
    assert device.broken()
    assert device.room() == AT_ONCE
    assert device.uart() == (ord("a"), 0)
    device.start()
    assert device.read(STATUS) == RUNNING
