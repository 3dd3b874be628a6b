# SPDX-License-Identifier: Apache-2.0
"""The seed of a workload reaches its machines: one a boot, the same for all that is done in it."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from orchestrator.build.progress import Silent
from orchestrator.errors import BootError
from orchestrator.experiment.attacks import Attacks
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.run import Runner
from orchestrator.runs.journal import SAMPLES, Journal
from orchestrator.runs.rows import RowMaker
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
    (cell,) = cells_of(workload)
    journal, bed = Journal.create(tmp_path / "results", "w"), NoBed(tmp_path)
    rows = RowMaker(
        journal=journal,
        workload="w",
        seed=workload.seed,
        platform_version="qemu-10.0",
        stack_hash={cell.machine: "0a" * 32},
        model_sha256={(cell.model, cell.quantization): "1b" * 32},
        host_cpus=2,
    )
    rest: dict[str, Any] = {
        "progress": Silent(),
        "subjects": {},
        "bundle": tmp_path,
        "attacks": Attacks(workload, (cell,), journal.run_id, tmp_path),
        "folder": tmp_path,
    }
    runner = Runner(workload=workload, beds={cell.machine: cast("Any", bed)}, journal=journal, rows=rows, **rest)
    with journal.held():
        runner.run()
    assert [options.seed for options in bed.asked] == [700, 701, 702]
    with (journal.folder / SAMPLES).open(encoding="utf-8") as stream:
        found = [row["seed"] for row in csv.DictReader(stream)]
    assert found == ["700", "700", "701", "701", "702", "702"]
