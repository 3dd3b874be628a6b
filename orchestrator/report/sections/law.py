# SPDX-License-Identifier: Apache-2.0
"""What an exit costs by kind, and whether overheads are what the law of exits says."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis import paper
from orchestrator.analysis.calibration import cell_points
from orchestrator.analysis.decompose import OUTSIDE, PARTS
from orchestrator.analysis.facts import RunFacts
from orchestrator.analysis.fitting import law_of
from orchestrator.analysis.law import WORLDS, Compared, against, predict, shipped_law
from orchestrator.analysis.prices import ExitPrice, exit_prices
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Plot, Points, Word
from orchestrator.report.plots.law import predictions
from orchestrator.report.section import SectionKind
from orchestrator.report.style import component_heading, world_name
from orchestrator.report.wording import DASH, NONE, Range, ditto, number, plural, signed, whole
from orchestrator.schema.law import Law, Rates


def build(facts: RunFacts) -> list[Item]:
    """Nothing without cells in deterministic time, or executions to tell kinds of exits by."""
    items: list[Item] = []
    cells = cell_points(facts)
    shipped = shipped_law()
    law = shipped or (law_of([facts]) if cells else None)
    if law is not None and (compared := against(law, cells)):
        items += [
            Paragraph(_sentence(compared, shipped), "lead"),
            _plot(compared),
            _table(compared, facts, shipped),
            _prices(law, ours=shipped is None),
            *_published(law),
        ]
    prices = exit_prices(facts.run.samples)
    if any(price.parts is not None for price in prices):
        items.append(_kinds(prices))
    return items


def _sentence(compared: list[Compared], law: Law | None) -> str:
    errors = 100 * np.abs([each.error for each in compared])
    whose = (
        "Each cell is predicted from the others of this run, from those with other ticks where they suffice"
        if law is None
        else f"The law was fitted to {plural(len(law.cells), 'cell')} of other runs"
    )
    told = f"median error {np.median(errors):.1f} % of the overhead, largest {errors.max():.1f} %"
    return f"Overhead follows from the ticks and what they cost. {whose}: {told}, over {plural(len(errors), 'cell')}."


def _range(value: float, low: float | None, high: float | None) -> Range:
    return Range(100 * value, None if low is None else 100 * low, None if high is None else 100 * high)


def _plot(compared: list[Compared]) -> Plot:
    pairs = [
        (_range(each.cell.measured, each.cell.low, each.cell.high), _range(each.predicted, each.low, each.high))
        for each in compared
    ]
    told = "; ".join(
        f"{each.cell.line}: counted {signed(counted.value)} %, predicted {signed(said.value)} %"
        for each, (counted, said) in zip(compared, pairs, strict=True)
    )
    svg = predictions("plot-law", "Predicted against counted overheads", f"{told}.", pairs)
    return Plot("law-figure", svg, "Overheads as the law has them against those counted; on the line both are equal.")


def _ends(value: Range) -> str:
    return NONE if value.low is None or value.high is None else f"[{signed(value.low)}, {signed(value.high)}]"


def _table(compared: list[Compared], facts: RunFacts, law: Law | None) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("Counted", "% and 95 % interval"),
        Heading("Predicted", "% and 95 % interval"),
        Heading("Error", "% of the overhead"),
    )
    rows: list[tuple[Content, ...]] = []
    for each in compared:
        counted = _range(each.cell.measured, each.cell.low, each.cell.high)
        said = _range(each.predicted, each.low, each.high)
        mark = "*" if each.extrapolates else ""
        rows.append(
            (
                each.cell.line,
                Word(signed(counted.value), below=_ends(counted)),
                Word(f"{signed(said.value)}{mark}", below=_ends(said)),
                signed(100 * each.error),
            )
        )
    notes = ["The model plays no part: its own work falls out of the ratio (docs/analysis.md, The law of exits)."]
    if any(each.extrapolates for each in compared):
        notes.append("* No mixture of the law's cells has such ticks.")
    if law is not None and not set(facts.run.samples["stack_hash"].unique()) & set(law.stacks):
        notes.append("The law was fitted to another stack than this run's: part of the error is what changed.")
    return Grid("Overheads by the law of exits and as counted", headings, tuple(rows), tuple(notes))


def _prices(law: Law, *, ours: bool) -> Grid:
    """What one tick costs, with all that it brings about."""
    headings = (
        Heading("One", numeric=False),
        Heading("World", numeric=False),
        *(Heading(*component_heading(part)) for part in PARTS),
        Heading("all"),
    )
    rows: list[tuple[Content, ...]] = []
    for kind in law.kinds:
        for world in WORLDS:
            mine = [each for each in law.prices if (each.kind, each.world) == (kind, world)]
            total = whole(law.total(world, kind))
            rows.append((kind, world_name(world), *(whole(each.instructions) for each in mine), total))
    note = "Instructions, with all exits and traps of FP that follow, " + (
        "fitted to the cells of this run."
        if ours
        else f"fitted to {', '.join(dict.fromkeys(cell.run_id for cell in law.cells))}."
    )
    return Grid("What a tick costs", headings, ditto(rows), (note,))


def _published(law: Law) -> list[Item]:
    """Published rows as predictions for their ticks, and what differs."""
    said = predict(law, Rates(**paper.REGIME))
    if said.ratio.estimate is None or said.extrapolates:
        return []
    value = _range(
        said.ratio.estimate - 1, *(None if end is None else end - 1 for end in (said.ratio.low, said.ratio.high))
    )
    headings = (
        Heading("Published model", numeric=False),
        Heading("Published", "%"),
        Heading("Predicted here", "% and 95 % interval"),
    )
    rows = tuple(
        (row.model, signed(row.overhead), Word(signed(value.value), below=_ends(value))) for row in paper.PUBLISHED
    )
    note = f"Published: {paper.SOURCE}. Predicted: for the same ticks and shift 3, one figure for all models."
    return [
        Grid("Published overheads beside the law's prediction for their ticks", headings, rows, (note,)),
        Paragraph("What differs between the two:"),
        Points(paper.DIFFERS),
    ]


def _kinds(prices: list[ExitPrice]) -> Grid:
    headings = (
        Heading("World", numeric=False),
        Heading("Exit", numeric=False),
        Heading("In an execution", "least and most"),
        *(Heading(*component_heading(part)) for part in OUTSIDE),
        Heading("all"),
        Heading("", numeric=False),
    )
    rows: list[tuple[Content, ...]] = []
    for each in prices:
        often = number(each.least) if each.least == each.most else f"{number(each.least)} {DASH} {number(each.most)}"
        parts = [NONE if each.parts is None else whole(each.parts[part]) for part in OUTSIDE]
        told = "" if each.spread is None else f"\u00b1 {whole(each.spread)}"
        rows.append((world_name(each.world), each.kind, often, *parts, whole(each.total), each.reason or told))
    note = (
        "Instructions outside the guest for each exit of a kind: least squares over whole executions of the runner, by "
        "the VMM's counts. What occurs as often in each execution, or as often as another kind, has no price of its "
        "own."
    )
    return Grid("What an exit costs by its kind", headings, ditto(rows), (note,), folded=True)


RECORD = SectionKind("law", "The law of exits", build)
