# SPDX-License-Identifier: Apache-2.0
"""Why a realm's inference costs more: how often the guest is left, and what is executed each time."""

from __future__ import annotations

from orchestrator.analysis.decompose import OUTSIDE, ExitCost
from orchestrator.analysis.facts import CellFacts, RunFacts
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Plot, Word
from orchestrator.report.naming import cell_label, cell_word, word_of
from orchestrator.report.plots.exits import exits as draw_exits
from orchestrator.report.section import SectionKind
from orchestrator.report.style import component_heading, component_name, world_name
from orchestrator.report.wording import MINUS, NONE, ditto, number, points, whole
from orchestrator.runs.frames import by_key, plain, usable
from orchestrator.words import INFER, VMM_SEES, World

_PREFIX = "exits_"
_UNSEEN = "in the kernel"
_OF_REALMS = ("ripas_change", "host_call")  # a normal VM has no such exits


def build(facts: RunFacts) -> list[Item]:
    """Nothing unless exits were counted in both worlds."""
    found = [(cell, cell.exits) for cell in facts.cells if cell.exits is not None]
    if not found:
        return []
    items: list[Item] = [
        Paragraph(_sentence(found), "lead"),
        _plot(found),
        _table(found),
        _prices(found),
        _reasons_that_add_up(found),
    ]
    by_reason = _by_reason(facts)
    if by_reason is not None:
        items.append(by_reason)
    return items


def _sentence(found: list[tuple[CellFacts, ExitCost]]) -> str:
    cell, cost = max(found, key=lambda pair: pair[1].realm.per_million)
    dearest = max(OUTSIDE, key=lambda part: cost.extra_per_host_exit[part])
    who = component_name(dearest).replace(", ", " at ")
    return (
        f"Overhead is exits times what an exit costs. In {cell.line} the realm is left "
        f"{number(cost.realm.per_million)} times per million instructions of its own (the VM: "
        f"{number(cost.vm.per_million)}), and its additional instructions outside the guest come to "
        f"{whole(cost.extra)} for "
        f"each exit that reaches the host, most of them ({whole(cost.extra_per_host_exit[dearest])}) in the {who}. "
        "Ticks are the main reason for exits of a guest that computes, so that a figure holds for its ticks only."
    )


def _plot(found: list[tuple[CellFacts, ExitCost]]) -> Plot:
    rows = [
        (
            cell_label(cell),
            {
                str(world): (exits.per_million, exits.instructions_per_exit)
                for world, exits in ((World.VM, cost.vm), (World.REALM, cost.realm))
            },
        )
        for cell, cost in found
    ]
    told = "; ".join(
        f"{cell.line}: VM {number(cost.vm.per_million)} exits per million and {number(cost.vm.instructions_per_exit)} "
        f"instructions each, realm {number(cost.realm.per_million)} and {number(cost.realm.instructions_per_exit)}"
        for cell, cost in found
    )
    svg = draw_exits("plot-exits", "How often guests are left, and what that costs", told + ".", rows)
    caption = (
        "How often the guest is left during an inference (left), and how many instructions are then executed by "
        "everything but "
        "the guest (right). Means."
    )
    return Plot("exit-figure", svg, caption)


def _table(found: list[tuple[CellFacts, ExitCost]]) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("Exits", "VM"),
        Heading("Exits", "realm"),
        Heading("to the host", "realm"),
        Heading("Per million", "VM"),
        Heading("Per million", "realm"),
        Heading("Instructions an exit", "VM"),
        Heading("Instructions an exit", "realm"),
    )
    rows: list[tuple[Content, ...]] = [
        (
            cell_word(cell),
            number(cost.vm.exits),
            number(cost.realm.exits),
            number(cost.realm.host_exits),
            number(cost.vm.per_million),
            number(cost.realm.per_million),
            whole(cost.vm.instructions_per_exit),
            whole(cost.realm.instructions_per_exit),
        )
        for cell, cost in found
    ]
    note = (
        "Per million: of the guest's own instructions, EL0 and EL1. Instructions an exit: those of everything outside "
        "the guest."
    )
    return Grid("Exits of one inference", headings, tuple(rows), (note,))


def _prices(found: list[tuple[CellFacts, ExitCost]]) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        *(Heading(*component_heading(part)) for part in OUTSIDE),
        Heading("all"),
    )
    rows: list[tuple[Content, ...]] = [
        (cell_word(cell), *(whole(cost.extra_per_host_exit[part]) for part in OUTSIDE), whole(cost.extra))
        for cell, cost in found
    ]
    note = f"(Realm {MINUS} VM) of an inference, over the realm's exits that reach the host."
    return Grid(
        "Additional instructions of the realm for each of its exits that reach the host", headings, tuple(rows), (note,)
    )


def _reasons_that_add_up(found: list[tuple[CellFacts, ExitCost]]) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("Guest itself", "points"),
        Heading("More exits", "points"),
        Heading("Dearer exits", "points"),
        Heading("Overhead", "points"),
    )
    rows: list[tuple[Content, ...]] = []
    for cell, cost in found:
        parts = (cost.guest_points, cost.more_exits_points, cost.dearer_exits_points)
        rows.append((cell_word(cell), *map(points, parts), points(sum(parts))))
    note = (
        "Guest itself: what it executes more at EL0 and EL1. More exits: those that the realm has more, at the VM's "
        "price. Dearer "
        "exits: the difference of the prices for all of the realm's exits. Means."
    )
    return Grid("The overhead of an inference by reason", headings, tuple(rows), (note,))


def _told(value: float | None, reason: str, world: World) -> Content:
    if value is None or (world == World.VM and reason in _OF_REALMS):
        return NONE
    return Word(_UNSEEN, "muted") if world == World.VM and reason not in VMM_SEES else whole(float(value))


def _by_reason(facts: RunFacts) -> Grid | None:
    """Medians over boots of what the VMM counted while the runner executed; of a VM it sees little."""
    keys, samples = ["cell_id", "metric", "world"], facts.run.samples
    metrics = [str(metric) for metric in samples["metric"].unique() if str(metric).startswith(_PREFIX)]
    rows = plain(usable(samples, [*keys, "value"], metric=metrics))
    if rows.empty:
        return None
    medians = by_key(rows, keys, "median")
    worlds = [world for world in (World.VM, World.REALM) if (rows["world"] == world).any()]
    headings = (
        Heading("Cell", numeric=False),
        Heading("Reason", numeric=False),
        *(Heading(world_name(world)) for world in worlds),
    )
    found: list[tuple[Content, ...]] = []
    for cell in rows["cell_id"].unique():
        for metric in sorted(rows.loc[rows["cell_id"] == cell, "metric"].unique()):
            values = [medians.get((cell, metric, world)) for world in worlds]
            reason = metric.removeprefix(_PREFIX)
            told = [_told(value, reason, world) for value, world in zip(values, worlds, strict=True)]
            found.append((word_of(facts, str(cell)), reason, *told))
    note = (
        "Medians over boots, counted by the VMM while the runner executed, loading and warm-ups included. "
        f"{_UNSEEN.capitalize()}: a VM's interrupts, waits, system registers and faults are settled by KVM and do not "
        "reach its VMM; those of a realm do. All exits of both are in the first table."
    )
    return Grid("Exits by reason", headings, ditto(found), (note,), folded=True)


def _shows(metric: str, phase: str) -> bool:
    return (metric in {"exits", "host_exits"} and phase == INFER) or metric.startswith(_PREFIX)


RECORD = SectionKind("exits", "Why: exits", build, shows=_shows)
