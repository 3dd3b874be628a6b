# SPDX-License-Identifier: Apache-2.0
"""The supervisor's control socket: one JSON object a line, both ways.

`{"do": "watch"}` answers with the record of the machine at once and at each change until the supervisor ends. Any other
request gets one answer: `{"ok": true, …}` or `{"ok": false, "error": TEXT}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.machine.monitor import MonitorError
from orchestrator.machine.record import Record

Request = dict[str, Any]
Handler = Callable[[Request], Awaitable[dict[str, Any]]]

# Between two messages to one watcher, s: a boot writes hundreds of console lines a second.
_WATCH_PERIOD = 0.02
# A watcher that does not read must not hold up the end of the machine, s.
_LAST_MESSAGE = 1.0


class ControlServer:
    """Serves clients of one machine."""

    def __init__(self, path: Path, record: Record, handlers: Mapping[str, Handler]) -> None:
        """`handlers` maps the word behind "do" to what answers it."""
        self._path = path
        self._record = record
        self._handlers = handlers
        self._ending = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Make the socket."""
        self._server = await asyncio.start_unix_server(self._accept, self._path)

    async def close(self) -> None:
        """Let every watcher see the final record, then end all connections."""
        if self._server is not None:
            self._server.close()
        self._ending = True
        self._record.write()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_MESSAGE)
        for task in self._tasks:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                request = json.loads(await reader.readline())
                if request.get("do") == "watch":
                    await self._watch(writer)
                else:
                    writer.write(_line(await self._answer(request)))
                    await writer.drain()
            except (ValueError, AttributeError) as error:
                writer.write(_line({"ok": False, "error": f"no request: {error}"}))
            finally:
                writer.close()

    async def _answer(self, request: Request) -> dict[str, Any]:
        handler = self._handlers.get(str(request.get("do")))
        if handler is None:
            return {"ok": False, "error": f"unknown request: {request.get('do')}"}
        try:
            return {"ok": True, **(await handler(request))}
        except (MonitorError, ValueError, KeyError, TimeoutError) as error:
            return {"ok": False, "error": str(error) or type(error).__name__}

    async def _watch(self, writer: asyncio.StreamWriter) -> None:
        woken = self._record.watch()
        try:
            while True:
                woken.clear()
                ending = self._ending
                writer.write(_line(self._record.data))
                await writer.drain()
                if ending:
                    return
                await woken.wait()
                if not self._ending:
                    await asyncio.sleep(_WATCH_PERIOD)
        finally:
            self._record.unwatch(woken)


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"
