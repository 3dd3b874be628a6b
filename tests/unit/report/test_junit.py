# SPDX-License-Identifier: Apache-2.0
"""What a CI system is told: every step, check and comparison, with JUnit's four outcomes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from junitparser import JUnitXml, TestCase
from synthetic import Cell, Plan, make_run

from orchestrator.analysis.compare import compare
from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.facts import gather
from orchestrator.errors import UsageError
from orchestrator.report.junit import comparison_xml, publish, run_xml
from orchestrator.runs.reading import load_run

CELL, OTHER = Cell(), Cell("another-cell", model="another")
NIGHT = Plan(cells=(CELL,), boots=2, iterations=3, warmups=1)
EL0 = "instructions at EL0 of vm and realm are equal, but for one an exit"
SUMS = "components add up to all instructions"
PRIVACY = "the host gets nothing of the realm"
WHOLE = "the run reached its end"


def suites(folder: Path) -> dict[str, list[TestCase]]:
    return by_suite(run_xml(gather(load_run(folder))))


def by_suite(data: bytes) -> dict[str, list[TestCase]]:
    document = JUnitXml.fromstring(data)
    for suite in document:
        cases = list(suite)
        outcomes = [outcome(case) for case in cases]
        counted = (suite.tests, suite.failures, suite.errors, suite.skipped)
        assert counted == (len(cases), *(outcomes.count(each) for each in ("Failure", "Error", "Skipped")))
    return {suite.name: list(suite) for suite in document}


def outcome(case: TestCase) -> str:
    return type(case.result[0]).__name__ if case.result else "passed"


def checks(folder: Path) -> dict[str, str]:
    return {case.name: outcome(case) for case in suites(folder)["checks"]}


def change(path: Path, where: dict[str, str], **values: str) -> None:
    """Give rows of a table other values."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    chosen = (frame[list(where)] == pd.Series(where)).all(axis=1)
    assert chosen.any()
    frame.loc[chosen, list(values)] = list(values.values())
    frame.to_csv(path, index=False, lineterminator="\n")


def with_steps(folder: Path, *steps: dict[str, object], **more: object) -> Path:
    facts = yaml.safe_load((folder / "run.yaml").read_text())
    (folder / "run.yaml").write_text(yaml.safe_dump(facts | {"steps": list(steps)} | more))
    return folder


def test_outcomes_stay_apart(tmp_path: Path) -> None:
    place = {"cell_id": CELL.cell_id, "boot_id": 0}
    folder = with_steps(
        make_run(tmp_path, NIGHT),
        {**place, "world": "realm", "status": "ok"},
        {**place, "world": "vm", "status": "failed", "note": "another answer"},
        {**place, "world": "host", "status": "error", "note": "panic \x1b[31m\x00 & <end>"},
        {**place, "world": "host", "boot_id": 1, "status": "skipped", "note": "no machine"},
        {**place, "world": "vm", "boot_id": 1, "status": "ok", "note": "3 packets"},
        {**place, "world": "vm", "boot_id": 2, "status": "of a later version"},
    )
    cases = suites(folder)["steps"]
    assert [outcome(case) for case in cases] == ["passed", "Failure", "Error", "Skipped", "passed", "Error"]
    assert [case.classname for case in cases[:2]] == ["demo.realm", "demo.vm"]
    assert cases[0].name == f"{CELL.cell_id}, boot 0"
    assert [case.result[0].message for case in cases[1:4]] == [
        "another answer",
        "panic \ufffd[31m\ufffd & <end>",
        "no machine",
    ]
    assert cases[4].system_out == "3 packets"
    assert len({(case.classname, case.name) for case in cases}) == len(cases)


def test_a_step_takes_what_its_last_attempt_took(tmp_path: Path) -> None:
    key, place = "c/vm/0", {"cell_id": CELL.cell_id, "world": "vm"}
    folder = with_steps(
        make_run(tmp_path, NIGHT), {**place, "boot_id": 0, "status": "error"}, {**place, "boot_id": 2, "status": "ok"}
    )
    events: list[dict[str, object]] = [
        {"event": "deploy", "step": key, "seconds": 40.0},
        {"event": "step-done", "key": key, "boot_id": 0, **place, "status": "ok"},
        {"event": "step-done", "key": key, "boot_id": 0, **place, "status": "failed"},  # its twin differs
        {"event": "boot-begin", "boot_id": 1},
        {"event": "deploy", "step": key, "seconds": 7.0},  # and was killed
        {"event": "boot-begin", "boot_id": 2},
        {"event": "boot", "seconds": 9.0},
        {"event": "deploy", "step": key, "seconds": 1.5},
        {"event": "measure", "step": key, "seconds": 2.25},
        {"event": "step-done", "key": key, "boot_id": 2, **place, "status": "ok"},
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert [case.time for case in suites(folder)["steps"]] == [40.0, 3.75]


def test_a_foreign_folder_is_no_internal_error(tmp_path: Path) -> None:
    """Names that no XML holds, and a journal that somebody else wrote."""
    folder = with_steps(
        make_run(tmp_path, NIGHT), {"cell_id": "a\x01", "world": "vm", "boot_id": 0, "status": "ok"}, name="b\x02"
    )
    events = [
        {"event": "deploy", "step": ["k"], "seconds": "long"},
        {"event": "step-done", "key": ["k"], "cell_id": [], "world": {}},
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (case,) = suites(folder)["steps"]
    assert (case.name, case.classname) == ("a\ufffd, boot 0", "b\ufffd.vm")


def test_files_of_a_night_go_where_they_can_be_found(tmp_path: Path) -> None:
    run, results = tmp_path / "run", tmp_path / "results"
    run.mkdir()
    results.mkdir()
    (run / "junit.xml").write_text("new")
    (results / "junit-compare.xml").write_text("of another night")
    publish(results, run)
    assert {path.name: path.read_text() for path in results.iterdir()} == {"junit.xml": "new"}
    publish(results, None)
    assert not list(results.iterdir())
    with pytest.raises(UsageError, match="no folder for runs: Not a directory"):
        publish(run / "junit.xml", None)


def test_checks_pass_fail_or_have_nothing_to_look_at(tmp_path: Path) -> None:
    good = {WHOLE: "passed", EL0: "passed", SUMS: "passed", PRIVACY: "passed"}
    assert checks(make_run(tmp_path / "good", NIGHT)) == good
    off = make_run(tmp_path / "off", NIGHT.but(el0_off=10_000_000), privacy=False)
    assert checks(off) == good | {EL0: "Failure", PRIVACY: "Skipped"}
    gap = make_run(tmp_path / "gap", NIGHT, privacy=False)
    change(gap / "samples.csv", {"world": "vm", "component": "host_kernel", "phase": "infer"}, value="1")
    assert checks(gap) == good | {SUMS: "Failure", PRIVACY: "Skipped"}
    alone = make_run(tmp_path / "alone", NIGHT.but(worlds=("host",)), privacy=False)
    assert checks(alone) == good | {EL0: "Skipped", PRIVACY: "Skipped"}
    cut = with_steps(make_run(tmp_path / "cut", NIGHT), cause="Ctrl-C")
    assert checks(cut) == good | {WHOLE: "Failure"}
    killed = with_steps(make_run(tmp_path / "killed", NIGHT), status="running", ended_utc=None)
    assert checks(killed) == good | {WHOLE: "Failure"}


def privacy_of(folder: Path) -> TestCase:
    (case,) = (case for case in suites(folder)["checks"] if case.name == PRIVACY)
    return case


def test_a_leak_is_a_failure(tmp_path: Path) -> None:
    folder = make_run(tmp_path, NIGHT)
    change(folder / "privacy.csv", {"world": "realm", "metric": "blocks_recovered", "control": "0"}, value="0.5")
    assert "the host can read 50.00% of the model" in privacy_of(folder).result[0].message


def test_a_search_without_a_result_has_not_passed(tmp_path: Path) -> None:
    """Also where the failed step tells of it: here it is the check that cannot be made."""
    failed = with_steps(
        make_run(tmp_path / "failed", NIGHT), {"cell_id": CELL.cell_id, "world": "realm", "status": "error"}
    )
    change(failed / "privacy.csv", {"world": "realm"}, value="", status="failed", note="the control found 3 %")
    assert privacy_of(failed).result[0].message == "memory-scan: failed: the control found 3 %"
    others = make_run(tmp_path / "others", NIGHT)
    change(others / "privacy.csv", {"world": "realm"}, world="vm")
    assert outcome(privacy_of(others)) == "Skipped"


def test_a_comparison_tells_what_is_slower_lost_or_not_comparable(tmp_path: Path) -> None:
    both = NIGHT.but(cells=(CELL, OTHER))
    before = load_run(make_run(tmp_path, both))
    slower = both.but(seed=2, slowdown=1.05, broken=((OTHER.cell_id, "vm"),))
    now = load_run(make_run(tmp_path, slower))
    ((name, cases),) = by_suite(comparison_xml(before, now, compare(before, now, 0.02))).items()
    assert name == f"{slower.run_id} against {both.run_id}"
    failed = {(case.classname, case.name) for case in cases if outcome(case) == "Failure"}
    assert (f"{CELL.cell_id}.realm", "infer: instructions") in failed
    assert ("demo", f"{OTHER.cell_id}/vm: an inference") in failed
    assert (f"{CELL.cell_id}.vm", "infer: instructions") not in failed
    (told,) = (case for case in cases if (case.classname, case.name) == (f"{CELL.cell_id}.vm", "infer: instructions"))
    assert told.system_out.startswith("indistinguishable: 1.000")

    other = NIGHT.but(seed=3, cells=(Cell(guest_hz=250),))
    apart = load_run(make_run(tmp_path, other))
    ((_, cases),) = by_suite(comparison_xml(before, apart, compare(before, apart, 0.02))).items()
    assert [outcome(case) for case in cases] == ["Skipped"]


def test_overheads_are_cases_that_name_their_estimator(tmp_path: Path) -> None:
    """An overhead is no failure, and one that too few ticks fell into is no result either."""
    short = Cell("short-x", icount_shift=0, host_hz=100, user=440_000)
    data = run_xml(gather(load_run(make_run(tmp_path, NIGHT.but(cells=(CELL, short), boot_noise=0.0)))))
    (suite,) = (each for each in JUnitXml.fromstring(data) if each.name == "overheads")
    assert {(each.name, each.value) for each in suite.properties()} == {("estimator", ESTIMATOR)}
    told, few = list(suite)
    assert outcome(told) == "passed"
    assert told.system_out.startswith("slower: 1.14")
    assert outcome(few) == "Skipped"
    assert re.search(r"too few ticks: .* iterations a boot would do", few.result[0].message)
    other = load_run(make_run(tmp_path, NIGHT.but(seed=2, cells=(short,), boot_noise=0.0)))
    more = replace(other, samples=other.samples.assign(value=other.samples["value"] + 1))  # else it is identical
    comparison = comparison_xml(other, more, compare(other, more, 0.02))
    (suite,) = JUnitXml.fromstring(comparison)
    assert [each.value for each in suite.properties()] == [ESTIMATOR]
    (infer,) = (case for case in suite if (case.classname, case.name) == (f"{short.cell_id}.vm", "infer: instructions"))
    assert outcome(infer) == "Skipped"
    assert re.search("too few ticks: 1.0000 .*iterations a boot would do", infer.result[0].message)
