# SPDX-License-Identifier: Apache-2.0
"""Every sample of an inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from orchestrator.report.plots.axes import group_heading
from orchestrator.report.style import INK, world_colour, world_name
from orchestrator.report.svg import draw


def strips(
    name: str, title: str, alt: str, groups: Sequence[tuple[str, Mapping[str, Sequence[Sequence[float]]]]]
) -> str:
    """Every sample (label, values by boot by world): inference relative to the normal VM's mean, percent."""
    rows = sum(len(worlds) for _, worlds in groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        at, ticks, labels = 0.0, [], []
        for label, worlds in groups:
            group_heading(axes, at - 0.66, label)
            for world, boots in worlds.items():
                for place, values in enumerate(boots):
                    y = at + 0.56 * ((place + 0.5) / len(boots) - 0.5)
                    axes.plot(
                        values, [y] * len(values), "o", color=world_colour(world), markersize=3.4, alpha=0.5,
                        markeredgewidth=0,
                    )  # fmt: skip
                ticks.append(at)
                labels.append(world_name(world))
                at += 0.85
            at += 0.8
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 1.0, -1.05)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.06)
        axes.set_xlabel("instructions of one inference over the mean of the normal VM, %")
        axes.spines["left"].set_visible(False)

    return draw(name, title, alt, 0.7 + 0.30 * rows + 0.28 * len(groups), paint)
