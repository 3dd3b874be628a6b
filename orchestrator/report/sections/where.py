# SPDX-License-Identifier: Apache-2.0
"""Where the instructions of an inference are executed, and which of them the realm adds."""

from __future__ import annotations

from orchestrator.analysis.decompose import PARTS, UNATTRIBUTED, Decomposition
from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.report.model import Content, Grid, Heading, Item, Plot
from orchestrator.report.naming import cell_label, cell_word
from orchestrator.report.plots.components import Bar, shares, world_bars
from orchestrator.report.section import SectionKind
from orchestrator.report.style import component_heading, component_name, phase_name, world_name
from orchestrator.report.wording import Range, millions, percent_over, points, signed
from orchestrator.runs.frames import by_key, usable
from orchestrator.words import INFER, Component, World, phases_in_total


def build(facts: RunFacts) -> list[Item]:
    """Nothing without an inference."""
    items: list[Item] = []
    bars = _bars(facts)
    if bars:
        items.append(_bars_plot(bars))
    split = [cell for cell in facts.cells if cell.infer is not None]
    if split:
        items += [_shares_plot(split), _components(split)]
    items += [_matrix(cell, cell.all_phases) for cell in facts.cells if cell.all_phases is not None]
    return items


def _bars(facts: RunFacts) -> list[tuple[str, list[Bar]]]:
    """Mean instructions of phase infer by world and component, each cell relative to its normal VM (100)."""
    keys = ["cell_id", "world", "component"]
    rows = usable(facts.run.samples, [*keys, "value"], metric="instructions", phase=INFER)
    means = by_key(rows, keys, "mean")
    found = []
    for cell in facts.cells:
        wholes = {world: float(means.get((cell.cell_id, world, Component.ALL), 0.0)) for world in World}
        base = wholes[World.VM] or next((whole for whole in wholes.values() if whole), 0.0)
        bars = []
        for world, whole in wholes.items():
            if whole:
                parts = {str(part): 100 * float(means.get((cell.cell_id, world, part), 0.0)) / base for part in PARTS}
                left = 100 * whole / base - sum(parts.values())
                parts[UNATTRIBUTED] = left if left > 1e-6 else 0.0
                bars.append(Bar(cell.line, world, parts, f"{millions(whole)} M"))
        if bars:
            found.append((cell.line, bars))
    return found


def _bars_plot(groups: list[tuple[str, list[Bar]]]) -> Plot:
    told = "; ".join(
        f"{label}: " + ", ".join(f"{world_name(bar.world)} {bar.text}" for bar in bars) for label, bars in groups
    )
    svg = world_bars(
        "plot-worlds", "Instructions of one inference by world and component", f"Mean instructions. {told}.", groups
    )
    caption = "Who executes the instructions of one inference, by world. Means, relative to the normal VM; M: millions."
    return Plot("worlds", svg, caption)


def _shares_plot(cells: list[CellFacts]) -> Plot:
    rows = []
    for cell in cells:
        parts = _by_component(cell.infer)
        total = percent_over(cell.over_vm[World.REALM, INFER]) or Range(0.0)
        rows.append((cell_label(cell), parts, Range(sum(parts.values()), total.low, total.high)))
    told = "; ".join(
        f"{cell.line}: "
        + ", ".join(f"{component_name(part)} {signed(value)}" for part, value in parts.items() if value)
        for cell, (_, parts, _) in zip(cells, rows, strict=True)
    )
    svg = shares(
        "plot-shares",
        "What each component adds to an inference in a realm",
        f"Points of the VM's inference. {told}.",
        rows,
    )
    caption = "What the realm adds to an inference, by who executes it. The parts add up to the overhead."
    return Plot("shares", svg, caption)


def _by_component(split: Decomposition | None) -> dict[str, float]:
    if split is None:
        return {}
    return {part: split.points(component=part) for part in (*map(str, PARTS), UNATTRIBUTED)}


def _components(cells: list[CellFacts]) -> Grid:
    """Instructions and points by component, for each cell two rows of numbers."""
    names = [str(part) for part in PARTS]
    if any(_by_component(cell.infer)[UNATTRIBUTED] for cell in cells):
        names.append(UNATTRIBUTED)
    headings = (
        Heading("Cell", numeric=False),
        Heading("", numeric=False),
        *(Heading(*component_heading(name)) for name in names),
        Heading("all"),
    )
    rows: list[tuple[Content, ...]] = []
    for cell in cells:
        split = cell.infer
        if split is None:
            continue
        by_name = {name: [share for share in split.shares if share.component == name] for name in names}
        vm = [millions(sum(share.vm for share in by_name[name])) for name in names]
        realm = [millions(sum(share.realm for share in by_name[name])) for name in names]
        added = [points(split.points(component=name)) for name in names]
        rows += [
            (cell_word(cell), "VM, million", *vm, millions(split.vm)),
            ("", "realm, million", *realm, millions(split.realm)),
            ("", "added, points", *added, points(split.overhead)),
        ]
    notes = ("Means of the inferences that both worlds have; the points add up to the overhead above.",)
    return Grid(
        "One inference by component: instructions, and points of the VM's inference", headings, tuple(rows), notes
    )


def _matrix(cell: CellFacts, split: Decomposition) -> Grid:
    names = [str(part) for part in PARTS]
    if split.points(component=UNATTRIBUTED):
        names.append(UNATTRIBUTED)
    headings = (Heading("Phase", numeric=False), *(Heading(component_name(name)) for name in names), Heading("all"))
    rows = [
        (
            phase_name(phase),
            *(points(split.points(phase=phase, component=name)) for name in names),
            points(split.points(phase=phase)),
        )
        for phase in split.phases
    ]
    rows.append(("all", *(points(split.points(component=name)) for name in names), points(split.overhead)))
    note = f"Points of the {millions(split.vm)} million instructions that the normal VM's load and one inference take."
    caption = f"Decomposition by phase and component, {cell.line}: load + one inference, points"
    return Grid(caption, headings, tuple(rows), (note,), folded=True)


def _shows(metric: str, phase: str) -> bool:
    return metric == "instructions" and phase in phases_in_total()


RECORD = SectionKind("where", "Where the instructions go", build, shows=_shows)
