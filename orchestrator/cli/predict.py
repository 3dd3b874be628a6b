# SPDX-License-Identifier: Apache-2.0
"""`orch predict`: the overheads of a workload from what exits cost, without running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.context import Context, pass_context
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.runs.matrix import Cell
    from orchestrator.schema.law import Law
    from orchestrator.schema.workload import Workload


@click.command("predict")
@click.argument("workload_file", metavar="WORKLOAD", type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="as for `orch run`")
@click.option("--law", "law_file", type=click.Path(path_type=Path), metavar="FILE", help="another law than the shipped")
@click.option("--from", "runs", multiple=True, metavar="RUN", help="fit a law to these runs instead; repeatable")
@click.option("--results", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="as for `orch report`")
@click.option("--json", "as_json", is_flag=True, help="machine-readable, with percentage points by component")
@pass_context
def predict(
    context: Context,
    *,
    workload_file: Path,
    changes: tuple[str, ...],
    law_file: Path | None,
    runs: tuple[str, ...],
    results: Path | None,
    as_json: bool,
) -> None:
    """Say what the realm's overhead over the normal VM would be in each cell of WORKLOAD; nothing is run.

    It follows from the ticks and what they cost, and not from the model. A cell in real time has no prediction.
    """
    from orchestrator.experiment.conduct import open_workload  # noqa: PLC0415 - takes a second
    from orchestrator.experiment.plan import cells_of  # noqa: PLC0415

    workload = open_workload(workload_file, changes, context.project)
    law = _law(context, law_file, runs, results)
    cells = [_cell(law, cell, workload) for cell in cells_of(workload, workload_file.resolve().parent)]
    if as_json:
        click.echo(
            json.dumps({"law": law.law, "estimator": law.estimator, "error": law.error, "cells": cells}, indent=1)
        )
        return
    for line in _lines(law, cells, workload.margin):
        click.echo(line)


def _law(context: Context, law_file: Path | None, runs: tuple[str, ...], results: Path | None) -> Law:
    """The law that was asked for; raises UsageError if there is none."""
    from orchestrator.analysis.law import shipped_law  # noqa: PLC0415
    from orchestrator.schema.law import read_law  # noqa: PLC0415

    if law_file is not None and runs:
        raise UsageError("give either --law FILE or --from RUN", hint="--from fits a law of its own")
    if runs:
        from orchestrator.analysis.fitting import law_of_runs  # noqa: PLC0415
        from orchestrator.runs.reading import find_run  # noqa: PLC0415

        folder = results or context.project.root / "results"
        return law_of_runs([find_run(name, folder, context.progress.notice) for name in runs])
    law = read_law(law_file) if law_file is not None else shipped_law()
    if law is None:
        raise UsageError(
            "no law of exits is shipped with this checkout", hint="`make bench-law` makes one; --from RUN fits one"
        )
    return law


def _cell(law: Law, cell: Cell, workload: Workload) -> dict[str, Any]:
    """What is said of a cell, JSON-able; without `overhead` if nothing can be."""
    from orchestrator.analysis.law import predict as predicted  # noqa: PLC0415
    from orchestrator.analysis.ticks import ticks  # noqa: PLC0415
    from orchestrator.analysis.verdict import judge  # noqa: PLC0415
    from orchestrator.schema.law import Rates  # noqa: PLC0415
    from orchestrator.words import INFER  # noqa: PLC0415

    about = {"cell_id": cell.cell_id, "cell": f"{cell.model} {cell.quantization}, {cell.machine.label}"}
    if not cell.machine.deterministic:
        return about | {"note": "no prediction: in real time ticks follow the build computer's clock"}
    rates = Rates(icount_shift=cell.machine.timing.shift, **cell.machine.ticks.model_dump())
    said = predicted(law, rates, f"{cell.model} {cell.quantization}")
    few = None
    if said.ticks is not None and said.vm is not None:
        samples = workload.boots * workload.iterations
        few = ticks(said.ticks * samples, said.vm * samples, INFER, workload.boots, samples)
    note = "no cell of the law has such ticks" if said.extrapolates else None
    if few is not None and few.few:
        note = f"a run of it would have too few ticks: {few.needed:,} {few.of} would do"
    return about | {
        "overhead": (said.ratio.estimate or 1.0) - 1,
        "low": None if said.ratio.low is None else said.ratio.low - 1,
        "high": None if said.ratio.high is None else said.ratio.high - 1,
        "verdict": str(judge(said.ratio, workload.margin)),
        "vm": said.vm,
        "realm": said.realm,
        "points": {str(part): points for part, points in said.points.items()},
        "note": note,
    }


def _lines(law: Law, cells: list[dict[str, Any]], margin: float) -> list[str]:
    """Aligned lines: the cell, its overhead with the interval, the verdict that a long run of it would have."""
    table = [("cell", "realm / vm", "95 % interval", f"at a margin of {100 * margin:g} %")]
    for cell in cells:
        if "overhead" not in cell:
            table.append((cell["cell"], "-", "-", cell["note"]))
            continue
        ends = "-" if cell["low"] is None else f"[{_percent(cell['low'])}, {_percent(cell['high'])}]"
        told = cell["verdict"] + (f" ({cell['note']})" if cell["note"] else "")
        table.append((cell["cell"], f"{_percent(cell['overhead'])} %", ends, told))
    widths = [max(len(line[column]) for line in table) for column in range(3)]
    found = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False)) + "  " + line[3]
             for line in table]  # fmt: skip
    error = "not known" if law.error is None else f"{100 * law.error:.1f} % of an overhead"
    made = ", ".join(dict.fromkeys(cell.run_id for cell in law.cells))
    return [*found, f"{law.law}, fitted to {len(law.cells)} cells of {made}; error in cells left out: {error}"]


def _percent(value: float) -> str:
    return f"{100 * value:+.2f}"


COMMANDS = (predict,)
