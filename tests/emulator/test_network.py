# SPDX-License-Identifier: Apache-2.0
"""The twins over SSH, as a user reaches them: commands, files, terminals' exit codes, and what they cannot reach."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from emulated import Bed, host

from orchestrator.errors import BootError
from orchestrator.shell.keys import public_line
from orchestrator.testbed.guest import GuestName
from orchestrator.words import World

WORLDS = ("realm", "vm")
MIB = 1 << 20


def inside(bed: Bed, world: str, script: str) -> str:
    """What a script prints that must succeed in the guest."""
    done = bed.orch("ssh", world, "--", script, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_transfer(bed: Bed, world: str, file: Path) -> None:
    """Into the guest and back by SFTP: the sums agree on all three sides."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    copied = bed.orch("cp", str(file), f"{world}:/tmp/")
    assert copied.returncode == 0, copied.stderr
    assert inside(bed, world, f"sha256sum /tmp/{file.name}").split()[0] == digest
    back = file.with_suffix(f".{world}")
    copied = bed.orch("cp", f"{world}:/tmp/{file.name}", str(back))
    assert copied.returncode == 0, copied.stderr
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest
    inside(bed, world, f"rm /tmp/{file.name}")


def check_reach(bed: Bed, world: str) -> None:
    """Host and guest see each other; the guest sees nobody else, and none of the host's services."""
    name = GuestName(World(world))
    host(bed, f"ping -c 3 -W 5 {name.address}")
    inside(bed, world, f"ping -c 3 -W 5 {name.host_address}")
    assert inside(bed, world, "ip route").split()[0] == f"{name.address.rpartition('.')[0]}.0/24"
    other = GuestName(World.VM if name.world is World.REALM else World.REALM)
    shut = f"nc -w 3 {name.host_address} 22 </dev/null >/dev/null 2>&1"
    assert inside(bed, world, f"{shut} && echo open || echo shut") == "shut\n"
    for address in (other.address, "10.0.2.2", "192.0.2.1"):
        # With a route given by hand too: the host forwards nothing.
        script = f"ip route add {address}/32 via {name.host_address}; ping -c 1 -W 2 {address} >/dev/null 2>&1"
        assert inside(bed, world, f"{script} && echo reached || echo not") == "not\n", address


@pytest.mark.timeout(600)
def test_both_worlds_over_ssh(bed: Bed, tmp_path: Path) -> None:
    done = bed.orch("up", "--realm", "--vm", "--vcpus", "2")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "random"
    file.write_bytes(os.urandom(2 * MIB))  # `make soak` sends 50
    with ThreadPoolExecutor(len(WORLDS)) as pool:  # ciphers in emulated software take their time
        list(pool.map(lambda world: check_transfer(bed, world, file), WORLDS))
    keys = set()
    for world in WORLDS:
        assert f"{world}: started; SSH answered after" in done.stdout
        assert inside(bed, world, "nproc") == "2\n"
        assert bed.orch("ssh", world, "--", "exit 7").returncode == 7
        assert bed.orch("ssh", world, "--", "cat", input="through stdin").stdout == "through stdin"
        check_reach(bed, world)
        facts = json.loads(bed.orch("status", "--json").stdout)["guests"][world]
        assert facts["attested"] is False
        assert facts["stats"]["net_rx_frames"] > 0
        keys.add(facts["host_key"])
        assert inside(bed, world, "cat /etc/dropbear/*key | wc -c") != "0\n"
    assert len(keys) == len(WORLDS)  # each made its own


def test_the_pinned_key_counts(bed: Bed) -> None:
    """A server that owns another key than the console has shown is not talked to."""
    done = bed.orch("up", "--vm")
    assert done.returncode == 0, done.stderr
    first = json.loads(bed.orch("status", "--json").stdout)["guests"]["vm"]["host_key"]
    testbed = bed.open()
    record = testbed.guests.record
    pinned = record.guest(GuestName(World.VM))["host_key"]
    record.note(GuestName(World.VM), host_key=public_line(testbed.keys.host))
    refused = bed.orch("ssh", "vm", "--", "true")
    assert refused.returncode == BootError("").exit_code
    assert "does not own the host key" in refused.stderr
    record.note(GuestName(World.VM), host_key=pinned)
    assert bed.orch("ssh", "vm", "--", "true").returncode == 0
    assert bed.orch("down", "vm").returncode == 0
    assert bed.orch("up", "--vm").returncode == 0
    assert json.loads(bed.orch("status", "--json").stdout)["guests"]["vm"]["host_key"] != first  # a new one each boot


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_a_panic_comes_back(bed: Bed, world: str) -> None:
    done = bed.orch("up", f"--{world}")
    assert done.returncode == 0, done.stderr
    ended = bed.orch("ssh", world, "--", "echo c >/proc/sysrq-trigger; sleep 60")
    assert ended.returncode == BootError("").exit_code
    assert f"the {world} ended: panic: sysrq triggered crash" in ended.stderr
    facts = json.loads(bed.orch("status", "--json").stdout)["guests"][world]
    assert (facts["state"], facts["detail"]) == ("panic", "sysrq triggered crash")
    again = bed.orch("ssh", world, "--", "true")
    assert "is not up: panic: sysrq triggered crash" in again.stderr


def test_several_of_a_world(bed: Bed) -> None:
    done = bed.orch("up", "--realm", "2", "--vm", "--mem", "128")
    assert done.returncode == 0, done.stderr
    names = ("realm", "realm2", "vm")
    addresses = {inside(bed, name, "ifconfig eth0 | grep 'inet addr'") for name in names}
    assert len(addresses) == len(names)
    assert bed.orch("down", "realm").stdout.startswith("realm: stopped; delegated granules: ")
    assert inside(bed, "realm2", "echo here") == "here\n"
    assert bed.orch("down", "realm2").stdout == "realm2: stopped; delegated granules: 0\n"


def test_a_disk_for_both(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    content = os.urandom(3 * MIB)
    (tmp_path / "model.img").write_bytes(content)
    bed = make_bed(extra="guest:\n  disk: model.img\n")
    done = bed.orch("up", "--realm", "--vm")
    assert done.returncode == 0, done.stderr
    for world in WORLDS:
        assert inside(bed, world, "sha256sum /dev/vda").split()[0] == hashlib.sha256(content).hexdigest()
        refused = bed.orch("ssh", world, "--", "echo x >/dev/vda")
        assert refused.returncode != 0


def test_a_tap_that_is_refused(bed: Bed) -> None:
    assert bed.orch("up").returncode == 0
    host(bed, "ip tuntap add dev tap-vm mode tun")
    refused = bed.orch("up", "--vm")
    assert refused.returncode == BootError("").exit_code
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert line == "error: vm: it did not start: rvmm: --tap tap-vm: an interface of another kind has this name"
    host(bed, "ip link del tap-vm")
    assert bed.orch("up", "--vm").returncode == 0
