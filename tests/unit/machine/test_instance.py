# SPDX-License-Identifier: Apache-2.0
"""The life of a machine with a real supervisor and a script in QEMU's place."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import BootError, EnvError
from orchestrator.machine.failure import MachineBootError
from orchestrator.machine.instance import Instance
from orchestrator.machine.platform import Progress
from orchestrator.machine.states import Reason, State

if TYPE_CHECKING:
    from conftest import FakeQemu

LIMIT = 20.0


def test_up_status_down(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    seen: list[Progress] = []
    status = machine.wait(State.HOST_READY, LIMIT, seen.append)
    assert seen[-1].state is State.HOST_READY
    assert list(status.timeline) == ["firmware", "kernel", "host-ready"]
    assert status.alive
    assert 0 < status.supervisor_rss < 60 << 20
    assert status.emulator is not None
    assert status.emulator.alive()
    after = machine.stop()
    assert (after.state, after.reason, after.alive) == (State.STOPPED, Reason.REQUESTED, False)
    assert not status.emulator.alive()
    assert not machine.sockets.exists()
    assert machine.cleanup_stale() == []


def test_log_is_stamped_and_clean(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    machine.stop()
    tail = machine.console_tail()
    assert [line.split(" ", 1)[1] for line in tail[-3:]] == ["Booting", "orch: host-ready", "prompt # "]
    assert tail[0].split(" ", 1)[0].endswith("Z")
    assert b"\x1b[1mBooting" in machine.paths.console_raw("uart0").read_bytes()


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        ("panic", Reason.PANIC, "Kernel panic - not syncing: no init"),
        ("hung-panic", Reason.PANIC, "no init"),
        ("host-failed", Reason.HOST_FAILED, "no disk"),
        ("reset", Reason.GUEST_RESET, "restarted"),
        ("off", Reason.GUEST_SHUTDOWN, "switched"),
        ("die", Reason.QEMU_EXIT, "SIGKILL"),
    ],
)
def test_failures_end_a_wait_at_once(fake: FakeQemu, behaviour: str, reason: Reason, words: str) -> None:
    machine = fake.start(behaviour)
    begin = time.monotonic()
    with pytest.raises(MachineBootError, match=words) as caught:
        machine.wait(State.HOST_READY, 100)
    assert time.monotonic() - begin < LIMIT
    assert caught.value.status.reason is reason
    assert caught.value.exit_code == 4
    assert caught.value.console
    assert str(caught.value.log) in (caught.value.hint or "")


def test_panic_keeps_what_follows_it(fake: FakeQemu) -> None:
    machine = fake.start("panic")
    with pytest.raises(MachineBootError) as caught:
        machine.wait(State.HOST_READY, LIMIT)
    assert caught.value.console[-1].endswith("end of trace")


def test_time_out_names_state_and_last_line(fake: FakeQemu) -> None:
    machine = fake.start("silent")
    machine.wait(State.KERNEL, LIMIT)
    with pytest.raises(MachineBootError, match="in time: state kernel, 0/0 s, last console line"):
        machine.wait(State.HOST_READY, 0.3)
    assert machine.status().alive


def test_a_start_that_qemu_refuses_leaves_nothing(fake: FakeQemu) -> None:
    with pytest.raises(EnvError, match="QEMU did not start: -nonsense: invalid option"):
        fake.start("bad-option")
    assert not fake.instance.status().alive
    assert fake.instance.status().reason is Reason.QEMU_START
    with pytest.raises(EnvError, match="port 2222"):
        fake.start("port-taken")
    with pytest.raises(BootError, match="QEMU ended while it started: signal SIGKILL"):
        fake.start("die-early")


def test_a_missing_qemu_is_named(fake: FakeQemu) -> None:
    with pytest.raises(EnvError, match="/no/qemu: No such file"):
        fake.instance.start_spec(dataclasses.replace(fake.spec("ready"), qemu=("/no/qemu",)))


def test_two_starts(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    with pytest.raises(EnvError, match="already runs"):
        Instance(machine.paths.folder).start_spec(fake.spec("ready"))
    assert machine.wait(State.HOST_READY, LIMIT).alive


def test_start_sets_the_logs_of_the_last_run_aside(fake: FakeQemu) -> None:
    fake.start("die")
    with pytest.raises(MachineBootError):
        fake.instance.wait(State.HOST_READY, LIMIT)
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    assert "about to die" in (machine.paths.previous / "console/uart0.log").read_text(encoding="utf-8")


def test_killed_supervisor_takes_qemu_along_and_is_cleaned_up(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    status = machine.wait(State.HOST_READY, LIMIT)
    assert status.supervisor is not None
    assert status.emulator is not None
    os.kill(status.supervisor.pid, signal.SIGKILL)
    assert status.emulator.wait_gone(LIMIT)
    assert status.supervisor.wait_gone(LIMIT)
    now = machine.status()
    assert (now.state, now.reason, now.alive) == (State.FAILED, Reason.LOST, False)
    done = machine.cleanup_stale()
    assert any("lost" in each for each in done)
    assert not machine.sockets.exists()
    assert machine.cleanup_stale() == []
    assert fake.start("ready").wait(State.HOST_READY, LIMIT).alive


def test_recycled_pids_are_nobody_of_ours(fake: FakeQemu) -> None:
    fake.start("ready").wait(State.HOST_READY, LIMIT)
    fake.instance.stop()
    path = fake.instance.paths.state
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    # The pid of this very test, with another process's start time.
    data.update(state="host-ready", supervisor={"pid": os.getpid(), "start": 1}, qemu={"pid": os.getpid(), "start": 1})
    path.write_text(json.dumps(data), encoding="utf-8")
    assert not fake.instance.status().alive
    fake.instance.stop()
    assert fake.instance.status().state is State.FAILED


def test_stubborn_qemu_is_killed(fake: FakeQemu) -> None:
    machine = fake.start("stubborn")
    status = machine.wait(State.HOST_READY, LIMIT)
    assert machine.stop().state is State.STOPPED
    assert status.emulator is not None
    assert not status.emulator.alive()


def test_stopped_supervisor_is_killed(fake: FakeQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.machine.instance.KILL_TIMEOUT", 0.3)
    machine = fake.start("ready")
    status = machine.wait(State.HOST_READY, LIMIT)
    assert status.supervisor is not None
    os.kill(status.supervisor.pid, signal.SIGSTOP)
    machine.stop(timeout=0.2)
    assert not status.supervisor.alive()
    assert status.emulator is not None
    assert not status.emulator.alive()


def test_save_and_restore(fake: FakeQemu, tmp_path: Path) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    saved = machine.save_state(tmp_path / "snapshots/state")
    assert saved.bytes == len("state")
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["state"]
    machine.stop()
    machine = fake.start("ready", incoming=str(tmp_path / "snapshots/state"))
    status = machine.wait(State.HOST_READY, LIMIT)
    assert list(status.timeline) == ["restoring", "host-ready"]
    machine.resume_guest_now()


def test_a_go_reaches_who_waits(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    with pytest.raises(BootError, match="go: the guest answered 'error: nobody waits'"):
        machine.send_go()
    machine.send_go()
    machine.stop()
    with pytest.raises(BootError, match="go: the machine does not run"):
        machine.send_go()


def test_failed_save_leaves_no_file(fake: FakeQemu, tmp_path: Path) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    with pytest.raises(BootError, match="No space left"):
        machine.save_state(tmp_path / "full/state")
    assert list((tmp_path / "full").iterdir()) == []
    assert machine.status().state is State.HOST_READY


def test_qemu_that_dies_while_saving_is_noticed(fake: FakeQemu, tmp_path: Path) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    with pytest.raises(BootError, match="save: "):
        machine.save_state(tmp_path / "refuse/state")


def test_refused_state(fake: FakeQemu) -> None:
    machine = fake.start("ready", incoming="/refuse")
    with pytest.raises(MachineBootError, match="the saved state was refused: Missing section footer"):
        machine.wait(State.HOST_READY, LIMIT)


def test_qmp_errors_are_told(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    assert machine.qmp("query-status") == {"status": "postmigrate"}
    with pytest.raises(BootError, match="nonsense: no such command"):
        machine.qmp("nonsense")


def test_attached_clients_see_the_past_and_can_type(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    with machine.attach("uart0") as first, machine.attach("uart0") as second:
        for client in (first, second):
            client.settimeout(LIMIT)
            seen = b""
            while b"prompt # " not in seen:
                seen += client.recv(4096)
            assert b"orch: host-ready" in seen
        first.sendall(b"hello")
        for client in (first, second):
            seen = b""
            while b"HELLO" not in seen:
                seen += client.recv(4096)
        machine.stop()
        assert first.recv(100) == b""
    with pytest.raises(BootError, match="does not run"):
        machine.attach("uart0")
    with pytest.raises(ValueError, match="uart0, uart1"):
        machine.attach("uart7")


def test_waiting_for_the_end(fake: FakeQemu) -> None:
    machine = fake.start("ready")
    machine.wait(State.HOST_READY, LIMIT)
    timer = threading.Timer(0.1, machine.stop)
    timer.start()
    assert machine.wait(State.STOPPED, LIMIT).reason is Reason.REQUESTED
    timer.join()


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    machine = Instance(tmp_path / "none")
    assert machine.status().state is State.STOPPED
    assert machine.stop().state is State.STOPPED
    assert not machine.paths.folder.exists()
    with pytest.raises(MachineBootError, match="no machine runs here"):
        machine.wait(State.HOST_READY, 1)
    with pytest.raises(BootError, match="does not run"):
        machine.qmp("query-status")


INTERRUPTED = """
import sys
from pathlib import Path
from orchestrator.machine.instance import Instance
from orchestrator.machine.spec import MachineSpec
from orchestrator.machine.states import State
machine = Instance(Path(sys.argv[1]))
machine.start_spec(MachineSpec.from_json(Path(sys.argv[2]).read_text()))
machine.wait(State.STOPPED, 60)
"""


@pytest.mark.parametrize("delay", [0.1, 0.25, 0.4, 0.8])
def test_interrupted_client_leaves_a_machine_to_adopt_or_nothing(fake: FakeQemu, tmp_path: Path, delay: float) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(fake.spec("ready").to_json(), encoding="utf-8")
    client = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(fake.instance.paths.folder), str(spec)], stderr=subprocess.DEVNULL
    )
    try:
        client.wait(delay)
    except subprocess.TimeoutExpired:
        client.send_signal(signal.SIGINT)
    client.wait(LIMIT)
    if fake.instance.status().alive:
        assert fake.instance.stop().state is State.STOPPED
    assert not fake.instance.status().alive
