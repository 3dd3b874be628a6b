# SPDX-License-Identifier: Apache-2.0
"""The `orch.resume` port: give a restored guest time and randomness; tell one that waits to go."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path

MAGIC = b"ORCHRSM1"
GO_MAGIC = b"ORCHGO_1"
SEED_BYTES = 64
ANSWER = b"ok\n"
_RECORD = struct.Struct(f"<8sQQ{SEED_BYTES}s")


def resume_record(seconds: int, nanoseconds: int, seed: bytes) -> bytes:
    """The 88 bytes for the guest: magic, time since the epoch (u64 LE s, u64 LE ns), 64 bytes of seed."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"the seed has {len(seed)} bytes instead of {SEED_BYTES}")
    if not 0 <= nanoseconds < 1_000_000_000:
        raise ValueError(f"{nanoseconds} is no number of nanoseconds within a second")
    return _RECORD.pack(MAGIC, seconds, nanoseconds, seed)


def go_record() -> bytes:
    """The 88 bytes that let the reader of the guest's FIFO /run/go go on: magic, zeros."""
    return GO_MAGIC.ljust(_RECORD.size, b"\0")


class ResumePort:
    """The host's end of the virtio-serial port."""

    def __init__(self, path: Path) -> None:
        """Listen on `path` once `listen` is called."""
        self._path = path
        self._connected = asyncio.Event()
        self._busy = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unread = 0  # answers to come, those to records whose senders stopped waiting included

    async def listen(self) -> None:
        """Make the socket; must happen before QEMU starts."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def send(self, record: bytes) -> None:
        """Hand over one record and wait for the guest's answer; raises ValueError when the answer is another one."""
        await self._connected.wait()
        async with self._busy:
            if self._reader is None or self._writer is None:
                raise ValueError("the port is closed")
            self._writer.write(record)
            self._unread += 1
            await self._writer.drain()
            # The answer to this record comes last; a late one to an earlier record must not be taken for it.
            while self._unread:
                answer = await self._reader.readline()
                self._unread -= 1
        if answer != ANSWER:
            raise ValueError(f"the guest answered {answer.decode('ascii', errors='replace').rstrip()!r}")

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._reader, self._writer = reader, writer
        self._connected.set()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
