# SPDX-License-Identifier: Apache-2.0
"""A client in a process of its own: `fake_client.py RUN CLUSTER [MODEL]` does a run on a cluster with fake workers.

RUN is a run's folder, made or gone on with; CLUSTER a cluster file. Says `exit N` at its end.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from jobs import a_job

from orchestrator.cli.progress import PlainProgress
from orchestrator.errors import OrchError
from orchestrator.experiment.board import Board
from orchestrator.experiment.cluster.client import Cluster
from orchestrator.experiment.cluster.connect import connect
from orchestrator.experiment.dispatch import Dispatcher
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import plan
from orchestrator.machine.needs import Needs
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.merge import merge
from orchestrator.schema.cluster import ClusterConfig
from orchestrator.schema.testbed import TestbedConfig
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load, loads

TEXT = "name: w\nmodels: [a, b]\nboots: {boots}\nticks: [{{host_hz: 100}}, {{host_hz: 1000}}]\nworlds: [vm, realm]\n"
ROOT = Path(__file__).resolve().parents[4]
BOOTS = int(os.environ.get("FAKE_BOOTS", "2"))


def the_jobs(run: RunFolder, model: Path | None) -> list[BootJob]:
    workload = loads(TEXT.format(boots=BOOTS), "w.yaml", Workload)
    made = [a_job(workload, boot, index) for index, boot in plan(workload).items()]
    scratch = run.folder / ".scratch"
    config = load(ROOT / "testbed.yaml", TestbedConfig)
    made = [replace(job, scratch=scratch / f"boot-{job.index}", config=config) for job in made]
    if model is not None:
        subject = SimpleNamespace(path=model, inputs=Path("i"))
        made = [replace(job, subjects=dict.fromkeys(job.subjects, subject)) for job in made]
    return [job for job in made if job.whole.without(run.done()).sessions]


def main() -> int:
    run = RunFolder(Path(sys.argv[1]))
    (run.folder / "shards").mkdir(parents=True, exist_ok=True)
    run.repair()
    progress = PlainProgress()
    keys = run.folder.parent / "keys"
    keys.mkdir(exist_ok=True)
    try:
        connection = connect(load(Path(sys.argv[2]), ClusterConfig), run.folder / "slurm")
        board = Board(run.folder.parent / "workers.json", run.run_id)
        cluster = Cluster(connection, Needs(1, 256), progress, board, keys, pin=True, program="fake_worker")
        Dispatcher(run, cluster, progress, 2 * BOOTS).work(the_jobs(run, Path(sys.argv[3]) if sys.argv[3:] else None))
    except OrchError as error:
        print(f"error: {error.message}", flush=True)  # noqa: T201
        return error.exit_code
    merge(run.folder)
    return 0


if __name__ == "__main__":
    code = main()
    print(f"exit {code}", flush=True)  # noqa: T201
    sys.exit(code)
