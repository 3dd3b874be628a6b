# SPDX-License-Identifier: Apache-2.0
"""Memory of another process: what it has touched, where it was asked for, and nothing of the rest."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.machine.memory import PAGE, header, host_address, pour

START, PAGES = 0x4000_0000, 4096
# Pages 3, 4 and 4095 of a memory of its own; the program says where that is and waits.
TOUCHES = f"""
import ctypes, mmap, sys
memory = mmap.mmap(-1, {PAGES * PAGE}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE) if hasattr(mmap, "MADV_NOHUGEPAGE") else None
for page in (3, 4, {PAGES - 1}):
    memory[page * {PAGE}] = page % 256
print(ctypes.addressof(ctypes.c_char.from_buffer(memory)), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other() -> Iterator[tuple[int, int]]:
    """A process that this one has started, and where its memory is."""
    with subprocess.Popen([sys.executable, "-c", TOUCHES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


def pieces(stream: bytes) -> list[tuple[int, bytes]]:
    """Address and bytes of each."""
    found, at = [], 0
    while at < len(stream):
        address, size = struct.unpack_from("<QQ", stream, at)
        found.append((address, stream[at + 16 : at + 16 + size]))
        at += 16 + size
    return found


def test_what_was_touched_is_poured_and_nothing_else(other: tuple[int, int], tmp_path: Path) -> None:
    assert pour(*other, range(START, START + PAGES * PAGE), tmp_path / "into")
    *found, end = pieces((tmp_path / "into").read_bytes())
    assert end == (START + PAGES * PAGE, b"")
    last = (PAGES - 1) % 256
    assert found == [
        (START + 3 * PAGE, bytes([3]) + bytes(PAGE - 1) + bytes([4]) + bytes(PAGE - 1)),
        (START + (PAGES - 1) * PAGE, bytes([last]) + bytes(PAGE - 1)),
    ]


def test_a_process_that_may_not_be_looked_into_is_told(tmp_path: Path) -> None:
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    assert not pour(int(gone.stdout), 0x1000, range(START, START + PAGE), tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_memory_that_is_not_touched_is_none(other: tuple[int, int], tmp_path: Path) -> None:
    pid, first = other
    assert pour(pid, first, range(START, START + 2 * PAGE), tmp_path / "into")
    assert pieces((tmp_path / "into").read_bytes()) == [(START + 2 * PAGE, b"")]


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("Host virtual address for 0x40000000 (mach-virt.ram) is 0x7f8a73e00000\r\n", 0x7F8A73E00000),
        ("No memory is mapped at address 0x1\r\n", None),
        ("Memory at address 0x9000000 is not RAM\r\n", None),
        ({}, None),
    ],
)
def test_what_the_emulator_says_of_an_address(told: object, address: int | None) -> None:
    assert host_address(told) == address


def test_a_header_is_two_numbers() -> None:
    assert header(START, PAGE) == START.to_bytes(8, "little") + PAGE.to_bytes(8, "little")
