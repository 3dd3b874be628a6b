# SPDX-License-Identifier: Apache-2.0
"""A tied machine ends with the process that started it; any other outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.machine.platform import MachineStatus
from orchestrator.machine.process import ProcessId
from orchestrator.machine.states import Reason, State

if TYPE_CHECKING:
    from conftest import FakeQemu

LIMIT = 20.0
GONE = 10.0  # s, all that a dead owner's machine may take

# Starts the machine from a thread that ends at once, as those of a pool may, and stays until it is killed.
OWNER = """
import sys, threading
from pathlib import Path
from orchestrator.machine.instance import Instance
from orchestrator.machine.spec import MachineSpec
from orchestrator.machine.states import State
machine = Instance(Path(sys.argv[1]))
spec = MachineSpec.from_json(Path(sys.argv[2]).read_text())
thread = threading.Thread(target=machine.start_spec, args=(spec,), kwargs={"tied": sys.argv[3] == "tied"})
thread.start()
thread.join()
machine.wait(State.HOST_READY, 20)
print("ready", flush=True)
sys.stdin.read()
"""


def owned(fake: FakeQemu, folder: Path, kind: str, behaviour: str = "ready") -> subprocess.Popen[str]:
    """A process whose machine is up."""
    spec = folder / "spec.json"
    spec.write_text(fake.spec(behaviour).to_json(), encoding="utf-8")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(fake.instance.paths.folder), str(spec), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    return owner


def processes(status: MachineStatus) -> tuple[ProcessId, ProcessId]:
    assert status.supervisor is not None
    assert status.emulator is not None
    return status.supervisor, status.emulator


@pytest.mark.parametrize("behaviour", ["ready", "stubborn"])
def test_a_tied_machine_ends_with_its_owner(fake: FakeQemu, tmp_path: Path, behaviour: str) -> None:
    with owned(fake, tmp_path, "tied", behaviour) as owner:
        supervisor, qemu = processes(fake.instance.status())
        assert not supervisor.wait_gone(1.0)  # the thread that started it is gone, its process is not
        owner.kill()
        assert supervisor.wait_gone(GONE)
        assert not qemu.alive()
    assert not fake.instance.sockets.exists()
    now = fake.instance.status()
    assert (now.state, now.reason, now.alive) == (State.STOPPED, Reason.OWNER_GONE, False)
    assert fake.start("ready").wait(State.HOST_READY, LIMIT).alive


def test_a_tied_machine_ends_with_an_owner_that_exits(fake: FakeQemu, tmp_path: Path) -> None:
    with owned(fake, tmp_path, "tied") as owner:
        supervisor, qemu = processes(fake.instance.status())
        owner.communicate()
        assert owner.returncode == 0
        assert supervisor.wait_gone(GONE)
        assert not qemu.alive()


def test_another_one_outlives_it(fake: FakeQemu, tmp_path: Path) -> None:
    with owned(fake, tmp_path, "free") as owner:
        supervisor, qemu = processes(fake.instance.status())
        owner.kill()
    assert not supervisor.wait_gone(1.0)
    assert qemu.alive()
    assert fake.instance.stop().reason is Reason.REQUESTED


def test_both_killed_at_once_leave_no_emulator(fake: FakeQemu, tmp_path: Path) -> None:
    """The supervisor cannot end QEMU in order then: the kernel does, and the next start cleans up."""
    with owned(fake, tmp_path, "tied") as owner:
        supervisor, qemu = processes(fake.instance.status())
        supervisor.send(signal.SIGKILL)
        owner.kill()
        assert supervisor.wait_gone(GONE)
        assert qemu.wait_gone(GONE)
    assert fake.instance.status().reason is Reason.LOST
    assert fake.start("ready").wait(State.HOST_READY, LIMIT).alive


def test_an_owner_that_was_gone_before_leaves_nothing(fake: FakeQemu) -> None:
    """The kernel sends no signal for a parent that has ended already: the supervisor looks for itself."""
    folder = fake.instance.paths.folder
    folder.mkdir()
    fake.instance.paths.spec.write_text(fake.spec("ready").to_json(), encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator.machine.supervisor", f"--tied-to={os.getpid() + 1}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1
    assert "the process that it was to belong to has ended" in done.stderr
    assert not fake.instance.sockets.exists()
    assert not fake.instance.paths.state.exists()


def test_a_fork_of_an_owner_can_own_a_machine(fake: FakeQemu) -> None:
    """A forked process has no threads of its parent's, so not the one that starts tied supervisors either."""
    fake.instance.start_spec(fake.spec("ready"), tied=True)
    fake.instance.stop()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        code = 1
        try:
            fake.instance.start_spec(fake.spec("ready"), tied=True)
            code = 0
        finally:
            os._exit(code)
    supervisor = ProcessId.of(child)
    assert supervisor is not None
    assert supervisor.wait_gone(LIMIT)
    assert os.waitpid(child, 0)[1] == 0
    account = json.loads(fake.instance.paths.state.read_text(encoding="utf-8"))
    left = ProcessId(**account["supervisor"])
    assert left.wait_gone(GONE)
