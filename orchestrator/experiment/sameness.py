# SPDX-License-Identifier: Apache-2.0
"""Whether a run can go on: with the machine, models, inputs and tools that it was begun with, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.experiment.parts import artifact_keys
from orchestrator.experiment.plan import cells_of, input_digests
from orchestrator.experiment.prepare import chosen
from orchestrator.experiment.provenance import extension_facts
from orchestrator.runs.matrix import SubjectKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from orchestrator.runs.matrix import Cell, MachineKind
    from orchestrator.runs.run_file import RunFile
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.project import Project
    from orchestrator.testbed.testbed import Testbed

_THE_MACHINE = ("machine", "kernel", "guest", "stack")  # parts of a testbed file; the others change no row


def check_same(
    begun: RunFile, project: Project, workload: Workload, folder: Path, beds: Mapping[MachineKind, Testbed]
) -> None:
    """Raises UsageError if a run would go on with another machine, model or tool: its rows would not be alike."""
    now = project.config.model_dump(mode="json")
    changed = [f"testbed: {part}" for part in _THE_MACHINE if begun.testbed.get(part) != now[part]]
    cells = cells_of(workload, folder)
    changed += _changed_models(begun, project, cells)
    changed += _changed_inputs(begun, workload, folder, cells)
    if begun.extensions is not None and sorted(begun.extensions.values()) != sorted(extension_facts().values()):
        changed.append("extensions")
    if begun.artifacts:
        artifacts = artifact_keys(beds, cells, workload)
        changed += [name for name, key in begun.artifacts.items() if artifacts.get(name) != key]
    if changed:
        revision = str(begun.git.revision or "unknown")[:12]
        what = ", ".join(dict.fromkeys(changed))
        raise UsageError(
            f"run {begun.run_id} was begun with another stack; what differs: {what}",
            hint=f"go on with revision {revision} and the same --testbed, or start a new run",
        )


def _changed_models(begun: RunFile, project: Project, cells: Sequence[Cell]) -> list[str]:
    known = {each.cell_id: each.model_sha256 for each in begun.cells}
    changed = sorted({f"model {cell.model}" for cell in cells if known and cell.cell_id not in known})
    models = chosen(project.root, cells)
    for cell in cells:
        model = models[SubjectKey.of(cell)]
        if model.path is not None and known.get(cell.cell_id, model.sha256) != model.sha256:
            changed.append(f"model {cell.model}")
    return changed


def _changed_inputs(begun: RunFile, workload: Workload, folder: Path, cells: Sequence[Cell]) -> list[str]:
    """Keys of the workload whose inputs or number of classes are others now, as far as the run wrote them down."""
    tops = {each.cell_id: each.top for each in begun.cells if "top" in each.model_fields_set}
    top = {cell.cell_id: cell.top(workload) for cell in cells}
    changed = ["top"] if any(tops.get(cell, count) != count for cell, count in top.items()) else []
    before = begun.workload.get("inputs", {})
    now = workload.inputs.model_dump(mode="json", exclude={"files", "tensors"})  # the saved workload's are absolute
    changed += [f"inputs.{name}" for name, value in now.items() if before.get(name, value) != value]
    if begun.input_files is not None and begun.input_files != input_digests(workload, folder):
        changed.append("inputs.files")
    return changed
