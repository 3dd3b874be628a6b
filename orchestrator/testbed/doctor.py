# SPDX-License-Identifier: Apache-2.0
"""Check the surroundings before they fail in the middle of something."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from orchestrator.build.bootstrap import missing_packages
from orchestrator.build.mirror import mirrors
from orchestrator.errors import OrchError
from orchestrator.machine.ports import choose_port

if TYPE_CHECKING:
    from orchestrator.testbed.testbed import Testbed

COLD_BUILD_MIB = 12 * 1024
MEMORY_MIB = 4 * 1024


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is fine, what was found, what to do."""

    name: str
    ok: bool
    found: str
    hint: str = ""


def examine(testbed: Testbed) -> list[Finding]:
    """Run every check; none changes anything."""
    return [
        _packages(),
        _space(testbed),
        _memory(),
        _guarded("mirror (as set)", lambda: mirrors()[0]),
        _guarded("ssh port", lambda: _port(testbed)),
        _machine(testbed),
    ]


def _packages() -> Finding:
    missing = missing_packages()
    if missing:
        return Finding(
            "system packages", False, f"missing: {' '.join(missing)}", f"apt-get install {' '.join(missing)}"
        )
    return Finding("system packages", True, "all present")


def _space(testbed: Testbed) -> Finding:
    """A cold build needs 12 GiB; with everything built only the snapshots do."""
    try:
        todo = testbed.builder.plan(list(testbed.project.machine_nodes(testbed.graph).values()))
        cold = any(item.node.name == "kernel" for item in todo)
    except OrchError:  # a tool is missing, which another check tells
        cold = True
    needed = COLD_BUILD_MIB if cold else 1024
    free = testbed.cache.free_mib()
    found = f"{free} MiB free for {testbed.cache.root}, {needed} MiB wanted"
    return Finding("disk space", free >= needed, found, "free some, or set XDG_CACHE_HOME to a larger disk")


def _memory() -> Finding:
    available = psutil.virtual_memory().available >> 20
    found = f"{available} MiB available, {MEMORY_MIB} MiB wanted; {os.cpu_count()} CPUs"
    return Finding("memory", available >= MEMORY_MIB, found, "close other programs")


def _machine(testbed: Testbed) -> Finding:
    status = testbed.instance.status()
    if status.alive:
        return Finding("machine", True, f"up, state {status.state}")
    return Finding("machine", True, "not running")


def _port(testbed: Testbed) -> str:
    record = testbed.running()
    if record is not None:
        return f"{record['ssh_port']} in use by this testbed"
    return f"{choose_port(testbed.project.ssh_port)} is free"


def _guarded(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except OrchError as error:
        return Finding(name, False, error.message, error.hint or "")
