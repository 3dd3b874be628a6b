# SPDX-License-Identifier: Apache-2.0
"""A law of exits from the folders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.analysis.calibration import cell_points
from orchestrator.analysis.facts import RunFacts, gather
from orchestrator.analysis.law import fit
from orchestrator.runs.reading import load_run
from orchestrator.schema.law import Law


def law_of_runs(folders: Sequence[Path]) -> Law:
    """The law of all cells of these runs; raises UsageError if they have none that it can be fitted to."""
    return law_of([gather(load_run(folder)) for folder in folders])


def law_of(runs: Sequence[RunFacts]) -> Law:
    """The same of runs that were read."""
    cells = [cell for facts in runs for cell in cell_points(facts)]
    stacks = [str(stack) for facts in runs for stack in facts.run.samples["stack_hash"].unique()]
    revisions = dict.fromkeys(facts.run.info.git.revision for facts in runs)
    return fit(cells, revision=", ".join(filter(None, revisions)) or None, stacks=stacks)
