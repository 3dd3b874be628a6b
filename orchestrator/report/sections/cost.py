# SPDX-License-Identifier: Apache-2.0
"""What the run took on the build computer."""

from __future__ import annotations

import math
from collections import Counter

from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Facts, Grid, Heading, Item, Paragraph
from orchestrator.report.section import SectionKind
from orchestrator.report.wording import NONE, seconds, whole
from orchestrator.runs.events import Part


def build(facts: RunFacts) -> list[Item]:
    """Wall time, and what of it is orchestration; nothing if run.yaml does not tell."""
    cost = facts.run.info.cost
    if cost.wall_s is None:
        return []
    steps = cost.steps or len(facts.run.info.steps)
    each = cost.orchestration_s / steps if cost.orchestration_s is not None and steps else None
    rows: list[tuple[str, Content]] = [
        ("Wall time", seconds(cost.wall_s)),
        ("Emulation", seconds(cost.emulation_s)),
        ("Orchestration", seconds(cost.orchestration_s) + (f" ({each:.2f} s a step)" if each is not None else "")),
        ("Steps", whole(steps) if steps else NONE),
    ]
    if cost.tables_s is not None:
        told = f"{seconds(cost.tables_s)} of it; to draw this page is not in it: cost.report_s in run.yaml"
        rows.insert(3, ("Tables", told))
    if cost.build_s is not None:
        rows.insert(1, ("Building", seconds(cost.build_s)))
    items: list[Item] = [
        Paragraph("Time of the build computer. It says what a run costs, and nothing about the emulated system."),
        Facts(tuple(rows)),
    ]
    parts = _parts(facts)
    if parts:
        headings = (Heading("Part", numeric=False), Heading("Times"), Heading("Total", "s"))
        items.append(Grid("Where the time went", headings, parts, folded=True))
    return items


def _parts(facts: RunFacts) -> tuple[tuple[Content, ...], ...]:
    """Seconds by kind of event."""
    total: dict[str, float] = {}
    times: Counter[str] = Counter()
    for event in facts.run.events:
        if isinstance(event, Part) and math.isfinite(event.seconds):
            total[event.event] = total.get(event.event, 0.0) + event.seconds
            times[event.event] += 1
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return tuple((name, str(times[name]), f"{spent:,.1f}") for name, spent in ordered)


RECORD = SectionKind("cost", "Cost of the harness", build)
