# SPDX-License-Identifier: Apache-2.0
"""Guests as data: names and addresses, the twins' command lines, what a guest says of itself."""

from __future__ import annotations

import base64
import itertools

import pytest

from orchestrator.schema.disk import DiskTree
from orchestrator.schema.testbed import Guest, Vmm
from orchestrator.schema.vmm_template import EXAMPLE
from orchestrator.testbed import guest
from orchestrator.testbed.guest import GuestName, Start
from orchestrator.words import GUEST_WORLDS, World

REALM, VM = GuestName(World.REALM), GuestName(World.VM)
KEY = "AAAAC3Nza"
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


def start(name: GuestName, config: Guest | None = None, run: int = 3, **options: object) -> list[str]:
    config = config or Guest(vcpus=2)
    return guest.vmm_command(Start(name, config, guest.kernel_command_line(config, KEY), run, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["realm", "realm2", "realm8", "vm", "vm3"])
def test_names(text: str) -> None:
    name = GuestName.parse(text)
    assert name is not None
    assert str(name) == text
    assert name.folder == f"/run/guest/{text}"


@pytest.mark.parametrize("text", ["", "host", "realm0", "realm1", "realm9", "realm22", "vm ", "Realm"])
def test_no_names(text: str) -> None:
    assert GuestName.parse(text) is None


def test_every_guest_has_a_network_of_its_own() -> None:
    names = [GuestName(world, number) for world, number in itertools.product(GUEST_WORLDS, range(1, 9))]
    for what in ("address", "host_address", "tap"):
        assert len({getattr(name, what) for name in names}) == len(names)
    assert all(len(name.tap) < 16 for name in names)  # IFNAMSIZ
    assert (REALM.address, REALM.host_address) == ("10.79.1.2", "10.79.1.1")


def test_the_hardware_address_tells_run_and_network() -> None:
    assert REALM.mac(0x123456) == "02:00:12:34:56:01"
    assert GuestName(World.VM, 2).mac(1) == "02:00:00:00:01:0a"
    assert REALM.mac(2**24 + 5) == REALM.mac(5)


def test_kernel_command_line() -> None:
    assert guest.kernel_command_line(Guest(), KEY) == (
        "console=ttyAMA0 panic=-1 quiet nokaslr arm64.nomops init_on_alloc=1 swiotlb=4096 orch.key=AAAAC3Nza"
    )
    assert guest.kernel_command_line(Guest(cmdline_extra="loglevel=8"), KEY).endswith(" loglevel=8")
    assert guest.kernel_command_line(Guest(cmdline_extra='x="a  *"'), KEY).endswith(' x="a  *"')


TREE = DiskTree(block_bytes=4096, data_blocks=3, root_hash="ab" * 32)


@pytest.mark.parametrize(("own", "device"), [({}, "/dev/vda"), ({"disk": "model.img"}, "/dev/vdb")])
def test_the_root_hash_of_the_runtimes_disk_is_on_the_command_line(own: dict[str, str], device: str) -> None:
    line = guest.kernel_command_line(Guest.model_validate(own), KEY, TREE)
    table = f"0 24 verity 1 {device} {device} 4096 4096 3 3 sha256 {'ab' * 32} - 2 panic_on_corruption panic_on_error"
    assert line.endswith(f' dm-mod.create="runtime,,0,ro,{table}"')


def test_the_runtimes_disk_comes_beside_an_own_one() -> None:
    both = " ".join(start(REALM, Guest.model_validate({"disk": "model.img"}), runtime=True))
    assert "--disk /usr/lib/guest/disk --runtime /usr/lib/guest/runtime.img" in both
    assert "--runtime" not in start(REALM)


def test_twins_differ_in_nothing_but_world_and_address() -> None:
    realm, vm = (start(name, pretouch=True, runtime=True) for name in (REALM, VM))
    assert [(a, b) for a, b in zip(realm, vm, strict=True) if a != b] == [
        ("realm", "vm"),
        ("/run/guest/realm", "/run/guest/vm"),
        ("tap-realm", "tap-vm"),
        ("10.79.1.1/24", "10.79.9.1/24"),
        ("02:00:00:00:03:01", "02:00:00:00:03:09"),
    ]
    assert realm[:2] == ["/usr/bin/rvmm", "run"]
    assert "--mem 256 --vcpus 2 --tap tap-realm" in " ".join(realm)
    assert "--run-id 3 --pretouch --detach" in " ".join(realm)
    assert "--seed 42 --detach" in " ".join(start(VM, seed=42))


def test_what_is_measured_does_not_depend_on_the_start() -> None:
    first, second = start(REALM, run=1), start(REALM, run=2)
    assert first[first.index("--cmdline") + 1] == second[second.index("--cmdline") + 1]


def test_disk(tmp_path: object) -> None:
    assert "--disk /usr/lib/guest/disk" in " ".join(start(VM, Guest.model_validate({"disk": "model.img"})))
    assert "--disk" not in start(VM)


def test_another_vmm_is_looked_after_by_ours() -> None:
    config = Guest(vcpus=2, memory_mib=512)
    foreign = Vmm(
        command="/usr/lib/vmm/other --kernel {{ kernel }} --append {{ cmdline | quote }} {{ mac }} {{ vcpus }}"
    )
    command = guest.start_command(Start(VM, config, "quiet panic=-1", 3, foreign=foreign))
    assert command == [
        *("/usr/bin/rvmm", "wrap", "/run/guest/vm", "--world", "vm", "--tap", "tap-vm"),
        *("--tap-address", "10.79.9.1/24", "--run-id", "3", "--detach", "--"),
        *("/usr/lib/vmm/other", "--kernel", "/usr/lib/guest/Image", "--append", "quiet panic=-1"),
        *("02:00:00:00:03:09", "2"),
    ]
    ours = Start(VM, config, "quiet", 3)
    assert guest.start_command(ours) == guest.vmm_command(ours)


def test_every_variable_of_a_template_has_a_value() -> None:
    template = "x" + "".join(f" {name}={{{{ {name} | quote }}}}" for name in EXAMPLE)
    start = Start(REALM, Guest.model_validate({"disk": "d"}), "a b", 3, foreign=Vmm(command=template))
    words = guest.start_command(start)
    assert f"folder={REALM.folder}" in words
    assert "disk=/usr/lib/guest/disk" in words
    assert len(words) - words.index("x") == len(EXAMPLE) + 1


def test_stop_command() -> None:
    assert guest.stop_command(VM, 119.6) == ["/usr/bin/rvmm", "stop", "/run/guest/vm", "120"]
    assert guest.stop_command(REALM, 0.1, kill=True)[2:] == ["/run/guest/realm", "1", "--kill"]


def test_more_memory_takes_longer() -> None:
    limits = [guest.pages_limit(memory) for memory in (64, 256, 2560)]
    assert limits == [25, 70, 610]


def test_only_the_realm_needs_the_driver() -> None:
    assert set(guest.files_for(World.REALM)) - set(guest.files_for(World.VM)) == {guest.DRIVER}


def test_what_a_guest_says_of_itself() -> None:
    first = f"host-key ssh-ed25519 {BLOB}\nbooted 0.52 1.03\n"
    said = guest.read_announced(first + f"host-key ssh-ed25519 {BLOB[:-2]}E=\nbooted 9.0 9.0\n")
    assert (said.host_key, said.kernel_seconds, said.ready_seconds) == (f"ssh-ed25519 {BLOB}", 0.52, 1.03)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host-key\nbooted\n",
        "host-key rsa AAAA\nbooted x 1.0\n",
        "booted 1 2 3",
        "host-key ssh-ed25519 AAAA",
        "host-key ssh-ed25519 A",
        f"host-key ssh-ed25519 {BLOB}\x1b[2J",
    ],
)
def test_what_makes_no_sense_is_nothing(text: str) -> None:
    assert guest.read_announced(text) == guest.Announced(None, None, None)
