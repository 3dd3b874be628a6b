# SPDX-License-Identifier: Apache-2.0
"""The twins over SSH, as a user reaches them: commands, files, terminals' exit codes, and what they cannot reach."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated import Bed, Maker, host, inside

from orchestrator.errors import BootError
from orchestrator.shell.keys import public_line
from orchestrator.testbed.guest import GuestName
from orchestrator.words import World

WORLDS = ("realm", "vm")
MIB = 1 << 20


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
    assert inside(bed, world, "ip route").split()[0] == f"{name.address.rpartition('.')[0]}.0/24"
    other = GuestName(World.VM if name.world is World.REALM else World.REALM)
    # With a route given by hand too: the host forwards nothing. All at once, as those that fail wait for it.
    script = f"""
        for to in {other.address} 10.0.2.2 192.0.2.1; do ip route add $to/32 via {name.host_address}; done
        for to in {name.host_address} {other.address} 10.0.2.2 192.0.2.1; do
            (ping -c 3 -W 3 $to >/dev/null 2>&1 && echo reached $to || echo not $to) &
        done
        (nc -w 3 {name.host_address} 22 </dev/null >/dev/null 2>&1 && echo open || echo shut) &
        wait"""
    assert sorted(inside(bed, world, script).splitlines()) == [
        *sorted(f"not {address}" for address in (other.address, "10.0.2.2", "192.0.2.1")),
        f"reached {name.host_address}",
        "shut",
    ]


@dataclass(frozen=True)
class Guests:
    """Two realms and a VM with a disk of that content; and what `orch up` said."""

    bed: Bed
    content: bytes
    said: str


@pytest.fixture(scope="module")
def guests(make_module_bed: Maker) -> Guests:
    content = os.urandom(3 * MIB)
    (make_module_bed.folder / "model.img").write_bytes(content)
    bed = make_module_bed(extra="guest:\n  disk: model.img\n")
    done = bed.orch("up", "--realm", "2", "--vm", "--vcpus", "2", "--mem", "128")
    assert done.returncode == 0, done.stderr
    return Guests(bed, content, done.stdout)


@pytest.mark.timeout(600)
def test_both_worlds_over_ssh(guests: Guests, tmp_path: Path) -> None:
    bed = guests.bed
    file = tmp_path / "random"
    file.write_bytes(os.urandom(2 * MIB))  # `make soak` sends 50
    assert [inside(bed, world, "nproc") for world in WORLDS] == ["2\n", "2\n"]
    with ThreadPoolExecutor(len(WORLDS)) as pool:  # ciphers in emulated software take their time
        list(pool.map(lambda world: check_transfer(bed, world, file), WORLDS))
    keys = set()
    for world in WORLDS:
        assert f"{world}: started; SSH answered after" in guests.said
        assert bed.orch("ssh", world, "--", "exit 7").returncode == 7
        assert bed.orch("ssh", world, "--", "cat", input="through stdin").stdout == "through stdin"
        check_reach(bed, world)
        facts = json.loads(bed.orch("status", "--json").stdout)["guests"][world]
        assert facts["attested"] is (world == "realm")
        assert facts["stats"]["net_rx_frames"] > 0
        keys.add(facts["host_key"])
        assert inside(bed, world, "cat /etc/dropbear/*key | wc -c") != "0\n"
    assert len(keys) == len(WORLDS)  # each made its own


@pytest.mark.parametrize("world", WORLDS)
def test_a_disk_for_both(guests: Guests, world: str) -> None:
    digest = hashlib.sha256(guests.content).hexdigest()
    assert inside(guests.bed, world, "sha256sum /dev/vda").split()[0] == digest
    assert guests.bed.ask(world, "echo x >/dev/vda").code != 0


def test_several_of_a_world(guests: Guests) -> None:
    bed = guests.bed
    names = ("realm", "realm2", "vm")
    addresses = {inside(bed, name, "ifconfig eth0 | grep 'inet addr'") for name in names}
    assert len(addresses) == len(names)
    assert bed.orch("down", "realm").stdout.startswith("realm: stopped; delegated granules: ")
    assert inside(bed, "realm2", "echo here") == "here\n"


def check_panic(bed: Bed, name: str) -> None:
    ended = bed.orch("ssh", name, "--", "echo c >/proc/sysrq-trigger; sleep 60")
    assert ended.returncode == BootError("").exit_code
    assert f"the {name} ended: panic: sysrq triggered crash" in ended.stderr
    facts = json.loads(bed.orch("status", "--json").stdout)["guests"][name]
    assert (facts["state"], facts["detail"]) == ("panic", "sysrq triggered crash")
    again = bed.orch("ssh", name, "--", "true")
    assert "is not up: panic: sysrq triggered crash" in again.stderr


def test_a_panic_comes_back(guests: Guests) -> None:
    """That of the realm which is left; nothing of it stays in the host."""
    bed = guests.bed
    bed.orch("down", "realm")  # if it is still there
    check_panic(bed, "realm2")
    driver = bed.near.status()["guests"]["driver"]
    assert (driver["granules"], driver["leaked"]) == (0, 0)


def test_the_pinned_key_counts(guests: Guests) -> None:
    """A server that owns another key than the console has shown is not talked to."""
    bed, record = guests.bed, guests.bed.near.guests.record
    pinned = record.guest(GuestName(World.VM))["host_key"]
    record.note(GuestName(World.VM), host_key=public_line(bed.near.keys.host))
    refused = bed.orch("ssh", "vm", "--", "true")
    assert refused.returncode == BootError("").exit_code
    assert "does not own the host key" in refused.stderr
    record.note(GuestName(World.VM), host_key=pinned)
    assert bed.orch("ssh", "vm", "--", "true").returncode == 0


def test_a_tap_that_is_refused(guests: Guests) -> None:
    """And a guest that is started once more has made a new key."""
    bed = guests.bed
    first = json.loads(bed.orch("status", "--json").stdout)["guests"]["vm"]["host_key"]
    assert bed.orch("down", "vm").returncode == 0
    host(bed, "ip tuntap add dev tap-vm mode tun")
    refused = bed.orch("up", "--vm")
    assert refused.returncode == BootError("").exit_code
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert line == "error: vm: it did not start: rvmm: --tap tap-vm: an interface of another kind has this name"
    host(bed, "ip link del tap-vm")
    assert bed.orch("up", "--vm").returncode == 0
    assert json.loads(bed.orch("status", "--json").stdout)["guests"]["vm"]["host_key"] != first


@pytest.mark.long
def test_a_panic_of_a_vm_comes_back(bed: Bed) -> None:
    assert bed.orch("up", "--vm").returncode == 0
    check_panic(bed, "vm")
