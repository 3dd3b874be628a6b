# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for users: each ends with one clear line, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from emulated import ORCH, ROOT, Bed, alive

from orchestrator.errors import BootError
from orchestrator.machine.states import State
from orchestrator.testbed.overlay import OverlayFile
from orchestrator.testbed.testbed import UpOptions


def machine_processes(tmp_path: Path) -> list[int]:
    """QEMU and supervisors whose command line or environment names this test's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(tmp_path) in words and ("qemu-system" in words or "supervisor" in words):
            found.append(process.pid)
    return found


def first_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one error line; a traceback fails the test."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_unknown_key_names_file_line_and_column(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(("  cpus: 2", "  cpu_count: 2"))
    done = bed.orch("up")
    assert done.returncode == 2
    assert re.search(r"testbed\.yaml:\d+:3: machine\.cpu_count: unknown key", first_error(done))


def test_port_taken(make_bed: Callable[..., Bed]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        bed = make_bed(extra=f"ssh:\n  port: {port}\n")
        done = bed.orch("up")
    assert done.returncode == 6
    assert str(port) in first_error(done)


@pytest.mark.parametrize("words", [["--version"], ["up", "--nonsense"], ["ssh", "host", "--", "true"], ["down"]])
def test_an_orch_that_is_ready_says_what_orch_says(bed: Bed, words: list[str]) -> None:
    """Most tests here use one that has read its modules before (ready.py)."""
    done = subprocess.run(bed.command(*words), capture_output=True, text=True, check=False)
    ours = bed.orch(*words)
    assert vars(ours) == vars(done)


def test_not_up(bed: Bed) -> None:
    for arguments in (["ssh", "host", "--", "true"], ["console"], ["counters"]):
        done = bed.orch(*arguments)
        assert done.returncode == 4
        assert "is not up" in first_error(done)
    assert bed.orch("logs").returncode == 2


def test_kernel_panic_is_reported_at_once(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    """A machine whose initramfs holds no init panics; the wait ends then, not at its time-out."""
    bed = make_bed()
    testbed = bed.open()
    artifacts = testbed.build()
    broken = tmp_path / "artifact"
    broken.mkdir()
    (broken / "base.cpio").write_bytes(b"\0" * 512)
    with testbed.exclusive(), pytest.raises(BootError, match="panic: Kernel panic - not syncing") as caught:
        testbed._start({**artifacts, "host-image": broken}, UpOptions(fresh=True))
    assert caught.value.exit_code == 4
    assert any("stopping secondary CPUs" in line for line in caught.value.console)
    assert machine_processes(tmp_path) == []


def test_qemu_killed_while_booting(bed: Bed, tmp_path: Path) -> None:
    child = subprocess.Popen(bed.command("up", "--fresh"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    instance = bed.open().instance
    deadline = time.monotonic() + 60
    while instance.status().emulator is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    qemu = instance.status().emulator
    assert qemu is not None
    os.kill(qemu.pid, signal.SIGKILL)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 4
    assert "Traceback" not in stderr
    assert "SIGKILL" in stderr
    assert machine_processes(tmp_path) == []
    assert bed.orch("up").returncode == 0


def test_ssh_never_up_says_so(make_bed: Callable[..., Bed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose SSH server ends at once: the state, the time-out and the last console lines are told."""
    testbed = make_bed(extra="timeouts:\n  ssh: 3\n").open()
    files = [*testbed.overlay_files({}), OverlayFile("/usr/sbin/dropbear", b"#!/bin/sh\nexit 0\n", 0o755)]
    monkeypatch.setattr(testbed, "overlay_files", lambda _artifacts, _seeded: files)
    with pytest.raises(BootError, match=r"state 'ssh': SSH on 127\.0\.0\.1:\d+ did not answer within 3 s") as caught:
        testbed.up(UpOptions())
    assert any("orch: host-ready" in line for line in caught.value.console)
    assert machine_processes(tmp_path) == []


def test_two_at_once(bed: Bed) -> None:
    first = subprocess.Popen(bed.command("up", "--fresh"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder = bed.open().state / "lock.pid"
    deadline = time.monotonic() + 30
    while not (holder.exists() and holder.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    second = bed.orch("up")
    _, stderr = first.communicate(timeout=120)
    assert first.returncode == 0, stderr
    assert second.returncode == 6
    assert f"another orch (pid {first.pid})" in first_error(second)


def interrupted(command: list[str], delay: float) -> tuple[int, str]:
    """Exit code and stderr of a command that gets a Ctrl-C after `delay` seconds, or later.

    On a busy computer the interpreter itself may not be up by then: that is its own matter, and tried again.
    """
    while True:
        child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        time.sleep(delay)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
        if not stderr.startswith("Fatal Python error: init"):
            return child.returncode, stderr
        delay *= 1.5


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8, 1.1, 1.5, 2.0, 3.0])
def test_interrupt_at_any_moment(bed: Bed, tmp_path: Path, delay: float) -> None:
    """Ctrl-C leaves nothing, or (having come too late) a machine that orch knows."""
    code, stderr = interrupted(bed.command("up", "--fresh"), delay)
    assert "Traceback" not in stderr
    if code == 0:
        assert bed.orch("down").stdout == "stopped\n"
    else:
        assert code == 130
    assert machine_processes(tmp_path) == []
    assert bed.orch("up").returncode == 0


@pytest.mark.parametrize("victim", ["qemu", "supervisor"])
def test_crashes_are_detected_and_cleaned(bed: Bed, tmp_path: Path, victim: str) -> None:
    assert bed.orch("up").returncode == 0
    instance = bed.open().instance
    now = instance.status()
    assert now.emulator is not None
    assert now.supervisor is not None
    os.kill(now.emulator.pid if victim == "qemu" else now.supervisor.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(now.emulator.pid) or alive(now.supervisor.pid):
        assert time.monotonic() < deadline, "the other one outlives the crash"
        time.sleep(0.02)
    assert bed.open().instance.status().state in {State.FAILED, State.STOPPED}
    assert bed.orch("ssh", "host", "--", "true").returncode == 4
    assert bed.orch("up").returncode == 0


def test_orch_killed_leaves_a_machine_that_can_be_taken_over(bed: Bed, tmp_path: Path) -> None:
    child = subprocess.Popen(bed.command("up", "--fresh"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    instance = bed.open().instance
    deadline = time.monotonic() + 60
    while instance.status().emulator is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert bed.orch("down").returncode == 0
    assert machine_processes(tmp_path) == []
    assert bed.orch("up").returncode == 0


def test_damaged_snapshot_boots_cold(own_bed: Bed) -> None:
    bed = own_bed
    assert bed.orch("up").returncode == 0
    bed.orch("down")
    testbed = bed.open()
    key = testbed.snapshot_key(testbed.blueprint(testbed.artifacts(), UpOptions(), 1))
    path = testbed.snapshots.find(key)
    assert path is not None
    path.write_bytes(path.read_bytes()[:100_000])
    done = bed.orch("up")
    assert done.returncode == 0, done.stderr
    assert "snapshot unusable" in done.stderr
    assert done.stdout.startswith("cold")


def test_full_small_disk(tmp_path: Path) -> None:
    """On a tmpfs of 64 MiB `doctor` and a cold build both refuse with exit code 6, before anything is written."""
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "orch", mount], check=False).returncode
    ):
        pytest.skip("cannot mount a tmpfs here")
    try:
        environment = {**os.environ, "XDG_CACHE_HOME": str(mount), "XDG_STATE_HOME": str(tmp_path / "state")}
        for arguments, words in ((["doctor"], "disk space"), (["build"], "not enough space")):
            done = subprocess.run(
                [ORCH, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
            )
            assert done.returncode == 6
            assert words in first_error(done)
        assert sum(f.stat().st_size for f in mount.rglob("*") if f.is_file()) < 1 << 20
    finally:
        subprocess.run(["umount", mount], check=True)
