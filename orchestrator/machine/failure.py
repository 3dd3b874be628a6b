# SPDX-License-Identifier: Apache-2.0
"""Errors of a machine in the words of its user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import BootError, EnvError, OrchError
from orchestrator.machine.platform import MachineStatus
from orchestrator.machine.ports import port_taken
from orchestrator.machine.states import Reason, State

_PORT = re.compile(r"Could not set up host forwarding rule 'tcp:[\d.]+:(?P<port>\d+)-")
_WORDS = {
    Reason.PANIC: ("panic", "the lines above the panic name its cause"),
    Reason.FIRMWARE_PANIC: ("firmware panic", "the firmware's own lines name the place; a debug build says more"),
    Reason.HOST_FAILED: ("the host reported a failure", "`orch console` shows what is left of the host"),
    Reason.GUEST_RESET: ("guest reset", "the machine restarted itself; the last lines come from before"),
    Reason.GUEST_SHUTDOWN: ("guest shutdown", "the machine switched itself off; the last lines come from before"),
    Reason.QEMU_EXIT: ("QEMU ended", "QEMU's own output is in qemu.log in the run folder"),
    Reason.QEMU_START: ("QEMU did not start", "QEMU's own output is in qemu.log in the run folder"),
    Reason.RESTORE: ("the saved state was refused", "`orch up --fresh` boots without it"),
    Reason.REQUESTED: ("it was stopped meanwhile", "`orch up` starts it again"),
    Reason.OWNER_GONE: ("the process that it belonged to has ended", "`orch up` starts one that stays"),
    Reason.LOST: ("its processes are gone", "its supervisor was killed from outside; `orch up` starts it again"),
}
_TIMEOUT_HINT = "a longer limit is `timeouts` in testbed.yaml"


class MachineBootError(BootError):
    """A machine did not get where it should: its status, its last console lines (at most 40), its log."""

    def __init__(self, message: str, *, hint: str, status: MachineStatus, console: Sequence[str], log: Path) -> None:
        """Keep everything a report needs."""
        super().__init__(message, hint=hint)
        self.status = status
        self.console = list(console)
        self.log = log


def boot_failed(
    wanted: State, status: MachineStatus, *, elapsed: float, limit: float, console: Sequence[str], log: Path
) -> MachineBootError:
    """The error for a wait that ended without `wanted`; times in seconds."""
    if status.state.final and status.reason is not None:
        words, hint = _WORDS[status.reason]
        message = f"{wanted} not reached after {elapsed:.1f} s: {words}"
        message += f": {status.detail}" if status.detail else ""
    elif status.state.final:
        message, hint = f"{wanted} not reached: no machine runs here", "`orch up` starts it"
    else:
        said = f"last console line: {status.last_line}" if status.last_line else "the consoles are silent"
        message = f"{wanted} not reached in time: state {status.state}, {elapsed:.0f}/{limit:.0f} s, {said}"
        hint = _TIMEOUT_HINT
    return MachineBootError(message, hint=f"{hint}; console log: {log}", status=status, console=console, log=log)


def start_failed(words: str, log: Path) -> OrchError:
    """QEMU did not start: its own words as one line, with what to do about the known causes."""
    if match := _PORT.search(words):
        return port_taken(int(match["port"]), "something took it while the machine started")
    hint = f"QEMU's output is in {log}; `orch show cmdline` prints the command"
    if "No such file" in words or "Cannot load specified image" in words or "could not load" in words:
        hint = f"a file of the machine is missing: `orch build` makes it; {hint}"
    elif "Cannot allocate memory" in words or "cannot set up guest memory" in words:
        hint = "the computer does not let QEMU reserve 3 GiB of memory: look at `ulimit -v` and overcommit_memory"
    if words.startswith("signal "):
        return BootError(f"QEMU ended while it started: {words}", hint=hint)
    return EnvError(f"QEMU did not start: {words}", hint=hint)
