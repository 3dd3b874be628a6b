# SPDX-License-Identifier: Apache-2.0
"""How well inferences and boots repeat, for the section on correctness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.boots import REPEATABLE, Apart
from orchestrator.analysis.checks import Spread
from orchestrator.analysis.decompose import PARTS
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Grid, Heading, Plot, Word
from orchestrator.report.naming import word_of
from orchestrator.report.plots.samples import strips
from orchestrator.report.style import component_heading, phase_name, world_name
from orchestrator.report.wording import MINUS, NONE, ditto, fraction, number, plural
from orchestrator.runs.frames import chosen, usable
from orchestrator.words import INFER, LOAD, Component, World

_MANY = 2000  # inferences of a boot, beyond which equal marks are drawn once


def samples_plot(facts: RunFacts) -> Plot | None:
    """Every inference of cells that have a normal VM; None if there is none."""
    columns, words = ["cell_id", "world", "boot_id", "value"], {"metric": "instructions", "component": Component.ALL}
    rows = usable(facts.run.samples, columns, phase=INFER, **words)
    found = []
    for cell in facts.cells:
        base = cell.inference.get(World.VM)
        if base is None or not base.estimate:
            continue
        worlds = {}
        for world in World:
            part = chosen(rows, cell_id=cell.cell_id, world=world)
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


def independent_boots(found: list[Apart]) -> list[tuple[str, Content]]:
    """How far means of boots lie apart at most, of the cells whose time is deterministic."""
    facts: list[tuple[str, Content]] = []
    for phase, told in ((INFER, "inferences"), (LOAD, "loads")):
        mine = [each for each in found if each.phase == phase and each.tick is not None and each.mean]
        if mine:
            worst = max(mine, key=lambda each: each.all / each.allowed)
            text = f"within {fraction(worst.all / worst.mean)} of each other; expected: {_expected(worst)}"
            facts.append((f"Independent boots, {told}", Word(text, "good" if worst.good else "warn")))
    return facts


def _expected(each: Apart) -> str:
    ticks = each.allowed > REPEATABLE[each.phase] * each.mean
    return f"{fraction(each.allowed / each.mean)}" + (", one tick of each kind" if ticks else "")


def apart_grid(found: list[Apart], facts: RunFacts) -> list[Grid]:
    """What boots differ by, by component; nothing if there is one boot."""
    if not found:
        return []
    parts = [part for part in PARTS if any(part in each.parts for each in found)]
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Phase", numeric=False),
        Heading("Between boots"),
        Heading("Expected"),
        Heading("All"),
        *(Heading(*component_heading(part)) for part in parts),
    )
    rows: list[tuple[Content, ...]] = []
    for each in found:
        told = fraction(each.all / each.mean) if each.mean else NONE
        timed = each.tick is not None
        rows.append(
            (
                *(word_of(facts, each.cell_id), world_name(each.world), phase_name(each.phase)),
                Word(told, "good" if each.good else "warn") if timed else told,
                _expected(each) if timed and each.mean else NONE,
                number(each.all),
                *(number(each.parts[part]) if part in each.parts else NONE for part in parts),
            )
        )
    notes = (
        f"Largest {MINUS} smallest of the boots' means, in instructions of a load or an inference: of all, and of each "
        "component by itself. What is expected of inferences is 0.05 % or, where that is more, what one tick of each "
        "kind more or less makes of a boot's mean.",
    )
    return [Grid("What boots differ by", headings, ditto(rows), notes)]


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
