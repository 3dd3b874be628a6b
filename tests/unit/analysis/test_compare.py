# SPDX-License-Identifier: Apache-2.0
"""Two runs beside each other, the history of many, and how runs are found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from synthetic import Cell, Plan, make_run

from orchestrator.analysis.compare import COMPARE, compare
from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.history import HISTORY, append_history, history_lines
from orchestrator.cli.main import orch
from orchestrator.errors import UsageError
from orchestrator.report.compare_page import lines, notices
from orchestrator.report.tables import write_tables
from orchestrator.runs.frames import read_frame
from orchestrator.runs.reading import find_run, load_run
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY
from orchestrator.words import Verdict

CELL = Cell()
NIGHT = Plan(cells=(CELL,), boots=3, iterations=4, warmups=1)
NEVER_VARIES = {"realm_create", "teardown", "boot", "load", "read", "write"}  # not always, in all worlds
NEXT = NIGHT.but(seed=2, started_utc="2026-02-01T12:00:00Z")


def run_orch(*words: str) -> Result:
    return CliRunner().invoke(orch, list(words))


def verdicts(results: Path, a: Plan, b: Plan, margin: float = 0.02) -> tuple[dict[tuple[str, str], Verdict], int]:
    runs = [load_run(make_run(results, plan, privacy=False)) for plan in (a, b)]
    found = compare(*runs, margin)
    return {(row.world, row.phase): row.verdict for row in found.rows}, found.exit_code


def test_another_night_is_indistinguishable(tmp_path: Path) -> None:
    words, code = verdicts(tmp_path, NIGHT, NEXT)
    assert set(words.values()) == {Verdict.INDISTINGUISHABLE, Verdict.IDENTICAL}
    assert {phase for (_, phase), word in words.items() if word is Verdict.IDENTICAL} <= NEVER_VARIES
    assert {world for world, _ in words} == {"host", "vm", "realm"}
    assert {"boot", "realm_create", "load", "read", "infer", "write", "teardown"} == {phase for _, phase in words}
    assert code == 0


def test_a_slower_realm_is_found_and_nothing_else(tmp_path: Path) -> None:
    words, code = verdicts(tmp_path, NIGHT, NEXT.but(slowdown=1.05))
    slower = {key for key, word in words.items() if word is Verdict.SLOWER}
    assert slower == {("realm", phase) for phase in ("load", "read", "infer", "write")}
    assert code == 1


def test_the_margin_decides(tmp_path: Path) -> None:
    words, code = verdicts(tmp_path / "wide", NIGHT, NEXT.but(slowdown=1.05), margin=0.1)
    assert {word for (_, phase), word in words.items() if phase not in NEVER_VARIES} == {Verdict.INDISTINGUISHABLE}
    assert code == 0
    words, code = verdicts(tmp_path / "back", NIGHT.but(slowdown=1.05), NEXT)
    assert words["realm", "infer"] is Verdict.FASTER
    assert code == 0


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Cell(icount_shift=0), "icount_shift 3 and 0"),
        (Cell(guest_hz=250), "guest_hz 100 and 250"),
        (Cell(model="another-v2"), "model mobilenet-v1-1.0-224 and another-v2, the model's file"),
        (Cell(facts={"top": 3}), "top 5 and 3"),
        (Cell(facts={"top": 5, "inputs_sha256": "b" * 64}), "the inputs"),
    ],
)
def test_cells_that_changed_are_refused(tmp_path: Path, other: Cell, told: str) -> None:
    first = Cell(facts={"top": 5, "inputs_sha256": "a" * 64})
    a, b = (load_run(make_run(tmp_path, plan)) for plan in (NIGHT.but(cells=(first,)), NEXT.but(cells=(other,))))
    refused = compare(a, b, 0.02)
    assert refused.rows == refused.only_a == refused.only_b == refused.lost == ()
    assert refused.refused == (f"{CELL.cell_id}: measures something else: {told}",)
    assert refused.exit_code == 2


def test_runs_that_do_not_say_their_inputs_are_compared(tmp_path: Path) -> None:
    told = Cell(facts={"top": 5, "inputs_sha256": "a" * 64})
    a, b = (load_run(make_run(tmp_path, plan)) for plan in (NIGHT, NEXT.but(cells=(told,))))
    assert compare(a, b, 0.02).exit_code == compare(b, a, 0.02).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "lost", "code"),
    [
        ({"broken": ((CELL.cell_id, "realm"),)}, (f"{CELL.cell_id}/realm",), 1),
        ({"worlds": ("host", "vm")}, (f"{CELL.cell_id}/realm",), 1),
        ({"worlds": ("host", "vm"), "extra": {"workload": {"worlds": ["host", "vm"]}}}, (), 0),
    ],
)
def test_a_world_that_is_gone_is_told(
    tmp_path: Path, changes: dict[str, Any], lost: tuple[str, ...], code: int
) -> None:
    a, b = (load_run(make_run(tmp_path, plan)) for plan in (NIGHT, NEXT.but(**changes)))
    after = compare(a, b, 0.02)
    assert (after.only_a, after.only_b, after.lost) == ((f"{CELL.cell_id}/realm",), (), lost)
    assert after.exit_code == code
    assert bool(lost) == any("no inference in B" in line for line in notices(after))
    assert compare(b, a, 0.02).only_b == after.only_a
    assert compare(b, a, 0.02).exit_code == 0


def test_a_phase_that_is_gone_is_told(tmp_path: Path) -> None:
    a, b = (make_run(tmp_path, plan) for plan in (NIGHT, NEXT))
    lines = (b / "samples.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (b / "samples.csv").write_text("".join(line for line in lines if ",vm,teardown," not in line), encoding="utf-8")
    after = compare(load_run(a), load_run(b), 0.02)
    assert (after.only_a, after.lost, after.exit_code) == ((f"{CELL.cell_id}/vm/teardown",), (), 0)
    assert f"only in A: {CELL.cell_id}/vm/teardown" in notices(after)


def test_a_cell_that_failed_everywhere_is_lost_and_one_that_was_taken_out_is_not(tmp_path: Path) -> None:
    more = Cell("more-x")
    both = NIGHT.but(cells=(CELL, more), worlds=("host",))
    failed = both.but(seed=3, broken=(("more-x", "host"),))
    a, b, c = (load_run(make_run(tmp_path, plan)) for plan in (both, failed, NEXT.but(worlds=("host",))))
    assert (compare(a, b, 0.02).lost, compare(a, b, 0.02).exit_code) == (("more-x/host",), 1)
    assert (compare(a, c, 0.02).only_a, compare(a, c, 0.02).exit_code) == (("more-x",), 0)


@pytest.mark.parametrize("known", [True, False])
def test_a_run_beside_itself_is_identical(tmp_path: Path, known: bool) -> None:
    """Whether its boots are known by their seeds or not."""
    run = load_run(make_run(tmp_path, NIGHT))
    run = run if known else replace(run, samples=without_seeds(run.samples))
    rows = compare(run, run, 0.02).rows
    assert {(row.verdict, row.ratio, row.ci_low, row.ci_high) for row in rows} == {(Verdict.IDENTICAL, 1, 1, 1)}


def test_one_instruction_more_is_not_identical(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path, NIGHT))
    other = replace(run, samples=run.samples.assign(value=run.samples["value"] + 1))
    assert Verdict.IDENTICAL not in {row.verdict for row in compare(run, other, 0.02).rows}


def without_seeds(samples: pd.DataFrame) -> pd.DataFrame:
    return samples.assign(seed=samples["seed"].where(samples["world"] == "none"))


def test_boots_that_are_known_by_their_seed_are_paired(tmp_path: Path) -> None:
    """Pairs leave nothing that varies; ids of boots tell nothing of another run, whose boots are drawn apart."""
    night = load_run(make_run(tmp_path, NIGHT))
    run = replace(night, samples=night.samples.assign(value=night.samples["value"] * 2))
    infer = {(row.world, row.phase): row for row in compare(night, run, 0.02).rows}["realm", "infer"]
    assert (infer.ratio, infer.ci_low, infer.ci_high, infer.estimator) == (2, 2, 2, ESTIMATOR)
    run = replace(night, samples=night.samples.assign(value=night.samples["value"] + 1))
    unknown = replace(run, samples=without_seeds(run.samples))
    for pair in ((night, unknown), (unknown, night)):
        infer = {(row.world, row.phase): row for row in compare(*pair, 0.02).rows}["realm", "infer"]
        assert infer.ratio == pytest.approx(1)
        assert infer.ci_low < 1 < infer.ci_high


def test_phases_that_are_shorter_than_ticks_are_far_apart_say_so(tmp_path: Path) -> None:
    """A phase that meets no tick in all its iterations has no verdict, and the number that would do; no failure."""
    quiet = Cell(icount_shift=0, host_hz=100, user=440_000)
    a, b = (load_run(make_run(tmp_path, plan.but(cells=(quiet,), boot_noise=0.0))) for plan in (NIGHT, NEXT))
    found = compare(a, b, 0.02)
    (infer,) = (row for row in found.rows if (row.world, row.phase) == ("realm", "infer"))
    assert infer.verdict is Verdict.TOO_FEW_TICKS
    assert infer.needed == pytest.approx(5 / 3 * 1e7 / infer.mean_a, abs=2)
    assert found.exit_code == 0
    assert any(line.endswith(f"too few ticks: {infer.needed} iterations a boot would do") for line in lines(found))
    assert all(row.needed is None for row in found.rows if row.verdict is not Verdict.TOO_FEW_TICKS)
    worse = load_run(make_run(tmp_path, NEXT.but(name="worse", cells=(quiet,), slowdown=1.5)))
    (infer,) = (row for row in compare(a, worse, 0.02).rows if (row.world, row.phase) == ("realm", "infer"))
    assert infer.verdict is Verdict.SLOWER  # no tick makes half of an inference


@pytest.mark.usefixtures("unrendered")
def test_a_summary_by_another_estimator_is_told_and_not_used(tmp_path: Path) -> None:
    a, b = (make_run(tmp_path, plan) for plan in (NIGHT, NEXT))
    for folder in (a, b):
        write_tables(folder)
    assert compare(load_run(a), load_run(b), 0.02).apart == ()
    expected = compare(load_run(a), load_run(b), 0.02).rows
    as_of_version(2, a / "summary.csv", "estimator", "mean", "needed")
    (row, *_) = SUMMARY.rows(a / "summary.csv")
    assert (row.estimator, row.mean, row.schema_version) == ("ratio-of-medians-1", None, 3)
    found = compare(load_run(a), load_run(b), 0.02)
    assert found.rows == expected
    (told,) = found.apart
    assert "its summary.csv is by ratio-of-medians-1, and not comparable" in told
    assert told in notices(found)


def test_orch_compare_prints_writes_and_tells_by_its_exit_code(tmp_path: Path) -> None:
    make_run(tmp_path, NIGHT)
    make_run(tmp_path, NEXT.but(slowdown=1.05))
    make_run(tmp_path, NIGHT.but(name="other", cells=(Cell("elsewhere-x"),)))
    common = ("--results", str(tmp_path))
    slower = run_orch("compare", "demo-20260131", "demo-20260201", *common, "--output", str(tmp_path / "out"))
    assert slower.exit_code == 1, slower.output
    assert "4 slower" in slower.output
    rows = list(COMPARE.rows(tmp_path / "out/compare.csv"))
    assert len(rows) == len(pd.read_csv(tmp_path / "out/compare.csv")) == 18
    page = (tmp_path / "out/compare.html").read_text()
    assert "Slower beyond the margin" in page
    assert "<svg" in page
    assert (tmp_path / "out/junit-compare.xml").read_text().count("<failure") == 4
    assert run_orch("compare", "demo-20260131", "demo-20260201", *common, "--margin", "0.2").exit_code == 0
    nowhere = run_orch("compare", "demo-20260131", "demo-20260201", *common, "--output", "/proc/nowhere")
    assert isinstance(nowhere.exception, UsageError)
    nothing = run_orch("compare", "demo-20260131", "other", *common)
    assert nothing.exit_code == 2
    assert "only in B: elsewhere-x" in nothing.output


@pytest.mark.usefixtures("unrendered")
def test_orch_report_makes_everything_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path, NIGHT.but(broken=((CELL.cell_id, "host"),)))
    result = run_orch("report", "latest", "--results", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "more instructions for one inference" in result.output
    assert "error: " in result.output
    assert {"report.html", "junit.xml", "summary.csv", "summary.parquet"} <= {path.name for path in folder.iterdir()}


def test_history_grows_once_a_run(tmp_path: Path) -> None:
    path = tmp_path / "history/history.csv"
    night, following = (make_run(tmp_path, plan) for plan in (NIGHT, NEXT))
    assert append_history(path, night).added == 1
    assert append_history(path, night).added == 0
    with path.open("a") as stream:
        stream.write("2026-02-01T12:00:00Z,demo")  # killed while writing
    assert append_history(path, following).added == 1
    rows = list(HISTORY.rows(path))
    assert [row.utc for row in rows] == [NIGHT.started_utc, NEXT.started_utc]
    assert all(row.verdict is Verdict.SLOWER and row.ci_low < row.ratio < row.ci_high for row in rows)
    assert rows[0].git_revision == "0123456789abcdef0123456789abcdef01234567"


def as_of_version(version: int, path: Path, *lacking: str) -> bytes:
    """Make of a table what an earlier version of orch would have written; returns the bytes."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=list(lacking))
    if "schema_version" in table:
        table["schema_version"] = str(version)
    table.to_csv(path, index=False, lineterminator="\n")
    return path.read_bytes()


SUMS = ("estimator", "vm_mean", "realm_mean", "needed")


@pytest.mark.parametrize(("version", "lacking"), [(1, ("schema_version", "runtime", "protection", *SUMS)), (2, SUMS)])
def test_lines_of_an_older_history_stay_and_are_another_line(
    tmp_path: Path, version: int, lacking: tuple[str, ...]
) -> None:
    path = tmp_path / "history.csv"
    night, following = (make_run(tmp_path / "results", plan) for plan in (NIGHT, NEXT))
    assert append_history(path, night).added == 1
    (line,) = HISTORY.rows(path)
    old = as_of_version(version, path, *lacking)
    by_medians = line.model_copy(
        update={"estimator": "ratio-of-medians-1", "vm_mean": None, "realm_mean": None, "needed": None}
    )
    assert list(HISTORY.rows(path)) == [by_medians]
    assert path.read_bytes() == old
    appended = append_history(path, following)
    assert appended.added == 1
    assert appended.notice is not None
    assert "not to be compared with them: 1 of ratio-of-medians-1" in appended.notice
    assert path.read_text(encoding="utf-8").startswith("schema_version,utc,")
    first, second = HISTORY.rows(path)
    assert first == by_medians
    assert (second.runtime, second.protection, second.estimator) == ("litert", "none", ESTIMATOR)
    assert history_lines(path) == {(CELL.cell_id, first.estimator): [first], (CELL.cell_id, ESTIMATOR): [second]}
    assert append_history(path, night).added == 1  # what the run gives today goes on with today's line
    assert [row.run_id for row in history_lines(path)[CELL.cell_id, ESTIMATOR]] == [NEXT.run_id, NIGHT.run_id]


def test_a_run_of_the_first_version_is_compared_with_one_of_today(tmp_path: Path) -> None:
    old, new = (make_run(tmp_path, plan) for plan in (NIGHT, NEXT))
    expected = compare(load_run(old), load_run(new), 0.02)
    frames = {table.name: read_frame(old / table.name, table) for table in (SAMPLES, PRIVACY)}
    before = {name: as_of_version(1, old / name, "runtime") for name in frames}
    assert b"runtime" not in before["samples.csv"]
    found = compare(load_run(old), load_run(new), 0.02)
    assert found == expected
    assert found.rows
    assert (found.refused, found.only_a, found.only_b) == ((), (), ())
    for table in (SAMPLES, PRIVACY):
        pd.testing.assert_frame_equal(read_frame(old / table.name, table), frames[table.name])
        assert (old / table.name).read_bytes() == before[table.name]


def test_another_runtime_is_something_else(tmp_path: Path) -> None:
    old, new = (make_run(tmp_path, plan) for plan in (NIGHT, NEXT))
    table = pd.read_csv(new / "samples.csv", dtype=str, keep_default_na=False)
    table.assign(runtime="other").to_csv(new / "samples.csv", index=False, lineterminator="\n")
    found = compare(load_run(old), load_run(new), 0.02)
    assert not found.rows
    assert found.refused == (f"{CELL.cell_id}: measures something else: runtime litert and other",)


def test_a_cell_that_failed_everywhere_has_its_line_in_the_history(tmp_path: Path) -> None:
    path, more = tmp_path / "history.csv", Cell("more-x", icount_shift=0)
    broken = tuple(("more-x", world) for world in NIGHT.worlds)
    night = make_run(tmp_path / "results", NIGHT.but(cells=(CELL, more), broken=broken))
    assert append_history(path, night).added == 2
    assert append_history(path, night).added == 0
    row = list(HISTORY.rows(path))[1]
    assert (row.cell_id, row.icount_shift, row.host_hz, row.boots, row.ratio) == ("more-x", 0, 1000, 0, None)


@pytest.mark.parametrize("table", [COMPARE, HISTORY], ids=lambda table: table.name)
def test_the_dictionary_has_exactly_these_columns(table: Any) -> None:
    text = (Path(__file__).resolve().parents[3] / "results/README.md").read_text(encoding="utf-8")
    lines = text.split(f"### {table.name}\n")[1].split("\n#")[0].splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    found = {name: (kind, empty) for names, kind, empty, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert found == {c.name: (str(c.kind), "yes" if c.optional else "no") for c in table.columns}


def found(name: str, results: Path) -> Path:
    """A run that is found without a word."""
    said: list[str] = []
    path = find_run(name, results, said.append)
    assert said == []
    return path


def test_runs_are_found_by_path_beginning_and_as_the_newest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run there yet"):
        found("latest", tmp_path / "none")
    older, newer = (make_run(tmp_path, plan, privacy=False) for plan in (NEXT.but(name="z"), NIGHT.but(name="a")))
    assert found(str(older), tmp_path) == older
    assert found("z-", tmp_path) == older
    assert found("latest", tmp_path) == older  # started later
    assert newer != older
    make_run(tmp_path, NEXT.but(name="zz"), privacy=False)
    with pytest.raises(UsageError, match="more than one run begins with 'z'"):
        found("z", tmp_path)
    with pytest.raises(UsageError, match="no run begins with 'q'"):
        found("q", tmp_path)


def test_latest_is_the_newest_run_that_can_be_read(tmp_path: Path) -> None:
    good, torn = (make_run(tmp_path, plan, privacy=False) for plan in (NIGHT, NEXT))
    (torn / "run.yaml").write_text("a: [", encoding="utf-8")
    said: list[str] = []
    assert find_run("latest", tmp_path, said.append) == good
    assert len(said) == 1
    assert f"passed over: {torn}/run.yaml: not valid YAML" in said[0]
    (good / "run.yaml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="no run there can be read"):
        find_run("latest", tmp_path, said.append)
    assert f"passed over: {good}/run.yaml" in said[1]


def test_a_folder_called_latest_is_not_the_latest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "results", NIGHT, privacy=False)
    (tmp_path / "latest").mkdir()
    monkeypatch.chdir(tmp_path)
    assert found("latest", tmp_path / "results") == run
    assert found("./latest", tmp_path / "results") == tmp_path / "latest"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.yaml", "a: [", "not valid YAML"),
        ("run.yaml", "margin: 7\n", "margin"),
        ("samples.csv", "a,b\n1,2\n", "not a samples.csv"),
        ("samples.csv", (",1,256,", ",1,one,"), r"samples\.csv:2: mem_mib: Input should be a valid integer"),
        ("samples.csv", (",1,256,", ",1,,"), r"samples\.csv:2: mem_mib: is missing"),
        ("samples.csv", (",1,256,", ",1,0,"), r"samples\.csv:2: mem_mib: .* greater than or equal to 1, found '0'"),
        ("samples.csv", (",host,", ",hots,"), r"samples\.csv:2: world: .* 'host', 'vm' or 'realm', found 'hots'"),
        ("samples.csv", (f",{NIGHT.started_utc},", ",yesterday,"), r"samples\.csv:2: started_utc: .* 'yesterday'"),
        ("samples.csv", (",2026-01-31T", ",2026-13-31T"), r"samples\.csv:2: started_utc: .* '2026-13-31T12:00:00Z'"),
        ("samples.csv", (",demo,", ",nan,"), r"samples\.csv:2: workload: "),
        ("samples.csv", (",4.5,", ",inf,"), r"samples\.csv:2: value: is not finite"),
        ("samples.csv", (",demo,", ",demo,,"), r"samples\.csv:2: 32 fields where there are 31 columns"),
        ("samples.csv", ("\n", "\n\n"), r"samples\.csv:2: schema_version: is missing"),
        ("privacy.csv", (",realm,", ",relm,"), r"privacy\.csv:4: world: "),
    ],
)
def test_a_broken_folder_is_one_line(tmp_path: Path, name: str, content: str | tuple[str, str], message: str) -> None:
    folder = make_run(tmp_path, NIGHT)
    path = folder / name
    if not isinstance(content, str):
        content = path.read_text(encoding="utf-8").replace(*content, 1)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        load_run(folder)
    assert "\n" not in caught.value.message


def test_what_is_missing_is_no_mistake(tmp_path: Path) -> None:
    folder = make_run(tmp_path, NIGHT, privacy=False)
    (folder / "events.jsonl").unlink()
    (folder / "run.yaml").write_text(yaml.safe_dump({"status": "running", "future_key": {"x": 1}}))
    run = load_run(folder)
    assert (run.info.run_id, run.info.status, run.privacy.empty, run.events) == (folder.name, "running", True, [])
    (folder / "run.yaml").unlink()
    assert load_run(folder).info.run_id == folder.name
    (folder / "samples.csv").unlink()
    with pytest.raises(UsageError, match="no run"):
        load_run(folder)
