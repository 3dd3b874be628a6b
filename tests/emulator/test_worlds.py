# SPDX-License-Identifier: Apache-2.0
"""Host, realm and normal VM side by side, as one machine has them for all tests here, with instructions counted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import runners
from emulated import Bed, build, host, inside
from test_confine import check_confined
from test_guests import console
from test_runtime_disk import READ

from orchestrator.schema.disk import tree_of
from orchestrator.testbed import runtime_disk
from orchestrator.testbed.guest import RUNTIME
from orchestrator.trace.tally import SecurityState as S
from orchestrator.trace.tally import Tally

TWINS = ("realm", "vm")
VCPUS = 2


@pytest.fixture(scope="module")
def only_vm(module_bed: Bed) -> Bed:
    """The machine as it is first, for tests that a realm beside the VM would disturb."""
    return up(module_bed, "--vm")


@pytest.fixture(scope="module")
def worlds(only_vm: Bed) -> Bed:
    return up(only_vm, "--realm")


def up(bed: Bed, world: str) -> Bed:
    done = bed.orch("up", "--count", world, "--vcpus", str(VCPUS), timeout=280)
    assert done.returncode == 0, done.stderr
    return bed


def test_exits_are_those_that_kvm_counts(only_vm: Bed) -> None:
    """A thousand characters to the guest's console are as many exits, at least; KVM does not count what it settles
    before its main loop sees it (a first use of FP behind a switch, for one), and the readings lie around the other's.
    """
    bed = only_vm
    client = bed.near.counter()

    def both() -> tuple[int, Tally]:
        exits = int(host(bed, "cat /sys/kernel/debug/kvm/*-*/exits"))
        return exits, client.counters().tally

    kvm_before, before = both()
    inside(bed, "vm", "yes | head -c 1000 >/dev/console")
    kvm_after, after = both()
    kvm, counted = kvm_after - kvm_before, (after - before).guest_exits()
    assert counted[S.NON_SECURE] >= 1000
    assert 0.9 * kvm - 200 < counted[S.NON_SECURE] < 1.2 * kvm + 200
    assert counted[S.REALM] == 0


def capabilities(cpuinfo: str) -> set[str]:
    """The HWCAPs that /proc/cpuinfo shows."""
    match = re.search(r"^Features\s*: (.*)$", cpuinfo, re.MULTILINE)
    assert match, cpuinfo
    return set(match[1].split())


def test_twins_see_the_same_machine(worlds: Bed) -> None:
    """What one asks of its surroundings has one answer in both worlds."""
    bed = worlds
    seen: dict[str, dict[str, str]] = {}
    features = "dmesg | sed -n 's/^.*\\(CPU features: detected:\\)/\\1/p'"
    cpu, command_line = "cat /proc/cpuinfo", "cat /proc/cmdline"
    commands = ("uname -a", cpu, "ls /proc/device-tree", "free | head -2 | cut -c 1-20", features, command_line)
    for world in TWINS:
        with console(bed, world) as guest:
            seen[world] = {command: guest.say(command) for command in commands}
    assert seen["realm"] == seen["vm"]
    assert seen["vm"][features].count("CPU features: detected:") > 5
    has = capabilities(host(bed, cpu))
    assert "asimd" in capabilities(seen["realm"][cpu]) <= has


def test_all_have_the_runners_own_bytes(worlds: Bed) -> None:
    """From the runtime's disk, which nobody can write to (test_runtime_disk.py)."""
    bed = worlds
    bundle = sorted((build(bed, "runner") / "bundle").iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in bundle)).hexdigest()
    expected = [*(path.name for path in bundle), f"{digest}  -", "refused"]
    image = build(bed, RUNTIME.node) / RUNTIME.name
    host(bed, runtime_disk.host_script(tree_of(image), RUNTIME.path))
    for world in ("host", "vm", "realm"):
        read = bed.ask(world, READ)
        assert read.stdout.splitlines() == expected, read.stderr
    check = runtime_disk.check_script(tree_of(image))
    assert [bed.ask(world, check).code for world in ("vm", "realm")] == [0, 0]


@pytest.mark.parametrize("world", TWINS)
def test_a_full_guest(worlds: Bed, tmp_path: Path, world: str) -> None:
    """The cause, no half file, and the next copy works."""
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(bytes(3 << 20))
    small.write_bytes(b"small")
    inside(worlds, world, "mkdir -p /run/full && mount -t tmpfs -o size=1m full /run/full")
    done = worlds.orch("cp", str(large), f"{world}:/run/full/")
    assert done.returncode == 1
    assert done.stderr.strip() == f"error: cannot copy {large} to /run/full/large: No space left on device"
    assert inside(worlds, world, "ls -A /run/full") == ""
    done = worlds.orch("cp", str(small), f"{world}:/run/full/")
    assert done.returncode == 0, done.stderr
    assert inside(worlds, world, "cat /run/full/small; umount /run/full") == "small"


@pytest.mark.parametrize("world", [*TWINS, "host"])
def test_who_is_killed_has_the_shells_code(worlds: Bed, world: str) -> None:
    done = worlds.orch("ssh", world, "--", "echo before; kill -9 $$")
    assert (done.returncode, done.stdout, done.stderr) == (137, "before\n", "")
    assert worlds.orch("ssh", world, "--", "exit 3").returncode == 3


def test_a_guest_takes_much_at_once(worlds: Bed) -> None:
    """What a put() may send before it is asked for more: of the server's own 24 KiB each copy would wait."""
    for world in TWINS:
        with worlds.near.link(world) as link:
            channel = link.transport.open_session()
            try:
                assert channel.out_window_size >= 1 << 20
            finally:
                channel.close()


@pytest.mark.timeout(300)
def test_a_machine_that_stands_still_is_named_by_every_command(worlds: Bed, tmp_path: Path) -> None:
    """Each ends with the name of its time-out; afterwards all goes on."""
    small = tmp_path / "small"
    small.write_bytes(b"small")
    emulator = worlds.open().instance.status().emulator
    assert emulator is not None
    how = (("ssh", "host", "--", "true"), ("ssh", "realm", "--", "true"), ("cp", str(small), "vm:"), ("up", "--vm"))
    os.kill(emulator.pid, signal.SIGSTOP)
    try:
        for words in how:
            began = time.monotonic()
            done = worlds.orch(*words)
            assert time.monotonic() - began < 35, words
            assert done.returncode == 4, words
            assert f"paused: its emulator's process is stopped (`kill -CONT {emulator.pid}`" in done.stderr
            assert ("did not answer within" in done.stderr) == (words[0] != "up")
        began = time.monotonic()
        assert json.loads(worlds.orch("status", "--json").stdout)["state"] == "paused"
        assert time.monotonic() - began < 35
    finally:
        os.kill(emulator.pid, signal.SIGCONT)
    assert json.loads(worlds.orch("status", "--json").stdout)["state"] == "host-ready"
    assert worlds.orch("cp", str(small), "vm:").returncode == 0


@pytest.mark.timeout(900)
def test_an_inference_has_one_result(worlds: Bed, tmp_path: Path) -> None:
    """The same numbers everywhere, and each phase between its markers."""
    give = tmp_path / "give"
    runners.prepare(give, build(worlds, "runner"))
    found = runners.run_everywhere(worlds, give)
    runners.check_markers(worlds)
    runners.check_scores(found, runners.run_here(worlds, give))
    runners.check_armed(worlds)


def test_guests_live_confined(worlds: Bed) -> None:
    """The last one here: it ends them."""
    check_confined(worlds, VCPUS)
