# SPDX-License-Identifier: Apache-2.0
"""What a run is made of: a testbed for every kind of machine, and the keys of all that is built for it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from orchestrator.build.graph import file_digest
from orchestrator.experiment.prepare import chosen, nodes_of
from orchestrator.testbed.guest import files_for
from orchestrator.testbed.testbed import Testbed
from orchestrator.words import GUEST_WORLDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.build.graph import Node
    from orchestrator.build.progress import Progress
    from orchestrator.runs.matrix import Cell, MachineKind
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.project import Project


def machine_testbed(project: Project, progress: Progress, machine: MachineKind) -> Testbed:
    """The user's testbed with the ticks and the timing of `machine`."""
    config = project.config
    deterministic = config.machine.deterministic.model_copy(update={"icount_shift": machine.timing.shift})
    changed = config.model_copy(
        update={
            "kernel": config.kernel.model_copy(update=machine.ticks.model_dump()),
            "machine": config.machine.model_copy(update={"deterministic": deterministic}),
        }
    )
    return Testbed(dataclasses.replace(project, config=changed), progress)


def testbeds(project: Project, progress: Progress, cells: Sequence[Cell]) -> dict[MachineKind, Testbed]:
    """A testbed for every kind of machine."""
    machines = dict.fromkeys(cell.machine for cell in cells)
    return {machine: machine_testbed(project, progress, machine) for machine in machines}


def machine_nodes(bed: Testbed, workload: Workload) -> dict[str, Node]:
    """The nodes of the machine and of the guests that a workload has."""
    files = [file for world in GUEST_WORLDS if world in workload.worlds for file in files_for(world)]
    return bed.project.machine_nodes(bed.graph) | bed.project.guest_nodes(bed.graph, files)


def machine_keys(bed: Testbed, workload: Workload) -> dict[str, str]:
    """What the machine and its guests are made of: artifact keys by node, which tell ticks apart.

    Of what `stack:` gives ready-made, the digests.
    """
    stack = bed.project.config.stack
    given = {f"stack.{name}": getattr(stack, name) for name in ("qemu", "rmm", "host_kernel", "guest_kernel")}
    files = {name: bed.project.path(path) for name, path in given.items() if path is not None}
    files |= {f"stack.vmm:{place}": path for place, path in bed.project.vmm_files().items()}
    keys = {node.label: bed.builder.keys.key(node) for node in machine_nodes(bed, workload).values()}
    return keys | {name: file_digest(path) for name, path in files.items()}


def artifact_keys(beds: Mapping[MachineKind, Testbed], cells: Sequence[Cell], workload: Workload) -> dict[str, str]:
    """Keys of all that a run is made of, as they are now; nothing is built."""
    bed = next(iter(beds.values()))
    models = chosen(bed.project.root, cells)
    nodes = nodes_of(bed.graph, models, attacked=bool(workload.attacks))
    keys = {label: bed.builder.keys.key(node) for label, node in nodes.items()}
    return keys | {name: key for each in beds.values() for name, key in machine_keys(each, workload).items()}
