# SPDX-License-Identifier: Apache-2.0
"""From a cluster file to the scheduler of a run, and to the line of the plan that says what it offers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.experiment.admission import WORKER_MIB, admit, largest
from orchestrator.experiment.board import BOARD, Board
from orchestrator.experiment.cluster import offer
from orchestrator.experiment.cluster.client import Cluster
from orchestrator.experiment.cluster.connect import connect
from orchestrator.machine.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.build.progress import Progress
    from orchestrator.runs.folder import RunFolder
    from orchestrator.runs.matrix import Boot
    from orchestrator.schema.cluster import ClusterConfig
    from orchestrator.schema.testbed import TestbedConfig
    from orchestrator.testbed.project import Project

LOGS = "slurm"  # in a run's folder


def open_cluster(  # noqa: PLR0917 - all that a scheduler is made of
    config: ClusterConfig, boots: Sequence[Boot], project: Project, run: RunFolder, progress: Progress, pin: bool
) -> Cluster:
    """Reach or make the cluster that does `boots`; raises EnvError, or UsageError if there is no room on it."""
    needs = _needs(config, boots, project.config)
    admitted, reason = _admitted(config, boots, project.config)
    if reason:
        progress.notice(f"{admitted.workers} workers instead of {config.workers}: {reason}")
    with progress.stage(f"Dask cluster ({config.address or config.kind})"):
        connection = connect(admitted, run.folder / LOGS)
    board = Board(project.state_folder() / BOARD, run.run_id, connection.name)
    try:
        return Cluster(connection, needs, progress, board, project.keys_folder(), pin)
    except BaseException:
        connection.close()
        raise


def offered(config: ClusterConfig, boots: Sequence[Boot], testbed: TestbedConfig) -> str:
    """For people: how many boots it does at once; that of an address is asked, others are read from their file."""
    needs = _needs(config, boots, testbed)
    if config.kind == "address":
        connection = connect(config, Path())
        try:
            workers = offer.workers_of(connection.client.scheduler_info(n_workers=-1))
        finally:
            connection.close()
        return f"{config.address}: {offer.told(workers, needs)}"
    admitted, reason = _admitted(config, boots, testbed)
    memory = config.slurm.memory_mib if config.slurm is not None else 0
    workers = [offer.Worker("", "", config.cores, memory)] * admitted.workers
    return f"{config.kind} cluster: {offer.told(workers, needs)}{f': {reason}' if reason else ''}"


def _needs(config: ClusterConfig, boots: Sequence[Boot], testbed: TestbedConfig) -> Needs:
    """What a machine takes with its worker; raises UsageError if no worker of the file can have it."""
    if not boots:
        return Needs(1, WORKER_MIB)
    each = largest(boots, testbed)
    needs = Needs(each.cores, each.memory_mib + WORKER_MIB)
    if config.kind != "address" and config.cores < needs.cores:
        raise UsageError(
            f"the cluster file: cores: {config.cores}: a machine keeps {needs.cores} busy", hint="`cores` of a worker"
        )
    if config.slurm is not None and config.slurm.memory_mib < needs.memory_mib:
        raise UsageError(
            f"the cluster file: slurm.memory_mib: {config.slurm.memory_mib}: a machine and its worker may take "
            f"{needs.memory_mib}"
        )
    return needs


def _admitted(config: ClusterConfig, boots: Sequence[Boot], testbed: TestbedConfig) -> tuple[ClusterConfig, str]:
    """With as many workers as this computer has room for, if it is the one, and why no more."""
    if config.kind != "local":
        return config, ""
    admission = admit(config.workers, boots, testbed)
    return config.model_copy(update={"workers": admission.workers}), admission.reason
