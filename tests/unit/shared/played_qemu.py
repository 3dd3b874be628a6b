# SPDX-License-Identifier: Apache-2.0
"""What a machine is made of whose QEMU is `fake_qemu.py`, a small script that speaks the same protocols."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.machine.ports import choose_port
from orchestrator.machine.qemu import QemuMachine
from orchestrator.machine.spec import MachineSpec

FAKE_QEMU = Path(__file__).with_name("fake_qemu.py")


def behaving(machine: QemuMachine, behaviour: str, *, incoming: str | None = None) -> MachineSpec:
    """The script behaves as its first word says."""
    return MachineSpec(
        qemu=(sys.executable, str(FAKE_QEMU), behaviour),
        run_folder=str(machine.paths.folder),
        sockets=str(machine.sockets),
        flash="/none",
        kernel="/none",
        initrds=(),
        cpu="max",
        ssh_port=choose_port(0),
        incoming=incoming,
    )
