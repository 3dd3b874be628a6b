# SPDX-License-Identifier: Apache-2.0
"""What figures have in common: names of rows, stacks of components, whiskers, legends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import StrMethodFormatter

from orchestrator.report.style import (
    INK,
    MUTED,
    component_colour,
    component_name,
    components_in_order,
    world_colour,
    world_mark,
    world_name,
    worlds_in_order,
)
from orchestrator.report.wording import Range

THOUSANDS = StrMethodFormatter("{x:,.0f}")
"""Ticks as 12,345."""


def group_heading(axes: Axes, at: float, label: str) -> Text:
    """The heading of a group of rows, clear of the lines behind it."""
    return axes.text(
        0.002, at, label, transform=axes.get_yaxis_transform(), weight="bold", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def row_labels(axes: Axes, labels: Sequence[str]) -> None:
    """Names of rows, each on one line or two; set line by line, so that any font ends at the axis."""
    axes.set_yticks(range(len(labels)), [""] * len(labels))
    for at, label in enumerate(labels):
        first, _, second = label.partition("\n")
        lines = (
            ((first, INK, 8.5, "bottom", 0), (second, MUTED, 7.5, "top", -1))
            if second
            else ((first, INK, 8.5, "center", 0),)
        )
        for text, colour, size, where, shift in lines:
            axes.annotate(
                text, (0, at), (-6, shift), xycoords=axes.get_yaxis_transform(), textcoords="offset points", ha="right",
                va=where, color=colour, fontsize=size, annotation_clip=False,
            )  # fmt: skip


def stack(axes: Axes, at: float, parts: Mapping[str, float], height: float) -> None:
    """Positive parts to the right of 0, negative ones to the left, in the order of the legend."""
    right = left = 0.0
    for component in components_in_order(parts):
        value = parts[component]
        start = right if value >= 0 else left
        if value:
            colour = component_colour(component)
            axes.barh(at, value, height, left=start, color=colour, edgecolor="white", linewidth=0.5)
        right, left = (right + value, left) if value >= 0 else (right, left + value)


def whisker(axes: Axes, at: float, value: Range, colour: str, mark: str) -> None:
    """A value with its interval, in one row."""
    axes.errorbar(
        value.value, at, xerr=lengths(value), fmt=mark, color=colour, markersize=5, linewidth=1.2, capsize=2.5, zorder=3
    )


def lengths(value: Range) -> list[list[float]] | None:
    """Lengths of the whiskers; None without an interval."""
    if value.low is None or value.high is None:
        return None
    return [[max(0.0, value.value - value.low)], [max(0.0, value.high - value.value)]]


def component_legend(figure: Figure, parts: Iterable[Mapping[str, float]]) -> None:
    """The components that have a part."""
    seen = dict.fromkeys(component for each in parts for component, value in each.items() if value)
    names = components_in_order(seen)
    legend(figure, [Patch(color=component_colour(name), label=component_name(name)) for name in names])


def world_legend(figure: Figure, worlds: Iterable[str]) -> None:
    """The worlds as marks."""
    handles = [
        Line2D(
            [], [], marker=world_mark(world), color=world_colour(world), linestyle="", markersize=6,
            label=world_name(world),
        )
        for world in worlds_in_order(dict.fromkeys(worlds))
    ]  # fmt: skip
    legend(figure, handles)


def legend(figure: Figure, handles: Sequence[Patch | Line2D]) -> None:
    """Above everything else."""
    figure.legend(
        handles=list(handles), loc="outside upper left", ncols=6, handlelength=1, handleheight=0.9, columnspacing=1.4
    )
