# SPDX-License-Identifier: Apache-2.0
"""The states of a machine and how console lines move it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How far a machine has come; `failed` and `stopped` are final.

    `paused` is never recorded: a machine that stands still now is in it instead of the state that it has come to.
    """

    STARTING = "starting"
    RESTORING = "restoring"
    FIRMWARE = "firmware"
    KERNEL = "kernel"
    HOST_READY = "host-ready"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self in (State.STOPPED, State.FAILED)


class Reason(StrEnum):
    """Why a machine failed or stopped."""

    PANIC = "panic"
    FIRMWARE_PANIC = "firmware-panic"
    HOST_FAILED = "host-failed"
    GUEST_RESET = "guest-reset"
    GUEST_SHUTDOWN = "guest-shutdown"
    QEMU_EXIT = "qemu-exit"
    QEMU_START = "qemu-start"
    RESTORE = "restore"
    REQUESTED = "requested"
    OWNER_GONE = "owner-gone"
    LOST = "lost"


# A saved state is taken of a ready host, so `restoring` leads straight to host-ready.
_ORDER = {
    State.STARTING: 0,
    State.RESTORING: 0,
    State.FIRMWARE: 1,
    State.KERNEL: 2,
    State.HOST_READY: 3,
}


def reached(current: State, wanted: State) -> bool:
    """Whether `current` is `wanted` or lies behind it on the way up."""
    return current == wanted or (current in _ORDER and wanted in _ORDER and _ORDER[current] >= _ORDER[wanted] > 0)


@dataclass(frozen=True)
class Sighting:
    """What one console line says: the state it shows, and for FAILED the reason and the line's own words."""

    state: State
    reason: Reason | None = None
    detail: str = ""


_STAMP = r"^(?:\[ *\d+\.\d+\](?:\[[^]]*\])? )?"
_HOST_FAILED = re.compile(_STAMP + r"orch: host-failed(?:: *(?P<why>.*))?$")
_PANIC = re.compile(_STAMP + r"(?P<why>Kernel panic - not syncing.*)$")
_FIRMWARE_PANIC = re.compile(r"^(?:PANIC (?:in|at) |ASSERT: |Unhandled (?:Exception|External Abort) in EL3)")
_MILESTONES = (
    (re.compile(_STAMP + r"orch: host-ready$"), State.HOST_READY),
    (re.compile(_STAMP + r"Booting Linux on physical CPU"), State.KERNEL),
    # The kernel's own first line is not shown with `quiet`; the firmware's last one always is.
    (re.compile(r"^INFO: +BL31: Preparing for EL3 exit to normal world$"), State.KERNEL),
    (re.compile(r"^(?:NOTICE|INFO|VERBOSE|WARNING|ERROR): +(?:Booting Trusted Firmware|BL\d)"), State.FIRMWARE),
)


def sight(line: str) -> Sighting | None:
    """What a complete console line (of either UART) says about the machine; None for most lines."""
    if match := _HOST_FAILED.match(line):
        return Sighting(State.FAILED, Reason.HOST_FAILED, match["why"] or "no reason given")
    if match := _PANIC.match(line):
        return Sighting(State.FAILED, Reason.PANIC, match["why"])
    if _FIRMWARE_PANIC.match(line):
        return Sighting(State.FAILED, Reason.FIRMWARE_PANIC, line)
    for pattern, state in _MILESTONES:
        if pattern.match(line):
            return Sighting(state)
    return None


def follows(current: State, sighting: Sighting) -> bool:
    """Whether the sighting moves the machine: never back, never out of stopping or a final state."""
    if current.final or current is State.STOPPING:
        return False
    if sighting.state is State.FAILED:
        return True
    return _ORDER[sighting.state] > _ORDER[current]
