# SPDX-License-Identifier: Apache-2.0
"""Whether the measured is what it should be: right and equal answers, equal work, repeatability, silence."""

from __future__ import annotations

from orchestrator.analysis.boots import between_boots
from orchestrator.analysis.checks import Answers, Equality, answers, left_out, packets, spreads
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Facts, Grid, Heading, Item, Word
from orchestrator.report.naming import word_of
from orchestrator.report.section import SectionKind
from orchestrator.report.sections.allowance import allowance_grids
from orchestrator.report.sections.equality import difference_grids, equality_grid
from orchestrator.report.sections.repeatability import apart_grid, independent_boots, repeatability_grid, samples_plot
from orchestrator.report.style import world_name
from orchestrator.report.wording import ditto, plural, whole
from orchestrator.words import Status


def build(facts: RunFacts) -> list[Item]:
    """Nothing without samples."""
    samples = facts.run.samples
    if samples.empty:
        return []
    equalities = facts.equalities
    apart = between_boots(samples)
    items: list[Item] = [Facts((*_facts(facts, equalities), *independent_boots(apart)))]
    given = answers(samples)
    if given:
        items.append(_answers(given, facts))
    items += allowance_grids(facts)
    items += [equality_grid(equalities, facts), *difference_grids(equalities, facts)]
    samples_drawn = samples_plot(facts)
    if samples_drawn is not None:
        items.append(samples_drawn)
    repeated = repeatability_grid(spreads(samples), facts)
    return [*items, repeated, *apart_grid(apart, facts), _left_out(facts)]


def _facts(facts: RunFacts, equalities: list[Equality]) -> list[tuple[str, Content]]:
    steps = facts.run.info.steps
    good = sum(step.status == Status.OK for step in steps)
    found: list[tuple[str, Content]] = []
    if steps:
        told = f"{good} of {len(steps)} (a cell in one world and boot)"
        found.append(("Steps that passed", Word(told, "good" if good == len(steps) else "bad")))
        found.append(
            (
                "What passing takes",
                "every output equal, bit for bit, to that of the other worlds, and near to the oracle's (below)",
            )
        )
    equal = [equality for equality in equalities if equality.compared]
    if equal:
        same = sum(equality.explained for equality in equal)
        cells = plural(len(equal), "cell")
        told = f"equal, but for one instruction an exit at most, in {same} of {cells} with both worlds"
        found.append(("EL0, vm and realm", Word(told, "good" if same == len(equal) else "warn")))
    right, compared, worst = facts.sums
    if compared:
        told = (
            f"{right:,} of {compared:,} observations add up exactly, the others to within {whole(worst)} instructions"
        )
        found.append(
            ("Components", told if right != compared else f"add up to the whole in all {compared:,} observations")
        )
    received = packets(facts.run.samples)
    if received is not None:
        tone = "good" if received == 0 else "warn"
        found.append(("Packets while counting", Word(f"{received} at most", tone)))
    return found


def _answers(given: list[Answers], facts: RunFacts) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Right label", "of answers"),
    )
    rows: list[tuple[Content, ...]] = [
        (word_of(facts, each.cell_id), world_name(each.world), f"{each.right:,} of {each.given:,}") for each in given
    ]
    note = (
        "Right label: the model's own accuracy on these inputs, warm-ups included; equal in all worlds if they agree."
    )
    return Grid("Answers", headings, ditto(rows), (note,))


def _left_out(facts: RunFacts) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Rows"),
        Heading("Warm-ups"),
        Heading("Not ok", numeric=False),
    )
    rows: list[tuple[Content, ...]] = []
    for each in left_out(facts.run.samples):
        bad = ", ".join(f"{count} {status}" for status, count in each.not_ok.items())
        told: Content = Word(bad, "bad") if bad else "none"
        rows.append((word_of(facts, each.cell_id), world_name(each.world), whole(each.rows), whole(each.warmups), told))
    return Grid("Rows of samples.csv, and those that statistics leave out", headings, ditto(rows), folded=True)


def alarms(facts: RunFacts) -> list[str]:
    """Whether there is anything to compute with."""
    if facts.run.samples.empty:
        return ["There are no samples."]
    return ["No sample can be used: all are warm-ups or not ok."] if not facts.groups else []


def _shows(metric: str, _phase: str) -> bool:
    return metric in {"correct", "oracle_difference", "rx_packets"}


RECORD = SectionKind("correctness", "Correctness and repeatability", build, shows=_shows, alarms=alarms)
