# SPDX-License-Identifier: Apache-2.0
"""A phase, a metric and a section that the package has never heard of: one record each, and they are everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from junitparser import JUnitXml
from synthetic import Cell, Plan, make_run

from orchestrator.analysis.compare import compare
from orchestrator.analysis.facts import TOTAL, RunFacts, gather
from orchestrator.errors import UsageError
from orchestrator.report.compare_page import lines
from orchestrator.report.html import render
from orchestrator.report.junit import comparison_xml, run_xml
from orchestrator.report.model import Item, Paragraph
from orchestrator.report.section import SECTIONS, SectionKind, in_order
from orchestrator.report.story import alarms, sentences, tell
from orchestrator.report.style import component_colour, component_name, world_colour, world_mark, world_name
from orchestrator.report.tables import write_comparison, write_tables
from orchestrator.runs.reading import load_run
from orchestrator.schema.samples import SAMPLES, PrivacyRow, SampleRow, append_privacy, append_samples
from orchestrator.words import METRICS, PHASES, Component, Method, Metric, Owner, Phase, World

CELL = Cell()
PLAN = Plan(cells=(CELL,), boots=3, iterations=4, warmups=1)
DECRYPT = Phase("decrypt", event=40, owner=Owner.STEP, label="decryption", meaning="a model is opened", in_total=True)
MISSES = Metric("cache_misses", {Method.PROCFS: "1"}, "misses of a cache that nobody has", judged=True)
SHARE = 0.05  # of a load's instructions that opening takes
SLOWDOWN = 3  # of it in a realm


@pytest.fixture
def words() -> Iterator[None]:
    with PHASES.extended(DECRYPT), METRICS.extended(MISSES):
        yield


def add_toys(folder: Path, factor: float = 1.0) -> Path:
    """A phase `decrypt` before each load, and misses of each inference."""
    made = []
    for row in SAMPLES.rows(folder / "samples.csv"):
        slow = SLOWDOWN * factor if row.world is World.REALM else 1.0
        if row.phase == "load" and row.metric == "instructions" and row.component is not Component.ALL:
            made.append(changed(row, phase="decrypt", value=round(row.value * SHARE * slow)))
        elif row.phase == "infer" and row.metric == "instructions" and row.component is Component.ALL:
            changes = {"metric": "cache_misses", "method": "procfs", "component": "guest_user"}
            made.append(changed(row, **changes, value=round(row.value / 1000 * slow)))
    append_samples(folder / "samples.csv", [*made, *wholes(made)])
    return folder


def wholes(parts: list[SampleRow]) -> Iterator[SampleRow]:
    by_boot: dict[tuple[str, int | None], list[SampleRow]] = {}
    for row in parts:
        if row.phase == "decrypt":
            by_boot.setdefault((row.world, row.boot_id), []).append(row)
    for rows in by_boot.values():
        yield changed(rows[0], component="all", value=sum(row.value for row in rows))


def changed(row: SampleRow, **changes: Any) -> SampleRow:
    return SampleRow.model_validate(row.model_dump() | changes)


@pytest.fixture
def facts(tmp_path: Path, words: None) -> RunFacts:
    return gather(load_run(add_toys(make_run(tmp_path, PLAN))))


def sections(facts: RunFacts) -> dict[str, str]:
    """The text of each section of the page, figures left out."""
    page = re.sub(r"<svg.*?</svg>", "", render(tell(facts)), flags=re.DOTALL)
    found = re.findall(r'<section id="(\w+)"[^>]*>(.*?)</section>', page, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", body).split()) for name, body in found}


@pytest.mark.usefixtures("unrendered")
def test_they_are_in_the_samples_and_the_summary(facts: RunFacts) -> None:
    folder = facts.run.folder
    write_tables(folder)
    summary = pd.read_csv(folder / "summary.csv")
    opened = summary[(summary["phase"] == "decrypt") & (summary["component"] == "all")].set_index("world")
    assert list(opened.index) == ["host", "vm", "realm"]
    assert opened.loc["realm", "ratio_to_vm"] == pytest.approx(SLOWDOWN * 1.2, rel=0.2)
    assert opened.loc["realm", "verdict"] == "slower"
    assert list(summary.loc[summary["world"] == "realm", "phase"].unique())[-1] == "decrypt"  # as it was registered
    missed = summary[summary["metric"] == "cache_misses"].set_index("world")
    assert missed.loc["realm", "verdict"] == "slower"  # less of it is better
    twin = pd.read_parquet(folder / "samples.parquet")
    assert {"cache_misses"} <= set(twin["metric"])
    assert {"decrypt"} <= set(twin["phase"])


def test_what_it_takes_is_part_of_load_and_one_inference(facts: RunFacts, tmp_path: Path) -> None:
    plain = gather(load_run(make_run(tmp_path / "plain", PLAN))).cells[0]
    cell = facts.cells[0]
    assert cell.all_phases.phases[-1] == "decrypt"
    assert cell.all_phases.points(phase="decrypt") > 0
    assert cell.over_vm[World.REALM, TOTAL].estimate > plain.over_vm[World.REALM, TOTAL].estimate
    assert plain.all_phases is not None  # a run without it has its total as before
    assert plain.over_vm[World.REALM, TOTAL].estimate is not None
    assert (World.REALM, "decrypt") not in plain.over_vm


def test_they_are_in_the_report(facts: RunFacts) -> None:
    told = sections(facts)
    assert "decryption" in told["where"]
    other = told["other"]
    assert "cache_misses, count (procfs)" in other
    assert "Misses of a cache that nobody has." in other
    line = r"cache_misses, count .*?normal VM 3 \u00d7 4 ([\d,]+) .*? realm 3 \u00d7 4 ([\d,]+) .*?(\+\d+)"
    row = re.search(line, other)
    assert row is not None
    vm, realm = (float(row[place].replace(",", "")) for place in (1, 2))
    assert 100 * (realm / vm - 1) == pytest.approx(float(row[3]), abs=1)
    drawn = render(tell(facts)).split('id="phases"')[1].split("</figure>")[0]
    assert "decryption" in drawn


def test_they_are_in_comparisons_and_junit(facts: RunFacts, tmp_path: Path) -> None:
    other = PLAN.but(seed=2, started_utc="2026-02-01T12:00:00Z")
    later = load_run(add_toys(make_run(tmp_path, other), factor=1.5))
    comparison = compare(facts.run, later, 0.02)
    found = {(row.world, row.phase): row.verdict for row in comparison.rows}
    assert found["realm", "decrypt"] == "slower"
    assert any("decrypt" in line and "slower" in line for line in lines(comparison))
    cases = {case.name: case for suite in JUnitXml.fromstring(comparison_xml(facts.run, later, comparison))
             for case in suite if case.classname.endswith("realm")}  # fmt: skip
    assert type(cases["decrypt: instructions"].result[0]).__name__ == "Failure"
    page = write_comparison(tmp_path / "out", facts.run, later, comparison, 0.02)
    assert "decryption" in page.read_text(encoding="utf-8")


def test_its_components_are_checked_like_all_others(facts: RunFacts) -> None:
    name = "components add up to all instructions"
    (case,) = (case for suite in JUnitXml.fromstring(run_xml(facts)) for case in suite if case.name == name)
    assert not case.result
    samples = facts.run.samples.copy()
    wrong = (samples["phase"] == "decrypt") & (samples["component"] == "all")
    samples.loc[wrong, "value"] += 7
    broken = replace(facts, run=replace(facts.run, samples=samples))
    (case,) = (case for suite in JUnitXml.fromstring(run_xml(broken)) for case in suite if case.name == name)
    assert "do not, by up to 7" in case.result[0].message


def test_without_its_record_a_run_is_refused_with_a_reason(tmp_path: Path) -> None:
    with PHASES.extended(DECRYPT), METRICS.extended(MISSES):
        folder = add_toys(make_run(tmp_path, PLAN))
    with pytest.raises(UsageError, match=r"phase: .*expected one of boot, .*found 'decrypt'"):
        load_run(folder)


def test_a_metric_without_its_record_is_shown_without_its_meaning(tmp_path: Path) -> None:
    with METRICS.extended(MISSES):
        folder = make_run(tmp_path, PLAN)
        made = [row for row in SAMPLES.rows(folder / "samples.csv") if row.metric == "peak_rss"]
        append_samples(folder / "samples.csv", [changed(row, metric="cache_misses", unit="1") for row in made])
    told = sections(gather(load_run(folder)))["other"]
    assert "cache_misses, count (procfs)" in told
    assert "misses of a cache" not in told.lower()


def test_names_that_nobody_knows_have_colours_and_words() -> None:
    assert component_name("neural_engine") == "neural engine"
    assert world_name("enclave") == "enclave"
    for draw in (component_colour, world_colour):
        assert re.fullmatch("#[0-9a-f]{6}", draw("neural_engine"))
        assert draw("neural_engine") == draw("neural_engine")
    assert world_mark("enclave")


# --- sections ---------------------------------------------------------------------------------------------------------


def build(facts: RunFacts) -> list[Item]:
    missed = facts.rows[facts.rows["metric"] == "cache_misses"]
    return [Paragraph(f"{len(missed)} rows of misses")] if len(missed) else []


def toy(**more: Any) -> SectionKind:
    given: dict[str, Any] = {
        "name": "misses", "title": "Misses", "build": build, "shows": lambda metric, _phase: metric == "cache_misses",
    }  # fmt: skip
    return SectionKind(**given | more)


def test_a_section_of_ones_own_takes_its_metric_over(facts: RunFacts) -> None:
    own = toy(after="exits", sentences=lambda _: ["Caches miss."], alarms=lambda _: ["A cache is missing."])
    with SECTIONS.extended(own):
        told = sections(facts)
        names = list(told)
        assert told["misses"] == "Misses 36 rows of misses"
        assert names[names.index("exits") + 1] == "misses"
        assert "cache_misses" not in told["other"]
        assert sentences(facts)[-1] == "Caches miss."
        assert "A cache is missing." in alarms(facts)
        assert "A cache is missing." in tell(facts).alarms
    assert "misses" not in sections(facts)


def test_what_a_section_that_has_nothing_to_show_claims_is_shown(facts: RunFacts) -> None:
    with SECTIONS.extended(toy(build=lambda _: [])):
        told = sections(facts)
    assert "misses" not in told
    assert "cache_misses" in told["other"]


def test_figures_of_an_attack_have_their_place_in_a_section_or_in_the_general_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path, PLAN)
    row = {"run_id": PLAN.run_id, "cell_id": CELL.cell_id, "attack": "dream", "world": "realm", "model": CELL.model,
           "quantization": "int8", "metric": "sheep_counted", "value": 7, "unit": "1"}  # fmt: skip
    append_privacy(folder / "privacy.csv", [PrivacyRow.model_validate(row)])
    facts = gather(load_run(folder))
    assert "sheep counted 7" in sections(facts)["privacy"]
    own = toy(build=lambda _: [Paragraph("Seven.")], attacks=lambda attack, _metric: attack == "dream")
    with SECTIONS.extended(own):
        told = sections(facts)
        assert "sheep counted" not in told["privacy"]
        assert "blocks recovered" in told["privacy"]
        assert told["misses"] == "Misses Seven."


def test_every_section_is_what_it_is_registered_as() -> None:
    assert [kind.name for kind in in_order()] == list(SECTIONS)
    with SECTIONS.extended(toy(after="nowhere")), pytest.raises(UsageError, match="'misses' stands behind 'nowhere'"):
        in_order()
    with SECTIONS.extended(toy(name="a", after="what"), toy(name="b", after="a"), toy(name="c", after="what")):
        assert [kind.name for kind in in_order()][:6] == ["result", "what", "a", "b", "c", "attestation"]


def test_no_usable_row_is_without_a_place(facts: RunFacts) -> None:
    """What is observed is claimed by a section of the page or in the table of the rest."""
    told = sections(facts)["other"]
    claimed = [kind for kind in in_order() if not kind.rest]
    for metric, phase in {(row.metric, row.phase) for row in facts.summary}:
        if not any(kind.shows(metric, phase) for kind in claimed):
            assert f"{metric}, " in told
