# SPDX-License-Identifier: Apache-2.0
"""The runtime's disk as commands: mounted once in the host, checked in guests, and an error where it is another one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.errors import OrchError
from orchestrator.schema.disk import DiskTree, tree_of
from orchestrator.testbed import runtime_disk

TREE = DiskTree(block_bytes=4096, data_blocks=3, root_hash="ab" * 32)
OTHER = DiskTree(block_bytes=4096, data_blocks=3, root_hash="cd" * 32)


class Machine:
    """Programs that write down how they are called in place of the machine's; `broken` is one that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("losetup", "dmsetup", "mount"):
            self.program(name, "[ $1 != -f ] || echo /dev/loop3")

    def program(self, name: str, does: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.folder}/called\n{does}\n')
        path.chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        here = script.replace("/run/", f"{self.folder}/").replace("/proc/", f"{self.folder}/")
        here = here.replace("/sys/block/", f"{self.folder}/")
        path = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", here], env=path, capture_output=True, text=True, check=False, timeout=10)

    def called(self) -> list[str]:
        path = self.folder / "called"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_host_mounts_it_once(machine: Machine) -> None:
    for _ in range(2):
        done = machine.run(runtime_disk.host_script(TREE, "/a file"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    loop, device = "/dev/loop3", runtime_disk.DEVICE
    table = f"0 24 verity 1 {loop} {loop} 4096 4096 3 3 sha256 {'ab' * 32} - 2 panic_on_corruption panic_on_error"
    assert machine.called() == [
        "losetup -f",
        "losetup -r /dev/loop3 /a file",
        f"dmsetup create runtime --readonly --noudevsync --table {table}",
        f"mount -t erofs -o ro {device} /usr/lib/runtime",
    ]


def test_another_one_that_the_host_has_mounted_is_an_error(machine: Machine) -> None:
    assert machine.run(runtime_disk.host_script(TREE, "/file")).returncode == 0
    done = machine.run(runtime_disk.host_script(OTHER, "/file"))
    assert (done.returncode, done.stderr) == (1, "another one is mounted\n")


@pytest.mark.parametrize("broken", ["losetup", "dmsetup", "mount"])
def test_a_step_that_fails_is_the_end(machine: Machine, broken: str) -> None:
    machine.program(broken, "echo no >&2; exit 5")
    done = machine.run(runtime_disk.host_script(TREE, "/file"))
    assert done.returncode != 0
    assert done.stderr.startswith("no\n")
    assert not (machine.folder / "runtime-disk").exists()


def guest(folder: Path, told: str, mounts: str, name: str = "runtime") -> None:
    (folder / "cmdline").write_text(f"quiet {told}\n")
    (folder / "mounts").write_text(f"tmp /tmp tmpfs rw 0 0\n{mounts}\n")
    (folder / "dm-0/dm").mkdir(parents=True, exist_ok=True)
    (folder / "dm-0/dm/name").write_text(f"{name}\n")


MOUNTED = "/dev/dm-0 /usr/lib/runtime erofs ro,relatime 0 0"


def test_a_guest_that_was_told_the_hash_and_mounts_the_device_has_it(machine: Machine) -> None:
    guest(machine.folder, runtime_disk.kernel_word(TREE, "/dev/vda"), MOUNTED)
    assert machine.run(runtime_disk.check_script(TREE)).returncode == 0


@pytest.mark.parametrize(
    ("told", "mounts", "name"),
    [
        (runtime_disk.kernel_word(OTHER, "/dev/vda"), MOUNTED, "runtime"),
        ("", MOUNTED, "runtime"),
        (runtime_disk.kernel_word(TREE, "/dev/vda"), "", "runtime"),
        (runtime_disk.kernel_word(TREE, "/dev/vda"), MOUNTED.replace("dm-0", "vda"), "runtime"),
        (runtime_disk.kernel_word(TREE, "/dev/vda"), MOUNTED.replace("ro,", "rw,"), "runtime"),
        (runtime_disk.kernel_word(TREE, "/dev/vda"), MOUNTED, "other"),
    ],
)
def test_no_other_guest_has(machine: Machine, told: str, mounts: str, name: str) -> None:
    guest(machine.folder, told, mounts, name)
    assert machine.run(runtime_disk.check_script(TREE)).returncode != 0


def test_what_no_recipe_has_made_is_told(tmp_path: Path) -> None:
    image = tmp_path / "runtime.img"
    with pytest.raises(OrchError, match=r"runtime\.img\.json: No such file"):
        tree_of(image)
    (tmp_path / "runtime.img.json").write_text('{"block_bytes": 4096, "data_blocks": 3, "root_hash": "AB"}')
    with pytest.raises(OrchError, match=r"runtime\.img\.json: root_hash: "):
        tree_of(image)
