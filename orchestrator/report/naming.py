# SPDX-License-Identifier: Apache-2.0
"""What cells are called in tables and figures."""

from __future__ import annotations

from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.report.model import Content, Word
from orchestrator.report.style import world_name


def cell_word(cell: CellFacts) -> Word:
    """Two lines for tables."""
    return Word(cell.name, below=cell.regime)


def cell_label(cell: CellFacts) -> str:
    """Two lines for figures."""
    return f"{cell.name}\n{cell.regime}"


def word_of(facts: RunFacts, cell_id: str) -> Content:
    """A cell by its id, on two lines; the id itself where there are no usable rows of it."""
    found = facts.cell(cell_id)
    return cell_word(found) if found else cell_id


def place(facts: RunFacts, cell_id: str, world: str) -> str:
    """A cell in a world, for a sentence."""
    return f"{facts.name(cell_id)} in {world_name(world)}"
