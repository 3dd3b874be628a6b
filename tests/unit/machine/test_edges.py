# SPDX-License-Identifier: Apache-2.0
"""Folders, locks, ports and pids."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import EnvError
from orchestrator.machine import lock
from orchestrator.machine.paths import make_runtime_folder, runtime_folder
from orchestrator.machine.ports import choose_port
from orchestrator.machine.process import ProcessId


def test_runtime_folder_is_short_private_and_one_per_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    one, other = runtime_folder(tmp_path / "a"), runtime_folder(tmp_path / "b")
    assert one != other
    assert one == runtime_folder(tmp_path / "x/../a")
    make_runtime_folder(one, tmp_path / "a")
    assert one.stat().st_mode & 0o777 == 0o700
    assert one.parent.stat().st_mode & 0o777 == 0o700


def test_long_runtime_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(EnvError, match="the system allows 107"):
        runtime_folder(tmp_path)


def test_unusable_xdg_folder_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    assert str(runtime_folder(Path("/x"))).startswith(f"/tmp/orch-{os.getuid()}/")


def test_open_or_foreign_runtime_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder(tmp_path)
    folder.parent.mkdir(mode=0o755)
    with pytest.raises(EnvError, match="others may enter"):
        make_runtime_folder(folder, tmp_path)
    folder.parent.rmdir()
    folder.parent.symlink_to(tmp_path)
    with pytest.raises(EnvError, match="not a folder of this user"):
        make_runtime_folder(folder, tmp_path)


def test_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not lock.held(path)
    first = lock.take(path)
    assert first is not None
    assert lock.held(path)
    assert lock.take(path) is None
    os.close(first)
    assert not lock.held(path)


def test_lock_lives_in_whoever_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = lock.take(path)
    assert held is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,)) as heir:
        os.close(held)
        assert lock.held(path)
        heir.communicate(b"\n")
    assert not lock.held(path)


def test_free_port_and_taken_port() -> None:
    port = choose_port(0)
    assert choose_port(port) == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(EnvError, match=f"port {port}") as caught:
            choose_port(port)
    assert "ssh.port in testbed.yaml" in (caught.value.hint or "")


def test_process_is_known_by_pid_and_start() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.alive()
    assert me.rss() > 1 << 20
    impostor = ProcessId(me.pid, me.start + 1)
    assert not impostor.alive()
    assert impostor.rss() == 0
    assert impostor.wait_gone(10)
    assert not me.wait_gone(0.01)


def test_zombie_counts_as_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = ProcessId.of(child.pid)
    assert name is not None
    assert child.stdin is not None
    child.stdin.close()
    assert name.wait_gone(10)
    assert not name.alive()
    child.wait()
