# SPDX-License-Identifier: Apache-2.0
"""The block device in both worlds: read-only and writable, with a file system, and files that are no disks."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from emulated import Bed, host, make_realms_possible
from test_guests import Console

WORLDS = ("realm", "vm")
CMDLINE = "console=ttyAMA0 panic=-1 quiet nokaslr arm64.nomops swiotlb=4096 orch.run=1"
RUN = (
    "/tmp/rvmm run --detach --world {world} --dir /tmp/{folder} --kernel /usr/lib/guest/Image "
    f"--initrd /usr/lib/guest/initrd --mem 128 --cmdline '{CMDLINE}' {{disk}}"
)
CONTENT = random.Random(4).randbytes(700_001)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ext2 file system of 4 MiB and a third of a sector with one file in it."""
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs (e2fsprogs) is not installed")
    folder = tmp_path_factory.mktemp("disk")
    (folder / "root").mkdir()
    (folder / "root" / "content").write_bytes(CONTENT)
    made = folder / "disk.img"
    command = ["mke2fs", "-q", "-t", "ext2", "-d", folder / "root", made, "4M"]
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + b"x" * 170)
    return made


@contextmanager
def guest(bed: Bed, world: str, disk: str) -> Iterator[Console]:
    """A guest with a disk, switched off at the end; its shell."""
    host(bed, RUN.format(world=world, folder="g", disk=disk))
    host(bed, "/tmp/rvmm wait /tmp/g 'orch: guest-ready' 90")
    command = bed.command("ssh", "host", "--", "/tmp/rvmm console /tmp/g")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        shell = Console(process)
        yield shell
        shell.type("poweroff\n")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()
        bed.ask("host", "/tmp/rvmm stop /tmp/g 60")
    assert host(bed, "cat /tmp/g/exit") == "off\n"


def counters(bed: Bed) -> dict[str, int]:
    stats: dict[str, int] = json.loads(host(bed, "cat /tmp/g/stats.json"))
    return stats


def check_read_only(bed: Bed, world: str, image: Path) -> None:
    data = image.read_bytes()
    with guest(bed, world, "--disk /tmp/disk.img") as shell:
        assert shell.say("cat /sys/block/vda/size /sys/block/vda/ro /sys/block/vda/serial").split() == [
            "8193",
            "1",
            "rvmm",
        ], "the last sector begins in the file"
        assert shell.say("sha256sum < /dev/vda").split()[0] == sha256(data.ljust(8193 * 512, b"\0"))
        shell.say("mkdir /tmp/m; mount -t ext2 -o ro /dev/vda /tmp/m")
        assert shell.say("sha256sum < /tmp/m/content").split()[0] == sha256(CONTENT)
        assert shell.say("dd if=/dev/zero of=/dev/vda bs=512 count=1 2>/dev/null && sync || echo refused") == "refused"
        shell.say("umount /tmp/m")
    assert host(bed, "sha256sum /tmp/disk.img").split()[0] == sha256(data)
    stats = counters(bed)
    assert stats["blk_reads"] > 0
    assert (stats["blk_writes"], stats["blk_errors"]) == (0, 0)


def check_writable(bed: Bed, world: str) -> None:
    other = RUN.format(world=world, folder="other", disk="--disk /tmp/copy.img")
    host(bed, "head -c $((8192 * 512)) /tmp/disk.img > /tmp/copy.img")
    with guest(bed, world, "--disk /tmp/copy.img --disk-writable") as shell:
        shell.say("mkdir /tmp/m; mount -t ext2 /dev/vda /tmp/m")
        shell.say("dd if=/dev/urandom of=/tmp/m/new bs=1000 count=900 2>/dev/null; rm /tmp/m/content; sync")
        written = shell.say("sha256sum < /tmp/m/new").split()[0]
        for options in ("", " --disk-writable"):
            second = bed.ask("host", other + options)
            assert second.code == 1
            assert second.stderr.startswith("rvmm: /tmp/copy.img: in use by another guest")
        shell.say("umount /tmp/m")
        whole = shell.say("sha256sum < /dev/vda").split()[0]
    stats = counters(bed)
    assert stats["blk_reads"] > 0
    assert stats["blk_writes"] > 0
    assert stats["blk_errors"] == 0
    # The next guest sees it, and so does the host.
    assert host(bed, "sha256sum < /tmp/copy.img").split()[0] == whole
    with guest(bed, world, "--disk /tmp/copy.img") as shell:
        shell.say("mkdir /tmp/m; mount -t ext2 -o ro /dev/vda /tmp/m")
        assert shell.say("ls /tmp/m").split() == ["lost+found", "new"]
        assert shell.say("sha256sum < /tmp/m/new").split()[0] == written


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_disk(module_bed: Bed, world: str, image: Path) -> None:
    bed = module_bed
    make_realms_possible(bed)
    bed.put("host", [image])
    check_read_only(bed, world, image)
    check_writable(bed, world)


def test_what_is_no_disk(module_bed: Bed) -> None:
    bed = module_bed
    make_realms_possible(bed)
    host(bed, "cd /tmp; : > none; head -c 1000 /dev/zero > odd; mkfifo pipe")
    odd = "1000 bytes, which is no multiple of 512: the last sector of a disk that is to be written must be whole"
    for path, more, said in (
        ("/tmp/missing", "", "no such file"),
        ("/tmp/none", "", "empty (a disk has a byte at least)"),
        ("/tmp/odd", " --disk-writable", odd),
        ("/tmp", "", "not a disk image (expected a file or a block device)"),
        ("/tmp/pipe", "", "not a disk image (expected a file or a block device)"),
    ):
        done = bed.ask("host", RUN.format(world="vm", folder="g", disk=f"--disk {path}{more}"))
        assert (done.code, done.stderr) == (1, f"rvmm: {path}: {said}\n")
