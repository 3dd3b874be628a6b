# SPDX-License-Identifier: Apache-2.0
"""How well inferences and boots repeat, for the section on correctness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.checks import REPEATABLE, Spread
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Grid, Heading, Plot, Word
from orchestrator.report.naming import word_of
from orchestrator.report.plots.samples import strips
from orchestrator.report.style import world_name
from orchestrator.report.wording import MINUS, NONE, ditto, fraction, plural
from orchestrator.words import INFER, Component, World

_MANY = 2000  # inferences of a boot, beyond which equal marks are drawn once


def samples_plot(facts: RunFacts) -> Plot | None:
    """Every inference of cells that have a normal VM; None if there is none."""
    rows = facts.rows[
        (facts.rows["metric"] == "instructions")
        & (facts.rows["phase"] == INFER)
        & (facts.rows["component"] == Component.ALL)
    ]
    found = []
    for cell in facts.cells:
        base = cell.inference.get(World.VM)
        if base is None or not base.estimate:
            continue
        worlds = {}
        for world in World:
            part = rows[(rows["cell_id"] == cell.cell_id) & (rows["world"] == world)]
            boots = (values.to_numpy() for _, values in part.groupby("boot_id")["value"])
            worlds[str(world)] = [_shown(100 * (values / base.estimate - 1)) for values in boots]
        found.append((cell.line, {world: boots for world, boots in worlds.items() if boots}))
    if not found:
        return None
    told = "; ".join(
        f"{label}, {world_name(world)}: {plural(sum(map(len, boots)), 'sample')} of {plural(len(boots), 'boot')}"
        for label, worlds in found
        for world, boots in worlds.items()
    )
    svg = strips("plot-samples", "Every sample", f"{told}.", found)
    return Plot(
        "samples",
        svg,
        "Every sample that the statistics are made of: one mark an inference, one line of marks a boot; of more than "
        f"{_MANY:,}, one mark for all that look alike.",
    )


def _shown(values: NDArray[np.float64]) -> list[float]:
    """All values or, of too many to draw, those that differ in what one can see."""
    return [float(value) for value in (values if len(values) <= _MANY else np.unique(np.round(values, 2)))]


def independent_boots(repeated: list[Spread], facts: RunFacts) -> list[tuple[str, Content]]:
    """How far means of boots lie apart at most, of the cells whose time is deterministic."""
    fixed = {cell.cell_id for cell in facts.cells if cell.icount_shift is not None}
    apart = [each.between_means for each in repeated if each.cell_id in fixed and each.boots > 1]
    if not apart:
        return []
    told = f"means of an inference within {fraction(max(apart))} of each other; expected: {fraction(REPEATABLE)}"
    return [("Independent boots", Word(told, "good" if max(apart) <= REPEATABLE else "warn"))]


def repeatability_grid(repeated: list[Spread], facts: RunFacts) -> Grid:
    """Spread between boots and within them, by cell and world."""
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Boots"),
        Heading("Between boots", "means"),
        Heading("Between boots", "medians"),
        Heading("Within a boot"),
    )
    rows = tuple(
        (
            word_of(facts, each.cell_id),
            world_name(each.world),
            str(each.boots),
            fraction(each.between_means) if each.boots > 1 else NONE,
            fraction(each.between_medians) if each.boots > 1 else NONE,
            fraction(each.within),
        )
        for each in repeated
    )
    notes = (
        f"(Largest {MINUS} smallest) / middle of an inference's instructions: of the boots' means, of their medians, "
        "of one boot's iterations.",
        "Means tell whether boots repeat, and are what overheads are made of. Medians are a description: an inference "
        "that is shorter than a tick executes one or none, and a median is one or the other. Where about half of the "
        "inferences have a tick, it jumps by what a tick costs though the means agree.",
    )
    return Grid("Repeatability", headings, ditto(rows), notes)
