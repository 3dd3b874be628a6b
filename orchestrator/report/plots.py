# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: each a dataclass of numbers that were computed elsewhere, and a function that draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import StrMethodFormatter

from orchestrator.report.style import (
    BAND,
    COMPONENT_COLOURS,
    COMPONENT_NAMES,
    INK,
    MUTED,
    RULE,
    WORLD_COLOURS,
    WORLD_MARKS,
    WORLD_NAMES,
    phase_name,
)
from orchestrator.report.svg import draw

MINUS = "\u2212"
_NEAR = 0.08  # of the height: labels of points that are nearer would cover each other
_THOUSANDS = StrMethodFormatter("{x:,.0f}")


@dataclass(frozen=True)
class Range:
    """A value with the ends of its interval, which may be missing."""

    value: float
    low: float | None = None
    high: float | None = None


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
            _group(axes, at - 0.62, label)
            for bar in bars:
                _stack(axes, at, bar.parts, 0.62)
                axes.text(1, at, bar.text, transform=axes.get_yaxis_transform(), va="center", ha="right", fontsize=8)
                ticks.append(at)
                labels.append(WORLD_NAMES[bar.world])
                at += 0.8
            at += 0.75
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 0.85, -1.0)
        longest = max(sum(bar.parts.values()) for _, bars in groups for bar in bars)
        axes.set_xlim(0, longest * 1.12)
        axes.axvline(100, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set_xlabel("instructions of one inference, normal VM = 100")
        axes.spines["left"].set_visible(False)
        _component_legend(figure, [bar.parts for _, bars in groups for bar in bars])

    return draw(name, title, alt, 0.95 + 0.30 * rows + 0.26 * len(groups), paint)


def shares(name: str, title: str, alt: str, rows: Sequence[tuple[str, dict[str, float], Range]]) -> str:
    """What each component adds, percentage points (label, points, overhead with its interval), as bars that add up."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for at, (_, parts, total) in enumerate(rows):
            _stack(axes, at, parts, 0.55)
            end = max(0.0, sum(value for value in parts.values() if value > 0))
            axes.annotate(
                f"{signed(total.value)} %", (end, at), (6, 0), textcoords="offset points", va="center", weight="bold"
            )
        _labels(axes, [label for label, _, _ in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.14)
        axes.set_xlabel("points of the normal VM's inference that the realm adds, %")
        axes.spines["left"].set_visible(False)
        _component_legend(figure, [parts for _, parts, _ in rows])

    return draw(name, title, alt, 1.0 + 0.46 * len(rows), paint)


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
            axes.axvspan(-margin, margin, color="#e9ecef", linewidth=0)
            if band and phase in {"infer", "total"}:
                axes.axvspan(*band, color=BAND, linewidth=0)
            axes.axvline(0, color=INK, linewidth=0.8)
            for at, (_, ranges) in enumerate(rows):
                if phase in ranges:
                    value = ranges[phase]
                    _whisker(axes, at, value, WORLD_COLOURS["realm"], "D")
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
        _labels(panels[0], [label for label, _ in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.6)
        figure.supxlabel("realm over normal VM, %", fontsize=8.5)
        handles: list[Patch | Line2D] = [Patch(color="#e9ecef", label="margin")]
        if band:
            handles.append(Patch(color=BAND, label=f"published {band[0]:.0f}\u2013{band[1]:.0f} %"))
        _legend(figure, handles)

    return draw(name, title, alt, 1.25 + 0.46 * len(rows), paint)


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
                    axes.plot(pair[place], at, WORLD_MARKS[world], color=WORLD_COLOURS[world], markersize=6)
                    shift = 8 if world == "realm" else -14
                    axes.annotate(
                        number(pair[place]), (pair[place], at), (0, shift), textcoords="offset points", ha="center",
                        fontsize=7.5, color=WORLD_COLOURS[world],
                    )  # fmt: skip
            most = max(pair[place] for _, worlds in rows for pair in worlds.values())
            axes.set_xlim(-0.06 * most, 1.15 * most)
            axes.axvline(0, color=RULE, linewidth=0.8)
            axes.xaxis.set_major_formatter(_THOUSANDS)
            axes.spines["left"].set_visible(False)
        _labels(panels[0], [label for label, _ in rows])
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        _world_legend(figure, [world for _, worlds in rows for world in worlds])

    return draw(name, title, alt, 1.1 + 0.52 * len(rows), paint)


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
            colour = WORLD_COLOURS[point.world]
            axes.errorbar(
                point.exposure.value, point.overhead.value, xerr=_bars(point.exposure), yerr=_bars(point.overhead),
                fmt=WORLD_MARKS[point.world], color=colour, markersize=7, linewidth=1, alpha=0.9,
            )  # fmt: skip
        for text, x, y in _clusters([point for point in points if point.world == "realm"]):
            axes.annotate(text, (x, y), (9, 3), textcoords="offset points", va="bottom", fontsize=7.5)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlim(-4, 104)
        axes.margins(y=0.15)
        axes.set_xlabel(f"model that the host recovers, % ({attack})")
        axes.set_ylabel("overhead over the normal VM, %")
        _world_legend(figure, [point.world for point in points])

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
                    axes.barh(y, value.value, 0.28, color=WORLD_COLOURS[world])
                    axes.errorbar(value.value, y, xerr=_bars(value), color=INK, linewidth=0.8)
                    axes.text(
                        (value.high or value.value) + 0.015 * longest, y, number(value.value), va="center", fontsize=8
                    )
            _labels(axes, [label for label, _ in rows])
            axes.set_ylim(len(rows) - 0.45, -0.55)
            axes.set_xlim(0, 1.16 * longest)
            axes.set_xlabel("instructions for each 4 KiB page")
            axes.xaxis.set_major_formatter(_THOUSANDS)
            axes.spines["left"].set_visible(False)
        seen = {world for _, rows in panels for _, worlds in rows for world in worlds}
        _legend(
            figure, [Patch(color=WORLD_COLOURS[name], label=WORLD_NAMES[name]) for name in WORLD_NAMES if name in seen]
        )

    return draw(name, title, alt, 1.15 + 0.62 * most, paint)


def strips(
    name: str, title: str, alt: str, groups: Sequence[tuple[str, Mapping[str, Sequence[Sequence[float]]]]]
) -> str:
    """Every sample (label, values by boot by world): inference relative to the normal VM's median, percent."""
    rows = sum(len(worlds) for _, worlds in groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        at, ticks, labels = 0.0, [], []
        for label, worlds in groups:
            _group(axes, at - 0.66, label)
            for world, boots in worlds.items():
                for place, values in enumerate(boots):
                    y = at + 0.56 * ((place + 0.5) / len(boots) - 0.5)
                    axes.plot(
                        values, [y] * len(values), "o", color=WORLD_COLOURS[world], markersize=3.4, alpha=0.5,
                        markeredgewidth=0,
                    )  # fmt: skip
                ticks.append(at)
                labels.append(WORLD_NAMES[world])
                at += 0.85
            at += 0.8
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 1.0, -1.05)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.margins(x=0.06)
        axes.set_xlabel("instructions of one inference over the median of the normal VM, %")
        axes.spines["left"].set_visible(False)

    return draw(name, title, alt, 0.7 + 0.30 * rows + 0.28 * len(groups), paint)


def ratios(
    name: str, title: str, alt: str, groups: Sequence[tuple[str, Sequence[tuple[str, Range, str]]]], margin: float
) -> str:
    """Changes from one run to another, percent: groups of (label, range, verdict)."""
    colours = {"slower": WORLD_COLOURS["realm"], "faster": "#228833"}
    count = sum(len(rows) for _, rows in groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvspan(-margin, margin, color="#e9ecef", linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        at, ticks, labels = 0, [], []
        for group, rows in groups:
            _group(axes, at, group)
            for label, value, verdict in rows:
                at += 1
                _whisker(axes, at, value, colours.get(verdict, MUTED), "D")
                ticks.append(at)
                labels.append(label)
            at += 2
        axes.set_yticks(ticks, labels)
        axes.set_ylim(at - 1.2, -0.7)
        axes.margins(x=0.08)
        axes.set_xlabel("B over A, %")
        axes.spines["left"].set_visible(False)

    return draw(name, title, alt, 0.6 + 0.2 * (count + 2 * len(groups)), paint)


def number(value: float) -> str:
    """A number with as many digits as one reads: 3, 12.3, 4,820."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def signed(value: float) -> str:
    """A percentage with its sign; two decimals below 100."""
    digits = 2 if abs(value) < 100 else 0
    text = f"{abs(value):,.{digits}f}"
    zero = not float(text.replace(",", ""))
    return text if zero else ("+" if value > 0 else MINUS) + text


def _group(axes: Axes, at: float, label: str) -> None:
    """The heading of a group of rows, clear of the lines behind it."""
    axes.text(
        0.002, at, label, transform=axes.get_yaxis_transform(), weight="bold", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def _labels(axes: Axes, labels: Sequence[str]) -> None:
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


def _stack(axes: Axes, at: float, parts: dict[str, float], height: float) -> None:
    """Positive parts to the right of 0, negative ones to the left, in the order of the legend."""
    right = left = 0.0
    for component, colour in COMPONENT_COLOURS.items():
        value = parts.get(component, 0.0)
        start = right if value >= 0 else left
        if value:
            axes.barh(at, value, height, left=start, color=colour, edgecolor="white", linewidth=0.5)
        right, left = (right + value, left) if value >= 0 else (right, left + value)


def _whisker(axes: Axes, at: float, value: Range, colour: str, mark: str) -> None:
    axes.errorbar(
        value.value, at, xerr=_bars(value), fmt=mark, color=colour, markersize=5, linewidth=1.2, capsize=2.5, zorder=3
    )


def _bars(value: Range) -> list[list[float]] | None:
    """Lengths of the whiskers; None without an interval."""
    if value.low is None or value.high is None:
        return None
    return [[max(0.0, value.value - value.low)], [max(0.0, value.high - value.value)]]


def _component_legend(figure: Figure, parts: Iterable[dict[str, float]]) -> None:
    seen = {component for each in parts for component, value in each.items() if value}
    _legend(
        figure,
        [
            Patch(color=colour, label=COMPONENT_NAMES[name])
            for name, colour in COMPONENT_COLOURS.items()
            if name in seen
        ],
    )


def _world_legend(figure: Figure, worlds: Iterable[str]) -> None:
    seen = set(worlds)
    _legend(
        figure,
        [
            Line2D(
                [], [], marker=WORLD_MARKS[world], color=colour, linestyle="", markersize=6, label=WORLD_NAMES[world]
            )
            for world, colour in WORLD_COLOURS.items()
            if world in seen
        ],
    )


def _legend(figure: Figure, handles: Sequence[Patch | Line2D]) -> None:
    figure.legend(
        handles=list(handles), loc="outside upper left", ncols=6, handlelength=1, handleheight=0.9, columnspacing=1.4
    )
