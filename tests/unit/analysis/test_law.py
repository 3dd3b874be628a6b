# SPDX-License-Identifier: Apache-2.0
"""The law of exits: prices that were put in come out again, and cells that it has not seen are as it says."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from synthetic import REALM_EXIT, VM_EXIT, Cell, Plan, make_run

from orchestrator.analysis.calibration import CellPoints, Point, cell_points
from orchestrator.analysis.decompose import PARTS
from orchestrator.analysis.facts import RunFacts, gather
from orchestrator.analysis.fitting import law_of
from orchestrator.analysis.law import KINDS, against, fit, predict
from orchestrator.analysis.paper import DIFFERS
from orchestrator.analysis.prices import exit_prices
from orchestrator.cli.main import orch
from orchestrator.errors import UsageError
from orchestrator.report.html import render
from orchestrator.report.model import Page, Section, Word
from orchestrator.report.section import SECTIONS
from orchestrator.runs.reading import load_run
from orchestrator.schema.law import Law, Rates, read_law, write_law
from orchestrator.schema.workload import Workload
from orchestrator.words import Component, World

# Instructions of a tick, by world, kind and component: about what this testbed's cost.
COSTS = {
    (World.VM, "host tick"): {Component.HOST_KERNEL: 3900, Component.VMM: 0},
    (World.VM, "guest tick"): {Component.HOST_KERNEL: 1400, Component.GUEST_KERNEL: 3100},
    (World.REALM, "host tick"): {
        Component.RMM: 2600, Component.EL3: 1270, Component.HOST_KERNEL: 3450, Component.VMM: 300,
    },
    (World.REALM, "guest tick"): {
        Component.RMM: 2900, Component.EL3: 1300, Component.HOST_KERNEL: 1700, Component.VMM: 300,
        Component.GUEST_KERNEL: 3100, Component.GUEST_USER: 2,
    },
}  # fmt: skip
MODELS = {"alexnet int8": 18.2e6, "mobilenet int8": 50.1e6, "resnet18 float32": 240e6, "fashion_cnn int8": 444_858.0}
CALIBRATED = [
    (model, rates)
    for model, rates in itertools.product(
        ("alexnet int8", "mobilenet int8"), ((3, 1000, 100), (3, 100, 100), (0, 100, 100))
    )
]
UNSEEN = [
    (model, rates)
    for model, rates in itertools.product(
        ("resnet18 float32", "fashion_cnn int8", "mobilenet int8"),
        ((0, 1000, 100), (1, 1000, 100), (2, 100, 100), (4, 1000, 100), (3, 250, 100)),
    )
]


@dataclass(frozen=True)
class Truth:
    """A machine whose prices are known, per second as well; `sharing` boots have ticks that come together."""

    second: float = 0.0  # instructions of the host's kernel, in both worlds
    sharing: bool = False

    def share(self, world: World, rates: Rates) -> float:
        """The part of all instructions that ticks make."""
        each = {kind: rates.each(kind) for kind in KINDS}
        ticks = sum(each[kind] * sum(cost.values()) for (of, kind), cost in COSTS.items() if of is world)
        return ticks + each["second"] * self.second

    def overhead(self, rates: Rates) -> float:
        return (1 - self.share(World.VM, rates)) / (1 - self.share(World.REALM, rates)) - 1


def counted(
    truth: Truth, model: str, rates: tuple[int, int, int], *, boots: int = 3, iterations: int = 0, seed: int = 1
) -> CellPoints:
    """What a run of a cell gives, ticks at a phase that each boot and world draws; long enough for some ticks."""
    found = Rates(icount_shift=rates[0], host_hz=rates[1], guest_hz=rates[2])
    random = np.random.default_rng([seed, *rates, *model.encode()])
    points = []
    for world, boot in itertools.product((World.VM, World.REALM), range(boots)):
        length = MODELS[model] / (1 - truth.share(world, found))
        count = iterations or max(5, round(40 / (length * min(found.each("host tick"), found.each("guest tick")))))
        parts = dict.fromkeys(PARTS, 0.0)
        parts[Component.GUEST_USER] += MODELS[model] * 0.99
        parts[Component.GUEST_KERNEL] += MODELS[model] * 0.01
        parts[Component.HOST_KERNEL] += truth.second * length * found.each("second")
        for kind in ("host tick", "guest tick"):
            ticks = np.floor(length * count * found.each(kind) + random.random()) / count
            together = truth.sharing and kind == "guest tick" and boot == 0
            for component, cost in COSTS[world, kind].items():
                parts[component] += ticks * cost * (0.6 if together else 1.0)
        points.append(Point(f"run/{model}-{rates}", model, found, world, boot, count, parts))
    means = [np.mean([point.total for point in points if point.world is world]) for world in (World.VM, World.REALM)]
    return CellPoints("run", f"{model}-{rates}", f"{model} {found}", tuple(points), float(means[1] / means[0] - 1))


def calibrated(truth: Truth, **more: int) -> Law:
    return fit([counted(truth, model, rates, **more) for model, rates in CALIBRATED])


def test_prices_that_were_put_in_come_out_again() -> None:
    law = calibrated(Truth())
    assert law.kinds == ("host tick", "guest tick")  # one rate of the guest's ticks: seconds cannot be told from them
    for price in law.prices:
        expected = COSTS[price.world, price.kind].get(price.component, 0)
        assert price.instructions == pytest.approx(expected, abs=max(30, 0.02 * expected))
        assert price.low <= price.high
    assert law.work["mobilenet int8"] == pytest.approx(MODELS["mobilenet int8"], rel=1e-4)


@pytest.mark.parametrize(("model", "rates"), UNSEEN)
def test_cells_that_were_not_seen_are_as_it_says(model: str, rates: tuple[int, int, int]) -> None:
    """Other models, shifts and host's ticks: the truth is near, and so is what a long run of them counts."""
    truth = Truth()
    law = calibrated(truth)
    found = predict(law, counted(truth, model, rates).rates, model)
    expected = truth.overhead(found.rates)
    assert found.ratio.estimate - 1 == pytest.approx(expected, rel=0.03)
    assert counted(truth, model, rates).measured == pytest.approx(expected, rel=0.1)
    assert found.ratio.low - 1 <= expected <= found.ratio.high - 1
    assert not found.extrapolates
    assert sum(found.points.values()) == pytest.approx(100 * (found.ratio.estimate - 1))
    known = model in law.work
    assert (found.vm is not None) == known == (found.ticks is not None)
    if known:
        assert found.vm == pytest.approx(MODELS[model] / (1 - truth.share(World.VM, found.rates)), rel=1e-3)
        assert found.realm / found.vm == pytest.approx(found.ratio.estimate, rel=1e-9)


def test_a_cell_of_the_law_is_predicted_from_the_others() -> None:
    law = calibrated(Truth(), boots=5)
    assert all(cell.predicted == pytest.approx(cell.measured, rel=0.1) for cell in law.cells)
    assert 0 < law.error < 0.1
    assert law.freedom == len(CALIBRATED) - 1


def test_boots_that_differ_widen_the_interval() -> None:
    rates = Rates(icount_shift=3, host_hz=1000, guest_hz=100)
    plain, shared = (predict(calibrated(truth), rates).ratio for truth in (Truth(), Truth(sharing=True)))
    assert shared.high - shared.low > plain.high - plain.low
    assert shared.low - 1 <= Truth().overhead(rates)


def test_what_comes_by_the_second_is_told_apart_where_the_cells_can() -> None:
    truth = Truth(second=100_000.0)
    more = (("alexnet int8", (3, 1000, 250)), ("mobilenet int8", (3, 100, 1000)), ("alexnet int8", (1, 250, 250)))
    law = fit([counted(truth, *each) for each in [*CALIBRATED, *more]])
    assert law.kinds == KINDS
    assert law.total(World.VM, "second") == pytest.approx(truth.second, rel=0.1)
    other = Rates(icount_shift=2, host_hz=300, guest_hz=1000)
    found = predict(law, other)
    assert not found.extrapolates
    assert found.ratio.estimate - 1 == pytest.approx(truth.overhead(other), rel=0.03)
    assert predict(calibrated(truth), other).extrapolates  # which never saw the guest at another rate


def test_one_rate_alone_knows_no_other() -> None:
    truth = Truth()
    law = fit([counted(truth, model, (3, 100, 100)) for model in ("alexnet int8", "mobilenet int8")])
    assert law.kinds == ("host tick",)
    same, other = (predict(law, Rates(icount_shift=s, host_hz=h, guest_hz=100)) for s, h in ((0, 100), (3, 1000)))
    assert same.ratio.estimate - 1 == pytest.approx(truth.overhead(same.rates), rel=0.03)
    assert (same.extrapolates, other.extrapolates) == (False, True)
    alone = fit([counted(truth, "alexnet int8", (3, 100, 100))])
    assert (alone.error, alone.freedom) == (None, 0)
    assert predict(alone, same.rates).ratio.low is None
    with pytest.raises(UsageError, match="no cell to fit"):
        fit([])


def test_a_law_is_the_same_read_again(tmp_path: Path) -> None:
    law = calibrated(Truth())
    write_law(tmp_path / "law.yaml", law)
    assert (tmp_path / "law.yaml").read_text(encoding="utf-8").startswith("# SPDX-License-Identifier: Apache-2.0\n")
    again = read_law(tmp_path / "law.yaml")
    rates = Rates(icount_shift=1, host_hz=1000, guest_hz=100)
    assert predict(again, rates) == predict(law, rates)
    text = (tmp_path / "law.yaml").read_text(encoding="utf-8").replace("exit-costs-1", "exit-costs-0")
    (tmp_path / "law.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"law\.yaml:3:\d+: law: "):
        read_law(tmp_path / "law.yaml")


# --- from the folders of runs -----------------------------------------------------------------------------------------

# `synthetic` has prices of its own, the same for ticks of host and guest. It lets ticks come by a guest's own work and
# not by all that is executed: 5 % fewer at the highest rate here.
CELLS = tuple(
    Cell(f"{model}-{shift}-{host}", model=model, user=user, icount_shift=shift, host_hz=host)
    for model, user in (("one", 20_000_000), ("two", 60_000_000))
    for shift, host in ((1, 1000), (1, 100), (0, 1000))
)
PLAN = Plan(cells=CELLS, boots=2, iterations=3, warmups=1, noise=1e-4, boot_noise=1e-4, worlds=("vm", "realm"))
WORKLOAD = {
    "name": "planned",
    "models": ["fashion_cnn", "alexnet"],
    "worlds": ["vm", "realm"],
    "boots": 2,
    "iterations": 3,
    "ticks": [{"host_hz": 1000, "guest_hz": 100}],
    "timing": [{"mode": "deterministic", "shift": 0}, {"mode": "fast"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("results"), PLAN)


@pytest.fixture(scope="module")
def facts(folder: Path) -> RunFacts:
    return gather(load_run(folder))


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "planned.yaml"
    path.write_text(yaml.safe_dump(WORKLOAD), encoding="utf-8")
    return path


def run_orch(*words: str) -> Result:
    return CliRunner().invoke(orch, list(words))


def test_cells_of_a_run_are_points_by_boot_and_world(facts: RunFacts) -> None:
    cells = cell_points(facts)
    assert [cell.cell_id for cell in cells] == [cell.cell_id for cell in CELLS]
    assert {len(cell.points) for cell in cells} == {4}
    assert {point.iterations for cell in cells for point in cell.points} == {3}
    law = law_of([facts])
    assert law.kinds == ("host tick", "guest tick")
    for world, cost in ((World.VM, VM_EXIT), (World.REALM, REALM_EXIT)):
        for kind in law.kinds:
            assert law.total(world, kind) == pytest.approx(sum(cost.values()), rel=0.15)
    assert all(abs(cell.predicted / cell.measured - 1) < 0.05 for cell in law.cells)


def test_orch_predict_says_what_a_run_would_find(folder: Path, workload: Path) -> None:
    results = ("--results", str(folder.parent))
    told = run_orch("predict", str(workload), "--from", folder.name, *results)
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0].split() == ["cell", "realm", "/", "vm", "95", "%", "interval", "at", "a", "margin", "of", "2", "%"]
    planned = [line for line in lines if "shift 0" in line]
    assert len(planned) == 2  # one figure for all models, with an interval, and what it comes to
    share = [1100 * 1e-9 * sum(cost.values()) for cost in (VM_EXIT, REALM_EXIT)]
    expected = 100 * ((1 - share[0]) / (1 - share[1]) - 1)
    for line in planned:
        found = re.search(r"\+([\d.]+) % +\[\+([\d.]+), \+([\d.]+)\] +(\w+)", line)
        assert found is not None, line
        estimate, low, high = map(float, found.groups()[:3])
        assert found[4] == ("slower" if low > 2 else "indistinguishable" if high < 2 else "inconclusive")
        assert estimate == pytest.approx(expected, rel=0.1)
        assert low < estimate < high
    assert sum("in real time ticks follow the build computer's clock" in line for line in lines) == 2
    assert "exit-costs-1, fitted to 6 cells of demo-" in lines[-1]


def test_orch_predict_is_told_as_json_and_from_a_file(facts: RunFacts, workload: Path, tmp_path: Path) -> None:
    law = tmp_path / "law.yaml"
    write_law(law, law_of([facts]))
    told = run_orch("predict", str(workload), "--law", str(law), "--json", "--set", "models=[alexnet]")
    assert told.exit_code == 0, told.output
    said = json.loads(told.output)
    assert (said["law"], said["estimator"]) == ("exit-costs-1", "ratio-of-sums-1")
    cell, fast = said["cells"]
    assert sum(cell["points"].values()) == pytest.approx(100 * cell["overhead"])
    assert cell["low"] < cell["overhead"] < cell["high"]
    assert "overhead" not in fast
    both = run_orch("predict", str(workload), "--law", str(law), "--from", "latest")
    assert "give either --law FILE or --from RUN" in str(both.exception)


def test_the_length_of_a_model_that_was_fitted_is_known(facts: RunFacts) -> None:
    """A model that the law's cells have: how long its inference is, and hence how many ticks fall into the run."""
    law = law_of([facts])
    said = predict(law, Rates(icount_shift=0, host_hz=100, guest_hz=100), "one int8")
    assert said.ticks == pytest.approx(2.2, rel=0.02)  # of 22 million instructions, one in ten million


def test_a_planned_run_that_would_say_nothing_is_told(facts: RunFacts, workload: Path, tmp_path: Path) -> None:
    law = tmp_path / "law.yaml"
    write_law(law, law_of([facts]).model_copy(update={"work": {"alexnet int8": 18e6}}))
    told = run_orch("predict", str(workload), "--law", str(law), "--set", "iterations=1")
    assert told.exit_code == 0, told.output
    (alexnet,) = (line for line in told.output.splitlines() if line.startswith("alexnet") and "shift" in line)
    assert alexnet.endswith("(a run of it would have too few ticks: 2 iterations a boot would do)")


def test_without_a_law_there_is_a_hint(workload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.analysis.law.SHIPPED", tmp_path / "none.yaml")
    told = run_orch("predict", str(workload))
    assert isinstance(told.exception, UsageError)
    assert "`make bench-law` makes one" in (told.exception.hint or "")
    missing = run_orch("predict", str(workload), "--law", str(tmp_path / "none.yaml"))
    assert "no such file" in str(missing.exception)


def section(facts: RunFacts) -> str:
    """The text of the section alone."""
    items = tuple(SECTIONS["law"].build(facts))
    page = render(Page("t", "s", Word("ok"), (), (Section("law", "The law", items),)))
    body = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL).split('<section id="law"')[1].split("</section>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_report_draws_predicted_against_counted(
    facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a shipped law each cell by the others; with one by that, and a cell of its own by its others."""
    shipped = tmp_path / "law.yaml"
    monkeypatch.setattr("orchestrator.analysis.law.SHIPPED", shipped)
    told = section(facts)
    assert "Each cell is predicted from the others of this run, from those with other ticks where they" in told
    assert "fitted to the cells of this run" in told
    assert "Published overheads beside" in told
    assert "MobileNet v1 1.0 224 +20.26" in told
    assert all(text in told for text in DIFFERS)
    write_law(shipped, fit([counted(Truth(), model, rates) for model, rates in CALIBRATED]))
    other = section(facts)
    assert "The law was fitted to 6 cells of other runs: median error" in other
    assert "The law was fitted to another stack than this run's" in other


def test_prices_of_exits_by_kind(folder: Path) -> None:
    """What occurs equally often in all executions, or never, has no price, and says why."""
    samples = load_run(folder).samples
    prices = {(each.world, each.kind): each for each in exit_prices(samples)}
    assert prices[World.REALM, "tick"].reason == "as many in each execution"
    ticks = prices[World.VM, "any"]
    assert ticks.parts is not None
    assert ticks.total == pytest.approx(sum(VM_EXIT.values()), rel=0.05)
    assert ticks.parts[Component.HOST_KERNEL] == pytest.approx(VM_EXIT["host_kernel"], rel=0.05)
    faults = samples[samples["metric"] == "exits_irq"].assign(metric="exits_fault_protected")
    faults["value"] = np.where(faults["world"] == "realm", 1000.0 * faults["cell_id"].str.len(), 0.0)
    priced = pd.concat([samples, faults], ignore_index=True)
    more = (priced["phase"] == "load") & (priced["component"] == "rmm") & (priced["world"] == "realm")
    priced.loc[more, "value"] += 2_000.0 * 1000 * priced.loc[more, "cell_id"].str.len()
    found = {(each.world, each.kind): each for each in exit_prices(priced)}
    assert "SGI" not in {kind for _, kind in found}
    assert found[World.REALM, "fault"].reason is None
    assert found[World.REALM, "FP trap"].reason == "none occurred"  # all exits of the synthetic realm reach its host


# --- the benchmark ----------------------------------------------------------------------------------------------------


def benchmark() -> Any:
    path = Path(__file__).resolve().parents[3] / "benchmarks/law.py"
    spec = importlib.util.spec_from_file_location("law_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_s_cells_tell_the_kinds_and_are_enough() -> None:
    bench = benchmark()
    for cells in (*bench.CALIBRATION, *bench.UNSEEN, bench.KINDS):
        assert Workload.model_validate(cells.workload(3)).name.startswith("law-")
    unseen = [
        (model, memory, cells.ticks["host_hz"], cells.shift)
        for cells in bench.UNSEEN
        for model in cells.models
        for memory in np.atleast_1d(cells.workload(3)["memory_mib"]).tolist()
    ]
    assert len(unseen) == len(set(unseen))
    assert len(unseen) >= bench.CELLS_BAR
    known = {(model, c.ticks["host_hz"], c.shift) for c in bench.CALIBRATION for model in c.models}
    assert {model for model, _, host, shift in unseen if (model, host, shift) in known} == {bench.MOBILE}  # as float32
    rates = [Rates(icount_shift=c.shift, **c.ticks) for c in bench.CALIBRATION]
    law = fit([counted(Truth(), model, (r.icount_shift, r.host_hz, r.guest_hz)) for r in rates for model in MODELS])
    assert law.kinds == ("host tick", "guest tick")


def test_the_benchmark_says_what_is_not_as_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    bench, truth = benchmark(), Truth()
    cells = [counted(truth, model, rates) for model, rates in UNSEEN]
    compared = against(calibrated(truth), cells)
    bench.show(compared)
    assert bench.judge(compared) == []
    assert capsys.readouterr().out.count("%  [") == len(UNSEEN)
    wrong = [replace(each, predicted=1.3 * each.cell.measured) for each in compared]
    assert bench.judge(wrong[:3]) == [
        *("median error 30.0 % (bar: 10)", "worst error 30.0 % (bar: 25)", "3 cells (bar: 12)"),
    ]
