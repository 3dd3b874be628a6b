# SPDX-License-Identifier: Apache-2.0
"""What root on the host gets of a model: all of it from a VM, nothing from a realm; and the machine survives it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from emulated import Bed, host, inside

from orchestrator.privacy.dma import run_dma
from orchestrator.privacy.memory_scan import run_memory_scan
from orchestrator.privacy.plain_channel import run_plain_channel
from orchestrator.privacy.rows import About
from orchestrator.schema.samples import PrivacyRow

BYTES = 400_000
SAMPLES = 2000
DIRTY = "dmesg | grep -E 'Oops|WARNING|BUG:|leaked' | head; true"


def make_model(path: Path, seed: int) -> Path:
    """Bytes that are met nowhere else, beginning as a TFLite model does."""
    data = np.random.default_rng(seed).integers(0, 256, BYTES, np.uint8).tobytes()
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" + data[8:])
    return path


def values(found: list[PrivacyRow]) -> dict[str, float | None]:
    assert {row.metric for row in found if row.status != "ok"} <= {"blocks_in_vmm"}  # the host has no VMM
    return {row.metric: row.value for row in found}


@pytest.mark.timeout(900)
def test_memory_scan(make_bed: Callable[..., Bed], tmp_path: Path) -> None:
    bed = make_bed()
    done = bed.orch("up", "--realm")
    assert done.returncode == 0, done.stderr
    testbed, model = bed.near, make_model(tmp_path / "model.tflite", 1)
    scratch = tmp_path / "scratch"

    bed.put("realm", [model])
    realm = values(run_memory_scan(testbed, "realm", model, work=scratch, seed=1, delegated_samples=SAMPLES))
    assert realm["blocks_recovered"] == 0
    assert realm["fault_set_difference"] == 0
    assert realm["delegated_faulted"] == 1
    assert realm["normal_faulted"] == 0
    assert realm["god_view_recovered"] == realm["god_view_in_delegated"] == 1
    assert realm["model_rebuilt"] == 0

    about = About("realm", "model", "int8")
    device = values(run_dma(testbed, "realm", work=scratch, about=about))
    assert device["pages_overwritten"] == device["requests_done"]
    assert device["realm_read_it"] == 1

    plain = make_model(tmp_path / "plain.tflite", 2)
    clear = values(run_plain_channel(testbed, "realm", plain, work=scratch, seed=1, about=about))
    assert clear["blocks_recovered"] >= 0.9

    # The realm has noticed nothing, and a VM has no such wall.
    kept = inside(bed, "realm", "sha256sum /tmp/model.tflite")
    assert kept.split()[:1] == [hashlib.sha256(model.read_bytes()).hexdigest()]
    assert bed.orch("down", "realm").returncode == 0
    assert bed.orch("up", "--vm").returncode == 0
    bed.put("vm", [model])
    normal = values(run_memory_scan(testbed, "vm", model, work=scratch, seed=1, delegated_samples=SAMPLES))
    assert normal["blocks_recovered"] >= 0.99
    assert normal["model_rebuilt"] == 1

    bed.put("host", [plain])
    bare = values(run_memory_scan(testbed, "host", plain, work=scratch, seed=1, delegated_samples=10))
    assert bare["blocks_recovered"] >= 0.99
    assert bare["blocks_in_files"] == 1
    assert bare["model_rebuilt"] == 1

    assert host(bed, DIRTY) == ""
    assert host(bed, "cd /sys/kernel/debug/realm && echo $(cat granules leaked)") == "0 0\n"
    assert list(scratch.iterdir()) == []
    assert bed.orch("down").returncode == 0
