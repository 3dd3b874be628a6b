# SPDX-License-Identifier: Apache-2.0
"""Ratios with their intervals: the realm's overhead by phase, and one run over another."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from orchestrator.analysis.facts import TOTAL
from orchestrator.report.plots.axes import group_heading, legend, row_labels, whisker
from orchestrator.report.style import BAND, INK, MARGIN, MUTED, VERDICT_COLOURS, phase_name, world_colour
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range, signed
from orchestrator.words import INFER, World


def phases(
    name: str,
    title: str,
    alt: str,
    rows: Sequence[tuple[str, dict[str, Range]]],
    *,
    columns: Sequence[str],
    margin: float,
    band: tuple[float, float] | None,
) -> str:
    """Overhead in percent (label, range by phase), a panel a phase; `band` is drawn behind inference and total."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, phase in zip(panels, columns, strict=True):
            axes.set_title(phase_name(phase))
            axes.axvspan(-margin, margin, color=MARGIN, linewidth=0)
            if band and phase in {INFER, TOTAL}:
                axes.axvspan(*band, color=BAND, linewidth=0)
            axes.axvline(0, color=INK, linewidth=0.8)
            for at, (_, ranges) in enumerate(rows):
                if phase in ranges:
                    value = ranges[phase]
                    whisker(axes, at, value, world_colour(World.REALM), "D")
                    axes.annotate(
                        signed(value.value),
                        (value.value, at),
                        (0, 7),
                        textcoords="offset points",
                        ha="center",
                        fontsize=7.5,
                    )
            axes.margins(x=0.3)
            axes.spines["left"].set_visible(False)
        row_labels(panels[0], [label for label, _ in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.6)
        figure.supxlabel("realm over normal VM, %", fontsize=8.5)
        handles: list[Patch | Line2D] = [Patch(color=MARGIN, label="margin")]
        if band:
            handles.append(Patch(color=BAND, label=f"published {band[0]:.0f}\u2013{band[1]:.0f} %"))
        legend(figure, handles)

    return draw(name, title, alt, 1.25 + 0.46 * len(rows), paint)


def ratios(
    name: str, title: str, alt: str, groups: Sequence[tuple[str, Sequence[tuple[str, Range, str]]]], margin: float
) -> str:
    """Changes from one run to another, percent: groups of (label, range, verdict)."""
    count = sum(len(rows) for _, rows in groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvspan(-margin, margin, color=MARGIN, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        at, ticks, labels = 0, [], []
        for group, rows in groups:
            group_heading(axes, at, group)
            for label, value, verdict in rows:
                at += 1
                whisker(axes, at, value, VERDICT_COLOURS.get(verdict, MUTED), "D")
                ticks.append(at)
                labels.append(label)
            at += 2
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 1.2, -0.7)
        axes.margins(x=0.08)
        axes.set_xlabel("B over A, %")
        axes.spines["left"].set_visible(False)

    return draw(name, title, alt, 0.6 + 0.2 * (count + 2 * len(groups)), paint)
