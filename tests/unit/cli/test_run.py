# SPDX-License-Identifier: Apache-2.0
"""`orch run` and `orch nightly` after the measuring: what tables cost, and which night is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from synthetic import Cell, Plan, make_run

from orchestrator.cli.main import orch
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.experiment import conduct
from orchestrator.runs.costs import add_cost
from orchestrator.runs.folder import RunFolder

NIGHT = Plan(name="night", cells=(Cell(),), boots=2, iterations=3, warmups=1)
NOW = NIGHT.but(seed=9, started_utc="2026-02-09T12:00:00Z")
WORKLOAD = "name: night\nmodels: fashion_cnn\n"


def at(day: int, **changes: Any) -> Plan:
    return NIGHT.but(seed=day, started_utc=f"2026-02-0{day}T12:00:00Z", **changes)


pytestmark = pytest.mark.usefixtures("unrendered")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def run_orch(verb: str, results: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan = NOW, failures: int = 0) -> Result:
    """The command with a run that took no machine."""

    def start(*_given: object, **_options: object) -> tuple[RunFolder, int]:
        return RunFolder(make_run(results, plan, privacy=False)), failures

    monkeypatch.setattr(conduct, "start", start)
    workload = results / "night.yaml"
    workload.write_text(WORKLOAD, encoding="utf-8")
    return CliRunner().invoke(orch, [verb, str(workload), "--results", str(results)])


def problem(result: Result) -> str:
    assert isinstance(result.exception, WorkloadError), result.output
    return result.exception.message


def test_tables_are_part_of_the_costs_that_the_report_shows(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_orch("run", results, monkeypatch).exit_code == 0
    folder = results / NOW.run_id
    cost = yaml.safe_load((folder / "run.yaml").read_text())["cost"]
    assert cost["tables_s"] > 0
    assert cost["report_s"] > 0
    assert cost["orchestration_s"] == pytest.approx(18.5 + cost["tables_s"])
    assert cost["wall_s"] == pytest.approx(250 + cost["tables_s"])
    page = (folder / "report.html").read_bytes()
    assert f"{cost['orchestration_s']:,.1f} s (" in page.decode()
    assert "report_s in run.yaml" in page.decode()
    assert CliRunner().invoke(orch, ["report", str(folder)]).exit_code == 0
    assert (folder / "report.html").read_bytes() == page


def test_tables_that_are_made_again_count_once(results: Path) -> None:
    journal = RunFolder(make_run(results, NOW, privacy=False))
    for seconds in (4.0, 3.0):
        add_cost(journal, "tables_s", seconds, sums=("wall_s", "orchestration_s"))
    cost = journal.read_run().facts()["cost"]
    assert (cost["tables_s"], cost["wall_s"], cost["orchestration_s"]) == (4.0, 254.0, 22.5)


def test_old_broken_and_failed_runs_do_not_stop_a_night(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = make_run(results, at(1), privacy=False)
    foreign = make_run(results, at(2), privacy=False)
    (foreign / "samples.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    failed = make_run(results, at(3, broken=((Cell().cell_id, "realm"),)), privacy=False)
    (failed / "samples.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    torn = make_run(results, at(4), privacy=False)
    (torn / "run.yaml").write_text("a: [", encoding="utf-8")
    result = run_orch("nightly", results, monkeypatch)
    assert result.exit_code == 0, result.output
    assert f"against {good.name}: " in result.output
    passed_over = [line for line in result.output.splitlines() if "passed over" in line]
    assert [str(foreign) in line or str(torn) in line for line in passed_over] == [True, True]
    files = {"junit.xml", "junit-compare.xml"}
    assert {"compare.html"} | files <= {each.name for each in (results / NOW.run_id).iterdir()}
    assert all((results / name).read_bytes() == (results / NOW.run_id / name).read_bytes() for name in files)


@pytest.mark.parametrize(
    ("before", "failures", "told"),
    [
        (at(1, cells=(Cell(guest_hz=250),)), 0, "no cell is the same as in night-"),
        (at(1, cells=(Cell("elsewhere-x"),)), 0, "no cell is the same as in night-"),
        (at(1, slowdown=0.9), 0, "slower than night-"),
        (at(1, slowdown=0.9), 2, "2 steps failed; slower than night-"),
    ],
)
def test_what_makes_a_night_a_failure(
    results: Path, monkeypatch: pytest.MonkeyPatch, before: Plan, failures: int, told: str
) -> None:
    make_run(results, before, privacy=False)
    assert problem(run_orch("nightly", results, monkeypatch, failures=failures)).startswith(told)


def test_a_world_that_is_gone_makes_a_night_a_failure(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(results, at(1), privacy=False)
    told = problem(run_orch("nightly", results, monkeypatch, NOW.but(worlds=("host", "vm"))))
    assert told == f"no inference any more: {Cell().cell_id}/realm"


def test_the_first_night_has_nothing_to_compare_with(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_orch("nightly", results, monkeypatch).exit_code == 0
    assert (results / "history.csv").exists()


def test_a_history_of_other_columns_costs_the_night_no_comparison(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(results, at(1), privacy=False)
    (results / "history.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    result = run_orch("nightly", results, monkeypatch)
    assert isinstance(result.exception, UsageError), result.output
    assert (results / NOW.run_id / "compare.csv").exists()


def test_a_slower_night_is_in_the_history(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(results, at(1, slowdown=0.9), privacy=False)
    assert problem(run_orch("nightly", results, monkeypatch)).startswith("slower than")
    assert NOW.run_id in (results / "history.csv").read_text(encoding="utf-8")
