# SPDX-License-Identifier: Apache-2.0
"""What it costs to make a guest and to end it, for each page of its memory."""

from __future__ import annotations

from orchestrator.analysis import paper
from orchestrator.analysis.estimator import Interval
from orchestrator.analysis.facts import RunFacts
from orchestrator.analysis.pages import LIFE, PageCost, page_costs, slope
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Plot
from orchestrator.report.plots.pages import pages
from orchestrator.report.section import SectionKind
from orchestrator.report.style import phase_name, world_name
from orchestrator.report.wording import DASH, NONE, Range, ditto, millions, whole
from orchestrator.runs.frames import usable
from orchestrator.words import TEARDOWN, World


def build(facts: RunFacts) -> list[Item]:
    """Nothing unless guests' pages and the instructions of their creation or end are known."""
    columns = ("cell_id", "world", "phase", "component", "metric", "boot_id", "value")
    rows = usable(facts.run.samples, columns, metric=("instructions", "pages"), phase=LIFE)
    costs = page_costs(rows, _guests(facts))
    if not costs:
        return []
    lines = [Paragraph(text) for text in (_termination(costs), *_slopes(costs)) if text]
    return [_plot(costs), _table(costs), *lines]


def _guests(facts: RunFacts) -> dict[str, str]:
    """Creation and end do not depend on the model: memory, pre-touching and ticks tell guests apart."""
    touched = {cell.cell_id: cell.pretouch for cell in facts.run.info.cells}
    words = {True: "pre-touched, ", False: "on demand, ", None: ""}
    return {
        cell.cell_id: f"{cell.mem_mib} MiB, {words[touched.get(cell.cell_id)]}{cell.regime}" for cell in facts.cells
    }


def _plot(costs: list[PageCost]) -> Plot:
    panels = []
    for phase in LIFE:
        rows = [
            (
                "\n".join(cost.guest.rsplit(", ", 1)),
                {world: found for world, value in cost.worlds.items() if (found := _range(value))},
            )
            for cost in costs
            if cost.phase is phase
        ]
        if rows:
            panels.append((phase_name(phase), rows))
    told = "; ".join(
        f"{phase_name(cost.phase)}, {cost.guest}: "
        + ", ".join(f"{world_name(world)} {whole(value.estimate)}" for world, value in cost.worlds.items())
        for cost in costs
    )
    svg = pages("plot-pages", "Instructions for each page of guest memory", f"{told}.", panels)
    caption = "Making and ending a guest: instructions of the whole machine for each 4 KiB page of its memory, means."
    return Plot("pages", svg, caption + " Whiskers: 95 % intervals, where there is more than one boot.")


def _range(value: Interval) -> Range | None:
    return None if value.estimate is None else Range(value.estimate, value.low, value.high)


def _table(costs: list[PageCost]) -> Grid:
    headings = (
        Heading("Guest", numeric=False),
        Heading("Phase", numeric=False),
        Heading("Normal VM", "million instr."),
        Heading("Realm", "million instr."),
        Heading("Normal VM", "instr. a page"),
        Heading("Realm", "instr. a page"),
        Heading("Difference", "instr. a page"),
    )
    rows: list[tuple[Content, ...]] = []
    for cost in costs:
        each = [cost.worlds[world].estimate if world in cost.worlds else None for world in (World.VM, World.REALM)]
        total = [None if value is None else value * cost.pages for value in each]
        difference = NONE if cost.difference is None else whole(cost.difference)
        rows.append((cost.guest, phase_name(cost.phase), *map(millions, total), *map(whole, each), difference))
    note = "Creation includes what a page costs that is delegated on first touch only if guests were pre-touched."
    return Grid("Creation and end of a guest", headings, ditto(rows), (note,))


def _termination(costs: list[PageCost]) -> str | None:
    values = [cost.difference for cost in costs if cost.phase is TEARDOWN and cost.difference is not None]
    if not values:
        return None
    found = whole(values[0]) if len(values) == 1 else f"{whole(min(values))} to {whole(max(values))}"
    low, high = paper.TERMINATION
    return (
        f"The end of a realm costs {found} instructions a page more than that of a normal VM; published, from four VMs "
        "of "
        f"other sizes: {whole(low)}{DASH}{whole(high)} (another monitor and kernel)."
    )


def _slopes(costs: list[PageCost]) -> list[str]:
    found = []
    for phase in LIFE:
        for world in (World.VM, World.REALM):
            line = slope(costs, phase, world)
            if line is not None:
                text = f"{phase_name(phase).capitalize()} of a {world_name(world)} over the sizes of this run: "
                found.append(
                    f"{text}{whole(line[0])} instructions for each further page (least squares, R\u00b2 {line[1]:.4f})."
                )
    return found


def _shows(metric: str, phase: str) -> bool:
    return metric in {"instructions", "pages"} and phase in LIFE


RECORD = SectionKind("life", "Creation and end of a guest", build, shows=_shows)
