# SPDX-License-Identifier: Apache-2.0
"""A run's result as one picture that stands alone: what the host gets of the model, and what an inference costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.report.plots.beside import Line, beside
from orchestrator.report.sections.privacy import exposures, share
from orchestrator.report.style import world_name
from orchestrator.report.svg import standalone
from orchestrator.report.wording import TIMES, Range, percent_over, plural, signed
from orchestrator.words import INFER, World

_TITLE = "What root on the host gets of the model, beside what an inference costs"


def write_figure(facts: RunFacts, path: Path) -> None:
    """Write it as SVG; raises UsageError if the run has nothing for it, or there can be no such file."""
    drawn = draw_figure(facts)
    try:
        replace_file(path, drawn)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", hint="--figure FILE") from None


def draw_figure(facts: RunFacts) -> str:
    """The picture as an SVG file's text: the same facts give the same bytes.

    Raises UsageError if no cell has both a search of the host and inferences to compare.
    """
    rows = facts.run.privacy
    found = exposures(rows[rows["in_verdict"] & ~rows["control"]])
    searched = found[1] if found else rows.iloc[:0]
    groups = [
        (_label(cell), list(_lines(cell, mine)))
        for cell in facts.cells
        if (World.REALM, INFER) in cell.over_vm and not (mine := searched[searched["cell_id"] == cell.cell_id]).empty
    ]
    if not groups:
        what = "no cell has both inferences in VM and realm and a search of the host"
        raise UsageError(f"{facts.run.info.run_id}: nothing to draw: {what}", hint="workloads/quickstart.yaml has both")
    told = "; ".join(f"{label}: {', '.join(map(_told, lines))}" for label, lines in groups)
    return standalone(beside("figure", _TITLE, f"{told}. Run {facts.run.info.run_id}.", groups))


def _label(cell: CellFacts) -> str:
    """What was measured how often: fewer boots make narrower intervals than they should be."""
    return f"{cell.line}, {plural(cell.boots, 'boot')} {TIMES} {cell.samples // cell.boots}"


def _lines(cell: CellFacts, searched: pd.DataFrame) -> Iterator[Line]:
    """One a world that was searched or measured, as people read them."""
    by_world = {str(row["world"]): row for row in searched.to_dict("records")}
    for world in World:
        row = by_world.get(world)
        ratio = cell.over_vm.get((world, INFER))
        over = Range(0.0) if world is World.VM else percent_over(ratio) if ratio else None
        if row is not None:
            yield Line(world, share(row), _blocks(row["value"], row["attempted"]), over)
        elif over is not None:
            yield Line(world, None, "not searched", over)


def _blocks(value: float, attempted: float) -> str:
    """How many blocks were found, of how many that were looked for."""
    if pd.isna(attempted):
        return f"{100 * value:.4g} %"
    found, tried = round(value * attempted), int(attempted)
    return f"all {tried:,} blocks" if found == tried else f"{found:,} of {tried:,} blocks"


def _told(line: Line) -> str:
    cost = "" if line.overhead is None else f" at {signed(line.overhead.value)} %"
    return f"{world_name(line.world)}: {line.told}{cost}"
