# SPDX-License-Identifier: Apache-2.0
"""A comparison of two runs as lines for the terminal and as a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from orchestrator.analysis.compare import CompareRow, Comparison
from orchestrator.analysis.estimator import ESTIMATOR, Interval, Kind
from orchestrator.report.head import status_word
from orchestrator.report.model import Facts, Grid, Heading, Item, Page, Paragraph, Plot, Points, Section
from orchestrator.report.plots.overheads import ratios
from orchestrator.report.style import phase_name, world_name
from orchestrator.report.wording import (
    Range,
    ditto,
    ends,
    millions,
    overhead,
    percent_over,
    plural,
    signed,
    verdict_word,
)
from orchestrator.runs.reading import Run
from orchestrator.words import PHASES, Verdict


def lines(comparison: Comparison) -> list[str]:
    """Aligned lines: cell, world, phase, change, interval, verdict; then what could not be compared."""
    table = [("cell", "world", "phase", "B/A", "95 % interval", "verdict")]
    for row in comparison.rows:
        ratio = _interval(row)
        enough = enough_for(row)
        word = f"{row.verdict}: {enough}" if enough else str(row.verdict)
        table.append((row.cell_id, row.world, row.phase, overhead(ratio), ends(ratio), word))
    widths = [max(len(line[column]) for line in table) for column in range(6)]
    told = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return (told if comparison.rows else []) + notices(comparison)


def notices(comparison: Comparison) -> list[str]:
    """What could not be compared or is not there any more, in words."""
    lost = (f"{place}: no inference in B, which was to have it" for place in comparison.lost)
    found = [*comparison.refused, *lost, *comparison.apart]
    for name, cells in (("A", comparison.only_a), ("B", comparison.only_b)):
        if cells:
            found.append(f"only in {name}: {', '.join(cells)}")
    return found


def enough_for(row: CompareRow) -> str:
    """What it would take to say something of a ratio that too few ticks fell into; nothing if something is said."""
    unit = "iterations a boot" if PHASES[row.phase].repeats else "boots"
    return f"{row.needed:,} {unit} would do" if row.needed else ""


def tally(comparison: Comparison) -> str:
    """How often each verdict was given."""
    if not comparison.rows:
        return "nothing to compare: no cell is the same in both runs"
    counts = Counter(row.verdict for row in comparison.rows)
    return ", ".join(f"{counts[word]} {word}" for word in Verdict if counts[word])


def page(a: Run, b: Run, comparison: Comparison, margin: float) -> Page:
    """The page of a comparison."""
    items: list[Item] = [
        Paragraph(
            f"{plural(len(comparison.rows), 'comparison')} at a margin of {100 * margin:g} %: {tally(comparison)}.",
            "lead",
        ),
        Facts(tuple((name, _about(run)) for name, run in (("A", a), ("B", b)))),
    ]
    if comparison.rows:
        items += [_plot(comparison), _table(comparison)]
    told = notices(comparison)
    if told:
        items.append(Points(tuple(told)))
    note = (
        f"B / A are ratios of sums of instructions, all components ({ESTIMATOR}), with 95 % bootstrap intervals, boots "
        "before blocks of iterations; boots of the same seed are paired. Slower or faster: the interval lies wholly "
        "beyond the margin; indistinguishable: within it; identical: each sample of B is that of A; too few ticks: "
        "they fell into too little to say anything."
    )
    items.append(Paragraph(note, "note"))
    return Page(
        title="Two runs compared",
        subtitle=f"{a.info.run_id} and {b.info.run_id}",
        status=status_word(b.info),
        alarms=tuple(
            f"{row.cell_id}, {row.world}, {row.phase}: {overhead(_interval(row))} {ends(_interval(row))}, slower"
            for row in comparison.rows
            if row.verdict is Verdict.SLOWER
        ),
        sections=(Section("comparison", "Comparison", tuple(items)),),
        alarm_title="Slower beyond the margin:",
        footer=("Made by `orch compare`, the same each time.",),
    )


def _about(run: Run) -> str:
    info = run.info
    revision = (info.git.revision or "unknown revision")[:12] + (" with changes" if info.git.dirty else "")
    return f"{info.run_id}, {info.started_utc or 'unknown start'}, {revision}, {info.status}"


def _interval(row: CompareRow) -> Interval:
    return Interval(row.ratio, row.ci_low, row.ci_high, Kind.BCA if row.ci_low is not None else Kind.NONE)


def _plot(comparison: Comparison) -> Plot:
    groups: dict[str, list[tuple[str, Range, str]]] = {}
    for row in comparison.rows:
        value = percent_over(_interval(row))
        if value is not None:
            name = f"{world_name(row.world)}, {phase_name(row.phase)}"
            groups.setdefault(row.cell_id, []).append((name, value, str(row.verdict)))
    told = "; ".join(
        f"{cell}, {label}: {signed(value.value)} %, {verdict}"
        for cell, rows in groups.items()
        for label, value, verdict in rows
    )
    margin = 100 * comparison.rows[0].margin
    svg = ratios("plot-ratios", "Change from run A to run B", f"{told}.", list(groups.items()), margin)
    return Plot("ratios", svg, "Instructions of B over those of A, with 95 % intervals; grey: the margin.")


def _table(comparison: Comparison) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Phase", numeric=False),
        Heading("A", "million instr."),
        Heading("B", "million instr."),
        Heading("B / A", "%"),
        Heading("95 % interval", "%"),
        Heading("Verdict", numeric=False),
    )
    rows = ditto(
        (
            (
                row.cell_id,
                world_name(row.world),
                phase_name(row.phase),
                millions(row.mean_a),
                millions(row.mean_b),
                overhead(_interval(row)).removesuffix(" %"),
                ends(_interval(row)),
                replace(verdict_word(row.verdict), below=enough_for(row)),
            )
            for row in comparison.rows
        ),
        2,
    )
    return Grid("Instructions by cell, world and phase", headings, rows)
