# SPDX-License-Identifier: Apache-2.0
"""The runtime's disk in all three worlds: the same files, read-only, and no other bit of them is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated import Bed, build, host

from orchestrator.schema.disk import tree_of
from orchestrator.testbed import runtime_disk
from orchestrator.testbed.guest import RUNTIME

READ = f"cd {runtime_disk.MOUNT} && ls && cat * | sha256sum && touch new 2>/dev/null || echo refused"
SUPERBLOCK = 1024  # of EROFS


def flip(bed: Bed, image: Path, offset: int) -> None:
    """One bit of the host's file is another one: what a malicious host would hand to its guests."""
    with image.open("rb") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0] ^ 1
    there = f"of={RUNTIME.path} bs=1 seek={offset} conv=notrunc"
    host(bed, f"printf '\\{byte:03o}' | dd {there} 2>/dev/null")


@pytest.mark.parametrize("world", ["realm", pytest.param("vm", marks=pytest.mark.long)])
def test_a_flipped_bit_is_the_guests_end(bed: Bed, world: str) -> None:
    """That of a block which is read when the disk is mounted, and that of one which is read when somebody wants it."""
    image = build(bed, RUNTIME.node) / RUNTIME.name
    assert bed.orch("up").returncode == 0
    flip(bed, image, SUPERBLOCK)
    done = bed.orch("up", f"--{world}", timeout=200)
    assert done.returncode == 4
    assert f"error: {world}: it ended before state 'guest-ready': panic: {PANIC}" in done.stderr
    host(
        bed,
        f"printf '\\{image.read_bytes()[SUPERBLOCK]:03o}' | dd of={RUNTIME.path} bs=1 seek={SUPERBLOCK} conv=notrunc",
    )

    flip(bed, image, tree_of(image).data_blocks * 4096 // 2)
    done = bed.orch("up", f"--{world}", timeout=200)
    assert done.returncode == 0, done.stderr
    read = bed.orch("ssh", world, "--", runtime_disk.read_script(), timeout=100)
    assert read.returncode == 4
    assert f"the {world} ended: panic: {PANIC}" in read.stderr


PANIC = runtime_disk.CORRUPTED
