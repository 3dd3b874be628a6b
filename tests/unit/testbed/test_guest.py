# SPDX-License-Identifier: Apache-2.0
"""Guests as data: the twins' command lines, what the host reports, and the scripts that ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.schema.testbed import Guest
from orchestrator.testbed import guest
from orchestrator.testbed.guest import GuestState, Probe, World, read_exit, read_probe


def test_kernel_command_line() -> None:
    assert guest.kernel_command_line(Guest(), 7) == (
        "console=ttyAMA0 panic=-1 quiet nokaslr arm64.nomops swiotlb=4096 orch.run=7"
    )
    assert guest.kernel_command_line(Guest(cmdline_extra="loglevel=8"), 0).endswith(" orch.run=0 loglevel=8")


def test_twins_differ_in_nothing_but_the_world() -> None:
    realm, vm = (guest.vmm_command(world, Guest(vcpus=2), 3, pretouch=True) for world in World)
    assert [(a, b) for a, b in zip(realm, vm, strict=True) if a != b] == [
        ("realm", "vm"),
        ("/run/guest/realm", "/run/guest/vm"),
    ]
    assert realm[:2] == ["/usr/bin/rvmm", "run"]
    assert ("--mem 256 --vcpus 2 --run-id 3 --pretouch --detach") in " ".join(realm)
    assert "--seed 42 --detach" in " ".join(guest.vmm_command(World.VM, Guest(), 1, seed=42))


def test_stop_command() -> None:
    assert guest.stop_command(World.VM, 119.6) == ["/usr/bin/rvmm", "stop", "/run/guest/vm", "120"]
    assert guest.stop_command(World.REALM, 0.1, kill=True)[2:] == ["/run/guest/realm", "1", "--kill"]


def test_more_memory_takes_longer() -> None:
    limits = [guest.pages_limit(memory) for memory in (64, 256, 2560)]
    assert limits == [25, 70, 610]


def test_only_the_realm_needs_the_driver() -> None:
    assert set(guest.files_for(World.REALM)) - set(guest.files_for(World.VM)) == {guest.DRIVER}


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
    probe = read_probe(text)
    assert probe is not None, text
    return probe


def test_report_of_nothing() -> None:
    probe = probed("host available 2971332 kB\n")
    assert {report.state for report in probe.guests.values()} == {GuestState.ABSENT}
    assert probe.driver == {}
    assert probe.available_kib == 2971332


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of the host's, and a shell in place of the VMM: what counts is the name of its file."""
    monkeypatch.setattr(guest, "FOLDER", str(tmp_path))
    monkeypatch.setattr(guest, "_VMM", str(tmp_path / "rvmm"))
    shutil.copy("/bin/bash", tmp_path / "rvmm")
    for world in World:
        (tmp_path / world).mkdir()
    yield tmp_path
    for pid in tmp_path.glob("*/pid"):
        subprocess.run(["kill", "-KILL", pid.read_text().strip()], check=False, capture_output=True)


def shell(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=20)


def begin(host: Path, world: World, traps: str) -> subprocess.Popen[bytes]:
    script = f"{traps}\necho $$ >pid; while :; do read -t 0.02 <> <(:); done"
    process = subprocess.Popen([host / "rvmm", "-c", script], cwd=host / world)
    pid = host / world / "pid"
    while not (pid.exists() and pid.read_text()):  # the shell makes the file before it writes to it
        assert process.poll() is None
    return process


ANSWER = """trap 'echo "{\\"irq\\": 5}" >stats.new; mv stats.new stats.json' USR1"""


def test_probe_of_a_running_and_of_an_ended_guest(host: Path) -> None:
    running = begin(host, World.REALM, ANSWER)
    (host / "realm/stats.json").write_text('{"irq": 4}\n')  # an earlier answer, to be replaced
    (host / "vm/pid").write_text("1\n")  # recycled: another program has it now
    (host / "vm/exit").write_text("error: KVM_RUN: no\n")
    probe = probed(shell(guest.probe_script(stats=True)).stdout)
    realm, vm = probe.guests[World.REALM], probe.guests[World.VM]
    assert (realm.state, realm.pid, realm.stats) == (GuestState.RUNNING, running.pid, {"irq": 5})
    assert realm.rss_kib
    assert (vm.state, vm.detail, vm.pid) == (GuestState.ERROR, "KVM_RUN: no", None)
    running.kill()
    running.wait()
    assert probed(shell(guest.probe_script()).stdout).guests[World.REALM].state is GuestState.LOST
    (host / "vm/pid").unlink()


def test_a_vmm_whose_memory_is_gone_is_still_there(host: Path) -> None:
    killed = begin(host, World.REALM, "")
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # a zombie: as one that the kernel still clears away
    probe = probed(shell(guest.probe_script(stats=True)).stdout)
    assert (probe.guests[World.REALM].state, probe.guests[World.REALM].pid) == (GuestState.ENDING, killed.pid)
    killed.wait()


def test_statistics_of_a_vmm_that_no_longer_answers(host: Path) -> None:
    deaf = begin(host, World.VM, "trap '' USR1")
    (host / "vm/stats.json").write_text('{"irq": 7}\n')
    probe = probed(shell(guest.probe_script(stats=True)).stdout)
    assert (probe.guests[World.VM].state, probe.guests[World.VM].stats) == (GuestState.RUNNING, {"irq": 7})
    deaf.kill()
    deaf.wait()


def test_a_state_alone_disturbs_nobody(host: Path) -> None:
    running = begin(host, World.VM, "")  # SIGUSR1 would kill it
    assert probed(shell(guest.probe_script()).stdout).guests[World.VM].state is GuestState.RUNNING
    assert running.poll() is None
    running.kill()
    running.wait()


def test_probe_of_a_host_that_cannot_start_programs(host: Path) -> None:
    assert read_probe(shell(f"PATH=/nonexistent; {guest.probe_script()}").stdout) is None


def test_a_refused_start_is_told_on_stderr(host: Path) -> None:
    (host / "vm/exit").write_text("off\n")
    done = shell(guest.start_script(World.VM, ["sh", "-c", "echo rvmm: no kernel >&2; exit 3"]))
    assert (done.returncode, done.stderr) == (3, "rvmm: no kernel\n")
    assert not (host / "vm/exit").exists()  # a start begins with an empty folder
