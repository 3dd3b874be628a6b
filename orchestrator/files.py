# SPDX-License-Identifier: Apache-2.0
"""Files that are replaced at once, so that whoever reads sees the old content or the new one; descriptors that wait."""

from __future__ import annotations

import io
import os
import secrets
import select
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_TAIL_BYTES = 1 << 16


def replace_file(
    path: Path, content: str | bytes | Iterable[bytes], *, durable: bool = False, mode: int = 0o666
) -> None:
    """Write a file in a folder that exists; text is UTF-8, but for names that are not, which stay what they are.

    A long file comes in pieces. Raises OSError, and leaves nothing of its own behind then.

    `durable`: it is on the disk on return, so that a power cut does not take back what a later write relies on.
    `mode` is less what the umask takes away.
    """
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    pieces = [data] if isinstance(data, bytes) else data
    # A name of its own for each write: threads share a process id, and computers that share a folder may as well.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as stream:
            stream.writelines(pieces)
        settle(partial, path, durable=durable)
    finally:
        partial.unlink(missing_ok=True)


def settle(partial: Path, path: Path, *, durable: bool) -> None:
    """Give a whole file its name; if `durable`, its content is on the disk before, and the name on return."""
    if durable:
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
    partial.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def whole_bytes(stream: BinaryIO) -> int:
    """How many bytes of a file are whole lines; it is at its beginning before and after."""
    end = stream.seek(0, io.SEEK_END)
    while end:
        begin = stream.seek(max(0, end - _TAIL_BYTES))
        found = stream.read(end - begin).rfind(b"\n")
        end = begin
        if found >= 0:
            end += found + 1
            break
    stream.seek(0)
    return end


def write_whole(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it, also where whoever shares the descriptor has made it one that does not wait. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
