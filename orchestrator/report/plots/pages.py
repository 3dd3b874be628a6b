# SPDX-License-Identifier: Apache-2.0
"""What a page of guest memory costs when a guest is made and when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orchestrator.report.plots.axes import THOUSANDS, legend, lengths, row_labels
from orchestrator.report.style import INK, world_colour, world_name, worlds_in_order
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range, number


def pages(name: str, title: str, alt: str, panels: Sequence[tuple[str, Sequence[tuple[str, dict[str, Range]]]]]) -> str:
    """Instructions for each page, one panel (heading, rows of label and range by world) for creation and end."""
    most = max(len(rows) for _, rows in panels)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), sharey=False, squeeze=False)[0]
        for axes, (heading, rows) in zip(grid, panels, strict=True):
            axes.set_title(heading)
            longest = max(value.high or value.value for _, worlds in rows for value in worlds.values())
            for at, (_, worlds) in enumerate(rows):
                for place, (world, value) in enumerate(worlds.items()):
                    y = at + 0.32 * (place - (len(worlds) - 1) / 2)
                    axes.barh(y, value.value, 0.28, color=world_colour(world))
                    axes.errorbar(value.value, y, xerr=lengths(value), color=INK, linewidth=0.8)
                    axes.text(
                        (value.high or value.value) + 0.015 * longest, y, number(value.value), va="center", fontsize=8
                    )
            row_labels(axes, [label for label, _ in rows])
            axes.set_ylim(len(rows) - 0.45, -0.55)
            axes.set_xlim(0, 1.16 * longest)
            axes.set_xlabel("instructions for each 4 KiB page")
            axes.xaxis.set_major_formatter(THOUSANDS)
            axes.spines["left"].set_visible(False)
        seen = {world for _, rows in panels for _, worlds in rows for world in worlds}
        legend(figure, [Patch(color=world_colour(name), label=world_name(name)) for name in worlds_in_order(seen)])

    return draw(name, title, alt, 1.15 + 0.62 * most, paint)
