# SPDX-License-Identifier: Apache-2.0
"""What of a run did not go well: its early end, steps that failed, and what those that passed warn of."""

from __future__ import annotations

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.naming import place
from orchestrator.runs.frames import plain
from orchestrator.words import Status


def step_alarms(facts: RunFacts) -> list[str]:
    """One line each; boots with the same word on them are told together."""
    info = facts.run.info
    found = []
    if info.cause:
        found.append(f"The run ended early: {info.cause}")
    boots: dict[tuple[str, str, str, str | None], list[str]] = {}
    for step in info.steps:
        if step.status != Status.OK or step.note:
            key = (step.status, step.cell_id, step.world or "?", step.note)
            boots.setdefault(key, []).append("?" if step.boot_id is None else str(step.boot_id))
    for (status, cell, world, note), ids in boots.items():
        what = "warning" if status == Status.OK else status
        where = f"{place(facts, cell, world)}, boot{'s' if len(ids) > 1 else ''} {', '.join(ids)}"
        found.append(f"{what}: {where}: {note or 'no reason given'}")
    if all(step.status == Status.OK for step in info.steps):
        found += _alarms_of_rows(facts)
    return found


def _alarms_of_rows(facts: RunFacts) -> list[str]:
    """Failed observations, where run.yaml does not tell the steps."""
    samples = facts.run.samples
    bad = plain(samples.loc[samples["status"] != Status.OK, ["cell_id", "world", "status", "note"]])
    found = []
    for (cell, world, status), part in bad.groupby(["cell_id", "world", "status"], sort=False):
        notes = [str(note) for note in part["note"].dropna().unique()]
        told = f": {'; '.join(notes[:3])}" if notes else ""
        found.append(f"{status}: {place(facts, str(cell), str(world))}, {len(part)} rows{told}")
    return found
