# SPDX-License-Identifier: Apache-2.0
"""Who executes the instructions of an inference, and which of them the realm adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from orchestrator.report.plots.axes import component_legend, group_heading, row_labels, stack
from orchestrator.report.style import INK, world_name
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range, signed


@dataclass(frozen=True)
class Bar:
    """Parts of one bar by component, and what is written at its end."""

    label: str
    world: str
    parts: dict[str, float]
    text: str


def world_bars(name: str, title: str, alt: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Instructions by world stacked by component, each group (label, bars) relative to its normal VM, which is 100."""
    rows = sum(len(bars) for _, bars in groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        at, ticks, labels = 0.0, [], []
        for label, bars in groups:
            group_heading(axes, at - 0.62, label)
            for bar in bars:
                stack(axes, at, bar.parts, 0.62)
                axes.text(1, at, bar.text, transform=axes.get_yaxis_transform(), va="center", ha="right", fontsize=8)
                ticks.append(at)
                labels.append(world_name(bar.world))
                at += 0.8
            at += 0.75
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 0.85, -1.0)
        longest = max(sum(bar.parts.values()) for _, bars in groups for bar in bars)
        axes.set_xlim(0, longest * 1.12)
        axes.axvline(100, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set_xlabel("instructions of one inference, normal VM = 100")
        axes.spines["left"].set_visible(False)
        component_legend(figure, [bar.parts for _, bars in groups for bar in bars])

    return draw(name, title, alt, 0.95 + 0.30 * rows + 0.26 * len(groups), paint)


def shares(name: str, title: str, alt: str, rows: Sequence[tuple[str, dict[str, float], Range]]) -> str:
    """What each component adds, percentage points (label, points, overhead with its interval), as bars that add up."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for at, (_, parts, total) in enumerate(rows):
            stack(axes, at, parts, 0.55)
            end = max(0.0, sum(value for value in parts.values() if value > 0))
            axes.annotate(
                f"{signed(total.value)} %", (end, at), (6, 0), textcoords="offset points", va="center", weight="bold"
            )
        row_labels(axes, [label for label, _, _ in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.14)
        axes.set_xlabel("points of the normal VM's inference that the realm adds, %")
        axes.spines["left"].set_visible(False)
        component_legend(figure, [parts for _, parts, _ in rows])

    return draw(name, title, alt, 1.0 + 0.46 * len(rows), paint)
