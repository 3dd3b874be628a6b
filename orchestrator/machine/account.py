# SPDX-License-Identifier: Apache-2.0
"""What is known of a machine from outside: its account on disk, checked against the processes that really run."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.machine import lock
from orchestrator.machine.paths import RunPaths
from orchestrator.machine.platform import MachineStatus
from orchestrator.machine.process import ProcessId
from orchestrator.machine.states import Reason, State


def read_account(paths: RunPaths) -> dict[str, Any] | None:
    """The record that the supervisor last wrote; None when there is none."""
    try:
        data: dict[str, Any] = json.loads(paths.state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data


def process_in(data: dict[str, int] | None) -> ProcessId | None:
    """A process as the record names it."""
    return None if data is None else ProcessId(data["pid"], data["start"])


def status_of(paths: RunPaths) -> MachineStatus:
    """The newest status; a machine never started is `stopped`, one without its supervisor `failed` (lost)."""
    data = read_account(paths)
    if data is None:
        starting = lock.held(paths.lock)
        return MachineStatus(State.STARTING if starting else State.STOPPED, alive=starting)
    return check_account(data)


def check_account(data: dict[str, Any]) -> MachineStatus:
    """Hold a record against the processes that it names."""
    supervisor, qemu = process_in(data["supervisor"]), process_in(data["qemu"])
    state, reason, detail = State(data["state"]), data["reason"], data["detail"]
    alive = supervisor is not None and supervisor.alive()
    if not alive and not state.final:
        detail = loss(state)
        state, reason = State.FAILED, Reason.LOST
    if alive and not state.final and (still := stillness(supervisor, qemu, paused=data.get("paused", False))):
        state, detail = State.PAUSED, still
    return MachineStatus(
        state=state,
        alive=alive,
        reason=None if reason is None else Reason(reason),
        detail=detail,
        since=data["since"],
        started=data["started"],
        timeline=data["timeline"],
        ssh_port=data.get("ssh_port"),
        last_line=data["last_line"],
        supervisor=supervisor,
        emulator=qemu,
        emulator_rss=qemu.rss() if qemu else 0,
        supervisor_rss=supervisor.rss() if supervisor else 0,
    )


def stillness(supervisor: ProcessId | None, emulator: ProcessId | None, *, paused: bool) -> str:
    """Why a machine whose processes are there does nothing, and how it goes on; '' if it does something.

    `paused`: its monitor has said so.
    """
    for name, process in (("emulator", emulator), ("supervisor", supervisor)):
        if process is not None and process.stopped():
            return f"its {name}'s process is stopped (`kill -CONT {process.pid}` lets it go on)"
    return "its CPUs are stopped (`cont` on its monitor lets them go on)" if paused else ""


def loss(state: State) -> str:
    """The detail of a machine that lost its supervisor."""
    return f"it was {state} when its supervisor ended"
