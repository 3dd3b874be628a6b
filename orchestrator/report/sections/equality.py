# SPDX-License-Identifier: Apache-2.0
"""Equal work at EL0 in vm and realm, for the section on correctness."""

from __future__ import annotations

from orchestrator.analysis.checks import Equality
from orchestrator.analysis.facts import RunFacts
from orchestrator.report.model import Content, Grid, Heading, Word
from orchestrator.report.style import phase_name
from orchestrator.report.wording import NONE, whole

SHOWN = 20  # differences that are listed
DIFFERENT = Word("different", "warn")


def equality_grid(equalities: list[Equality], facts: RunFacts) -> Grid:
    """Whether both executed the same, by cell."""
    headings = (
        Heading("Cell", numeric=False),
        Heading("Compared"),
        Heading("Different"),
        Heading("Largest difference", "instructions"),
        Heading("EL0 instructions", numeric=False),
    )
    rows: list[tuple[Content, ...]] = []
    for each in equalities:
        word = Word("equal", "good") if each.equal else Word("one an exit", "good") if each.explained else DIFFERENT
        verdict: Content = word if each.compared else Word("nothing to compare", "muted")
        rows.append(
            (facts.name(each.cell_id), whole(each.compared), whole(each.different), whole(each.largest), verdict)
        )
    note = (
        "Instructions at the guest's EL0 of vm and realm, boot by boot and iteration by iteration, warm-ups left out. "
        "One an exit: the first FP or SIMD instruction after an exit traps, as KVM and the RMM hand FP registers back "
        "only when they are used, and is executed twice."
    )
    return Grid("Equal work at EL0", headings, tuple(rows), (note,))


def difference_grids(equalities: list[Equality], facts: RunFacts) -> list[Grid]:
    """What they did not agree on, a table for each cell where there is something."""
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
        if not each.different:
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
            for found in each.differences(SHOWN)
        )
        count = each.different
        shown = f"the first {SHOWN} of {count}" if count > SHOWN else f"all {count}" if count > 1 else "the only one"
        grids.append(Grid(f"Differences at EL0, {facts.name(each.cell_id)}: {shown}", headings, rows, folded=True))
    return grids
