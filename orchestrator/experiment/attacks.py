# SPDX-License-Identifier: Apache-2.0
"""The attacks that a workload asks for, against a deployed model; every one gives rows, be it that it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.privacy.dma import run_dma
from orchestrator.privacy.memory_scan import run_memory_scan
from orchestrator.privacy.plain_channel import run_plain_channel
from orchestrator.privacy.rows import About, failed_row
from orchestrator.runs.matrix import SubjectKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.errors import OrchError
    from orchestrator.experiment.prepare import Subject
    from orchestrator.runs.matrix import Cell, Step
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed

_ORDER = ("memory-scan", "dma", "plain-channel")
# A normal VM has nothing that these would have to get around, and they are about a model rather than a cell.
REALM_ONCE = ("dma", "plain-channel")
"""Attacks that are done in the realm only, once for each model."""
# Leaves the model in the host's memory, where each search for it from then on would find it.
_LAST = "plain-channel"


@dataclass(frozen=True)
class Attacks:
    """How to attack within one run; `cells` are all of it, `work` is a folder for scratch files."""

    workload: Workload
    cells: Sequence[Cell]
    run_id: str
    work: Path

    def now(self, step: Step) -> list[str]:
        """The attacks on one step when it was measured, in order."""
        return [name for name in self._wanted(step) if name != _LAST]

    def later(self, step: Step) -> list[str]:
        """Those that come when all steps that share its guest were measured and attacked."""
        return [name for name in self._wanted(step) if name == _LAST]

    def _wanted(self, step: Step) -> list[str]:
        """All attacks on a step; on the first boot only, as they are no matter of chance."""
        if step.boot != 0:
            return []
        names = [name for name in _ORDER if name in self.workload.attacks]
        once = step.world == "realm" and self._has_its_model_last(step.cell)
        return [name for name in names if once or name not in REALM_ONCE]

    def _has_its_model_last(self, cell: Cell) -> bool:
        """Whether no cell after it in its boots has the same model; they are done in the order of `cells`."""
        same = [
            each for each in self.cells if (SubjectKey.of(each), each.machine) == (SubjectKey.of(cell), cell.machine)
        ]
        return cell == same[-1]

    def run(self, name: str, bed: Testbed, step: Step, subject: Subject) -> list[PrivacyRow]:
        """Do one, while the model is where the step has deployed it; raises OrchError if the attack itself fails."""
        about, limit, seed = self._about(step), self.workload.timeouts.attack, self.workload.seed
        sought = subject.deployable.plain
        if name == "dma":
            return run_dma(bed, step.world, work=self.work, about=about, limit=limit)
        if name == "plain-channel":
            return run_plain_channel(bed, step.world, sought, work=self.work, seed=seed, about=about, limit=limit)
        return run_memory_scan(
            bed,
            step.world,
            sought,
            work=self.work,
            seed=seed,
            about=about,
            accuracy=subject.accuracy if subject.tensors.labels else None,
            limit=limit,
        )

    def failed(self, name: str, step: Step, error: OrchError) -> PrivacyRow:
        """What is on record of an attack that came to no result."""
        return failed_row(self._about(step), name, error.message)

    def _about(self, step: Step) -> About:
        cell = step.cell
        return About(
            world=step.world,
            model=cell.model,
            quantization=cell.quantization,
            run_id=self.run_id,
            cell_id=cell.cell_id,
            runtime=cell.runtime,
            protection=cell.protection,
            output=cell.output,
        )
