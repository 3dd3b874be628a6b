# SPDX-License-Identifier: Apache-2.0
"""Metrics that no section shows, each in a table that is the same for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.analysis.estimator import Interval, Kind
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Word
from orchestrator.report.naming import word_of
from orchestrator.report.section import SectionKind
from orchestrator.report.style import component_name, phase_name, world_name
from orchestrator.report.wording import NONE, TIMES, ditto, ends, number, overhead, verdict_word, whole
from orchestrator.schema.samples import SummaryRow
from orchestrator.words import METRICS, PHASES, Component, World

_EXACT = 1e6  # numbers below are told to the last digit


def build(facts: RunFacts) -> list[Item]:
    """A table for each metric and unit of what is left of the summary; nothing if nothing is."""
    rows = _in_order(_wholes(facts.summary))
    kinds = dict.fromkeys((row.metric, row.unit, row.method) for row in rows)
    if not kinds:
        return []
    intro = "Everything else that was observed, by cell and world: what no section above or below is about."
    tables = [_table([row for row in rows if (row.metric, row.unit, row.method) == kind], facts) for kind in kinds]
    return [Paragraph(intro), *tables]


def _wholes(rows: Sequence[SummaryRow]) -> Iterable[SummaryRow]:
    """The rows of all components together; those of each where nobody added them up."""
    added = {_observed(row) for row in rows if row.component is Component.ALL}
    return (row for row in rows if row.component is Component.ALL or _observed(row) not in added)


def _observed(row: SummaryRow) -> tuple[str, ...]:
    return row.cell_id, row.world, row.phase, row.metric, row.method


def _in_order(rows: Iterable[SummaryRow]) -> list[SummaryRow]:
    """By metric as in the vocabulary, then cell, phase, component and world; a metric without a record comes last."""
    listed = list(rows)
    metrics, phases = ({name: place for place, name in enumerate(names)} for names in (METRICS, PHASES))
    cells = {row.cell_id: place for place, row in reversed(list(enumerate(listed)))}

    def place(row: SummaryRow) -> tuple[int, ...]:
        return (
            metrics.get(row.metric, len(metrics)),
            cells[row.cell_id],
            phases.get(row.phase, len(phases)),
            list(Component).index(row.component),
            list(World).index(row.world),
        )

    return sorted(listed, key=place)


def _table(rows: Sequence[SummaryRow], facts: RunFacts) -> Grid:
    """All rows of one metric in one unit."""
    first = rows[0]
    unit = "" if first.unit == "1" else first.unit
    by_component = any(row.component is not Component.ALL for row in rows)
    headings = (
        Heading("Cell", numeric=False),
        Heading("Phase", numeric=False),
        *((Heading("Component", numeric=False),) if by_component else ()),
        Heading("World", numeric=False),
        Heading("n", f"boots {TIMES} each"),
        Heading("Mean", unit),
        Heading("Median", unit),
        Heading("Quartiles", unit),
        Heading("Over VM", "% and 95 % interval"),
        Heading("Verdict", numeric=False),
    )
    known = METRICS.get(first.metric)
    notes = (f"{known.meaning[:1].upper()}{known.meaning[1:]}.",) if known else ()
    caption = f"{first.metric}, {unit or 'count'} ({first.method})"
    body = ditto((_row(row, facts, by_component) for row in rows), 2)
    return Grid(caption, headings, body, notes, folded=True)


def _row(row: SummaryRow, facts: RunFacts, by_component: bool) -> tuple[Content, ...]:
    ratio = Interval(row.ratio_to_vm, row.ratio_ci_low, row.ratio_ci_high, Kind.NONE)
    over: Content = NONE if ratio.estimate is None else Word(overhead(ratio).removesuffix(" %"), below=ends(ratio))
    return (
        word_of(facts, row.cell_id),
        phase_name(row.phase),
        *((component_name(row.component),) if by_component else ()),
        world_name(row.world),
        f"{row.boots} {TIMES} {row.samples // row.boots}",
        _value(row.mean),
        _value(row.median),
        f"{_value(row.q1)} {NONE} {_value(row.q3)}",
        over,
        verdict_word(row.verdict),
    )


def _value(value: float | None) -> str:
    if value is None:
        return NONE
    return whole(value) if value.is_integer() and abs(value) < _EXACT else number(value)


RECORD = SectionKind("other", "Other metrics", build, rest=True)
