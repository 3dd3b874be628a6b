# SPDX-License-Identifier: Apache-2.0
"""What root on the host gets of the model, beside what an inference costs: a row for each world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orchestrator.report.plots.axes import group_heading, lengths, whisker
from orchestrator.report.style import INK, MUTED, RULE, world_colour, world_mark, world_name
from orchestrator.report.svg import draw
from orchestrator.report.wording import Range, signed
from orchestrator.words import World

_HEADING = 0.85  # rows that the name of a cell takes
_SHARE = 0.52  # of a panel's width that the axis has, where words stand beside it


@dataclass(frozen=True)
class Line:
    """One world: share of the model that the host has, percent, and in words; overhead over the normal VM, percent."""

    world: str
    exposure: Range | None
    told: str
    overhead: Range | None


def beside(name: str, title: str, alt: str, groups: Sequence[tuple[str, Sequence[Line]]]) -> str:
    """Two panels; each group (label, lines) is a cell."""
    rows = sum(len(lines) + _HEADING for _, lines in groups)

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
        left, right = figure.subplots(1, 2, sharey=True)
        at, ticks, names = 0.0, [], []
        for label, lines in groups:
            group_heading(left, at, label).set_in_layout(False)  # it may be longer than its panel
            at += _HEADING
            for line in lines:
                _exposure(left, at, line)
                _overhead(right, at, line)
                ticks.append(at)
                names.append(world_name(line.world))
                at += 1
        left.set_yticks(ticks, names, fontsize=9.5)
        left.set_ylim(at - 0.35, -0.65)
        _frame(left, "What root on the host finds of the model", "of the model's blocks, %")
        left.set_xlim(0, 100)
        _frame(right, "What an inference costs, with 95 % interval", "instructions over the normal VM, %")
        _room_for_words(right, [line.overhead for _, lines in groups for line in lines if line.overhead])

    return draw(name, title, alt, 1.0 + 0.34 * rows, paint)


def _room_for_words(axes: Axes, values: Sequence[Range]) -> None:
    """The axis ends behind the values, and the words stand to the right of it."""
    ends = [0.0, *(end for value in values for end in (value.value, value.low, value.high) if end is not None)]
    span = (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - 0.1 * span, max(ends) + 0.1 * span
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axes.set_xlim(low, low + (high - low) / _SHARE)
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.spines["bottom"].set_bounds(low, high)


def _frame(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label, loc="left")
    axes.spines["left"].set_visible(False)


def _exposure(axes: Axes, at: float, line: Line) -> None:
    """A bar, and its words inside where they have room; a grey track shows what all would be."""
    axes.barh(at, 100, 0.56, color=RULE, alpha=0.45, linewidth=0)
    if line.exposure is None:
        axes.text(1.5, at, line.told, va="center", color=MUTED, fontsize=9)
        return
    value = line.exposure
    axes.barh(at, value.value, 0.56, color=world_colour(line.world))
    axes.errorbar(value.value, at, xerr=lengths(value), color=INK, linewidth=0.8)
    inside = value.value > 50
    axes.text(
        1.5 if inside else value.value + 1.5, at, line.told, va="center", weight="bold", fontsize=9,
        color="white" if inside else INK,
    )  # fmt: skip


def _overhead(axes: Axes, at: float, line: Line) -> None:
    """A mark with its interval, and both in words at the right."""
    if line.overhead is None:
        return
    value = line.overhead
    whisker(axes, at, value, world_colour(line.world), world_mark(line.world))
    reference = line.world == World.VM
    text, weight, colour = ("reference", "normal", MUTED) if reference else (f"{signed(value.value)} %", "bold", INK)
    where: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "ha": "left", "fontsize": 9}
    axes.text(_SHARE + 0.02, at, text, weight=weight, color=colour, **where)
    if value.low is not None and value.high is not None:
        axes.text(1, at, f"[{signed(value.low)}, {signed(value.high)}]", **(where | {"ha": "right", "fontsize": 8.5}))
