# SPDX-License-Identifier: Apache-2.0
"""The attacks that a workload asks for, against a deployed model; every one gives rows, be it that it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.privacy.dma import run_dma
from orchestrator.privacy.memory_scan import run_memory_scan
from orchestrator.privacy.plain_channel import run_plain_channel
from orchestrator.privacy.rows import About

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.experiment.plan import Step
    from orchestrator.experiment.prepare import Subject
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed

# The last one leaves the model in the host's memory, where a search would find it.
ORDER = ("memory-scan", "dma", "plain-channel")
_REALM_ONLY = ("dma", "plain-channel")  # a normal VM has nothing that they would have to get around


@dataclass(frozen=True)
class Attacks:
    """How to attack within one run; `work` is a folder for scratch files."""

    workload: Workload
    run_id: str
    work: Path

    def wanted(self, step: Step) -> list[str]:
        """The attacks on one step, in order; on the first boot only, as they are no matter of chance."""
        if step.boot != 0:
            return []
        return [
            name
            for name in ORDER
            if name in self.workload.attacks and (step.world == "realm" or name not in _REALM_ONLY)
        ]

    def run(self, name: str, bed: Testbed, step: Step, subject: Subject) -> list[PrivacyRow]:
        """Do one, while the model is where the step has deployed it; raises OrchError if the attack itself fails."""
        about, limit, seed = self._about(step), self.workload.timeouts.attack, self.workload.seed
        if name == "dma":
            return run_dma(bed, step.world, work=self.work, about=about, limit=limit)
        if name == "plain-channel":
            return run_plain_channel(bed, step.world, subject.path, work=self.work, seed=seed, about=about, limit=limit)
        return run_memory_scan(
            bed,
            step.world,
            subject.path,
            work=self.work,
            seed=seed,
            about=about,
            accuracy=subject.accuracy,
            limit=limit,
        )

    def failed(self, name: str, step: Step, error: OrchError) -> Iterable[PrivacyRow]:
        """What is on record of an attack that came to no result."""
        yield self._about(step).row(name, "blocks_recovered", status="error", note=error.message)

    def _about(self, step: Step) -> About:
        cell = step.cell
        return About(
            world=step.world,
            model=cell.model,
            quantization=cell.quantization,
            run_id=self.run_id,
            cell_id=cell.cell_id,
            protection=cell.protection,
            output=cell.output,
        )
