# SPDX-License-Identifier: Apache-2.0
"""A machine on paper, and one whose QEMU is a small script that speaks the same protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from played_qemu import behaving

from orchestrator.machine.qemu import QemuMachine
from orchestrator.machine.spec import Initrd, MachineSpec


@pytest.fixture
def paper() -> MachineSpec:
    """A spec whose files need not exist."""
    return MachineSpec(
        qemu=("/cache/qemu/bin/qemu-system-aarch64",),
        run_folder="/state/run",
        sockets="/run/user/1000/orch/0123456789ab",
        flash="/cache/firmware/flash.bin",
        kernel="/cache/kernel/Image",
        initrds=(Initrd("/cache/host/base.cpio", 4097), Initrd("/state/overlay.cpio", 512)),
        cpu="max,x-rme=on",
        ssh_port=2222,
        kernel_args=("quiet",),
    )


class FakeQemu:
    """A QEMU and the specs that make the script behave in a named way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.instance = QemuMachine(folder)

    def spec(self, behaviour: str, *, incoming: str | None = None) -> MachineSpec:
        return behaving(self.instance, behaviour, incoming=incoming)

    def start(self, behaviour: str, *, incoming: str | None = None) -> QemuMachine:
        self.instance.start_spec(self.spec(behaviour, incoming=incoming))
        return self.instance


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQemu]:
    """A machine that is gone after the test, whatever the test did."""
    runtime = tmp_path / "r"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    machine = FakeQemu(tmp_path / "run")
    yield machine
    machine.instance.stop()
    assert not list(runtime.glob("orch/*"))
