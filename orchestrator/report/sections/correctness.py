# SPDX-License-Identifier: Apache-2.0
"""Whether the measured is what it should be: right and equal answers, equal work, repeatability, silence."""

from __future__ import annotations

from orchestrator.analysis.checks import (
    REPEATABLE,
    SHOWN,
    Answers,
    Equality,
    Spread,
    answers,
    el0_equality,
    left_out,
    packets,
    spreads,
    sums,
)
from orchestrator.analysis.facts import RunFacts
from orchestrator.report import plots
from orchestrator.report.model import Content, Facts, Grid, Heading, Item, Plot, Section, Word
from orchestrator.report.plots import MINUS
from orchestrator.report.style import WORLD_NAMES, phase_name
from orchestrator.report.wording import NONE, ditto, fraction, plural, whole
from orchestrator.words import INFER, Component, World

DIFFERENT = Word("different", "warn")


def section(facts: RunFacts) -> Section | None:
    """Nothing without samples."""
    samples = facts.run.samples
    if samples.empty:
        return None
    equalities = el0_equality(samples)
    repeated = spreads(samples)
    items: list[Item] = [Facts((*_facts(facts, equalities), *_independent_boots(repeated, facts)))]
    given = answers(samples)
    if given:
        items.append(_answers(given, facts))
    items += [_equality(equalities, facts), *_differences(equalities, facts)]
    strips = _strips(facts)
    if strips is not None:
        items.append(strips)
    items += [_repeatability(repeated, facts), _left_out(facts)]
    return Section("correctness", "Correctness and repeatability", tuple(items))


def _facts(facts: RunFacts, equalities: list[Equality]) -> list[tuple[str, Content]]:
    steps = facts.run.info.steps
    good = sum(step.status == "ok" for step in steps)
    found: list[tuple[str, Content]] = []
    if steps:
        told = f"{good} of {len(steps)} (a cell in one world and boot)"
        found.append(("Steps that passed", Word(told, "good" if good == len(steps) else "bad")))
        found.append(
            ("What passing takes", "every output equal, bit for bit, to that of the other worlds, and the x86 oracle's")
        )
    equal = [equality for equality in equalities if equality.compared]
    if equal:
        same = sum(equality.explained for equality in equal)
        cells = plural(len(equal), "cell")
        told = f"equal, but for one instruction an exit at most, in {same} of {cells} with both worlds"
        found.append(("EL0, vm and realm", Word(told, "good" if same == len(equal) else "warn")))
    right, compared, worst = sums(facts.run.samples)
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
        (facts.word(each.cell_id), WORLD_NAMES[each.world], f"{each.right:,} of {each.given:,}") for each in given
    ]
    note = (
        "Right label: the model's own accuracy on these inputs, warm-ups included; equal in all worlds if they agree."
    )
    return Grid("Answers", headings, ditto(rows), (note,))


def _equality(equalities: list[Equality], facts: RunFacts) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("Compared"),
        Heading("Different"),
        Heading("Largest difference", "instructions"),
        Heading("EL0 instructions", numeric=False),
    )
    rows: list[tuple[Content, ...]] = []
    for each in equalities:
        most = max((abs(found.realm - found.vm) for found in each.differences), default=0)
        word = Word("equal", "good") if each.equal else Word("one an exit", "good") if each.explained else DIFFERENT
        verdict: Content = word if each.compared else Word("nothing to compare", "muted")
        rows.append(
            (facts.name(each.cell_id), whole(each.compared), whole(len(each.differences)), whole(most), verdict)
        )
    note = (
        "Instructions at the guest's EL0 of vm and realm, boot by boot and iteration by iteration, warm-ups left out. "
        "One an exit: the first FP or SIMD instruction after an exit traps, as KVM and the RMM hand FP registers back "
        "only when they are used, and is executed twice."
    )
    return Grid("Equal work at EL0", headings, tuple(rows), (note,))


def _differences(equalities: list[Equality], facts: RunFacts) -> list[Grid]:
    headings = (
        Heading("Phase", numeric=False),
        Heading("Boot", "boot_id"),
        Heading("Iteration"),
        Heading("Normal VM", "instructions"),
        Heading("Realm", "instructions"),
        Heading("Difference", "instructions"),
        Heading("Exits", "VM, realm"),
    )
    grids = []
    for each in equalities:
        if not each.differences:
            continue
        rows = tuple(
            (
                phase_name(found.phase),
                ", ".join(dict.fromkeys(map(str, found.boots))),
                NONE if found.iteration is None else str(found.iteration),
                whole(found.vm),
                whole(found.realm),
                whole(found.realm - found.vm),
                ", ".join(NONE if each is None else str(each) for each in found.exits),
            )
            for found in each.differences[:SHOWN]
        )
        count = len(each.differences)
        shown = f"the first {SHOWN} of {count}" if count > SHOWN else f"all {count}" if count > 1 else "the only one"
        grids.append(Grid(f"Differences at EL0, {facts.name(each.cell_id)}: {shown}", headings, rows, folded=True))
    return grids


def _strips(facts: RunFacts) -> Plot | None:
    rows = facts.rows[
        (facts.rows["metric"] == "instructions")
        & (facts.rows["phase"] == INFER)
        & (facts.rows["component"] == Component.ALL)
    ]
    found = []
    for cell in facts.cells:
        base = cell.inference.get(World.VM)
        if base is None or not base.estimate:
            continue
        worlds = {}
        for world in World:
            part = rows[(rows["cell_id"] == cell.cell_id) & (rows["world"] == world)]
            boots = part.groupby("boot_id")["value"]
            worlds[str(world)] = [[100 * (value / base.estimate - 1) for value in values] for _, values in boots]
        found.append((cell.line, {world: boots for world, boots in worlds.items() if boots}))
    if not found:
        return None
    told = "; ".join(
        f"{label}, {WORLD_NAMES[world]}: {plural(sum(map(len, boots)), 'sample')} of {plural(len(boots), 'boot')}"
        for label, worlds in found
        for world, boots in worlds.items()
    )
    svg = plots.strips("plot-samples", "Every sample", f"{told}.", found)
    return Plot(
        "samples", svg, "Every sample that the statistics are made of: one mark an inference, one line of marks a boot."
    )


def _independent_boots(repeated: list[Spread], facts: RunFacts) -> list[tuple[str, Content]]:
    """How far means of boots lie apart at most, of the cells whose time is deterministic."""
    fixed = {cell.cell_id for cell in facts.cells if cell.icount_shift is not None}
    apart = [each.between_means for each in repeated if each.cell_id in fixed and each.boots > 1]
    if not apart:
        return []
    told = f"means of an inference within {fraction(max(apart))} of each other; expected: {fraction(REPEATABLE)}"
    return [("Independent boots", Word(told, "good" if max(apart) <= REPEATABLE else "warn"))]


def _repeatability(repeated: list[Spread], facts: RunFacts) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("Boots"),
        Heading("Between boots", "means"),
        Heading("Between boots", "medians"),
        Heading("Within a boot"),
    )
    rows = tuple(
        (
            facts.word(each.cell_id),
            WORLD_NAMES[each.world],
            str(each.boots),
            fraction(each.between_means) if each.boots > 1 else NONE,
            fraction(each.between_medians) if each.boots > 1 else NONE,
            fraction(each.within),
        )
        for each in repeated
    )
    notes = (
        f"(Largest {MINUS} smallest) / middle of an inference's instructions: of the boots' means, of their medians, "
        "of one boot's iterations.",
        "Means tell whether boots repeat. An inference that is shorter than a tick executes one or none, and a median "
        "is one or the other: where about half of the inferences have a tick, it jumps by what a tick costs though the "
        "means agree.",
    )
    return Grid("Repeatability", headings, ditto(rows), notes)


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
        rows.append((facts.word(each.cell_id), WORLD_NAMES[each.world], whole(each.rows), whole(each.warmups), told))
    return Grid("Rows of samples.csv, and those that statistics leave out", headings, ditto(rows), folded=True)
