# SPDX-License-Identifier: Apache-2.0
"""The seed of a workload reaches its machines: one a boot, the same for all that is done in it."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from jobs import a_job

from orchestrator.build.progress import Silent
from orchestrator.errors import BootError
from orchestrator.experiment.boot import BootRun
from orchestrator.experiment.plan import plan
from orchestrator.experiment.steps import Steps
from orchestrator.runs.costs import Costs
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import SAMPLES, Shard
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.testbed.testbed import UpOptions


class NoBed:
    """A testbed whose machine never comes up, and that remembers how it was asked to."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[UpOptions] = []
        self.guests = SimpleNamespace(record=SimpleNamespace(folder=folder))

    def up(self, options: UpOptions) -> None:
        self.asked.append(options)
        raise BootError("no machine here")

    def console_logs(self) -> dict[str, Path]:
        return {}

    def down(self) -> bool:
        return False


def test_each_boot_has_a_seed_of_its_own_and_its_rows_say_which(tmp_path: Path) -> None:
    text = "name: w\nmodels: fashion_cnn\nworlds: [vm, realm]\nboots: 3\nseed: 7\n"
    workload = loads(text, "w.yaml", Workload)
    bed = NoBed(tmp_path)
    for index, boot in plan(workload).items():
        shard = Shard(tmp_path / f"boot-{index}")
        shard.make()
        job = a_job(workload, boot, index)
        rows = RowMaker(shard, job.facts)
        attacks = SimpleNamespace(left=lambda *_: [])
        steps = Steps(job, shard, rows, cast("Any", attacks), Silent(), Costs())
        BootRun(job, cast("Any", bed), shard, steps, Silent()).run()
    assert [options.seed for options in bed.asked] == [700, 701, 702]
    found = []
    for index in range(3):
        with (tmp_path / f"boot-{index}" / SAMPLES).open(encoding="utf-8") as stream:
            found += [row["seed"] for row in csv.DictReader(stream)]
    assert found == ["700", "700", "701", "701", "702", "702"]
