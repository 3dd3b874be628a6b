# SPDX-License-Identifier: Apache-2.0
"""The smallest pool of bounce buffers that a testbed takes: disks and network of a realm go on, also together."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated import Bed, inside

from orchestrator.schema.testbed import SWIOTLB_SLABS_MIN
from orchestrator.testbed import runtime_disk

MIB = 1 << 20
REQUEST = 2 * 62 + 2  # buffers of a disk's longest request
DISK, FILE = (random.Random(seed).randbytes(size * MIB) for seed, size in ((5, 12), (6, 6)))
READ_ALL = f"""
cd /run; i=0; while [ $i -lt 4 ]; do i=$((i + 1)); sha256sum < /dev/vda > read$i & done
cat {runtime_disk.MOUNT}/* | sha256sum > runtime; wait; cat read1 read2 read3 read4
"""
QUEUE = "cd /sys/block/vda/queue && cat max_segments max_segment_size max_hw_sectors_kb nr_requests"
POOL = (
    "mkdir -p /run/debug && mount -t debugfs debug /run/debug; "
    "cat /run/debug/swiotlb/io_tlb_nslabs /run/debug/swiotlb/io_tlb_used"
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.timeout(600)
def test_devices_live_with_few_bounce_buffers(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(DISK)
    (tmp_path / "file").write_bytes(FILE)
    bed = make_bed(extra=f"guest: {{swiotlb_slabs: {SWIOTLB_SLABS_MIN}, disk: disk.img}}\n")
    done = bed.orch("up", "--realm", "--vm", timeout=280)
    assert done.returncode == 0, done.stderr
    queues = inside(bed, "realm", QUEUE).split()
    assert queues == inside(bed, "vm", QUEUE).split()
    assert queues[:2] == ["62", "4096"]
    for world in ("realm", "vm"):
        assert inside(bed, world, READ_ALL).split()[::2] == [sha256(DISK)] * 4
        back = tmp_path / f"back-{world}"
        for words in ((str(tmp_path / "file"), f"{world}:/run/file"), (f"{world}:/run/file", str(back))):
            done = bed.orch("cp", *words, timeout=200)
            assert done.returncode == 0, done.stderr
        assert back.read_bytes() == FILE
    slabs, held = map(int, inside(bed, "realm", POOL).split())
    assert slabs == SWIOTLB_SLABS_MIN
    assert 0 < held <= slabs - REQUEST, "beside what is posted and was sent, a whole request of a disk fits"
