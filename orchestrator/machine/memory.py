# SPDX-License-Identifier: Apache-2.0
"""The emulated machine's memory as the emulator's process has it: what nobody has ever touched takes no time.

Standard library only: the supervisor reads it, for a process may look into those that it has started.
"""

from __future__ import annotations

import os
import re
import struct
from array import array
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 4096
_ENTRY = 8  # bytes of /proc/PID/pagemap for a page
# Of an entry: the page is present, swapped out, or mapped by nobody else. Documentation/admin-guide/mm/pagemap.rst
_PRESENT, _SWAPPED, _EXCLUSIVE = 1 << 63, 1 << 62, 1 << 56
_MERGED = Path("/sys/kernel/mm/ksm/run")  # 0: equal pages of processes are not made one
_PIECE = 1 << 20
_HEADER = struct.Struct("<QQ")


def header(address: int, size: int) -> bytes:
    """What comes before `size` bytes of memory in a stream of it; what is between two pieces is zero.

    The last header is that of the memory's end, without bytes.
    """
    return _HEADER.pack(address, size)


def host_address(told: object) -> int | None:
    """Where the emulator has an address, by its answer to `gpa2hva`; None if that has no such thing."""
    found = re.search(r" is 0x([0-9a-f]+)\s*$", told) if isinstance(told, str) else None
    return int(found[1], 16) if found else None


def _touched(pid: int, first: int, size: int) -> Iterator[tuple[int, int]]:
    """Offsets and sizes of the parts of a process's memory [first, first + size) that were ever written to.

    A page that was only read is the kernel's page of zeros, which all processes share.
    """
    merged = not _MERGED.exists() or _MERGED.read_text(encoding="ascii").strip() != "0"
    own = _SWAPPED | (_PRESENT if merged else _EXCLUSIVE)
    entries = array("Q")
    with open(f"/proc/{pid}/pagemap", "rb") as pages:  # noqa: PTH123 - a file of the kernel
        pages.seek(first // PAGE * _ENTRY)
        entries.frombytes(pages.read(size // PAGE * _ENTRY))
    offset = 0
    for touched, run in groupby(entries, lambda entry: entry & own != 0):
        length = sum(1 for _ in run) * PAGE
        if touched:
            yield offset, length
        offset += length


def pour(pid: int, first: int, ram: range, into: Path) -> bool:
    """Write `ram`, which begins at `first` in the process, into a file or a named pipe; headers are before its parts.

    False, with nothing written, if this process may not look into that one.
    """
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        parts = list(_touched(pid, first, len(ram)))
        with into.open("wb", buffering=0) as sink:
            for offset, length in parts:
                sink.write(header(ram.start + offset, length))
                _copy(memory, first + offset, length, sink.fileno())
            sink.write(header(ram.stop, 0))
    finally:
        os.close(memory)
    return True


def _copy(memory: int, address: int, length: int, sink: int) -> None:
    """Raises OSError if the process has no such memory any more."""
    while length:
        piece = os.pread(memory, min(_PIECE, length), address)
        if not piece:
            raise OSError(f"no memory at {address:#x}")
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(sink, rest) :]
        address += len(piece)
        length -= len(piece)
