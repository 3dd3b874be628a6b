# SPDX-License-Identifier: Apache-2.0
"""Files rebuilt from a kernel's page cache, on memory made here as Linux has it."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

PAGE = 4096
BASE = 0x4000_0000
LINEAR = 0xFFFF_0000_0000_0000
VMEMMAP = 0xFFFF_FDFF_C000_0000


class Kernel:
    """Memory of some pages, in which files are put as a page cache does: pages anywhere, a tree of nodes above."""

    def __init__(self, pages: int) -> None:
        self.memory = bytearray(pages * PAGE)
        self.free = list(range(1, pages))
        random.Random(5).shuffle(self.free)
        self.slab: list[int] = []

    def _page(self, content: bytes) -> int:
        number = self.free.pop()
        self.memory[number * PAGE : number * PAGE + len(content)] = content
        return number

    def _node(self, shift: int, offset: int, slots: list[int]) -> int:
        """Address of a new xa_node in the linear map; six of 576 bytes go into a page."""
        if not self.slab:
            page = self.free.pop()
            self.slab = [page * PAGE + 576 * i for i in range(7)]
        at = self.slab.pop()
        count = sum(1 for slot in slots if slot)
        head = struct.pack("<BBBBIQQQQ", shift, offset, count, 0, 0, 0, 0, 0, 0)
        body = struct.pack("<64Q", *(slots + [0] * (64 - len(slots))))
        self.memory[at : at + len(head) + len(body)] = head + body
        for slot in slots:
            if slot & 3 == 2:
                child = slot - 2 - LINEAR
                struct.pack_into("<Q", self.memory, child + 8, LINEAR + at)
        return LINEAR + at

    def add(self, content: bytes) -> list[int]:
        """Put a file of several pages; returns their numbers."""
        numbers = [self._page(content[at : at + PAGE]) for at in range(0, len(content), PAGE)]
        entries = [VMEMMAP + 64 * number for number in numbers]
        shift = 0
        while True:
            groups = [entries[at : at + 64] for at in range(0, len(entries), 64)]
            nodes = [self._node(shift, at % 64, group) for at, group in enumerate(groups)]
            if len(nodes) == 1:
                return numbers
            entries, shift = [node + 2 for node in nodes], shift + 6

    def files(self, harness: Path, folder: Path) -> list[list[int]]:
        """The pages of each file that is found."""
        image = folder / "image"
        image.write_bytes(self.memory)
        done = subprocess.run([harness, image, hex(BASE)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [[int(word) for word in line.split()[1:]] for line in done.stdout.splitlines()]


def model(pages: int) -> bytes:
    return b"\x1c\x00\x00\x00TFL3" + random.Random(pages).randbytes(pages * PAGE - 8)


@pytest.mark.parametrize("pages", [2, 64, 65, 200, 4097])
def test_a_file_is_found_page_by_page(harness: Path, tmp_path: Path, pages: int) -> None:
    """In one leaf, in two levels, in three."""
    kernel = Kernel(2 * pages + 200)
    kernel.add(random.Random(1).randbytes(5 * PAGE))
    numbers = kernel.add(model(pages))
    assert kernel.files(harness, tmp_path) == [numbers]


def test_several_and_only_those_that_begin_so(harness: Path, tmp_path: Path) -> None:
    kernel = Kernel(600)
    numbers = [kernel.add(model(pages)) for pages in (3, 70)]
    kernel.add(b"\x1c\x00\x00\x00TFL2" + bytes(9 * PAGE))
    assert sorted(kernel.files(harness, tmp_path)) == sorted(numbers)


def test_what_only_looks_like_one_is_none(harness: Path, tmp_path: Path) -> None:
    """A page that no tree has; a pointer to a page outside a node; trees that point to nowhere or to themselves."""
    kernel = Kernel(100)
    number = kernel._page(model(1))
    at = kernel.free.pop() * PAGE
    struct.pack_into("<QQ", kernel.memory, at + 40, VMEMMAP + 64 * number, 12345)
    struct.pack_into("<Q", kernel.memory, 8, VMEMMAP + 64 * number)  # its node would begin before the memory
    itself = kernel.free.pop() * PAGE
    struct.pack_into("<BBBB4xQ", kernel.memory, itself, 0, 0, 1, 0, LINEAR + itself)
    struct.pack_into("<Q", kernel.memory, itself + 40, VMEMMAP + 64 * number)
    away = kernel.free.pop() * PAGE
    struct.pack_into("<BBBB4xQ", kernel.memory, away, 0, 0, 1, 0, LINEAR + (1 << 40))
    struct.pack_into("<Q", kernel.memory, away + 40, VMEMMAP + 64 * number)
    assert [len(pages) for pages in kernel.files(harness, tmp_path)] == [1]  # the first, which is a leaf with one page


def test_a_page_that_cannot_be_read_ends_nothing(harness: Path, tmp_path: Path) -> None:
    kernel = Kernel(300)
    numbers = kernel.add(model(66))
    for number in kernel.free[:50]:
        kernel.memory[number * PAGE : number * PAGE + 9] = b"DELEGATED"
    assert kernel.files(harness, tmp_path) == [numbers]
