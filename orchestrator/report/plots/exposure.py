# SPDX-License-Identifier: Apache-2.0
"""What a world gives away, against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from orchestrator.report.plots.axes import lengths, world_legend
from orchestrator.report.style import INK, world_colour, world_mark
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range
from orchestrator.words import World

_NEAR = 0.08  # of the height: labels of points that are nearer would cover each other


@dataclass(frozen=True)
class Exposed:
    """What one world gives away and costs: both in percent, cost over the normal VM; `kind` tells alike ones apart."""

    label: str
    kind: str
    world: str
    exposure: Range
    overhead: Range


def exposure(name: str, title: str, alt: str, points: Sequence[Exposed], attack: str) -> str:
    """Overhead against exposure; lower left is better."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.grid(visible=True, axis="both")
        for point in points:
            colour = world_colour(point.world)
            axes.errorbar(
                point.exposure.value, point.overhead.value, xerr=lengths(point.exposure), yerr=lengths(point.overhead),
                fmt=world_mark(point.world), color=colour, markersize=7, linewidth=1, alpha=0.9,
            )  # fmt: skip
        for text, x, y in _clusters([point for point in points if point.world == World.REALM]):
            axes.annotate(text, (x, y), (9, 3), textcoords="offset points", va="bottom", fontsize=7.5)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlim(-4, 104)
        axes.margins(y=0.15)
        axes.set_xlabel(f"model that the host recovers, % ({attack})")
        axes.set_ylabel("overhead over the normal VM, %")
        world_legend(figure, [point.world for point in points])

    return draw(name, title, alt, 3.4, paint)


def _clusters(points: Sequence[Exposed]) -> list[tuple[str, float, float]]:
    """One label for points that lie together: (text, x, y of the highest)."""
    ordered = sorted(points, key=lambda point: point.overhead.value)
    height = max((abs(point.overhead.value) for point in ordered), default=0.0) or 1.0
    clusters: list[list[Exposed]] = []
    for point in ordered:
        if clusters and point.overhead.value - clusters[-1][-1].overhead.value < _NEAR * height:
            clusters[-1].append(point)
        else:
            clusters.append([point])
    found = []
    for cluster in clusters:
        kinds = sorted({point.kind for point in cluster})
        text = cluster[0].label if len(cluster) == 1 else f"{len(cluster)} cells: {', '.join(kinds[:2])}"
        found.append(
            (text + (", \u2026" if len(kinds) > 2 else ""), cluster[-1].exposure.value, cluster[-1].overhead.value)
        )
    return found
