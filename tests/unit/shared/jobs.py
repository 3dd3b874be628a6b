# SPDX-License-Identifier: Apache-2.0
"""Jobs for tests: all of a workload's cells have the same prepared model, which nobody reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import cells_of
from orchestrator.protect.deployable import Opening
from orchestrator.runs.matrix import Boot, SubjectKey
from orchestrator.runs.rows import RowFacts
from orchestrator.schema.workload import Workload


def a_job(workload: Workload, boot: Boot, index: int, *, keep: bool = False, scratch: Path = Path("w")) -> BootJob:
    cells = cells_of(workload)
    keys = [SubjectKey.of(cell) for cell in cells]
    deployable = SimpleNamespace(opening=Opening("m"), plain=Path("m"))
    subject: Any = SimpleNamespace(deployable=deployable, inputs=Path("i"), tensors=SimpleNamespace(labels=()))
    facts = RowFacts(
        run_id="w-1",
        boot_id=index,
        workload=workload.name,
        seed=workload.seed,
        platform="qemu",
        platform_version="qemu-10.0.13",
        stack_hash="0a" * 32,
        model_sha256=dict.fromkeys(keys, "1b" * 32),
        host_cpus=2,
    )
    return BootJob(
        index=index,
        whole=boot,
        boot=boot,
        workload=workload,
        cells=cells,
        subjects=dict.fromkeys(keys, subject),
        bundles={"litert": Path("b")},
        facts=facts,
        testbed_file=Path("testbed.yaml"),
        config=None,  # type: ignore[arg-type] - no machine is made of it
        scratch=scratch,
        offset=0,
        total=len(boot.steps),
        keep=keep,
    )
