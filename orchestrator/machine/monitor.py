# SPDX-License-Identifier: Apache-2.0
"""The QMP connection of the supervisor: events, saving and restoring the whole machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError

from orchestrator.files import settle

T = TypeVar("T")

# QEMU's default limit of 128 MiB/s is meant for networks, B/s.
_BANDWIDTH = 1 << 40
# For QEMU to finish with a migration that it has reported as completed, s.
_FINALISE_TIMEOUT = 10.0
_FINALISE_PERIOD = 0.005
_GONE = "QEMU has ended"


class MonitorError(Exception):
    """QEMU refused a command, could not do it, or is gone; the text is QEMU's."""


class Monitor:
    """QEMU's control channel; QEMU connects to us."""

    def __init__(self, path: Path, on_event: Callable[[str, dict[str, Any]], None]) -> None:
        """`on_event(name, data)` is called for every event in order."""
        self._path = path
        self._client = QMPClient("orch")
        # A QEMU that ends while a command is out is reported by its exit; the library's own lines only confuse.
        self._client.logger.setLevel(logging.CRITICAL)
        self._on_event = on_event
        self._saving = asyncio.Lock()
        self._pump: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()
        self.gone.set()
        self.shutdown_reason: str | None = None

    async def listen(self) -> None:
        """Make the socket; must happen before QEMU starts."""
        await self._client.start_server(str(self._path))

    async def accept(self) -> bool:
        """Wait for QEMU's connection and its greeting; from here on events arrive. False when it broke off."""
        try:
            await self._client.accept()
        except QMPError:
            return False
        self.gone.clear()
        self._pump = asyncio.create_task(self._deliver())
        self._end = asyncio.create_task(self._await_end())
        await self.execute("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
        return True

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run one QMP command; raises MonitorError with QEMU's text when it refuses or is gone."""
        try:
            return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise MonitorError(str(error)) from None
        except (QMPError, OSError, EOFError):
            raise MonitorError(_GONE) from None

    async def quit(self) -> None:
        """Ask QEMU to end; nothing happens when it cannot be asked."""
        with contextlib.suppress(MonitorError):
            await self.execute("quit")

    async def save(self, path: Path) -> dict[str, Any]:
        """Write the machine's state to `path`: all of it or nothing. The guest is paused while it is written.

        Returns bytes, seconds, paused_seconds. Raises MonitorError.
        """
        async with self._saving:
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            begin = time.monotonic()
            try:
                paused = await self._save_paused(partial)
                # Durable: a power cut must not leave a torn state under the final name.
                await asyncio.to_thread(settle, partial, path, durable=True)
            except OSError as error:
                raise MonitorError(f"{path}: {error.strerror}") from None
            finally:
                partial.unlink(missing_ok=True)
            seconds = round(time.monotonic() - begin, 3)
            return {"bytes": path.stat().st_size, "seconds": seconds, "paused_seconds": round(paused, 3)}

    async def restore(self, path: Path) -> bool:
        """Continue from a saved state in a QEMU that was started with `-incoming defer`; True, or MonitorError."""
        await self._migrate("migrate-incoming", path)
        # It was saved while paused, and being paused is part of the state.
        await self.execute("cont")
        return True

    async def close(self) -> None:
        """Give up the connection."""
        with contextlib.suppress(Exception):
            await self._client.disconnect()
        for task in (self._pump, self._end):
            if task is not None:
                task.cancel()

    async def _save_paused(self, file: Path) -> float:
        """Write the state of the paused guest; returns the length of the pause, s."""
        begin = time.monotonic()
        await self.execute("migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
        # Paused first: a running guest would dirty pages that then are written again.
        await self.execute("stop")
        try:
            await self._migrate("migrate", file)
        finally:
            await self._run_on()
        return time.monotonic() - begin

    async def _run_on(self) -> None:
        """Let a guest run that was paused to be saved."""
        async with asyncio.timeout(_FINALISE_TIMEOUT):
            # QEMU reports "completed" a moment before it accepts `cont`, and has no event for that moment.
            while (await self.execute("query-status"))["status"] == "finish-migrate":
                await asyncio.sleep(_FINALISE_PERIOD)
            await self.execute("cont")

    async def _migrate(self, command: str, file: Path) -> None:
        with self._client.listener("MIGRATION") as listener:
            await self.execute(command, {"uri": f"file:{file}"})
            status = await self._or_gone(_final_status(listener))
        if status != "completed":
            raise MonitorError((await self.execute("query-migrate")).get("error-desc", status))

    async def _or_gone(self, awaited: Coroutine[Any, Any, T]) -> T:
        """The result, or MonitorError as soon as QEMU has gone."""
        task = asyncio.create_task(awaited)
        gone = asyncio.create_task(self.gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise MonitorError(_GONE)
        finally:
            task.cancel()
            gone.cancel()

    async def _deliver(self) -> None:
        while True:
            self._handle(await self._client.events.get())

    async def _await_end(self) -> None:
        await self._client.runstate_changed()
        if self._pump is not None:
            self._pump.cancel()
        for message in self._client.events.clear():
            self._handle(message)
        self.gone.set()

    def _handle(self, message: Message) -> None:
        name, data = str(message["event"]), cast(dict[str, Any], message.get("data", {}))
        if name == "SHUTDOWN":
            self.shutdown_reason = str(data.get("reason"))
        self._on_event(name, data)


async def _final_status(listener: EventListener) -> str:
    while True:
        data = cast(dict[str, Any], (await listener.get())["data"])
        if data["status"] in ("completed", "failed", "cancelled"):
            return str(data["status"])
