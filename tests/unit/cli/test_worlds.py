# SPDX-License-Identifier: Apache-2.0
"""Commands on a machine that is up: a real supervisor of a played emulator, and a real SSH server as its host."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from played_qemu import behaving
from ssh_server import Host, served

from orchestrator.machine.qemu import QemuMachine
from orchestrator.machine.states import State
from orchestrator.shell.keys import SshKeys
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import UpOptions

ORCH = Path(sys.executable).parent / "orch"
ROOT = Path(__file__).resolve().parents[3]


class Up:
    """A machine that is up, and `orch` beside it."""

    def __init__(self, file: Path, machine: QemuMachine, host: Host) -> None:
        self.file, self.machine, self.host = file, machine, host

    def argv(self, *words: str | bytes) -> list[str | bytes]:
        program = "from orchestrator.cli.start import entry; entry()"
        return [sys.executable, "-c", program, "--testbed", str(self.file), *words]

    def orch(self, *words: str | bytes, text: str = "") -> subprocess.CompletedProcess[str]:
        pipe = subprocess.PIPE
        return subprocess.run(
            self.argv(*words), stdout=pipe, stderr=pipe, check=False, input=text, timeout=60, errors="surrogateescape"
        )

    @property
    def emulator(self) -> int:
        emulator = self.machine.status().emulator
        assert emulator is not None
        return emulator.pid


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    for name in ("state", "cache", "home", "runtime", "host"):
        (tmp_path / name).mkdir(mode=0o700)
    for name in ("state", "cache"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ORCH_DEBUG", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file = tmp_path / "testbed.yaml"
    file.write_text((ROOT / "testbed.yaml").read_text(encoding="utf-8") + "timeouts: {ssh: 3}\n", encoding="utf-8")
    project = Project.open(file)
    state = project.state_folder()
    machine = QemuMachine(state / "run")
    with served(tmp_path / "host", SshKeys(project.keys_folder())) as host:
        machine.start_spec(behaving(machine, "ready"))
        machine.wait(State.HOST_READY, 30)
        record = {"ssh_port": host.port, "options": dataclasses.asdict(UpOptions()), "snapshot": None}
        (state / "up.json").write_text(json.dumps(record), encoding="utf-8")
        yield Up(file, machine, host)
        machine.stop()


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"), [("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("cat", 0), ("false", 1)]
)
def test_the_exit_code_is_that_of_the_command(up: Up, command: str, code: int) -> None:
    done = up.orch("ssh", "host", "--", command)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_shell_without_a_terminal_reads_its_commands(up: Up) -> None:
    done = up.orch("ssh", "host", text="echo $((6 * 7)); exit 5\n")
    assert (done.returncode, done.stdout) == (5, "42\n")
    assert up.host.shells == [False]


def test_settings_of_the_users_ssh_have_no_part(up: Up, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh").mkdir()
    (tmp_path / "home/.ssh/config").write_text("Host *\n  ProxyJump nobody@192.0.2.1\n  HostName 192.0.2.2\n")
    (tmp_path / "home/.fabric.yaml").write_text("run: {echo: true}\n][")
    assert up.orch("ssh", "host", "--", "echo here").stdout == "here\n"


def test_what_does_not_wait_loses_nothing(up: Up) -> None:
    """Whoever shares a pipe or a terminal may have made it one that does not wait."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    command = up.argv("ssh", "host", "--", "head -c 1000000 /dev/zero; echo end >&2; exit 4")
    with subprocess.Popen(command, stdout=writer, stderr=writer) as process:
        os.close(writer)
        seen = 0
        while data := os.read(reader, 4096):
            seen += len(data)
            time.sleep(0.0005)
    os.close(reader)
    assert (process.returncode, seen) == (4, 1_000_004)


def test_a_reader_that_has_enough(up: Up) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(up.argv("ssh", "host", "--", "yes"), stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


# --- copies -----------------------------------------------------------------------------------------------------------


def test_copies_without_a_path(up: Up, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert up.orch("cp", str(tmp_path / "file"), "host:").returncode == 0
    assert (up.host.home / "file").read_bytes() == b"content"
    done = up.orch("cp", "host:", str(tmp_path / "x"))
    assert (done.returncode, done.stderr) == (2, "error: SOURCE 'host:' names no file\n  hint: as in host:/tmp/x\n")
    assert up.orch("cp", "", "host:").returncode == 2


def test_names_that_are_not_utf8(up: Up, tmp_path: Path) -> None:
    name = b"na\xffme"
    (tmp_path / os.fsdecode(name)).write_bytes(b"content")
    assert up.orch("cp", os.fsencode(tmp_path) + b"/" + name, b"host:").returncode == 0
    assert (up.host.home / os.fsdecode(name)).read_bytes() == b"content"
    done = up.orch("cp", b"host:" + name, os.fsencode(tmp_path) + b"/again\xff")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "again\udcff").read_bytes() == b"content"
    refused = up.orch("cp", b"host:none\xff", b"x")
    assert (refused.returncode, "error: cannot copy none\udcff to x: No such file" in refused.stderr) == (1, True)


@pytest.mark.parametrize("how", [["cp", "SOURCE", "host:"], ["ssh", "host", "--", "sleep 9"]], ids=["copy", "command"])
@pytest.mark.parametrize("still", [False, True], ids=["slow", "paused"])
def test_one_signal_ends_a_command(up: Up, tmp_path: Path, how: list[str], still: bool) -> None:
    """A machine that is slow, or stands still, is not waited for."""
    (tmp_path / "large").write_bytes(bytes(32 << 20))
    busy = threading.Event()

    def write(*_: object) -> None:
        busy.set()
        up.host.over.wait(1 if not still else None)

    up.host.before_write = write  # type: ignore[method-assign]
    words = [str(tmp_path / "large") if word == "SOURCE" else word for word in how]
    with subprocess.Popen(up.argv(*words), stderr=subprocess.PIPE, text=True) as process:
        if how[0] == "cp":
            assert busy.wait(30)
        else:
            while not up.host.commands:
                time.sleep(0.02)
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 5
    assert (process.returncode, errors.strip()) == (143, "orch: interrupted")


# --- a machine that stands still --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["ssh", "host", "--", "true"], ["cp", "FILE", "host:"], ["up"]])
def test_a_paused_machine_is_named(up: Up, words: list[str]) -> None:
    """The host's port still takes connections, as an emulator's does whose CPUs are stopped."""
    up.host.before_auth = up.host.silence  # type: ignore[method-assign]
    os.kill(up.emulator, signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = up.orch(*(str(up.file) if word == "FILE" else word for word in words))
        assert time.monotonic() - began < 15
        assert done.returncode == 4
        assert f"paused: its emulator's process is stopped (`kill -CONT {up.emulator}` lets it go on)" in done.stderr
        if words != ["up"]:
            assert "state 'ssh': SSH on 127.0.0.1:" in done.stderr
            assert "did not answer within 3 s" in done.stderr
        facts = json.loads(up.orch("status", "--json").stdout)
        assert (facts["state"], facts["up"]) == ("paused", True)
    finally:
        os.kill(up.emulator, signal.SIGCONT)
    assert json.loads(up.orch("status", "--json").stdout)["state"] == "host-ready"


def test_a_machine_that_its_monitor_has_paused(up: Up) -> None:
    up.machine.qmp("stop")
    facts = json.loads(up.orch("status", "--json").stdout)
    assert facts["state"] == "paused"
    assert facts["detail"] == "its CPUs are stopped (`cont` on its monitor lets them go on)"
    up.machine.qmp("cont")
    assert json.loads(up.orch("status", "--json").stdout)["state"] == "host-ready"


def test_a_paused_machine_can_be_taken_down(up: Up) -> None:
    os.kill(up.emulator, signal.SIGSTOP)
    began = time.monotonic()
    done = up.orch("down")
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert time.monotonic() - began < 30


# --- a host that goes away --------------------------------------------------------------------------------------------


def test_a_host_that_hangs_up_and_still_answers(up: Up) -> None:
    up.host.before_command = up.host.hang_up  # type: ignore[method-assign]
    done = up.orch("ssh", "host", "--", "true")
    assert done.returncode == 4
    assert "error: the connection to the host ended, but it answers a new one" in done.stderr


def test_a_machine_that_ends_under_a_command(up: Up) -> None:
    """Its end shows later than that of the connection."""

    def end() -> None:
        up.host.hang_up()
        up.host.close()
        threading.Timer(1.0, lambda: os.kill(up.emulator, signal.SIGKILL)).start()

    up.host.before_command = end  # type: ignore[method-assign]
    done = up.orch("ssh", "host", "--", "true")
    assert done.returncode == 4
    assert "error: the connection to the host ended: it is failed: qemu-exit: signal SIGKILL" in done.stderr
