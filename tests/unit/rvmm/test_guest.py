# SPDX-License-Identifier: Apache-2.0
"""Memory layout, canonical order, device tree, command line."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Harness

MIB = 1 << 20
RAM = 0x4000_0000
MAGIC = 0x644D5241


def layout(
    harness: Harness,
    *,
    ram: int = 256 * MIB,
    vcpus: int = 1,
    offset: int = 0,
    image: int = 12 * MIB,
    flags: int = 10,
    magic: int = MAGIC,
    kernel: int = 9 * MIB,
    initrd: int = 1 * MIB,
) -> str:
    words = (ram, vcpus, offset, image, flags, magic, kernel, initrd)
    return harness.text("layout " + " ".join(f"{word:x}" for word in words))


def test_everything_is_aligned_and_in_order(harness: Harness) -> None:
    kernel, initrd, dtb = (int(word, 16) for word in layout(harness, image=11 * MIB + 5, initrd=3 * MIB + 1).split())
    assert kernel == RAM
    assert initrd == RAM + 12 * MIB
    assert dtb == initrd + 4 * MIB


def test_text_offset_is_kept(harness: Harness) -> None:
    assert layout(harness, offset=0x8_0000).split()[0] == f"{RAM + 0x8_0000:x}"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"magic": 1}, "not an arm64 Image"),
        ({"kernel": 63}, "not an arm64 Image"),
        ({"flags": 1}, "big-endian"),
        ({"image": 8 * MIB}, "no size"),
        ({"image": (1 << 64) - 1}, "does not fit"),
        ({"offset": (1 << 64) - 4096}, "text offset"),
        ({"initrd": (1 << 63)}, "initrd does not fit"),
        ({"initrd": 244 * MIB}, "no room for the device tree"),
        ({"ram": 3074 * MIB}, "multiple of 2 MiB"),
        ({"ram": 33 * MIB}, "multiple of 2 MiB"),
        ({"vcpus": 9}, "1 to 8"),
    ],
)
def test_what_does_not_fit_is_refused(harness: Harness, change: dict[str, int], word: str) -> None:
    assert word in layout(harness, **change)


def test_canonical_order(harness: Harness) -> None:
    words = (64 * MIB, 2, RAM, 0x1801, RAM + 0x20_0000, 1, RAM + 0x40_0000, 0x1000)
    steps = harness.text("population " + " ".join(f"{word:x}" for word in words)).split()
    assert steps == [
        "ripas:40000000:44000000",
        "kernel:40000000:2000",
        "initrd:40200000:1000",
        "dtb:40400000:1000",
        "rec:0:1:40000000:40400000",
        "rec:1:0:0:0",
        "activate",
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    header = bytearray(0x2000)
    struct.pack_into("<QQQ", header, 8, 0, 4 * MIB, 10)
    struct.pack_into("<I", header, 56, MAGIC)
    (tmp_path / "Image").write_bytes(header)
    (tmp_path / "initrd").write_bytes(b"x" * 5000)
    return ["--kernel", str(tmp_path / "Image"), "--initrd", str(tmp_path / "initrd")]


def dump(describe: Path, *arguments: str) -> bytes:
    done = subprocess.run([describe, "dump-dtb", *arguments], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def test_tree_is_the_same_in_both_worlds_and_every_time(describe: Path, files: list[str]) -> None:
    trees = {dump(describe, "--world", world, *files, "--cmdline", "a=b") for world in ("realm", "vm", "realm")}
    assert len(trees) == 1
    (tree,) = trees
    magic, total = struct.unpack_from(">II", tree)
    assert (magic, total) == (0xD00DFEED, len(tree))
    for word in (b"a=b\0", b"arm,psci-1.0\0", b"smc\0", b"arm,gic-v3\0", b"/pl011@9000000\0"):
        assert word in tree
    for word in (b"rtc@9010000\0", b"arm,pl031\0arm,primecell\0", b"apb_pclk\0"):
        assert word in tree
    for word in (b"virtio_mmio@a000000\0", b"virtio,mmio\0", b"dma-coherent\0"):
        assert word in tree
    assert b"seed" not in tree


def test_tree_follows_the_options(describe: Path, files: list[str]) -> None:
    small = dump(describe, "--world", "vm", *files, "--cmdline", "x")
    assert b"cpu@1" not in small
    large = dump(describe, "--world", "vm", *files, "--cmdline", "x", "--vcpus", "8", "--mem", "1024")
    assert b"cpu@7" in large
    assert struct.pack(">QQ", RAM, 1024 * MIB) in large
    assert struct.pack(">QQ", 0x080A_0000, 8 * 0x2_0000) in large


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--world realm"),
        (["--world", "moon"], "realm or vm"),
        (["--world", "vm", "--kernel", "k", "--initrd", "i"], "--cmdline"),
        (["--world", "vm", "--mem", "0"], "--mem"),
        (["--world", "vm", "--mem", "257"], "--mem"),
        (["--world", "vm", "--vcpus", "9"], "--vcpus"),
        (["--world", "vm", "--cpu", "-1"], "--cpu"),
        (["--world", "vm", "--run-id", str(1 << 63)], "--run-id"),
        (["--world", "vm", "--seed", "x"], "--seed"),
        (["--world", "vm", "--nonsense"], "--nonsense"),
        (["--world"], "expected a value"),
        (["--world", "vm", "more"], "expected an option"),
    ],
)
def test_usage_is_one_line(describe: Path, arguments: list[str], words: str) -> None:
    done = subprocess.run([describe, "dump-dtb", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_file_that_is_not_there(describe: Path) -> None:
    arguments = ["--world", "vm", "--kernel", "/nowhere", "--initrd", "/nowhere", "--cmdline", ""]
    done = subprocess.run([describe, "dump-dtb", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "/nowhere: No such file" in done.stderr
