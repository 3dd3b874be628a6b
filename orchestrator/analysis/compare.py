# SPDX-License-Identifier: Apache-2.0
"""Two runs beside each other: by cell, world and phase the ratio of instructions with its interval and verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from orchestrator.analysis.estimator import ESTIMATOR, Interval, Kind, identical, ratio_apart, ratio_interval
from orchestrator.analysis.summary import OF_CELL, REGIME, Group, groups, ticks_of
from orchestrator.analysis.verdict import judge
from orchestrator.runs.reading import Run
from orchestrator.schema.csvtable import Edition, Finite, Name, Row, Table
from orchestrator.schema.names import PhaseName
from orchestrator.schema.samples import EARLIER_ESTIMATOR, SUMMARY
from orchestrator.words import INFER, PHASES, Component, Verdict, World

_ALIKE = [name for name in (*OF_CELL, *REGIME) if name not in {"run_id", "workload"}]


class CompareRow(Row):
    """One line of compare.csv."""

    cell_id: Name
    model: Name
    quantization: Name
    world: World
    phase: PhaseName
    metric: Name
    unit: str
    run_a: Name = Field(description="the earlier night, or the first run on the command line")
    run_b: Name = Field(description="the other run")
    estimator: Name = Field(
        description="name and version of what made means, ratio and interval, of both runs alike; "
        f"`{EARLIER_ESTIMATOR}`: they are those of medians"
    )
    samples_a: int = Field(description="samples in A")
    samples_b: int = Field(description="samples in B")
    mean_a: Finite | None = Field(description="mean in A, in unit")
    mean_b: Finite | None = Field(description="mean in B, in unit")
    median_a: Finite = Field(description="median in A, in unit: a description, no part of the ratio")
    median_b: Finite = Field(description="median in B, in unit: likewise")
    ratio: Finite | None = Field(
        description="of B over A: of sums over the boots and iterations that both have or, where they have other "
        "boots, of means; missing where A's is 0"
    )
    ci_low: Finite | None = Field(description="lower end of the ratio's 95 % interval")
    ci_high: Finite | None = Field(description="upper end")
    margin: Finite = Field(description="the margin of the verdict")
    verdict: Verdict = Field(description="the ratio in one word")
    needed: int | None = Field(
        description="of `too few ticks`: the iterations a boot that would do; of a phase that a boot has once, boots"
    )


_MEDIANS = {"estimator": EARLIER_ESTIMATOR, "mean_a": "", "mean_b": "", "needed": ""}
COMPARE = Table("compare.csv", CompareRow, 2, (Edition(1, _MEDIANS),))


@dataclass(frozen=True)
class Comparison:
    """What could be compared, and in words what could not.

    `only_a` and `only_b` are cells, `cell/world` or `cell/world/phase`; `lost` is `cell/world` of inferences that B was
    to have and has not. `apart` tells of tables that another estimator made: nothing here is made of those.
    """

    rows: tuple[CompareRow, ...]
    refused: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    lost: tuple[str, ...]
    apart: tuple[str, ...] = ()

    @property
    def slower(self) -> bool:
        """Whether something is, beyond the margin."""
        return any(row.verdict is Verdict.SLOWER for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 if nothing is slower or lost in B, 1 if something is, 2 if nothing could be compared."""
        return int(self.slower or bool(self.lost)) if self.rows else 2


def compare(a: Run, b: Run, margin: float) -> Comparison:
    """Ratios B / A of the instructions (all components) of cells that are the same in both; others are listed.

    A cell is the same if its id, model file, inputs, number format, runtime, protection, `top`, ticks, shift, CPUs and
    memory are. Both runs are estimated anew from their samples, by the one estimator that there is.
    """
    left, right = _counts(a), _counts(b)
    cells_a, cells_b = ({key[0]: None for key in each} for each in (left, right))
    differing = {
        cell: what for cell in cells_a if cell in cells_b and (what := _difference(cell, (left, a), (right, b)))
    }
    rows = [_row(left[key], right[key], margin) for key in left if key in right and key[0] not in differing]
    places_a, places_b = ([key[:3] for key in each if key[0] not in differing] for each in (left, right))
    return Comparison(
        tuple(rows),
        tuple(f"{cell}: measures something else: {what}" for cell, what in differing.items()),
        _only(places_a, places_b),
        _only(places_b, places_a),
        _lost(places_a, places_b, b),
        tuple(told for run in (a, b) if (told := _by_another(run)) is not None),
    )


def _by_another(run: Run) -> str | None:
    """What to know of a run whose own summary.csv is another estimator's; None if it is not, or there is none."""
    path = run.folder / SUMMARY.name
    if not path.exists():
        return None
    first = next(iter(SUMMARY.records(path)), None)
    made_by = dict(zip(SUMMARY.names, first, strict=True))["estimator"] if first is not None else ESTIMATOR
    if made_by == ESTIMATOR:
        return None
    return (
        f"{run.info.run_id}: its summary.csv is by {made_by}, and not comparable with figures by {ESTIMATOR}; this "
        "comparison is made of its samples, and `orch report` makes its summary anew"
    )


def _only(mine: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> tuple[str, ...]:
    """What only one side has: a cell, a world of a cell or a phase of that, the largest of these."""
    there = {place[:depth] for place in other for depth in (1, 2, 3)}
    alone = [next((place[:depth] for depth in (1, 2, 3) if place[:depth] not in there), None) for place in mine]
    return tuple(dict.fromkeys("/".join(place) for place in alone if place is not None))


def _lost(a: list[tuple[str, ...]], b: list[tuple[str, ...]], run: Run) -> tuple[str, ...]:
    """Inferences of A that run B was to have as well, and has not: the cell is one of its, and the world."""
    worlds = run.info.workload.get("worlds", list(World))
    cells = {place[0] for place in b} | {cell.cell_id for cell in run.info.cells}
    return tuple(
        f"{cell}/{world}"
        for cell, world, phase in a
        if phase == INFER and cell in cells and world in worlds and (cell, world, phase) not in b
    )


def _counts(run: Run) -> dict[tuple[str, ...], Group]:
    """Groups of metric `instructions`, component all."""
    samples = run.samples
    needed = samples["metric"].isin(["instructions", "duration"]) & (samples["component"] == Component.ALL)
    return {key: group for key, group in groups(samples[needed]).items() if key[4] == "instructions"}


def _difference(
    cell: str, a: tuple[dict[tuple[str, ...], Group], Run], b: tuple[dict[tuple[str, ...], Group], Run]
) -> str | None:
    """In what a cell of the same id differs; None if in nothing that matters."""
    told = []
    worlds = {key[1]: key for key in a[0] if key[0] == cell}
    for world, key in worlds.items():
        other = next((group for name, group in b[0].items() if name[:2] == (cell, world)), None)
        if other is None:
            continue
        facts = a[0][key].facts
        told += [f"{name} {_shown(facts[name])} and {_shown(other.facts[name])}" for name in _ALIKE
                 if facts[name] != other.facts[name]]  # fmt: skip
    files = [
        set(run.samples.loc[run.samples["cell_id"] == cell, "model_sha256"].dropna().unique()) for _, run in (a, b)
    ]
    if files[0] and files[1] and files[0] != files[1]:
        told.append("the model's file")
    one, two = (next((each for each in run.info.cells if each.cell_id == cell), None) for _, run in (a, b))
    if one is not None and two is not None:  # a run of an older version does not say what follows
        if None not in {one.top, two.top} and one.top != two.top:
            told.append(f"top {one.top} and {two.top}")
        if None not in {one.inputs_sha256, two.inputs_sha256} and one.inputs_sha256 != two.inputs_sha256:
            told.append("the inputs")
    return ", ".join(dict.fromkeys(told)) or None


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _row(a: Group, b: Group, margin: float) -> CompareRow:
    # Ids of boots are those of a run; seeds tell that two boots of two runs are equal but for what is compared.
    same_boots = a.seeded and b.seeded and (a.series.numbers[0].tolist() == b.series.numbers[0].tolist())
    ticks = ticks_of(b, a)
    if identical(a.series, b.series):
        ratio, verdict = Interval(1.0, 1.0, 1.0, Kind.CONSTANT), Verdict.IDENTICAL
    else:
        ratio = (ratio_interval if same_boots else ratio_apart)(b.series, a.series)
        verdict = judge(ratio, margin, ticks)
    cell, world, phase = a.key[:3]
    return CompareRow(
        cell_id=cell,
        model=a.facts["model"],
        quantization=a.facts["quantization"],
        world=World(world),
        phase=PHASES[phase],
        metric="instructions",
        unit="1",
        run_a=a.facts["run_id"],
        run_b=b.facts["run_id"],
        estimator=ESTIMATOR,
        samples_a=len(a.series.values),
        samples_b=len(b.series.values),
        mean_a=a.series.mean,
        mean_b=b.series.mean,
        median_a=a.series.median,
        median_b=b.series.median,
        ratio=ratio.estimate,
        ci_low=ratio.low,
        ci_high=ratio.high,
        margin=margin,
        verdict=verdict,
        needed=ticks.needed if ticks and verdict is Verdict.TOO_FEW_TICKS else None,
    )
