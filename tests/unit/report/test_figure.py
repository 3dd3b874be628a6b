# SPDX-License-Identifier: Apache-2.0
"""The picture of a run for a README: an SVG that stands alone, with the run's own numbers."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from click.testing import CliRunner
from synthetic import QUIET, Cell, Plan, make_run

from orchestrator.analysis.facts import gather
from orchestrator.cli.main import orch
from orchestrator.errors import UsageError
from orchestrator.report.figure import draw_figure
from orchestrator.runs.reading import load_run
from orchestrator.words import INFER, World

PLAN = Plan(cells=(Cell(),), boots=2, iterations=3, warmups=1)


def drawn(results: Path, plan: Plan, **options: bool) -> str:
    return draw_figure(gather(load_run(make_run(results, plan, **options))))


def texts(svg: str) -> list[str]:
    tree = ElementTree.fromstring(svg)
    return ["".join(each.itertext()).strip() for each in tree.iter() if each.tag.endswith("text")]


def test_it_says_what_the_run_says(tmp_path: Path) -> None:
    facts = gather(load_run(make_run(tmp_path, PLAN)))
    svg = draw_figure(facts)
    said = texts(svg)
    assert {"host", "normal VM", "realm", "all 4,096 blocks", "4,088 of 4,096 blocks", "0 of 4,096 blocks"} <= set(said)
    ratio = facts.cells[0].over_vm[World.REALM, INFER]
    assert f"+{100 * (ratio.estimate - 1):.2f} %" in said
    assert f"[+{100 * (ratio.low - 1):.2f}, +{100 * (ratio.high - 1):.2f}]" in said
    assert any("2 boots \u00d7 3" in text for text in said)
    assert facts.run.info.run_id in svg


def test_it_stands_alone_and_is_the_same_each_time(tmp_path: Path) -> None:
    svg = drawn(tmp_path / "a", PLAN.but(cells=(Cell(), QUIET)))
    assert svg == drawn(tmp_path / "b", PLAN.but(cells=(Cell(), QUIET)))
    root = ElementTree.fromstring(svg)
    assert float(root.attrib["width"]) / float(root.attrib["height"]) == pytest.approx(2.5, abs=1)
    assert "var(" not in svg
    assert "SPDX-License-Identifier: Apache-2.0" in svg
    assert set(re.findall(r"https?://[^\s\"'<]+", svg)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    known = {each.attrib["id"] for each in root.iter() if "id" in each.attrib}
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg)) <= known
    assert len([text for text in texts(svg) if text == "realm"]) == 2


def test_a_leak_is_drawn_as_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path, PLAN)
    path = folder / "privacy.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    chosen = (frame["world"] == "realm") & (frame["in_verdict"] == "1")
    frame.loc[chosen, ["value", "ci_low", "ci_high"]] = ["0.25", "0.24", "0.26"]
    frame.to_csv(path, index=False, lineterminator="\n")
    said = texts(draw_figure(gather(load_run(folder))))
    assert "1,024 of 4,096 blocks" in said
    assert "0 of 4,096 blocks" not in said


@pytest.mark.parametrize(("worlds", "privacy"), [(("host", "vm"), True), (("host", "vm", "realm"), False)])
def test_a_run_without_one_of_both_is_told(tmp_path: Path, worlds: tuple[str, ...], privacy: bool) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        drawn(tmp_path, PLAN.but(worlds=worlds), privacy=privacy)


def test_orch_report_writes_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path, PLAN)
    out = tmp_path / "result.svg"
    result = CliRunner().invoke(orch, ["report", str(folder), "--figure", str(out)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == str(out)
    assert ElementTree.parse(out).getroot().tag.endswith("svg")
    nowhere = CliRunner().invoke(orch, ["report", str(folder), "--figure", str(tmp_path / "none/result.svg")])
    assert isinstance(nowhere.exception, UsageError)
    assert "cannot be written" in nowhere.exception.message
