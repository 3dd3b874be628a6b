# SPDX-License-Identifier: Apache-2.0
"""One UART of the machine: from QEMU to two files, to the state recogniser and to any number of attached clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.machine.paths import RunPaths
from orchestrator.machine.stamping import LineStamper, printable

# A prompt without an end of line appears in the log after this long, s.
PARTIAL_DELAY = 0.2
# What a client that attaches sees of the past, bytes.
BACKLOG = 16 * 1024
# A client that reads slower than the machine writes is dropped when this much waits for it, bytes.
SLOWEST_CLIENT = 1024 * 1024
_CHUNK = 64 * 1024


class Uart:
    """Listens for QEMU on `<sockets>/<name>` and for clients on `<sockets>/attach-<name>`."""

    def __init__(self, name: str, paths: RunPaths, sockets: Path, on_line: Callable[[str, bool], None]) -> None:
        """Open the logs; `on_line(line, complete)` is called for every line, and for one that waits for its end."""
        self.name = name
        self.ended = asyncio.Event()
        self.ended.set()
        self._sockets = sockets
        self._on_line = on_line
        self._log = paths.console_log(name).open("a", encoding="utf-8")
        self._raw = paths.console_raw(name).open("ab", buffering=0)
        self._stamper = LineStamper()
        self._backlog = b""
        self._qemu: asyncio.StreamWriter | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._flush_later: asyncio.TimerHandle | None = None
        self._servers: list[asyncio.Server] = []

    async def listen(self) -> None:
        """Make both sockets; must happen before QEMU starts."""
        for path, serve in ((self.name, self._serve_qemu), (f"attach-{self.name}", self._serve_client)):
            self._servers.append(await asyncio.start_unix_server(serve, self._sockets / path))

    def close(self) -> None:
        """Write what is left, let clients see the end, stop listening."""
        if self._flush_later is not None:
            self._flush_later.cancel()
        self._log.write(self._stamper.close(time.time()))
        self._log.close()
        self._raw.close()
        for server in self._servers:
            server.close()
        for client in self._clients:
            client.close()

    async def _serve_qemu(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._qemu is not None:
            writer.close()
            return
        self._qemu = writer
        self.ended.clear()
        try:
            while data := await reader.read(_CHUNK):
                self._take(data)
        except ConnectionError:
            pass
        finally:
            self.ended.set()
            writer.close()

    def _take(self, data: bytes) -> None:
        self._raw.write(data)
        self._backlog = (self._backlog + data)[-BACKLOG:]
        for client in list(self._clients):
            if client.transport.get_write_buffer_size() > SLOWEST_CLIENT:
                self._drop(client)
            else:
                client.write(data)
        self._log.write(self._stamper.feed(data, time.time()))
        self._log.flush()
        for line in self._stamper.take():
            self._on_line(line, True)
        if self._flush_later is None and self._stamper.pending:
            self._flush_later = asyncio.get_running_loop().call_later(PARTIAL_DELAY, self._flush)

    def _flush(self) -> None:
        self._flush_later = None
        self._on_line(printable(self._stamper.pending), False)
        self._log.write(self._stamper.flush(time.time()))
        self._log.flush()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._backlog)
        self._clients.add(writer)
        try:
            while data := await reader.read(_CHUNK):
                if self._qemu is not None:
                    self._qemu.write(data)
                    await self._qemu.drain()
        except ConnectionError:
            pass
        finally:
            self._drop(writer)

    def _drop(self, client: asyncio.StreamWriter) -> None:
        self._clients.discard(client)
        with contextlib.suppress(ConnectionError):
            client.close()
