# SPDX-License-Identifier: Apache-2.0
"""The process that owns one running machine: `python -m orchestrator.machine.supervisor RUNDIR`.

It outlives the `orch` that started it unless it was tied to that process. QEMU never outlives it: the kernel kills QEMU
when it goes, however it goes.
Only the standard library and qemu.qmp are imported here, to keep it small.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchError
from orchestrator.machine import lock
from orchestrator.machine.cmdline import command_line
from orchestrator.machine.control import ControlServer
from orchestrator.machine.ending import Ending, describe_exit, judge, last_words
from orchestrator.machine.memory import PAGE, host_address, pour
from orchestrator.machine.monitor import Monitor, MonitorError
from orchestrator.machine.paths import UARTS, RunPaths, make_runtime_folder, remove_runtime_folder
from orchestrator.machine.process import ProcessId
from orchestrator.machine.record import Record
from orchestrator.machine.resume import ResumePort, go_record
from orchestrator.machine.spec import MachineSpec
from orchestrator.machine.states import Reason, Sighting, State, follows, sight
from orchestrator.machine.uart import Uart

_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl
# Longest waits, s: QEMU's connection to the monitor; a panicking guest's last lines; each step of ending QEMU;
# the rest of a console after the end of QEMU.
CONNECT_TIMEOUT = 15.0
PANIC_GRACE = 2.0
QUIT_STEP = 1.5
DRAIN_TIMEOUT = 1.0
_LOOP_TURN = 0.01


class Supervisor:
    """Starts QEMU, listens to it until it ends, and keeps the account."""

    def __init__(self, paths: RunPaths, spec: MachineSpec, owner: int | None = None) -> None:
        """Nothing outside the run folder happens before `run`; `owner` is the process that it is tied to."""
        self._paths = paths
        self._owner = owner
        self._spec = spec
        self._sockets = Path(spec.sockets)
        self._record = Record(paths)
        self._uarts = [Uart(name, paths, self._sockets, self._on_line) for name in UARTS]
        self._monitor = Monitor(self._sockets / "qmp", self._on_event)
        self._resume = ResumePort(self._sockets / "resume")
        handlers = {
            "save": self._do_save,
            "resume": self._do_resume,
            "go": self._do_go,
            "stop": self._do_stop,
            "qmp": self._do_qmp,
            "pour": self._do_pour,
        }
        self._control = ControlServer(self._sockets / "control", self._record, handlers)
        self._stop = asyncio.Event()
        self._seen: Sighting | None = None
        self._qemu = 0

    async def run(self, ready: Callable[[str | None], None]) -> None:
        """The whole life of the machine; `ready` is called once: with None, or with why QEMU did not start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._record.set(supervisor=ProcessId.of(os.getpid()), ssh_port=self._spec.ssh_port)
        make_runtime_folder(self._sockets, self._paths.folder)
        try:
            for listen in self._listeners():
                await listen()
            try:
                qemu = await self._launch()
            except OrchError as error:
                await self._finish(Ending(State.FAILED, Reason.QEMU_START, error.message))
                raise
            try:
                ending = await self._live(qemu, ready)
            finally:
                await self._end(qemu)
            await self._finish(ending or self._judge(qemu))
        finally:
            await self._control.close()
            remove_runtime_folder(self._sockets)

    def _listeners(self) -> list[Callable[[], Awaitable[None]]]:
        return [*(uart.listen for uart in self._uarts), self._monitor.listen, self._resume.listen, self._control.listen]

    async def _launch(self) -> asyncio.subprocess.Process:
        argv = command_line(self._spec)
        self._record.event("command", argv=argv)
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        with self._paths.qemu_log.open("ab") as output:
            try:
                qemu = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={**environment, "LC_ALL": "C", **self._spec.env},
                    preexec_fn=_die_with(os.getpid()),
                )
            except OSError as error:
                raise OrchError(f"{argv[0]}: {error.strerror}") from None
        self._record.set(qemu=ProcessId.of(qemu.pid))
        self._qemu = qemu.pid
        return qemu

    async def _live(self, qemu: asyncio.subprocess.Process, ready: Callable[[str | None], None]) -> Ending | None:
        """From the start of QEMU to the moment when it has ended or has to; None leaves the verdict to its exit."""
        ended = asyncio.create_task(qemu.wait())
        stop = asyncio.create_task(self._stop.wait())
        try:
            connected = await _first(asyncio.create_task(self._monitor.accept()), {ended, stop}, CONNECT_TIMEOUT)
            if not connected and not stop.done():
                await _settled({ended}, DRAIN_TIMEOUT)
                code = qemu.returncode
                words = self._words() or (describe_exit(code) if code else "it did not connect to its monitor")
                ready(words)
                return Ending(State.FAILED, Reason.QEMU_START, words)
            ready(None)
            if self._spec.incoming and not stop.done():
                refusal = await self._restore(Path(self._spec.incoming), {ended, stop})
                if refusal:
                    return Ending(State.FAILED, Reason.RESTORE, refusal)
            await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
            return None
        finally:
            stop.cancel()

    async def _restore(self, file: Path, others: set[asyncio.Task[Any]]) -> str | None:
        """Continue from a saved state; returns why it failed."""
        self._record.change(State.RESTORING)
        try:
            restored = await _first(asyncio.create_task(self._monitor.restore(file)), others, None)
        except MonitorError as error:
            if self._monitor.gone.is_set():
                # QEMU ends itself when a state does not fit, and says why only in its own log.
                await asyncio.wait(others, timeout=DRAIN_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            return self._words() or str(error)
        if not restored and not self._stop.is_set():
            return self._words() or "QEMU ended while it loaded the state"
        if restored and self._record.state is State.RESTORING:
            self._record.change(State.HOST_READY)
        return None

    async def _end(self, qemu: asyncio.subprocess.Process) -> None:
        """Make sure that QEMU is gone: ask, then insist; afterwards read what it still had to say."""
        if qemu.returncode is None:
            if not self._record.state.final:
                self._record.change(State.STOPPING)
            quitting = asyncio.create_task(self._monitor.quit())
            for act in (qemu.terminate, qemu.kill):
                if not await _settled({asyncio.create_task(qemu.wait())}, QUIT_STEP):
                    act()
            await qemu.wait()
            quitting.cancel()
        # A QEMU that ended at once may have connections that nobody has accepted yet: one turn of the loop does.
        await asyncio.sleep(_LOOP_TURN)
        readers = [self._monitor.gone.wait(), *(uart.ended.wait() for uart in self._uarts)]
        await _settled({asyncio.create_task(each) for each in readers}, DRAIN_TIMEOUT)

    def _judge(self, qemu: asyncio.subprocess.Process) -> Ending:
        return judge(
            requested=self._stop.is_set(),
            owner_gone=self._owner is not None and os.getppid() != self._owner,
            seen=self._seen,
            shutdown=self._monitor.shutdown_reason,
            code=qemu.returncode or 0,
            words=self._words(),
        )

    async def _finish(self, ending: Ending) -> None:
        for uart in self._uarts:
            uart.close()
        self._resume.close()
        await self._monitor.close()
        self._record.set(supervised=False)
        self._record.change(ending.state, ending.reason, ending.detail)

    def _words(self) -> str:
        with contextlib.suppress(OSError):
            return last_words(self._paths.qemu_log.read_text(encoding="utf-8", errors="replace"))
        return ""

    def _on_line(self, line: str, complete: bool) -> None:
        self._record.line(line)
        sighting = sight(line) if complete else None
        if sighting is None or not follows(self._record.state, sighting):
            return
        if sighting.reason in (Reason.PANIC, Reason.FIRMWARE_PANIC):
            # The trace that explains it comes behind this line: the verdict waits for QEMU's end, but not for ever.
            if self._seen is None:
                self._record.event("panic", detail=sighting.detail)
                asyncio.get_running_loop().call_later(PANIC_GRACE, self._stop.set)
            self._seen = sighting
            return
        self._record.change(sighting.state, sighting.reason, sighting.detail)
        if sighting.state is State.FAILED:
            self._seen = sighting

    def _on_event(self, name: str, data: dict[str, Any]) -> None:
        self._record.event("qmp", qmp=name, data=data)
        if name in ("STOP", "RESUME"):
            self._record.set(paused=name == "STOP")

    async def _do_save(self, request: dict[str, Any]) -> dict[str, Any]:
        result = await self._monitor.save(Path(request["path"]))
        self._record.event("saved", path=request["path"], **result)
        return result

    async def _do_resume(self, request: dict[str, Any]) -> dict[str, Any]:
        await self._tell_guest(bytes.fromhex(request["record"]), request["timeout"])
        self._record.event("resumed")
        return {}

    async def _do_go(self, request: dict[str, Any]) -> dict[str, Any]:
        await self._tell_guest(go_record(), request["timeout"])
        self._record.event("go")
        return {}

    async def _tell_guest(self, record: bytes, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._resume.send(record)
        except TimeoutError:
            raise ValueError("the guest did not answer on its resume port") from None

    async def _do_stop(self, _request: dict[str, Any]) -> dict[str, Any]:
        self._stop.set()
        return {}

    async def _do_pour(self, request: dict[str, Any]) -> dict[str, Any]:
        """All memory of [start, stop) into a pipe; not `poured` if QEMU does not have it in one piece, or hides it."""
        ram = range(request["start"], request["stop"])
        first, last = [await self._host_address(address) for address in (ram.start, ram.stop - PAGE)]
        if first is None or last is None or last - first != len(ram) - PAGE:
            return {"poured": False}
        return {"poured": await asyncio.to_thread(pour, self._qemu, first, ram, Path(request["into"]))}

    async def _host_address(self, address: int) -> int | None:
        asked = {"command-line": f"gpa2hva {address:#x}"}
        return host_address(await self._monitor.execute("human-monitor-command", asked))

    async def _do_qmp(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"return": await self._monitor.execute(request["execute"], request.get("arguments"))}


def _die_with(parent: int) -> Callable[[], None]:
    """What QEMU's process does before it becomes QEMU: ask the kernel to be killed when the supervisor ends."""

    def prepare() -> None:
        if not _tie(parent, signal.SIGKILL):
            os._exit(1)

    return prepare


def _tie(parent: int, number: signal.Signals) -> bool:
    """Let the kernel send this process a signal when its parent ends; False if it was gone before that was settled."""
    _PRCTL(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    return os.getppid() == parent


async def _first(task: asyncio.Task[bool], others: set[asyncio.Task[Any]], timeout: float | None) -> bool:
    """The task's result or exception; False when one of the others or the time came first."""
    await asyncio.wait({task, *others}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    return False


async def _settled(tasks: set[asyncio.Task[Any]], timeout: float) -> bool:
    """Wait for all of the tasks; whether they ended in time."""
    _, late = await asyncio.wait(tasks, timeout=timeout)
    for task in late:
        task.cancel()
    return not late


def main(arguments: Sequence[str]) -> int:
    """Entry of the process; the exit code only matters to the log."""
    parser = argparse.ArgumentParser(prog="orchestrator.machine.supervisor")
    parser.add_argument("rundir", type=Path)
    parser.add_argument("--locked", action="store_true", help="the run folder's lock is inherited")
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--tied-to", type=int, metavar="PID", help="end when this process, the parent, does")
    options = parser.parse_args(arguments)
    paths = RunPaths(options.rundir)
    if options.tied_to is not None and not _tie(options.tied_to, signal.SIGTERM):
        sys.stderr.write(f"{paths.folder}: the process that it was to belong to has ended\n")
        return 1
    if not options.locked and lock.take(paths.lock) is None:
        sys.stderr.write(f"{paths.folder}: another supervisor is at work\n")
        return 1

    def ready(error: str | None) -> None:
        if options.ready_fd is not None:
            with contextlib.suppress(OSError):
                os.write(options.ready_fd, json.dumps({"error": error}).encode() + b"\n")
                os.close(options.ready_fd)
            options.ready_fd = None

    try:
        spec = MachineSpec.from_json(paths.spec.read_text(encoding="utf-8"))
        asyncio.run(_run(paths, spec, options.tied_to, ready))
    except OrchError as error:
        ready(error.message)
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


async def _run(paths: RunPaths, spec: MachineSpec, owner: int | None, ready: Callable[[str | None], None]) -> None:
    paths.console.mkdir(exist_ok=True)
    await Supervisor(paths, spec, owner).run(ready)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
