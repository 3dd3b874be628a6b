# SPDX-License-Identifier: Apache-2.0
"""Errors of a machine in the words of its user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import BootError, EnvError, OrchError
from orchestrator.machine.ports import port_taken
from orchestrator.machine.states import Reason, State

_PORT = re.compile(r"Could not set up host forwarding rule 'tcp:[\d.]+:(?P<port>\d+)-:\d+'")
_NO_FILE = re.compile(r"(?:[Cc]ould not|cannot|[Ff]ailed to|Unable to).*?(?P<path>/[^\s'\"]+).*?(?:No such file|$)")


class MachineBootError(BootError):
    """A machine did not get where it should: with the state reached, the times and the last console lines.

    `elapsed` and `limit` are seconds; `console` holds at most 40 lines, tagged by UART when both spoke.
    """

    def __init__(
        self, message: str, *, hint: str, state: State, reason: Reason | None, elapsed: float, limit: float,
        console: Sequence[str], log: Path,
    ) -> None:  # fmt: skip
        """Keep everything a report needs."""
        super().__init__(message, hint=hint)
        self.state = state
        self.reason = reason
        self.elapsed = elapsed
        self.limit = limit
        self.console = list(console)
        self.log = log


def start_failed(words: str, log: Path) -> OrchError:
    """QEMU did not start: its own words as one line, with what to do about the known causes."""
    if match := _PORT.search(words):
        return port_taken(int(match["port"]), "something took it while the machine started")
    hint = f"QEMU's output is in {log}; `orch show cmdline` prints the command"
    if "No such file" in words or "not found" in words:
        hint = f"a file of the machine is missing: run `orch build`; {hint}"
    elif "Cannot allocate memory" in words or "cannot set up guest memory" in words:
        hint = "the computer does not let QEMU reserve 3 GiB of memory: look at `ulimit -v` and overcommit_memory"
    return EnvError(f"QEMU did not start: {words}", hint=hint)


HINTS = {
    Reason.PANIC: "the trace above the last line names the cause",
    Reason.FIRMWARE_PANIC: "the firmware's own lines name the place; a debug build of it says more",
    Reason.HOST_FAILED: "the host's own init reported this; `orch console` shows what is left of it",
    Reason.GUEST_RESET: "the machine restarted itself; the last lines come from before",
    Reason.GUEST_SHUTDOWN: "the machine switched itself off; the last lines come from before",
    Reason.QEMU_EXIT: "QEMU's own output is in qemu.log in the same run folder",
    Reason.RESTORE: "the saved state does not fit this machine; `orch up --fresh` boots without it",
    Reason.LOST: "its supervisor or QEMU was killed from outside; start it again",
}
TIMEOUT_HINT = "the machine still runs: `orch console` attaches to it; a longer limit is `timeouts` in testbed.yaml"


def describe_failure(wanted: State, reason: Reason | None, detail: str) -> str:
    """Why `wanted` was not reached, as the end of a sentence."""
    if reason is None:
        return "no reason recorded"
    text = {
        Reason.PANIC: "panic",
        Reason.FIRMWARE_PANIC: "firmware panic",
        Reason.HOST_FAILED: "the host reported a failure",
        Reason.GUEST_RESET: "guest reset",
        Reason.GUEST_SHUTDOWN: "guest shutdown",
        Reason.QEMU_EXIT: "QEMU ended",
        Reason.QEMU_START: "QEMU did not start",
        Reason.RESTORE: "the saved state was refused",
        Reason.REQUESTED: f"it was stopped while waiting for {wanted}",
        Reason.LOST: "its processes are gone",
    }[reason]
    return f"{text}: {detail}" if detail else text
