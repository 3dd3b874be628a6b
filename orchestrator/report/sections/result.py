# SPDX-License-Identifier: Apache-2.0
"""What the run found: the realm's overhead over the normal VM with interval and verdict, beside what was published."""

from __future__ import annotations

from orchestrator.analysis import paper
from orchestrator.analysis.estimator import ESTIMATOR, Interval
from orchestrator.analysis.facts import TOTAL, CellFacts, RunFacts
from orchestrator.analysis.ticks import FEWEST
from orchestrator.report.model import Content, Grid, Heading, Item, Paragraph, Plot, Word
from orchestrator.report.naming import cell_label, cell_word, word_of
from orchestrator.report.plots.overheads import phases
from orchestrator.report.section import SectionKind
from orchestrator.report.style import world_name
from orchestrator.report.wording import (
    DASH,
    MINUS,
    NONE,
    TIMES,
    ditto,
    ends,
    millions,
    number,
    overhead,
    percent_over,
    plural,
    signed,
    verdict_word,
)
from orchestrator.words import INFER, Component, Verdict, World, phases_in_total

_REALM_INFER = (World.REALM, INFER)


def build(facts: RunFacts) -> list[Item]:
    """Sentences, a table and a figure."""
    compared = [cell for cell in facts.cells if _REALM_INFER in cell.over_vm]
    if not compared:
        return [Paragraph("No cell has inferences of both normal VM and realm.", "lead")]
    margin = facts.run.info.margin
    items: list[Item] = [Paragraph(sentence, "lead") for sentence in sentences(facts)]
    items.append(_table(compared, margin))
    items.append(_plot(compared, margin))
    items.append(_described(facts))
    return items


def sentences(facts: RunFacts) -> list[str]:
    """One sentence for all cells that have the same ticks."""
    compared = [cell for cell in facts.cells if _REALM_INFER in cell.over_vm]
    regimes = dict.fromkeys((cell.icount_shift, cell.host_hz, cell.guest_hz) for cell in compared)
    return [
        _sentence([cell for cell in compared if (cell.icount_shift, cell.host_hz, cell.guest_hz) == regime], facts)
        for regime in regimes
    ]


def _sentence(cells: list[CellFacts], facts: RunFacts) -> str:
    first = cells[0]
    shift = "in real time" if first.icount_shift is None else f"{2**first.icount_shift} ns an instruction"
    ticks = f"With ticks of {first.host_hz} Hz in the host and {first.guest_hz} Hz in the guest, {shift}"
    margin = f"a margin of {100 * facts.run.info.margin:g} %"
    if len(cells) == 1:
        ratio = first.over_vm[_REALM_INFER]
        text = (
            f"{ticks}, the realm executes {_more(ratio)} instructions for one inference of {first.name} than the "
            "normal VM "
            f"(95 % interval {ends(ratio)} %); {first.verdict} at {margin}."
        )
        text += _too_few(first)
    else:
        values = [value.value for cell in cells if (value := percent_over(cell.over_vm[_REALM_INFER])) is not None]
        counts = {word: sum(cell.verdict is word for cell in cells) for word in Verdict}
        told = ", ".join(f"{word} in {count}" for word, count in counts.items() if count)
        between = f"{signed(min(values))} to {signed(max(values))} %" if values else NONE
        text = (
            f"{ticks}, the overhead of the realm over the normal VM is {between} of the instructions of one inference, "
            "over "
            f"{plural(len(cells), 'cell')}; at {margin}: {told}."
        )
    if any(cell.one_boot for cell in cells):
        text += " One boot: the interval covers other stretches of that boot's time, and not other boots."
    if first.is_paper_regime:
        text += f" Published for these ticks: +{paper.OVERHEAD[0]:.0f} to +{paper.OVERHEAD[1]:.0f} %."
    return text


def _too_few(cell: CellFacts) -> str:
    """What it would take to say something, where there are too few ticks for that."""
    if cell.ticks is None or cell.verdict is not Verdict.TOO_FEW_TICKS:
        return ""
    enough = f", and {cell.ticks.needed:,} {cell.ticks.of} would do" if cell.ticks.needed else ""
    return f" {number(cell.ticks.expected)} ticks were to be expected where {FEWEST:g} are needed{enough}."


def _more(ratio: Interval) -> str:
    """`14.6 % more` or `0.3 % fewer`."""
    text = overhead(ratio)
    return f"{text.lstrip('+' + MINUS)} {'fewer' if text.startswith(MINUS) else 'more'}"


def _table(cells: list[CellFacts], margin: float) -> Grid:
    headings = (
        Heading("Cell", numeric=False),
        Heading("n"),
        Heading("Normal VM", "million instr."),
        Heading("Realm", "million instr."),
        Heading("Realm / VM", "% and 95 % interval"),
        Heading("Verdict", numeric=False),
        Heading("Load + one", "% and interval"),
        Heading("Host / VM", "% and interval"),
        Heading("Published", "%"),
    )
    notes = [
        f"n: boots {TIMES} iterations. Means and ratios of sums ({ESTIMATOR}); verdict: the interval of realm / VM "
        f"against {100 * margin:g} % either way. Load + one: loading the model, reading one input, inferring and "
        "writing its output; a boot loads once, so that one boot gives no interval.",
    ]
    if any(cell.is_paper_regime for cell in cells):
        notes.append(f"Published: {paper.SOURCE}; inference alone, given for the same ticks and model family only.")
    if any(cell.one_boot for cell in cells):
        notes.append(
            "* One boot says nothing about the next one: its interval covers other stretches of the same boot's time. "
            "Where boots differ, it holds what they have in common in few cases (docs/analysis.md, Coverage)."
        )
    few = [cell for cell in cells if cell.verdict is Verdict.TOO_FEW_TICKS]
    notes += [f"{cell.line}: too few ticks.{_too_few(cell)}" for cell in few]
    rows = tuple(_row(cell) for cell in cells)
    return Grid("Instructions of one inference, realm against normal VM", headings, rows, tuple(notes))


def _row(cell: CellFacts) -> tuple[Content, ...]:
    vm, realm = (cell.inference[world].estimate for world in (World.VM, World.REALM))
    ratio, host = cell.over_vm[_REALM_INFER], cell.over_vm.get((World.HOST, INFER))
    total = cell.over_vm.get((World.REALM, TOTAL))
    known = paper.published(cell.model) if cell.is_paper_regime else None
    each = cell.samples // cell.boots if cell.boots else 0
    return (
        cell_word(cell),
        f"{cell.boots} {TIMES} {each}{'*' if cell.one_boot else ''}",
        millions(vm),
        millions(realm),
        _with_interval(ratio),
        verdict_word(cell.verdict),
        _with_interval(total),
        _with_interval(host),
        signed(known.overhead) if known else NONE,
    )


def _with_interval(ratio: Interval | None) -> Content:
    """A ratio as percent over 1, and its interval in a second line, be it that there is none."""
    return NONE if ratio is None else Word(overhead(ratio).removesuffix(" %"), below=ends(ratio))


def _described(facts: RunFacts) -> Grid:
    """Medians and quartiles of an inference by world."""
    headings = (
        Heading("Cell", numeric=False),
        Heading("World", numeric=False),
        Heading("First quartile", "million instr."),
        Heading("Median", "million instr."),
        Heading("Third quartile", "million instr."),
    )
    rows = [
        (word_of(facts, row.cell_id), world_name(row.world), millions(row.q1), millions(row.median), millions(row.q3))
        for row in facts.summary
        if (row.metric, row.phase, row.component) == ("instructions", INFER, Component.ALL)
    ]
    note = (
        "A description of single inferences. No overhead is made of these: where fewer than half of the inferences "
        "meet a tick, their median knows nothing of ticks."
    )
    return Grid("One inference described: median and quartiles", headings, ditto(rows), (note,), folded=True)


def _plot(cells: list[CellFacts], margin: float) -> Plot:
    columns = [*phases_in_total(), TOTAL]
    rows = []
    for cell in cells:
        found = {
            str(phase): percent_over(ratio) for (world, phase), ratio in cell.over_vm.items() if world == World.REALM
        }
        rows.append((cell_label(cell), {phase: value for phase, value in found.items() if value is not None}))
    shown = [str(column) for column in columns if any(column in values for _, values in rows)]
    band = paper.OVERHEAD if any(cell.is_paper_regime for cell in cells) else None
    told = "; ".join(f"{cell.line}: {overhead(cell.over_vm[_REALM_INFER])}" for cell in cells)
    svg = phases(
        "plot-phases",
        "Overhead of the realm by phase",
        f"Instructions of the realm over those of the normal VM for each phase. Inference: {told}.",
        rows,
        columns=shown,
        margin=100 * margin,
        band=band,
    )
    caption = (
        "Overhead of the realm over the normal VM by phase: ratios of sums with 95 % intervals, often narrower than "
        "the mark. Scales differ from panel to panel. Grey: the margin of the verdict."
    )
    if band:
        caption += (
            f" Ochre: the published {band[0]:.0f}{DASH}{band[1]:.0f} %, for ticks of 1000 Hz (host) and 100 Hz (guest)."
        )
    return Plot("phases", svg, caption)


def _shows(metric: str, phase: str) -> bool:
    return metric == "instructions" and phase in phases_in_total()


RECORD = SectionKind("result", "Result", build, shows=_shows, sentences=sentences)
