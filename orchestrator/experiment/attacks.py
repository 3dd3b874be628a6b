# SPDX-License-Identifier: Apache-2.0
"""The attacks that a workload asks for, against a deployed model; every one gives rows, be it that it was not done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.machine.platform import Capability
from orchestrator.privacy.attack import LiveAttack, Need, Once, Victim, When, find_attack
from orchestrator.privacy.rows import About, failed_row, skipped_row
from orchestrator.registry import ATTACKS
from orchestrator.runs.matrix import SubjectKey
from orchestrator.schema.samples import PRIVACY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.experiment.prepare import Subject
    from orchestrator.machine.platform import Platform
    from orchestrator.runs.matrix import Cell, Step
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed


_CAPABILITIES = {
    Need.MEMORY_VIEW: Capability.MEMORY_VIEW,
    Need.DMA_DEVICE: Capability.DMA,
    Need.COUNTS: Capability.COUNT,
}


def lacking_of(platform: Platform) -> frozenset[Need]:
    """What attacks need and a platform does not have."""
    return frozenset(need for need, able in _CAPABILITIES.items() if able not in platform.capabilities)


@dataclass(frozen=True)
class Attacks:
    """How to attack within one run; `cells` are all of it, `work` is a folder for scratch files.

    `lacking` is what the platform of the run does not have.
    """

    workload: Workload
    cells: Sequence[Cell]
    run_id: str
    work: Path
    lacking: frozenset[Need] = frozenset()

    def now(self, step: Step) -> list[str]:
        """The attacks on one step when it was measured, in order."""
        return [each.name for each in self._wanted(step) if each.when is When.STEP]

    def later(self, step: Step) -> list[str]:
        """Those that come when all steps that share its guest were measured and attacked."""
        return [each.name for each in self._wanted(step) if each.when is When.GUEST]

    def plan(self, step: Step) -> str:
        """What follows a step, for people: the attacks in order, and which cannot be done as far as is known now."""
        given = step.cell.inputs(self.workload)
        known = bool(given.labels) or not given.given
        wanted = {name: self._lacking(name, labels=known) for name in (*self.now(step), *self.later(step))}
        done = ", ".join(name for name, lacking in wanted.items() if lacking is None)
        not_done = "".join(f"; not {name}, which needs {why}" for name, why in wanted.items() if why is not None)
        return f"{f', then {done}' if done else ''}{not_done}"

    def _live(self) -> list[LiveAttack]:
        """Those of the workload, in the order in which they are done."""
        records = (find_attack(name) for name in ATTACKS if name in self.workload.attacks)
        return [record for record in records if isinstance(record, LiveAttack)]

    def _wanted(self, step: Step) -> list[LiveAttack]:
        """All attacks on a step; on the first boot only, as they are no matter of chance."""
        if step.boot != 0:
            return []
        here = [record for record in self._live() if step.world in record.worlds]
        last = self._has_its_model_last(step.cell)
        return [record for record in here if last or record.once is Once.CELL]

    def _has_its_model_last(self, cell: Cell) -> bool:
        """Whether no cell after it in its boots deploys the same; they are done in the order of `cells`."""
        deployed = SubjectKey.of(cell), cell.machine
        return cell == [each for each in self.cells if (SubjectKey.of(each), each.machine) == deployed][-1]

    def _lacking(self, name: str, *, labels: bool) -> Need | None:
        """What an attack needs and does not have."""
        lacking = self.lacking if labels else self.lacking | {Need.LABELS}
        return next((need for need in find_attack(name).needs if need in lacking), None)

    def run(self, name: str, bed: Testbed, step: Step, subject: Subject) -> list[PrivacyRow]:
        """Do one, while the model is where the step has deployed it; raises OrchError if the attack itself fails.

        A row that says so if something is lacking that it needs.
        """
        record, about = find_attack(name), self._about(step)
        lacking = self._lacking(name, labels=bool(subject.tensors.labels))
        if lacking is not None:
            return [skipped_row(about, name, f"it needs {lacking}")]
        if not isinstance(record, LiveAttack):
            raise TypeError(f"attack {name} is not one on a running world")
        victim = Victim(
            testbed=bed,
            world=step.world,
            model=subject.deployable.plain,
            work=self.work,
            seed=self.workload.seed,
            about=about,
            limit=self.workload.timeouts.attack,
            accuracy=subject.accuracy if subject.tensors.labels else None,
        )
        rows = record.run(victim)
        if not rows or any(row.attack != name for row in rows):
            raise OrchError("it gave no row" if not rows else "it gave rows of another attack")
        return rows

    def failed(self, name: str, step: Step, error: OrchError) -> PrivacyRow:
        """What is on record of an attack that came to no result."""
        return failed_row(self._about(step), name, error.message)

    def left(self, step: Step, why: str, table: Path) -> list[PrivacyRow]:
        """What is on record of the attacks that a step that has failed does not come to.

        Those are all that have no row about it in `table`, a privacy.csv.
        """
        place = (step.cell.cell_id, str(step.world))
        named = (
            dict(zip(PRIVACY.names, each, strict=True)) for each in (PRIVACY.records(table) if table.exists() else ())
        )
        done = {row["attack"] for row in named if (row["cell_id"], row["world"]) == place}
        names = [name for name in (*self.now(step), *self.later(step)) if name not in done]
        return [skipped_row(self._about(step), name, f"the step has failed: {why}") for name in names]

    def _about(self, step: Step) -> About:
        cell = step.cell
        return About(
            world=step.world,
            model=cell.model,
            quantization=cell.quantization,
            run_id=self.run_id,
            cell_id=cell.cell_id,
            protection=cell.protection,
            runtime=cell.runtime,
            output=cell.output,
        )
