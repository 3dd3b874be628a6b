# SPDX-License-Identifier: Apache-2.0
"""Runs of before: tables of schema_version 1 and a run.yaml that says less are reported and compared all the same.

What is the first version is written down here once more, and does not follow the code.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from synthetic import Cell, Plan, make_run

from orchestrator.analysis.compare import compare
from orchestrator.analysis.facts import gather
from orchestrator.analysis.history import HISTORY, append_history
from orchestrator.cli.main import orch
from orchestrator.report.compare_page import notices
from orchestrator.report.tables import write_tables
from orchestrator.runs.reading import load_run
from orchestrator.schema.samples import SUMMARY
from orchestrator.words import INFER, World


def columns(names: str) -> list[str]:
    return names.split()


SAMPLES_1 = columns(
    "schema_version run_id cell_id boot_id iteration is_warmup workload model model_sha256 quantization protection "
    "world phase component metric value unit method platform platform_version icount_shift smp mem_mib host_hz "
    "guest_hz stack_hash seed started_utc status note"
)
PRIVACY_1 = columns(
    "schema_version run_id cell_id attack world protection access model quantization metric value unit ci_low ci_high "
    "attempted control in_verdict verdict status note"
)
HISTORY_1 = columns(
    "utc run_id git_revision cell_id model quantization icount_shift host_hz guest_hz boots samples vm_median "
    "realm_median ratio ci_low ci_high verdict"
)
# What run.yaml came to have later, of a run and of its cells.
LATER = ("cost", "resumed", "margin")
LATER_OF_CELL = ("top", "inputs_sha256", "host_hz", "guest_hz", "icount_shift", "runtime", "protection")
CELL = Cell(facts={"top": 5, "inputs_sha256": "a" * 64})
PLAN = Plan(cells=(CELL,), boots=2, iterations=4, warmups=1)
NOW = PLAN.but(seed=2, started_utc="2026-02-01T12:00:00Z")


def as_before(folder: Path) -> Path:
    """The folder as the first version left it: its columns, no word in an empty note, a shorter run.yaml."""
    for name, columns in (("samples.csv", SAMPLES_1), ("privacy.csv", PRIVACY_1)):
        path = folder / name
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame["schema_version"] = "1"
        frame["note"] = frame["note"].replace("-", "")
        frame[columns].to_csv(path, index=False, lineterminator="\n")
    path = folder / "run.yaml"
    facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    facts = {key: value for key, value in facts.items() if key not in LATER}
    facts["cells"] = [{k: v for k, v in cell.items() if k not in LATER_OF_CELL} for cell in facts["cells"]]
    path.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return as_before(make_run(tmp_path, PLAN))


@pytest.mark.usefixtures("unrendered")
def test_it_has_the_same_report_but_for_what_it_does_not_say(old: Path, tmp_path: Path) -> None:
    inputs = {name: (old / name).read_bytes() for name in ("samples.csv", "privacy.csv", "run.yaml")}
    write_tables(old)
    write_tables(new := make_run(tmp_path / "new", PLAN))
    figures = ["cell_id", "world", "phase", "metric", "mean", "ci_low", "ratio_to_vm", "ratio_ci_high", "verdict"]
    before, after = (pd.read_csv(folder / "summary.csv")[figures] for folder in (old, new))
    pd.testing.assert_frame_equal(before, after)
    titles, later = (re.findall("<h2 [^>]*>([^<]*)", (each / "report.html").read_text("utf-8")) for each in (old, new))
    assert titles == [title for title in later if title != "Cost of the harness"]
    assert inputs == {name: (old / name).read_bytes() for name in inputs}  # a report changes nothing of a run
    assert list(SUMMARY.rows(old / "summary.csv"))


def test_orch_report_and_its_picture_work(old: Path, tmp_path: Path) -> None:
    picture = tmp_path / "old.svg"
    result = CliRunner().invoke(orch, ["report", str(old), "--figure", str(picture)])
    assert result.exit_code == 0, result.output
    assert "more instructions for one inference" in result.output
    assert picture.exists()


def test_it_is_compared_with_one_of_today(old: Path, tmp_path: Path) -> None:
    new = make_run(tmp_path, NOW)
    for first, second in ((old, new), (new, old)):
        comparison = compare(load_run(first), load_run(second), 0.02)
        assert comparison.exit_code == 0, notices(comparison)
        assert not comparison.refused
        assert (World.REALM, INFER) in {(row.world, row.phase) for row in comparison.rows}
    assert CliRunner().invoke(orch, ["compare", str(old), str(new)]).exit_code == 0


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Cell(guest_hz=250), "guest_hz 100 and 250"),
        (Cell(model="another"), "model mobilenet-v1-1.0-224 and another, the model's file"),
    ],
)
def test_what_cannot_be_compared_says_why(old: Path, tmp_path: Path, other: Cell, why: str) -> None:
    comparison = compare(load_run(old), load_run(make_run(tmp_path, NOW.but(cells=(other,)))), 0.02)
    assert comparison.exit_code == 2
    assert notices(comparison) == [f"{CELL.cell_id}: measures something else: {why}"]


def test_a_run_of_another_kind_of_table_is_refused_with_the_reason(old: Path) -> None:
    path = old / "samples.csv"
    path.write_text(path.read_text().replace("icount_shift", "shift", 1))
    result = CliRunner().invoke(orch, ["report", str(old)])
    assert "not a samples.csv of this version: lacks" in str(result.exception)
    assert "icount_shift" in str(result.exception)


def test_a_history_of_before_goes_on(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert append_history(path, old).added == 1
    pd.read_csv(path, dtype=str, keep_default_na=False)[HISTORY_1].to_csv(path, index=False, lineterminator="\n")
    assert append_history(path, make_run(tmp_path / "results", NOW)).added == 1
    rows = list(HISTORY.rows(path))
    assert [row.run_id for row in rows] == [PLAN.run_id, NOW.run_id]
    infer = gather(load_run(old)).cells[0].over_vm[World.REALM, INFER]
    assert rows[0].ratio == infer.estimate
