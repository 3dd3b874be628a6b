# SPDX-License-Identifier: Apache-2.0
"""Workload files: mistakes have a place, axes span the matrix, the published schema is the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import UsageError
from orchestrator.experiment.conduct import _with_paths
from orchestrator.experiment.plan import cells_of, plan
from orchestrator.schema.workload import OutputOf, OwnModel, Workload
from orchestrator.schema.yamlfile import load, loads

ROOT = Path(__file__).resolve().parents[3]
SMALL = "name: w\nmodels: fashion_cnn\n"


def workload(text: str = SMALL, *changes: str) -> Workload:
    return loads(text, "w.yaml", Workload, changes)


@pytest.mark.parametrize("path", sorted((ROOT / "workloads").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_files_are_valid(path: Path) -> None:
    assert plan(load(path, Workload))


def test_the_paper_table_tells_ticks_and_virtual_time_apart() -> None:
    """Its own regime, a quieter one, and what lies between them: 2 x 2."""
    cells = cells_of(load(ROOT / "workloads/paper-table.yaml", Workload))
    found = {(cell.machine.ticks.host_hz, cell.machine.timing.shift) for cell in cells}
    assert found == {(1000, 3), (1000, 0), (100, 3), (100, 0)}
    assert {(cell.machine.ticks.guest_hz, cell.machine.timing.mode) for cell in cells} == {(100, "deterministic")}


def test_the_published_schema_is_that_of_the_model() -> None:
    published = json.loads((ROOT / "docs/workload.schema.json").read_text(encoding="utf-8"))
    assert published == Workload.model_json_schema(), "`orch schema >docs/workload.schema.json`"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALL + "iteratons: 3\n", "w.yaml:3:1: iteratons: unknown key; did you mean 'iterations'?"),
        (
            SMALL + "output: [score]\n",
            "w.yaml:3:10: output.0: Input should be 'scores', 'topk', 'top1', 'label', 'keypoints'",
        ),
        (
            SMALL + "timing: [{shift: 1}, {shfit: 0}]\n",
            "w.yaml:3:23: timing.1.shfit: unknown key; did you mean 'shift'?",
        ),
        ("name: w\nmodels: [a, a]\n", "w.yaml:2:1: models: a value is given twice"),
        ("name: w\nmodels:\n- {name: x, quantization: int8}\n", "w.yaml:3:3: models.0.path: Field required"),
        (
            "name: w\nmodels:\n- {name: x, pth: y}\n",
            "w.yaml:3:13: models.0.pth: unknown key; did you mean 'path'?",
        ),
        ("name: w\n", "w.yaml:1:1: models: Field required"),
        (SMALL + "threads: 2\n", "'threads' may be 'vcpus' at most"),
        (SMALL + "vcpus: 2\n", "a deterministic machine has one CPU"),
        (SMALL + "inputs: {labels: [1]}\n", "w.yaml:3:1: inputs: 'labels' are those of 'files'"),
        (SMALL + "boots: 0\n", "w.yaml:3:1: boots: Input should be greater than or equal to 1"),
        (SMALL + "boots: 1\nboots: 2\n", "w.yaml:4:1: key 'boots' is given twice"),
    ],
)
def test_mistakes_have_their_place(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        workload(text)
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("boots", "--set boots: expected KEY=VALUE"),
        ("boots=x", "--set boots=x: boots: Input should be a valid integer"),
        ("botts=3", "--set botts=3: botts: unknown key; did you mean 'boots'?"),
        ("timing.mode=slow", "--set timing.mode=slow: timing.mode: Input should be 'deterministic' or 'fast'"),
        ("name.x=1", "--set name.x=1: 'name' has no keys of its own"),
        ("boots=[", "--set boots=[: the value is not valid YAML"),
    ],
)
def test_a_wrong_change_names_itself(change: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        workload(SMALL, change)
    assert caught.value.message.startswith(expected)


def test_changes_win_over_the_file() -> None:
    changed = workload(SMALL + "boots: 2\ninputs: {count: 3}\n", "boots=5", "inputs.count=4", "timing={shift: 0}")
    assert (changed.boots, changed.inputs.count, changed.timing[0].shift) == (5, 4, 0)


def test_one_value_is_a_list_of_one() -> None:
    assert workload(SMALL).models == ("fashion_cnn",)
    assert workload(SMALL + "output: label\n").output == ("label",)


def test_axes_span_the_matrix() -> None:
    text = (
        SMALL
        + "quantization: [int8, float32]\noutput: [scores, label]\n"
        + "memory_mib: [128, 256]\nticks: [{}, {host_hz: 1000}]\n"
    )
    cells = cells_of(workload(text))
    assert len(cells) == len({cell.cell_id for cell in cells}) == 16


def test_an_own_model_has_the_quantization_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "b.tflite").write_bytes(b"b")
    text = "name: w\nmodels: [a, {name: b, path: b.tflite, quantization: int8}]\nquantization: [float32, int8]\n"
    assert [(cell.model, cell.quantization) for cell in cells_of(workload(text), tmp_path)] == [
        ("a", "float32"),
        ("a", "int8"),
        ("b", "int8"),
    ]


OWN = "name: w\nmodels: {name: b, path: %s, quantization: int8}\n"


def test_an_own_model_is_what_is_in_its_file(tmp_path: Path) -> None:
    """Not where it lies: the copy of the workload in a run's folder names it by its absolute path."""
    for folder, content in (("one", b"a"), ("other", b"a"), ("changed", b"b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "b.tflite").write_bytes(content)
    (relative,) = cells_of(workload(OWN % "b.tflite"), tmp_path / "one")
    (absolute,) = cells_of(workload(OWN % (tmp_path / "other/b.tflite")), tmp_path)
    (changed,) = cells_of(workload(OWN % "b.tflite"), tmp_path / "changed")
    assert relative.cell_id == absolute.cell_id != changed.cell_id
    with pytest.raises(UsageError, match=r"model b: .*none\.tflite: cannot be read"):
        cells_of(workload(OWN % "none.tflite"), tmp_path)


def test_all_realms_come_before_anything_that_leaves_a_model_in_the_host() -> None:
    (boot,) = plan(workload(SMALL + "memory_mib: [128, 256]\n")).values()
    worlds = [(session.world, session.guest.memory_mib) for session in boot.sessions]
    assert worlds == [("realm", 128), ("realm", 256), ("vm", 128), ("vm", 256), ("host", 128), ("host", 256)]


def test_every_boot_has_every_world_once_and_one_guest_at_a_time() -> None:
    boots = tuple(plan(workload(SMALL + "boots: 3\nquantization: [int8, float32]\n")).values())
    assert [boot.number for boot in boots] == [0, 1, 2]
    for boot in boots:
        assert [session.world for session in boot.sessions] == ["realm", "vm", "host"]
        assert len(boot.steps) == len({step.key for step in boot.steps}) == 6


def test_what_is_done_is_not_planned_again() -> None:
    whole = tuple(plan(workload(SMALL + "boots: 2\n")).values())
    done = frozenset(step.key for step in whole[0].steps) | {whole[1].steps[0].key}
    (left,) = plan(workload(SMALL + "boots: 2\n"), done).values()
    assert (left.number, [step.world for step in left.steps]) == (1, ["vm", "host"])
    assert plan(workload(SMALL + "boots: 2\n"), done | {step.key for step in left.steps}) == {}


def test_a_cell_keeps_its_id() -> None:
    one, other = (cells_of(workload(SMALL + text))[0] for text in ("", "boots: 9\niterations: 3\n"))
    assert one.cell_id == other.cell_id
    assert cells_of(workload(SMALL + "memory_mib: 128\n"))[0].cell_id != one.cell_id


def test_what_is_saved_of_a_workload_can_be_run_from_anywhere(tmp_path: Path) -> None:
    """Paths of a model's own inputs as well; and all keys that nobody said are taken back."""
    text = """
name: w
models:
  - {name: a, path: a.tflite, inputs: {tensors: {x: {files: [x.npy]}}}, output: {read: topk, tensor: y, top: 3}}
  - {name: b, path: b.tflite, inputs: {files: [y.npy], range: [0, 4], preprocess: {mean: [1, 2, 3]}}}
output: raw
"""
    saved = _with_paths(loads(text, "w.yaml", Workload), tmp_path)
    again = loads(yaml.safe_dump(saved), "saved.yaml", Workload)
    assert [str(path) for path in again.input_files] == [f"{tmp_path}/x.npy", f"{tmp_path}/y.npy"]
    one, two = again.models
    assert isinstance(one, OwnModel)
    assert isinstance(two, OwnModel)
    assert (one.path, one.output) == (tmp_path / "a.tflite", OutputOf(read="topk", tensor="y", top=3))
    assert two.inputs is not None
    assert (two.inputs.range, two.inputs.preparation.mean) == ((0, 4), (1, 2, 3))
    assert again.output == ("raw",)
