# SPDX-License-Identifier: Apache-2.0
"""One QEMU from outside: start, wait, save, resume, stop, and clean up after crashes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import BootError, EnvError
from orchestrator.files import replace_file
from orchestrator.machine import client, lock
from orchestrator.machine.account import check_account, loss, process_in, read_account, status_of
from orchestrator.machine.failure import boot_failed
from orchestrator.machine.launch import launch
from orchestrator.machine.paths import UARTS, RunPaths, remove_runtime_folder, runtime_folder
from orchestrator.machine.platform import MachineStatus, Progress, ProgressCallback, Saved
from orchestrator.machine.resume import SEED_BYTES, resume_record
from orchestrator.machine.spec import MachineSpec
from orchestrator.machine.states import Reason, State, reached

# Longest waits, s: an answer of the supervisor itself; the end of a process that was told or made to end.
ANSWER_TIMEOUT = 5.0
KILL_TIMEOUT = 5.0
CONSOLE_TAIL = 40
_TAIL_BYTES = 64 * 1024


class Instance:
    """The QEMU of one run folder; any process of the user may hold one, no state lives in it."""

    consoles = UARTS

    def __init__(self, run_folder: Path) -> None:
        """Name the machine; the folder need not exist yet."""
        self.paths = RunPaths(run_folder.resolve())
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def sockets(self) -> Path:
        """The runtime folder for MachineSpec.sockets; raises EnvError where its paths would be too long."""
        return runtime_folder(self.paths.folder)

    @property
    def console_folder(self) -> Path:
        """Where the consoles' logs are."""
        return self.paths.console

    @property
    def counter_socket(self) -> Path:
        """Where the instruction counter listens, when the machine has one."""
        return self.sockets / "counter"

    def start_spec(self, spec: MachineSpec, *, tied: bool = False) -> None:
        """Start the machine and return as soon as QEMU accepted its arguments; raises EnvError with QEMU's own text.

        A `tied` machine ends with this process. Leftovers of a crash are cleaned first; logs of an earlier run move to
        `previous/`.
        """
        if (Path(spec.run_folder), Path(spec.sockets)) != (self.paths.folder, self.sockets):
            raise ValueError("the spec belongs to another run folder")
        self.paths.folder.mkdir(parents=True, exist_ok=True)
        held = self._take_lock()
        try:
            self._clean()
            self._set_aside()
            self.paths.spec.write_text(spec.to_json(), encoding="utf-8")
            self._child = launch(self.paths, held, tied=tied)
        finally:
            os.close(held)

    def status(self) -> MachineStatus:
        """The newest account, checked against the processes that really run; a machine never started is `stopped`."""
        return status_of(self.paths)

    def wait(self, wanted: State, timeout: float, progress: ProgressCallback | None = None) -> MachineStatus:
        """Wait until the machine is in `wanted` or beyond, at most `timeout` seconds; raises MachineBootError.

        A panic, the end of QEMU and a failure reported by the host end the wait at once. An interrupted wait leaves
        the machine as it is.
        """
        begin = time.monotonic()
        status = self.status()
        for status in self._changes(begin + timeout):
            if progress is not None:
                progress(Progress(wanted, status.state, time.monotonic() - begin, timeout, status.last_line))
            if reached(status.state, wanted):
                return status
            if status.state.final:
                break
        elapsed = time.monotonic() - begin
        log = self.paths.console_log(UARTS[0])
        raise boot_failed(wanted, status, elapsed=elapsed, limit=timeout, console=self.console_tail(), log=log)

    def save_state(self, path: Path, timeout: float = 60.0) -> Saved:
        """Save the whole machine to `path` (all or nothing); it is paused meanwhile and then runs on; BootError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = self._ask({"do": "save", "path": str(path.resolve())}, timeout)
        return Saved(answer["bytes"], answer["seconds"], answer["paused_seconds"])

    def resume_guest(self, seconds: int, nanoseconds: int, seed: bytes, timeout: float = 10.0) -> None:
        """Give a restored guest the time (since the epoch) and 64 bytes of randomness; BootError if it is silent."""
        record = resume_record(seconds, nanoseconds, seed)
        self._ask({"do": "resume", "record": record.hex(), "timeout": timeout}, timeout + ANSWER_TIMEOUT)

    def resume_guest_now(self, timeout: float = 10.0) -> None:
        """`resume_guest` with this computer's time and randomness."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        self.resume_guest(seconds, nanoseconds, secrets.token_bytes(SEED_BYTES), timeout)

    def send_go(self, timeout: float = 10.0) -> None:
        """Let the reader of the emulated host's FIFO /run/go go on; BootError if nobody reads it or none answers (s).

        No network has a part in it: what waits there starts without a packet.
        """
        self._ask({"do": "go", "timeout": timeout}, timeout + ANSWER_TIMEOUT)

    def qmp(self, command: str, arguments: dict[str, Any] | None = None, timeout: float = ANSWER_TIMEOUT) -> Any:
        """Run one QMP command; raises BootError with QEMU's text, or after `timeout` seconds."""
        return self._ask({"do": "qmp", "execute": command, "arguments": arguments}, timeout)["return"]

    def stop(self, timeout: float = 20.0) -> MachineStatus:
        """End the machine: by request, then by SIGTERM, then by SIGKILL, only ever to its own recorded processes.

        Returns when nothing of it runs any more. Ending a machine that does not run only cleans up.
        """
        status = self.status()
        if status.alive:
            status = self._await_account(status)
            deadline = time.monotonic() + timeout
            with contextlib.suppress(BootError):
                self._ask({"do": "stop"}, min(ANSWER_TIMEOUT, timeout))
            self._insist(status, deadline)
        self.cleanup_stale()
        return self.status()

    def cleanup_stale(self) -> list[str]:
        """Remove what a crash left behind (processes, sockets); returns what was done, in words. Harmless otherwise."""
        if not self.paths.folder.is_dir():
            return []
        held = lock.take(self.paths.lock)
        if held is None:
            return []
        try:
            return self._clean()
        finally:
            os.close(held)

    def attach(self, console: str) -> socket.socket:
        """A connected socket to a UART (uart0 or uart1): first some past output, then both ways; raises BootError."""
        if console not in UARTS:
            raise ValueError(f"{console}: no such console; known: {', '.join(UARTS)}")
        connection = client.connect(self.sockets / f"attach-{console}", ANSWER_TIMEOUT)
        if connection is None:
            raise BootError("the machine does not run", hint="`orch up` starts it")
        connection.settimeout(None)
        return connection

    def console_logs(self) -> dict[str, Path]:
        """The time-stamped log of each UART, there or not."""
        return {uart: self.paths.console_log(uart) for uart in UARTS}

    def console_tail(self, lines: int = CONSOLE_TAIL) -> list[str]:
        """The last lines of all consoles in the order of their stamps, tagged when more than one spoke."""
        logs = {uart: _tail(path) for uart, path in self.console_logs().items()}
        spoke = [uart for uart in UARTS if logs[uart]]
        if len(spoke) < len(UARTS):
            return logs[spoke[0]][-lines:] if spoke else []
        # Merged by stamp (the first word); sorting is stable, so each console keeps its own order.
        tagged = [(line.split(" ", 1)[0], f"[{uart}] {line}") for uart in spoke for line in logs[uart]]
        return [line for _, line in sorted(tagged, key=lambda pair: pair[0])][-lines:]

    def _ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        return client.ask(self.sockets / "control", request, timeout)

    def _changes(self, deadline: float) -> Iterator[MachineStatus]:
        """The status now, after each change, and now and then; ends at the deadline or with the supervisor."""
        status = self.status()
        for data in client.watch(self.sockets / "control", deadline):
            if data is not None:
                status = check_account(data)
            yield status
        # The supervisor has ended (or never was): what it wrote last counts.
        yield self.status()

    def _take_lock(self) -> int:
        held = lock.take(self.paths.lock)
        if held is None:
            status = self.status()
            # A machine that has come to its end may still be putting away its sockets.
            ending = status.state.final and (status.emulator is None or not status.emulator.alive())
            if ending and status.supervisor is not None and status.supervisor.wait_gone(KILL_TIMEOUT):
                held = lock.take(self.paths.lock)
        if held is None:
            raise EnvError(
                f"{self.paths.folder}: a machine already runs here",
                hint="`orch status` shows it, `orch down` ends it",
            )
        return held

    def _set_aside(self) -> None:
        shutil.rmtree(self.paths.previous, ignore_errors=True)
        for path in self.paths.of_one_run():
            if path.exists():
                self.paths.previous.mkdir(exist_ok=True)
                path.rename(self.paths.previous / path.name)

    def _await_account(self, status: MachineStatus) -> MachineStatus:
        """A supervisor that was started a moment ago, by somebody who is gone, has not written its pid yet."""
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while status.alive and status.supervisor is None and time.monotonic() < deadline:
            # Nothing exists yet that could be waited on; this lasts as long as Python takes to start.
            time.sleep(0.02)
            status = self.status()
        return status

    def _insist(self, status: MachineStatus, deadline: float) -> None:
        """Wait for the end of the recorded processes, with ever more force."""
        ours = [each for each in (status.supervisor, status.emulator) if each is not None]
        patience = [max(deadline - time.monotonic(), 0), KILL_TIMEOUT, KILL_TIMEOUT]
        for seconds, force in zip(patience, (signal.SIGTERM, signal.SIGKILL, None), strict=True):
            end = time.monotonic() + seconds
            if all(each.wait_gone(end - time.monotonic()) for each in ours):
                break
            if force is None:
                raise EnvError(f"processes {[each.pid for each in ours]} could not be ended")
            for each in ours:
                each.send(force)
        if self._child is not None:
            self._child.wait()

    def _clean(self) -> list[str]:
        """Remove leftovers; the caller holds the lock, so no supervisor lives."""
        done = []
        data = read_account(self.paths)
        qemu = process_in(data["qemu"]) if data else None
        if qemu is not None and qemu.alive():
            qemu.send(signal.SIGKILL)
            qemu.wait_gone(KILL_TIMEOUT)
            done.append(f"ended a QEMU without supervisor (pid {qemu.pid})")
        if self.sockets.exists():
            remove_runtime_folder(self.sockets)
            done.append(f"removed {self.sockets}")
        if data is not None and not State(data["state"]).final:
            detail = loss(State(data["state"]))
            data.update(state=State.FAILED, reason=Reason.LOST, detail=detail, supervised=False)
            replace_file(self.paths.state, json.dumps(data, indent=2) + "\n")
            done.append(f"a machine was lost: {detail}")
        return done


def _tail(path: Path) -> list[str]:
    """The lines at the end of a file that may be long or missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TAIL_BYTES, 0))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
