# SPDX-License-Identifier: Apache-2.0
"""How often guests are left, and what is executed then."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from orchestrator.report.plots.axes import THOUSANDS, row_labels, world_legend
from orchestrator.report.style import MUTED, RULE, world_colour, world_mark
from orchestrator.report.svg import draw
from orchestrator.report.wording import number
from orchestrator.words import World


def exits(name: str, title: str, alt: str, rows: Sequence[tuple[str, dict[str, tuple[float, float]]]]) -> str:
    """Exits per million instructions of the guest and instructions for each (label, pair by world), two panels."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        titles = ("exits per million instructions of the guest", "instructions outside the guest, for each exit")
        for place, (axes, heading) in enumerate(zip(panels, titles, strict=True)):
            axes.set_title(heading)
            for at, (_, worlds) in enumerate(rows):
                values = [pair[place] for pair in worlds.values()]
                axes.plot([min(values), max(values)], [at, at], color=MUTED, linewidth=0.8, zorder=1)
                for world, pair in worlds.items():
                    axes.plot(pair[place], at, world_mark(world), color=world_colour(world), markersize=6)
                    shift = 8 if world == World.REALM else -14
                    axes.annotate(
                        number(pair[place]), (pair[place], at), (0, shift), textcoords="offset points", ha="center",
                        fontsize=7.5, color=world_colour(world),
                    )  # fmt: skip
            most = max(pair[place] for _, worlds in rows for pair in worlds.values())
            axes.set_xlim(-0.06 * most, 1.15 * most)
            axes.axvline(0, color=RULE, linewidth=0.8)
            axes.xaxis.set_major_formatter(THOUSANDS)
            axes.spines["left"].set_visible(False)
        row_labels(panels[0], [label for label, _ in rows])
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        world_legend(figure, [world for _, worlds in rows for world in worlds])

    return draw(name, title, alt, 1.1 + 0.52 * len(rows), paint)
