# SPDX-License-Identifier: Apache-2.0
"""What the host reports about its guests, and the scripts that ask it, run by a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.testbed import guest, probe
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.probe import GuestState, Probe, read_exit, read_probe
from orchestrator.words import GUEST_WORLDS, World

REALM, VM = GuestName(World.REALM), GuestName(World.VM)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("off", (GuestState.OFF, "")),
        ("stopped", (GuestState.STOPPED, "")),
        ("error: no memory: 3", (GuestState.ERROR, "no memory: 3")),
        ("nonsense", (GuestState.ERROR, "nonsense")),
        (None, (GuestState.LOST, "the VMM ended without a word")),
    ],
)
def test_last_words(line: str | None, expected: tuple[GuestState, str]) -> None:
    assert read_exit(line) == expected


@pytest.mark.parametrize("text", ["", "vm pid 300\n", "vm gone\nhost available \n", "host avail"])
def test_report_without_its_end(text: str) -> None:
    assert read_probe(text) is None


def probed(text: str) -> Probe:
    report = read_probe(text)
    assert report is not None, text
    return report


def test_report_of_nothing() -> None:
    report = probed("host available 2971332 kB\n")
    assert report.guests == {}
    assert report.of(VM).state is GuestState.ABSENT
    assert report.driver == {}
    assert report.available_kib == 2971332


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of the host's, and a shell in place of the VMM: what counts is the name of its file."""
    monkeypatch.setattr(guest, "FOLDER", str(tmp_path))
    shutil.copy("/bin/bash", tmp_path / "rvmm")
    for world in GUEST_WORLDS:
        (tmp_path / world).mkdir()
    yield tmp_path
    for pid in tmp_path.glob("*/pid"):
        subprocess.run(["kill", "-KILL", pid.read_text().strip()], check=False, capture_output=True)


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run it; what it prints is left as it is, as over SSH."""
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, timeout=20)
    return subprocess.CompletedProcess(script, done.returncode, done.stdout.decode(), done.stderr.decode())


def begin(host: Path, name: GuestName, traps: str) -> subprocess.Popen[bytes]:
    script = f"{traps}\necho $$ >pid; while :; do read -t 0.02 <> <(:); done"
    process = subprocess.Popen([host / "rvmm", "-c", script], cwd=host / str(name))
    pid = host / str(name) / "pid"
    while not (pid.exists() and pid.read_text()):  # the shell makes the file before it writes to it
        assert process.poll() is None
    return process


ANSWER = """trap 'echo "{\\"irq\\": 5}" >stats.new; mv stats.new stats.json' USR1"""


def test_probe_of_a_running_and_of_an_ended_guest(host: Path) -> None:
    running = begin(host, REALM, ANSWER)
    (host / "realm/stats.json").write_text('{"irq": 4}\n')  # an earlier answer, to be replaced
    (host / "vm/pid").write_text("1\n")  # recycled: another program has it now
    (host / "vm/exit").write_text("error: KVM_RUN: no\n")
    report = probed(shell(probe.probe_script(stats=True)).stdout)
    realm, vm = report.of(REALM), report.of(VM)
    assert (realm.state, realm.pid, realm.stats) == (GuestState.RUNNING, running.pid, {"irq": 5})
    assert realm.rss_kib
    assert (vm.state, vm.detail, vm.pid) == (GuestState.ERROR, "KVM_RUN: no", None)
    running.kill()
    running.wait()
    assert probed(shell(probe.probe_script()).stdout).of(REALM).state is GuestState.LOST
    (host / "vm/pid").unlink()


def test_a_vmm_whose_memory_is_gone_is_still_there(host: Path) -> None:
    killed = begin(host, REALM, "")
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # a zombie: as one that the kernel still clears away
    report = probed(shell(probe.probe_script(stats=True)).stdout)
    assert (report.of(REALM).state, report.of(REALM).pid) == (GuestState.ENDING, killed.pid)
    killed.wait()


def test_statistics_of_a_vmm_that_no_longer_answers(host: Path) -> None:
    deaf = begin(host, VM, "trap '' USR1")
    (host / "vm/stats.json").write_text('{"irq": 7}\n')
    report = probed(shell(probe.probe_script(stats=True)).stdout)
    assert (report.of(VM).state, report.of(VM).stats) == (GuestState.RUNNING, {"irq": 7})
    deaf.kill()
    deaf.wait()


def test_statistics_alone_are_those_of_now_and_of_nobody_else(host: Path) -> None:
    """Of a guest that is gone there are none, and who has its number now is left alone."""
    running = begin(host, REALM, ANSWER)
    (host / "realm/stats.json").write_text('{"irq": 4}\n')
    assert probe.read_stats(shell(probe.stats_script(REALM)).stdout) == {"irq": 5}
    running.kill()
    running.wait()
    with subprocess.Popen(["sleep", "60"]) as other:
        (host / "realm/pid").write_text(f"{other.pid}\n")
        assert probe.read_stats(shell(probe.stats_script(REALM)).stdout) == {}
        assert other.poll() is None
        other.kill()
    (host / "realm/pid").unlink()
    assert probe.read_stats('{"foreign": true, "irq": 3, "time": 0.5} ') == {"irq": 3}


def test_a_state_alone_disturbs_nobody(host: Path) -> None:
    running = begin(host, VM, "")  # SIGUSR1 would kill it
    assert probed(shell(probe.probe_script()).stdout).of(VM).state is GuestState.RUNNING
    assert running.poll() is None
    running.kill()
    running.wait()


def test_probe_of_a_host_that_cannot_start_programs(host: Path) -> None:
    assert read_probe(shell(f"PATH=/nonexistent; {probe.probe_script()}").stdout) is None


def test_a_refused_start_is_told_on_stderr(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "vm/exit").write_text("off\n")
    (host / "rules").touch()
    monkeypatch.setattr(guest, "_NETWORK_RULES", str(host / "rules"))
    nft = host / "nft"
    nft.write_text(f"#!/bin/sh\necho $* >>{host}/asked; [ $1 = -f ]\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host}:{os.environ['PATH']}")
    done = shell(guest.start_script(VM, ["sh", "-c", "echo rvmm: no kernel >&2; exit 3"]))
    assert (done.returncode, done.stderr) == (3, "rvmm: no kernel\n")
    shell(guest.start_script(VM, ["true"]))
    assert (host / "asked").read_text() == f"-f {host}/rules\n"  # once
    assert not (host / "vm/exit").exists()  # a start begins with an empty folder


@pytest.mark.parametrize(
    ("line", "console", "expected"),
    [
        ("reset", "x\nKernel panic - not syncing: VFS: no root\r\nRebooting\n", (GuestState.PANIC, "VFS: no root")),
        ("reset", "orch: guest-failed: no\n", (GuestState.RESET, "")),
        ("off", "\norch: guest-failed: no SSH host key\n", (GuestState.FAILED, "no SSH host key")),
        ("off", "Kernel panic - not syncing: quoted\n", (GuestState.OFF, "")),
        ("error: KVM_RUN: no", "", (GuestState.ERROR, "KVM_RUN: no")),
        # A guest may write anything: none of it makes a line of the report, or moves the user's cursor.
        ("reset", "Kernel panic - not syncing: a\\nvm pid 1\n", (GuestState.PANIC, "a\\nvm pid 1")),
        ("reset", "Kernel panic - not syncing: a\rvm pid 1\n", (GuestState.PANIC, "a\\x0dvm pid 1")),
        ("reset", "Kernel panic - not syncing: a\x0bvm pid 1\n", (GuestState.PANIC, "a\\x0bvm pid 1")),
        ("reset", "Kernel panic - not syncing: a\x1b[2Jb\n", (GuestState.PANIC, "ab")),
    ],
)
def test_the_console_says_why(host: Path, line: str, console: str, expected: tuple[GuestState, str]) -> None:
    (host / "vm/exit").write_text(f"{line}\n")
    (host / "vm/console.log").write_text(console)
    report = probed(shell(probe.probe_script()).stdout).of(VM)
    assert (report.state, report.detail) == expected


def test_every_guest_is_reported(host: Path) -> None:
    for name in ("realm2", "stranger"):
        (host / name).mkdir()
        (host / name / "exit").write_text("off\n")
    report = probed(shell(probe.probe_script()).stdout)
    assert {str(name): each.state for name, each in report.guests.items()} == {
        "realm": GuestState.LOST,
        "realm2": GuestState.OFF,
        "vm": GuestState.LOST,
    }
