# SPDX-License-Identifier: Apache-2.0
"""How near to the oracle's the answers are, and how near they must be: the spread of the release's own kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.model import Content, Grid, Heading, Item, Word
from orchestrator.report.naming import word_of
from orchestrator.report.wording import NONE, ditto
from orchestrator.runs.frames import by_key, chosen
from orchestrator.words import Status

if TYPE_CHECKING:
    from orchestrator.analysis.facts import RunFacts
    from orchestrator.runs.run_file import AllowanceFacts, CellFacts

_NOTE = (
    "All but the largest number are in parts of it. Spread: the largest difference between kernels of one release "
    "(XNNPACK, its own quick ones, plain loops) on the same inputs. Allowed: four times that, at least a few units in "
    "the last place or one step of a quantized output. Found: the largest difference of any world from the oracle."
)


def allowance_grids(facts: RunFacts) -> list[Item]:
    """One row for each output of each cell; nothing of runs that did not write it down."""
    rows: list[tuple[Content, ...]] = []
    worst = _found(facts)
    for cell in facts.run.info.cells:
        for output in cell.oracle.outputs if cell.oracle else ():
            found = _number(worst.get(cell.cell_id))
            rows.append((word_of(facts, cell.cell_id), *_row(output), found, _who(cell), _second(cell)))
    if not rows:
        return []
    headings = (
        Heading("Cell", numeric=False),
        Heading("Output", numeric=False),
        Heading("Largest number"),
        Heading("Spread"),
        Heading("Allowed"),
        Heading("Found"),
        Heading("By", "kernels of the release", numeric=False),
        Heading("Another release", "its largest difference", numeric=False),
    )
    return [Grid("Against the oracle", headings, ditto(rows), (_NOTE,))]


def _row(output: AllowanceFacts) -> tuple[Content, ...]:
    return output.output or NONE, _number(output.scale), _number(output.spread), _number(output.allowed)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


def _found(facts: RunFacts) -> dict[str, float]:
    """The largest difference by cell, of steps that passed: of its outputs together."""
    mine = chosen(facts.run.samples, ["cell_id", "value"], metric="oracle_difference", status=Status.OK)
    found = by_key(mine, ["cell_id"], "max")
    return {str(cell): float(value) for cell, value in found.items()}


def _second(cell: CellFacts) -> Content:
    """What an independent build says: a difference is told and decides nothing."""
    second = cell.oracle.second if cell.oracle else None
    if second is None:
        return NONE
    if second.cannot is not None:
        return Word("cannot", below=second.cannot[:60])
    told = f"{second.release or NONE}: {_number(second.difference)}"
    return told if second.within else Word(told, "warn", below="more than allowed")


def _who(cell: CellFacts) -> Content:
    """The release, and what became of kernels that could not."""
    if cell.oracle is None:
        return NONE
    kernels = cell.oracle.kernels
    good = ", ".join(name for name, told in kernels.items() if told == "ok")
    bad = "; ".join(f"not {name}: {told[:60]}" for name, told in kernels.items() if told != "ok")
    told = f"{cell.oracle.release or NONE}: {good}"
    return Word(told, "warn", below=bad) if bad else told
