# SPDX-License-Identifier: Apache-2.0
"""A boot as a job: all that its doing needs, so that it can be done in another process or on another computer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.runs.matrix import SubjectKey

if TYPE_CHECKING:
    from orchestrator.experiment.prepare import Subject
    from orchestrator.runs.matrix import Boot, Cell
    from orchestrator.runs.rows import RowFacts
    from orchestrator.schema.testbed import TestbedConfig
    from orchestrator.schema.workload import Workload


@dataclass(frozen=True)
class BootJob:
    """One boot of the plan: the `whole`, and the `boot` with what is left of it; `index` is its place in the plan.

    `cells` are those of the run, `config` and `testbed_file` the machine; `subjects` are the prepared models, `bundles`
    their runtimes. `offset` of `total` steps come before it. `scratch` is a folder for files that nobody needs
    afterwards.
    """

    index: int
    whole: Boot
    boot: Boot
    workload: Workload
    cells: tuple[Cell, ...]
    subjects: Mapping[SubjectKey, Subject]
    bundles: Mapping[str, Path]
    facts: RowFacts
    testbed_file: Path
    config: TestbedConfig
    scratch: Path
    offset: int
    total: int
    keep: bool = False
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Keys of all that the run is made of, by label: what another computer would have to be given."""
    foreign_monitor: bool = False
    """`stack.rmm` is another RMM than ours, whose realms may see another CPU than our normal VM."""

    @property
    def label(self) -> str:
        """For people: `boot 3: deterministic, shift 0, …`."""
        return f"boot {self.boot.number + 1}: {self.boot.machine.label}"

    def attempt(self, boot_id: int, done: frozenset[str]) -> BootJob | None:
        """The same without the steps that are done, as boot `boot_id`; None if nothing is left."""
        left = self.whole.without(done)
        facts = replace(self.facts, boot_id=boot_id)
        return replace(self, boot=left, facts=facts) if left.sessions else None


@dataclass(frozen=True)
class Place:
    """Where a job is done: its shard, and a state folder for its machine (None: the user's own testbed).

    `tied`: the machine ends with the process that does the job, whatever ends that. On another computer than that of
    the run, `keys` is the folder of the machine's SSH keys, and `artifacts` are those that came, keys by label.
    """

    shard: Path
    state: Path | None = None
    tied: bool = True
    keys: Path | None = None
    artifacts: Mapping[str, str] | None = None
