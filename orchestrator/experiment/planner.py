# SPDX-License-Identifier: Apache-2.0
"""From what is left of a plan to jobs: everything that a boot needs to be done elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.build.cache import key_of
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.parts import machine_keys
from orchestrator.experiment.plan import cells_of, plan
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.rows import RowFacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.experiment.prepare import Subject
    from orchestrator.runs.folder import RunFolder
    from orchestrator.runs.matrix import Boot, MachineKind
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed


@dataclass(frozen=True)
class Planner:
    """Makes the jobs of a run, whose parts are built and whose models are prepared."""

    run: RunFolder
    workload: Workload
    folder: Path
    beds: Mapping[MachineKind, Testbed]
    subjects: Mapping[SubjectKey, Subject]
    bundles: Mapping[str, Path]
    scratch: Path
    artifacts: Mapping[str, str]

    @cached_property
    def whole(self) -> dict[int, Boot]:
        """All boots of the run, done or not."""
        return plan(self.workload, folder=self.folder)

    @property
    def boots(self) -> int:
        """How many there are."""
        return len(self.whole)

    def jobs(self, platform: str, *, keep: bool) -> list[BootJob]:
        """What is left of the plan, a job a boot; `platform` has its version, `keep` leaves the last machine up."""
        done = self.run.done()
        left = {index: boot for index, boot in self.whole.items() if boot.without(done).sessions}
        total, offset, jobs = sum(len(boot.without(done).steps) for boot in left.values()), 0, []
        for index, boot in left.items():
            bed = self.beds[boot.machine]
            job = BootJob(
                index=index,
                whole=boot,
                boot=boot.without(done),
                workload=self.workload,
                cells=cells_of(self.workload, self.folder),
                subjects=self.subjects,
                bundles=self.bundles,
                facts=self._facts(index, bed, platform),
                testbed_file=bed.project.testbed_file,
                config=bed.project.config,
                scratch=self.scratch / f"boot-{index:03d}",
                offset=offset,
                total=total,
                keep=keep and index == max(left),
                artifacts=self.artifacts,
                foreign_monitor=bed.project.config.stack.rmm is not None,
            )
            jobs.append(job)
            offset += len(job.boot.steps)
        return jobs

    def _facts(self, index: int, bed: Testbed, platform: str) -> RowFacts:
        return RowFacts(
            run_id=self.run.run_id,
            boot_id=index,
            workload=self.workload.name,
            seed=self.workload.seed,
            platform=bed.project.config.machine.platform,
            platform_version=platform,
            stack_hash=key_of(machine_keys(bed, self.workload)),
            model_sha256={key: subject.sha256 for key, subject in self.subjects.items()},
            host_cpus=bed.project.config.machine.cpus,
        )
