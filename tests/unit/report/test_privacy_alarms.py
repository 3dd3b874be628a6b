# SPDX-License-Identifier: Apache-2.0
"""What attacks found that must not be stands above everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic import Plan, make_run

from orchestrator.analysis.facts import gather
from orchestrator.report.story import alarms
from orchestrator.runs.reading import load_run
from orchestrator.schema.samples import PrivacyRow, append_privacy


def told(tmp_path: Path, plan: Plan, **changes: Any) -> list[str]:
    folder = make_run(tmp_path, plan, privacy=False)
    cell = plan.cells[0]
    row = {
        "run_id": plan.run_id, "cell_id": cell.cell_id, "attack": "memory-scan", "world": "realm", "model": cell.model,
        "quantization": cell.quantization, "metric": "blocks_recovered", "value": 0.0, "unit": "1",
    }  # fmt: skip
    append_privacy(folder / "privacy.csv", [PrivacyRow.model_validate(row | changes)])
    return alarms(gather(load_run(folder)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value": 0.25}, "the host can read 25.00% of the model"),
        ({"metric": "fault_set_difference", "value": 3}, "in 3 pages what faults is not what is delegated"),
        ({"metric": "delegated_faulted", "value": 0.9995}, "only 99.95% of the delegated pages"),
        ({"metric": "model_rebuilt", "value": 1}, "the host has rebuilt the model"),
        ({"value": None, "status": "error", "note": "it broke"}, "it broke"),
        ({"value": None, "status": "failed", "note": "no verdict", "world": "vm"}, "no verdict"),
    ],
)
def test_what_must_not_be(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    (line,) = told(tmp_path, Plan(), **changes)
    assert words in line
    assert "memory-scan" in line


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"value": 1.0, "world": "vm"},
        {"value": 1.0, "attack": "plain-channel", "control": True, "in_verdict": False},
        {"metric": "delegated_faulted", "value": 1},
        {"value": None, "status": "skipped"},
    ],
)
def test_what_is_to_be_expected(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert told(tmp_path, Plan(), **changes) == []


def test_a_failed_step_is_told_once(tmp_path: Path) -> None:
    plan = Plan()
    plan = plan.but(broken=frozenset({(plan.cells[0].cell_id, "realm")}))
    lines = told(tmp_path, plan, value=None, status="error", note="it broke")
    assert len(lines) == 1
    assert "it broke" not in lines[0]
