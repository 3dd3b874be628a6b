# SPDX-License-Identifier: Apache-2.0
"""What the end of QEMU means, from everything that was seen before it; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from orchestrator.machine.states import Reason, Sighting, State


@dataclass(frozen=True)
class Ending:
    """A final state with its reason and details for people."""

    state: State
    reason: Reason
    detail: str


def last_words(log: str) -> str:
    """QEMU's own complaint: the last line it wrote that says something, without its name in front."""
    lines = [line.strip().removeprefix("qemu-system-aarch64: ") for line in log.splitlines() if line.strip()]
    # Behind the cause of a refused state QEMU writes a line with no more than the system's word for it.
    while len(lines) > 1 and lines[-1].startswith("load of migration failed"):
        lines.pop()
    return lines[-1] if lines else ""


def describe_exit(code: int) -> str:
    """How a process ended, from the code that Python reports (negative for a signal)."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def judge(
    *,
    requested: bool,
    seen: Sighting | None,
    shutdown: str | None,
    code: int,
    words: str,
    owner_gone: bool = False,
) -> Ending:
    """The final state of a machine whose QEMU ended.

    `requested`: orch asked for the end, or `owner_gone`: the process that it was tied to has ended; `seen`: a failure
    sighted on a console; `shutdown`: the reason of QEMU's SHUTDOWN event; `code`: the exit code; `words`: QEMU's last
    line.
    """
    # Switched off, a CPU may run on for a moment, and the firmware complains that it still lives.
    switched_off = shutdown in ("guest-shutdown", "guest-reset")
    if seen is not None and seen.reason is not None and not (switched_off and seen.reason is Reason.FIRMWARE_PANIC):
        return Ending(State.FAILED, seen.reason, seen.detail)
    if requested and owner_gone:
        return Ending(State.STOPPED, Reason.OWNER_GONE, "the process that it was tied to has ended")
    if requested:
        return Ending(State.STOPPED, Reason.REQUESTED, "")
    if code == 0 and shutdown == "guest-shutdown":
        return Ending(State.STOPPED, Reason.GUEST_SHUTDOWN, "the guest switched the machine off")
    if code == 0 and shutdown in ("guest-reset", "guest-panic"):
        return Ending(State.FAILED, Reason.GUEST_RESET, "the guest restarted the machine")
    outside = "ended from outside by a signal" if shutdown == "host-signal" else describe_exit(code)
    return Ending(State.FAILED, Reason.QEMU_EXIT, f"{outside}: {words}" if words else outside)
