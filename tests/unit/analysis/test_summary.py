# SPDX-License-Identifier: Apache-2.0
"""What is computed from samples of which the truth is known: summary, decomposition, exits, pages, checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from synthetic import PAGE, QUIET, REALM_EXIT, VM_EXIT, Cell, Plan, make_run

from orchestrator.analysis.boots import REPEATABLE, Apart, between_boots
from orchestrator.analysis.checks import answers, el0_equality, left_out, spreads, sums
from orchestrator.analysis.decompose import UNATTRIBUTED
from orchestrator.analysis.facts import TOTAL, RunFacts, gather
from orchestrator.analysis.pages import page_costs, slope
from orchestrator.analysis.summary import groups
from orchestrator.report.tables import write_tables
from orchestrator.runs.reading import load_run
from orchestrator.schema.samples import PRIVACY, SAMPLES, SUMMARY
from orchestrator.words import INFER, REALM_CREATE, TEARDOWN, Verdict, World

CELL = Cell()
SMALL = Plan(cells=(CELL,), boots=2, iterations=3, warmups=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("results"))
    write_tables(made)
    return made


@pytest.fixture(scope="module")
def facts(folder: Path) -> RunFacts:
    return gather(load_run(folder))


def truth(cell: Cell) -> tuple[float, float]:
    """Expected instructions of an inference in vm and realm."""
    own, exits = cell.user * 1.1, cell.exits(1.0)
    return own + exits * sum(VM_EXIT.values()), own + exits * sum(REALM_EXIT.values())


def row(folder: Path, **wanted: str) -> pd.Series:
    summary = pd.read_csv(folder / "summary.csv")
    for name, value in wanted.items():
        summary = summary[summary[name] == value]
    assert len(summary) == 1
    return summary.iloc[0]


@pytest.mark.parametrize(("cell", "verdict"), [(CELL, "slower"), (QUIET, "indistinguishable")])
def test_ratios_hold_the_truth(folder: Path, cell: Cell, verdict: str) -> None:
    found = row(folder, cell_id=cell.cell_id, world="realm", phase="infer", component="all", metric="instructions")
    vm, realm = truth(cell)
    assert found["ratio_to_vm"] == pytest.approx(realm / vm, rel=2e-3)
    assert found["ratio_ci_low"] < found["ratio_to_vm"] < found["ratio_ci_high"]
    assert found["ratio_ci_high"] - found["ratio_ci_low"] < 0.004
    assert (found["boots"], found["samples"], found["verdict"]) == (4, 24, verdict)
    assert found["q1"] <= found["median"] <= found["q3"]


def test_summary_has_its_columns_and_every_group(folder: Path) -> None:
    rows = list(SUMMARY.rows(folder / "summary.csv"))
    samples = pd.read_csv(folder / "samples.csv")
    used = samples[(samples["status"] == "ok") & (samples["is_warmup"] == 0)]
    assert len(rows) == used.groupby(["cell_id", "world", "phase", "component", "metric", "method"]).ngroups
    assert sum(row.samples for row in rows) == len(used)
    assert all(row.ratio_to_vm is None for row in rows if row.world is World.VM or row.metric == "correct")
    assert all(row.ratio_to_vm is None for row in rows if row.method == "host_clock")
    assert not any(row.world is World.HOST and row.metric in {"exits", "host_exits"} for row in rows)


def test_warm_ups_and_bad_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path, SMALL.but(cells=(CELL, QUIET), wrong=2, broken=((QUIET.cell_id, "realm"),)))
    before = row_of_inference(folder)
    path = folder / "samples.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    chosen = (frame["is_warmup"] == "1") & (frame["metric"] == "instructions")
    frame.loc[chosen, "value"] = "999999999999"
    frame.to_csv(path, index=False, lineterminator="\n")
    assert row_of_inference(folder) == before
    left = {(each.cell_id, each.world): each for each in left_out(load_run(folder).samples)}
    assert left[CELL.cell_id, "realm"].not_ok == {"failed": 2}
    assert left[QUIET.cell_id, "realm"].not_ok == {"error": 1}
    assert left[CELL.cell_id, "vm"].warmups > 0


def row_of_inference(folder: Path) -> list[object]:
    for key, group in groups(load_run(folder).samples).items():
        if key[:5] == (CELL.cell_id, "realm", "infer", "all", "instructions"):
            return [*group.series.values, group.series.mean]
    raise AssertionError("no inference")


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (make_run(tmp_path / name, SMALL) for name in "ab")
    for folder in (first, second):
        write_tables(folder)
    names = sorted(path.name for path in first.iterdir())
    assert {"summary.csv", "samples.parquet", "summary.parquet", "privacy.parquet", "junit.xml", "report.html"} <= set(
        names
    )
    assert [(first / name).read_bytes() for name in names] == [(second / name).read_bytes() for name in names]
    before = (first / "report.html").read_bytes()
    write_tables(first)
    assert (first / "report.html").read_bytes() == before


@pytest.mark.parametrize("table", [SAMPLES, SUMMARY, PRIVACY], ids=lambda table: table.name)
def test_parquet_twins_hold_the_same(folder: Path, table: object) -> None:
    csv = pd.read_csv(folder / table.name)
    twin = pd.read_parquet((folder / table.name).with_suffix(".parquet"))
    assert list(csv.columns) == list(twin.columns) == table.names
    for name in csv:
        left, right = csv[name], twin[name]
        if table is SAMPLES and name == "note":
            left = left.where(left != "-")
        if name.endswith("_utc"):
            left = pd.to_datetime(left, utc=True)
        assert (left.isna() == right.isna()).all(), name
        whole = left.notna()
        equal = left[whole].astype(str) == right[whole].astype(str) if name == "unit" else left[whole] == right[whole]
        assert equal.all(), name


def test_the_decomposition_adds_up_to_the_overhead(facts: RunFacts) -> None:
    for cell in facts.cells:
        for split in (cell.infer, cell.all_phases):
            assert split is not None
            assert sum(share.points for share in split.shares) == pytest.approx(split.overhead, abs=1e-9)
            assert split.points(component=UNATTRIBUTED) == 0
            assert sum(split.points(phase=phase) for phase in split.phases) == pytest.approx(split.overhead, abs=1e-9)
        assert cell.infer.points(component="guest_user") == 0
        assert cell.exits is not None
        reasons = cell.exits.guest_points + cell.exits.more_exits_points + cell.exits.dearer_exits_points
        assert reasons == pytest.approx(cell.infer.overhead, abs=1e-9)
        ratio = cell.over_vm[World.REALM, INFER].estimate
        assert cell.infer.overhead == pytest.approx(100 * (ratio - 1), abs=1e-9)


def test_what_an_exit_costs_is_found(facts: RunFacts) -> None:
    cost = facts.cells[0].exits
    assert cost.realm.exits == pytest.approx(CELL.exits(1.0), rel=0.01)
    assert cost.vm.instructions_per_exit == pytest.approx(sum(VM_EXIT.values()), rel=1e-3)
    assert cost.realm.instructions_per_exit == pytest.approx(sum(REALM_EXIT.values()), rel=1e-3)
    assert cost.extra_per_host_exit["rmm"] == pytest.approx(REALM_EXIT["rmm"], rel=1e-3)
    assert cost.realm.per_million == pytest.approx(1e6 * CELL.exits(1.0) / (CELL.user * 1.1), rel=0.01)


def test_the_total_is_load_and_one_inference(facts: RunFacts) -> None:
    total = facts.cells[0].over_vm[World.REALM, TOTAL].estimate
    assert total == pytest.approx(1 + facts.cells[0].all_phases.overhead / 100, abs=1e-9)


@pytest.mark.parametrize("boots", [1, 2])
def test_one_boot_has_no_interval_of_what_it_does_once(tmp_path: Path, boots: int) -> None:
    """The load of a boot is in all of its iterations: resampling these would say that loads do not vary."""
    (cell,) = gather(load_run(make_run(tmp_path, SMALL.but(boots=boots, iterations=8)))).cells
    total, infer = (cell.over_vm[World.REALM, phase] for phase in (TOTAL, INFER))
    assert total.estimate is not None
    assert (total.low is None, total.high is None) == (boots == 1, boots == 1)
    assert infer.low is not None
    assert cell.one_boot == (boots == 1)


def test_means_of_boots_agree_where_their_medians_jump(facts: RunFacts) -> None:
    """Half of the inferences have a tick: one more or less decides the median."""
    samples = facts.run.samples
    like = samples[(samples["metric"] == "instructions") & (samples["component"] == "all")]
    like = like[(like["phase"] == "infer") & (like["world"] == "vm") & ~like["is_warmup"]].iloc[0]
    plain, tick = 444_858, 4_415
    boots = [[plain] * 15 + [plain + tick] * 17, [plain] * 17 + [plain + tick] * 14 + [plain + 3 * tick]]
    rows = [{**like, "boot_id": boot, "value": value} for boot, values in enumerate(boots) for value in values]
    (found,) = spreads(pd.DataFrame(rows))
    assert found.between_medians == pytest.approx(tick / plain, rel=0.02)
    assert found.between_means < REPEATABLE[INFER]


def test_pages_and_their_slope(tmp_path: Path) -> None:
    cells = (CELL, Cell("large-x", mem_mib=512))
    rows = gather(load_run(make_run(tmp_path, Plan(cells=cells)))).rows
    costs = page_costs(rows, {CELL.cell_id: "small", "large-x": "large"})
    assert [(cost.guest, cost.phase) for cost in costs] == [
        (guest, phase) for guest in ("small", "large") for phase in (REALM_CREATE, TEARDOWN)
    ]
    for cost in costs:
        for world, interval in cost.worlds.items():
            assert interval.estimate == pytest.approx(PAGE[world, cost.phase], rel=0.01)
        expected = PAGE["realm", cost.phase] - PAGE["vm", cost.phase]
        assert cost.difference == pytest.approx(expected, rel=0.02)
    each, fit = slope(costs, TEARDOWN, World.REALM)
    assert each == pytest.approx(PAGE["realm", "teardown"], rel=0.03)
    assert fit > 0.999
    assert slope(costs[:2], TEARDOWN, World.REALM) is None


def test_el0_is_compared_exactly(tmp_path: Path, facts: RunFacts) -> None:
    assert all(found.equal and found.compared == 4 * 6 * 3 + 4 for found in el0_equality(facts.run.samples))
    off = load_run(make_run(tmp_path, Plan(cells=(CELL,), el0_off=3)))
    (found,) = el0_equality(off.samples)
    assert found.different == found.compared == 76
    assert {each.realm - each.vm for each in found.differences()} == {3}
    assert all(each.exits[0] and each.exits[1] for each in found.differences())  # what may explain them
    alone = load_run(make_run(tmp_path, Plan(name="alone", worlds=("realm",))))
    assert not any(found.equal or found.compared for found in el0_equality(alone.samples))


@pytest.mark.parametrize("seeds", [True, False])
def test_boots_are_paired_by_their_seed(tmp_path: Path, seeds: bool) -> None:
    """Realm boot 0 is not there, boot 1 was repeated as boot 7; boots differ, those of one seed do not."""
    samples = load_run(make_run(tmp_path, Plan(cells=(CELL,), boots=3))).samples
    user = samples["component"] == "guest_user"
    samples.loc[user, "value"] += samples.loc[user, "boot_id"].astype("float64") * 1000
    samples = samples[~((samples["world"] == "realm") & (samples["boot_id"] == 0))].copy()
    samples.loc[(samples["world"] == "realm") & (samples["boot_id"] == 1), "boot_id"] = 7
    if not seeds:
        samples["seed"] = samples["seed"].where(samples["world"] == "none")
    (found,) = el0_equality(samples)
    assert found.compared == (2 if seeds else 1) * (6 * 3 + 1)
    assert found.equal
    changed = (samples["world"] == "realm") & (samples["boot_id"] == 7) & (samples["phase"] == "load") & user
    samples.loc[changed, "value"] += 1
    (found,) = el0_equality(samples)
    assert [(each.boots, each.iteration) for each in found.differences()] == ([((1, 7), None)] if seeds else [])


def test_other_checks(tmp_path: Path, facts: RunFacts) -> None:
    right, compared, gap = sums(facts.run.samples)
    assert right == compared > 0
    assert gap == 0
    wrong = load_run(make_run(tmp_path, Plan(cells=(CELL,), wrong=2)))
    right = {each.world: (each.right, each.given) for each in answers(wrong.samples)}
    assert right["realm"] == (30, 32)
    assert right["vm"] == (32, 32)
    assert all(0 < each.between_means < 0.003 and 0 < each.within < 0.01 for each in spreads(facts.run.samples))


def test_components_that_do_not_add_up_are_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Plan(cells=(CELL,)))
    path = folder / "samples.csv"
    kept = [line for line in path.read_text().splitlines(keepends=True) if ",realm,infer,el3," not in line]
    path.write_text("".join(kept))
    run = load_run(folder)
    right, compared, gap = sums(run.samples)
    assert right < compared
    assert gap > 1000
    split = gather(run).cells[0].infer
    assert split.points(component=UNATTRIBUTED) == pytest.approx(1.75, abs=0.05)
    assert sum(share.points for share in split.shares) == pytest.approx(split.overhead, abs=1e-9)


@pytest.mark.usefixtures("unrendered")
def test_a_run_in_real_time_and_of_one_boot(tmp_path: Path) -> None:
    plan = Plan(cells=(Cell("quick-x", icount_shift=None),), boots=1, iterations=1, warmups=1)
    folder = make_run(tmp_path, plan)
    written = write_tables(folder)
    assert "in real time" in written.findings[0]
    cell = gather(load_run(folder)).cells[0]
    assert cell.verdict is Verdict.INCONCLUSIVE
    found = row(folder, world="realm", phase="infer", component="all", metric="instructions")
    assert found[["ci_low", "ci_high", "ratio_ci_low"]].isna().all()
    assert found["ratio_to_vm"] > 1


def boots_of(tick: int, strays: Sequence[int], *, shift: int | None = 3, world: str = "vm") -> list[Apart]:
    """Boots of 32 inferences in a world, a tick in every third; one of each boot has so many instructions more."""
    own = 444_858
    about = {"cell_id": "c", "world": world, "icount_shift": shift, "host_hz": 100, "status": "ok"}
    about["guest_hz"] = pd.NA if world == "host" else 100
    about |= {"metric": "instructions", "is_warmup": False}
    rows = []
    for boot, stray in enumerate(strays):
        for k in range(32):
            kernel = (k % 3 == 0) * tick + (k == 5) * stray
            values = {"all": own + kernel, "guest_user": own, "host_kernel": kernel}
            rows += [
                about | {"phase": "infer", "boot_id": boot, "component": component, "value": float(value)}
                for component, value in values.items()
            ]
        rows.append(about | {"phase": "load", "boot_id": boot, "component": "all", "value": 2e6 + 10 * stray})
    return between_boots(pd.DataFrame(rows))


@pytest.mark.parametrize(("stray", "good"), [(0, True), (7_500, True), (16_000, False), (30_000, False)])
def test_boots_may_differ_by_a_tick(stray: int, good: bool) -> None:
    """Of 0.36 ticks an inference one more or less is nothing; two are something that does not repeat."""
    (infer,) = [each for each in boots_of(8_000, (0, stray, 0)) if each.phase == INFER]
    assert (infer.boots, infer.good) == (3, good)
    assert infer.tick == pytest.approx(8_000 / 32, rel=0.1)
    assert infer.parts == pytest.approx({"all": stray / 32, "guest_user": 0, "host_kernel": stray / 32})


def test_loads_and_long_runs_have_limits_of_their_own() -> None:
    """Where a tick is less than 0.05 % that is the limit, and it is never that of a load."""
    infer, load = boots_of(8_000, (0, 3_000))
    assert (load.phase, load.all, load.good, load.allowed) == ("load", 30_000, False, pytest.approx(20_150))
    assert boots_of(8_000, (0, 1_900))[1].good
    small = boots_of(100, (0, 32 * 200))[0]
    assert (small.good, small.allowed) == (True, pytest.approx(REPEATABLE[INFER] * small.mean))
    assert infer.tick is not None
    assert {each.tick for each in boots_of(8_000, (0, 0), shift=None)} == {None}
    assert boots_of(8_000, (0,)) == []
    assert boots_of(8_000, (0, 0), world="host")[0].tick == pytest.approx(8_000 / 32, rel=0.1)
