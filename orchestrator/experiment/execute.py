# SPDX-License-Identifier: Apache-2.0
"""Do a job at a place: the same whoever asks, this process, a worker beside it, or one on another computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.build.given import GivenBuilder
from orchestrator.experiment.attacks import Attacks, lacking_of
from orchestrator.experiment.boot import BootRun
from orchestrator.experiment.steps import Steps
from orchestrator.runs.costs import Costs
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import Shard
from orchestrator.testbed.project import CHECKOUT, Project
from orchestrator.testbed.testbed import Testbed

if TYPE_CHECKING:
    from orchestrator.build.progress import Progress
    from orchestrator.experiment.job import BootJob, Place


def execute(job: BootJob, place: Place, progress: Progress) -> None:
    """Boot the job's machine and do its steps; all that comes of it is in the shard.

    Raises UsageError or EnvError if the machine is not to be had at all, which no repetition would change.
    """
    shard = Shard(place.shard)
    shard.make()
    project = Project(CHECKOUT, job.testbed_file, job.config)
    if place.state is not None:
        project = project.with_state(place.state, place.keys)
    job.scratch.mkdir(parents=True, exist_ok=True)
    costs = Costs(shard.cost())
    steps = Steps(
        job=job,
        shard=shard,
        rows=RowMaker(shard, job.facts),
        attacks=Attacks(job.workload, job.cells, job.facts.run_id, job.scratch, lacking_of(project.platform)),
        progress=progress,
        costs=costs,
    )
    bed = Testbed(project, progress)
    if place.artifacts is not None:
        bed.builder = GivenBuilder(bed.builder, place.artifacts)
    BootRun(job, bed, shard, steps, progress, tied=place.tied).run()
