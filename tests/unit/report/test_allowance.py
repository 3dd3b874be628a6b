# SPDX-License-Identifier: Apache-2.0
"""The table "Against the oracle": what each output may be off by, why, and by how much it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from orchestrator.report.model import Grid, Word
from orchestrator.report.sections.allowance import allowance_grids
from orchestrator.report.wording import NONE
from orchestrator.runs.run_file import CellFacts


def facts(cells: list[CellFacts], *found: tuple[str, float, str]) -> Any:
    rows = [
        {"cell_id": cell, "metric": "oracle_difference", "value": value, "status": status}
        for cell, value, status in found
    ]
    samples = pd.DataFrame(rows, columns=["cell_id", "metric", "value", "status"])
    return SimpleNamespace(run=SimpleNamespace(info=SimpleNamespace(cells=cells), samples=samples), cell=lambda _: None)


def a_cell(name: str, kernels: dict[str, str], *outputs: dict[str, Any]) -> CellFacts:
    return CellFacts.model_validate(
        {"cell_id": name, "oracle": {"release": "1.4.0", "kernels": kernels, "outputs": list(outputs)}}
    )


def test_each_output_has_a_row() -> None:
    points = {"output": "points", "scale": 400.0, "spread": 1e-7, "allowed": 2e-6}
    alone = {"output": "scores", "scale": 2.0, "spread": None, "allowed": 1e-4}
    cells = [
        a_cell("one", {"xnnpack": "ok", "builtin": "ok"}, points),
        a_cell("two", {"xnnpack": "failed to delegate node 3", "builtin": "ok"}, alone),
    ]
    (grid,) = allowance_grids(facts(cells, ("one", 3e-7, "ok"), ("one", 5e-7, "ok"), ("one", 9e-7, "failed")))
    assert isinstance(grid, Grid)
    first, second = grid.rows
    assert first == ("one", "points", "400", "1e-07", "2e-06", "5e-07", "1.4.0: xnnpack, builtin", NONE)
    assert second[2:6] == ("2", NONE, "0.0001", NONE)
    assert isinstance(second[6], Word)
    assert "not xnnpack: failed to delegate node 3" in str(second[6].below)


def test_an_independent_opinion_is_told() -> None:
    points = {"output": "points", "scale": 4.0, "spread": 0.0, "allowed": 2e-6}
    told = []
    for second in ({"release": "2.17.1", "difference": 1e-7, "within": True}, {"cannot": "is no TFLite model"}):
        facts_of_cell = {"release": "1.4.0", "kernels": {}, "outputs": [points], "second": second}
        cell = CellFacts.model_validate({"cell_id": "one", "oracle": facts_of_cell})
        (grid,) = allowance_grids(facts([cell]))
        assert isinstance(grid, Grid)
        told.append(grid.rows[0][7])
    assert told[0] == "2.17.1: 1e-07"
    assert isinstance(told[1], Word)
    assert (told[1].text, told[1].below) == ("cannot", "is no TFLite model")


def test_runs_that_did_not_write_it_down_have_no_table() -> None:
    assert allowance_grids(facts([CellFacts(cell_id="old")])) == []
