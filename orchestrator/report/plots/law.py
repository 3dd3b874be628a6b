# SPDX-License-Identifier: Apache-2.0
"""Overheads as the law of exits has them against those that were counted."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from orchestrator.report.plots.axes import lengths
from orchestrator.report.style import INK, MUTED, world_colour
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range, number
from orchestrator.words import World


def predictions(name: str, title: str, alt: str, pairs: Sequence[tuple[Range, Range]]) -> str:
    """Pairs of (counted, predicted), percent; on logarithmic axes where all are positive."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        values = [each.value for pair in pairs for each in pair]
        positive = min(values) > 0
        low, high = (min(values) / 1.5, max(values) * 1.5) if positive else (min(values) - 0.1, max(values) + 0.1)
        axes.plot([low, high], [low, high], color=INK, linewidth=0.8, zorder=1)
        for counted, predicted in pairs:
            whiskers = [lengths(_inside(each, low)) for each in (counted, predicted)]
            axes.errorbar(
                counted.value, predicted.value, xerr=whiskers[0], yerr=whiskers[1], fmt="D", markersize=4.5,
                color=world_colour(World.REALM), linewidth=1.0, capsize=2, zorder=3,
            )  # fmt: skip
        if positive:
            axes.set_xscale("log")
            axes.set_yscale("log")
            ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if low <= tick <= high]
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(ticks, [number(tick) for tick in ticks])
                axis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        axes.grid(visible=True, axis="both")
        axes.tick_params(colors=MUTED)
        axes.set_xlabel("counted: realm over normal VM, %")
        axes.set_ylabel("predicted, %")

    return draw(name, title, alt, 4.2, paint)


def _inside(value: Range, low: float) -> Range:
    """A whisker cannot end at or below the origin of a logarithmic axis."""
    return Range(value.value, None if value.low is None else max(value.low, low), value.high)
