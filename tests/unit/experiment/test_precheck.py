# SPDX-License-Identifier: Apache-2.0
"""What a workload asks for and nobody has is told with its place, before a plan is printed or anything is built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny_model
from click.testing import CliRunner

from orchestrator.cli.context import Context
from orchestrator.cli.run import run
from orchestrator.errors import UsageError
from orchestrator.experiment.collect import CALIBRATIONS
from orchestrator.experiment.conduct import open_workload, plan_lines
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.readings import check_output
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.schema.zoo import ModelDescription, TensorDescription
from orchestrator.testbed.project import Project
from orchestrator.trace.client import LOG_BYTES, RECORD_BYTES, TALLY_BYTES

ROOT = Path(__file__).resolve().parents[3]
SMALL = "name: w\nmodels: fashion_cnn\n"
HELD = 256 << 20  # bytes
VMM = "stack:\n  vmm: {command: x, worlds: [vm]}\n"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(folder: Path, text: str, *changes: str, testbed: str = "") -> Workload:
    """The workload `text` in `folder`, with a testbed file that says `testbed` as well."""
    (folder / "w.yaml").write_text(text, encoding="utf-8")
    shipped = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    (folder / "testbed.yaml").write_text(shipped + testbed, encoding="utf-8")
    return open_workload(folder / "w.yaml", changes, Project.open(folder / "testbed.yaml"))


def refused(folder: Path, text: str, *changes: str, testbed: str = "") -> str:
    with pytest.raises(UsageError) as caught:
        opened(folder, text, *changes, testbed=testbed)
    return caught.value.message.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name: w\nmodels: fashion_cn\n",
            "w.yaml:2:1: models: unknown model 'fashion_cn'; did you mean 'fashion_cnn'?",
        ),
        ("name: w\nmodels: [alexnet, nope]\n", "w.yaml:2:19: models.1: unknown model 'nope'"),
        ("name: w\nmodels: ''\n", "w.yaml:2:1: models: unknown model ''"),
        (
            "name: w\nmodels: [nope, n0]\n",
            "w.yaml:2:10: models.0: unknown model 'nope'\nw.yaml:2:16: models.1: unknown model 'n0'",
        ),
        (
            "name: w\nmodels:\n  - {name: a, path: a.tflite, quantization: int8}\n",
            "w.yaml:3:15: models.0.path: a.tflite: cannot be read: No such file or directory",
        ),
        (
            "name: w\nmodels: {name: a, path: w.yaml, quantization: int8}\n",
            "w.yaml:2:19: models.path: w.yaml: no TensorFlow Lite model",
        ),
        (SMALL + "inputs: {files: [w.yaml, b.npy]}\n", "w.yaml:3:26: inputs.files.1: b.npy: no such file"),
        (SMALL + "inputs: {mean: 3}\n", "w.yaml:3:10: inputs.mean: model fashion_cnn of the zoo has its own"),
        (SMALL + "inputs: {std: 2, mean: 0}\n", "w.yaml:3:10: inputs.std: model fashion_cnn of the zoo has its own"),
        (
            SMALL + "attacks: [memory-scan, dma]\nworlds: [host, vm]\n",
            "w.yaml:3:24: attacks.1: dma is done in the realm only, and `worlds` has none",
        ),
        (SMALL + "attacks: plain-channel\nworlds: host\n", "w.yaml:3:1: attacks: plain-channel is done in the realm"),
    ],
)
def test_what_is_not_there_has_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert refused(tmp_path, text).startswith(expected)


def test_the_change_that_gave_it_is_named(tmp_path: Path) -> None:
    expected = "--set models=fashion: models: unknown model 'fashion'; did you mean 'fashion_cnn'?"
    assert refused(tmp_path, SMALL, "models=fashion") == expected


def test_a_model_has_the_files_that_its_declaration_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.models.zoo import Zoo

    zoo = Zoo.load(ROOT)
    spec = zoo.models["fashion_cnn"]
    zoo.models["fashion_cnn"] = spec.model_copy(update={"files": {"float32": spec.files["float32"]}})
    monkeypatch.setattr(Zoo, "load", lambda _: zoo)
    assert refused(tmp_path, SMALL) == "w.yaml:2:1: models: model fashion_cnn has no int8 file"
    assert opened(tmp_path, SMALL + "quantization: float32\n")


def test_what_the_testbed_rules_out(tmp_path: Path) -> None:
    assert refused(tmp_path, SMALL + "worlds: [vm]\n", testbed=VMM).startswith(
        "w.yaml:1:1: pretouch.0: the testbed file's"
    )
    assert refused(tmp_path, SMALL + "pretouch: true\n", testbed=VMM).startswith("w.yaml:3:1: pretouch: ")
    assert opened(tmp_path, SMALL + "pretouch: false\n", testbed=VMM)
    assert opened(tmp_path, SMALL + "worlds: [host, realm]\n", testbed=VMM)
    kernel = "stack: {host_kernel: Image}\n"
    (tmp_path / "Image").write_bytes(bytes(56) + b"ARM\x64" + bytes(4))
    assert refused(tmp_path, SMALL + "worlds: [vm, realm]\n", testbed=kernel).startswith(
        "w.yaml:3:14: worlds.1: the realm"
    )
    assert opened(tmp_path, SMALL + "worlds: [host, vm]\n", testbed=kernel)


def test_a_deterministic_machine_of_two_cpus_cannot_be_counted(tmp_path: Path) -> None:
    shipped = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    assert shipped.count("\n    cpus: 1 ") == 1
    (tmp_path / "two.yaml").write_text(shipped.replace("\n    cpus: 1 ", "\n    cpus: 2 "), encoding="utf-8")
    project = Project.open(tmp_path / "two.yaml")
    (tmp_path / "w.yaml").write_text(SMALL + "timing: [{mode: fast}, {shift: 0}]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"w\.yaml:3:\d+: timing\.1: .*only 1 CPU can be counted"):
        open_workload(tmp_path / "w.yaml", (), project)
    assert open_workload(tmp_path / "w.yaml", ("timing={mode: fast}",), project)


def test_a_guest_has_room_for_its_bounce_buffers(tmp_path: Path) -> None:
    large = "guest: {memory_mib: 512, swiotlb_slabs: 65536}\n"
    expected = "w.yaml:3:19: memory_mib.1: 'swiotlb_slabs' (2 KiB each) may take half"
    assert refused(tmp_path, SMALL + "memory_mib: [512, 128]\n", testbed=large).startswith(expected)
    assert opened(tmp_path, SMALL + "worlds: host\nmemory_mib: 128\n", testbed=large)


def test_a_dry_run_prints_no_plan_of_what_cannot_be_done() -> None:
    words = ["--dry-run", str(ROOT / "workloads/smoke.yaml"), "--set"]
    wrong = CliRunner().invoke(run, [*words, "models=nope"], obj=Context())
    assert isinstance(wrong.exception, UsageError)
    assert wrong.exception.message.startswith("--set models=nope: models: unknown model 'nope'")
    assert wrong.output == ""
    right = CliRunner().invoke(run, [*words, "models=alexnet"], obj=Context())
    assert right.output.startswith("1 cells, 1 boots, 3 steps\n")


def test_the_plan_has_the_attacks(tmp_path: Path) -> None:
    workload = opened(tmp_path, SMALL + "boots: 2\nattacks: [plain-channel, memory-scan, dma]\n")
    ends = [
        line.partition(",")[2]
        for line in plan_lines(workload, tmp_path / "w.yaml", Project.open(ROOT / "testbed.yaml"))
        if line.startswith("  ")
    ]
    assert ends == [" then memory-scan, dma, plain-channel", " then memory-scan", " then memory-scan", "", "", ""]


# --- what only the model itself knows ---------------------------------------------------------------------------------


def check(text: str, description: ModelDescription) -> None:
    workload = loads(text, "w.yaml", Workload)
    for cell in cells_of(workload):
        check_output(cell, workload, description, HELD)


def ten_classes(kind: str = "INT8") -> ModelDescription:
    tensor = TensorDescription(name="scores", type=kind, shape=(1, 10), bytes=10)
    return ModelDescription(inputs=(tensor,), outputs=(tensor,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("output: [scores, topk]\ntop: 11\n", "top: 11: model fashion_cnn has 10 classes"),
        (
            "inputs: {files: [x], labels: [3, 10]}\n",
            "inputs.labels: 10: model fashion_cnn has 10 classes, counted",
        ),
    ],
)
def test_a_model_has_as_many_classes_as_it_has(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(SMALL + text, ten_classes())
    assert caught.value.message.startswith(expected)


def test_what_a_model_has_is_enough() -> None:
    for text in ("output: topk\ntop: 10\n", "top: 100\n", "inputs: {files: [x], labels: [9]}\n"):
        check(SMALL + text, ten_classes())


def test_outputs_that_nobody_can_read() -> None:
    with pytest.raises(UsageError, match="output scores is of type STRING, which cannot be read"):
        check(SMALL, ten_classes("STRING"))
    with pytest.raises(UsageError, match="model fashion_cnn has no output"):
        check(SMALL, ModelDescription(inputs=(), outputs=()))


def test_more_scores_than_the_runner_holds() -> None:
    tensor = TensorDescription(type="FLOAT32", shape=(1, 1000), bytes=4000)
    description = ModelDescription(inputs=(tensor,), outputs=(tensor,))
    many = SMALL + "iterations: 100000\n"
    with pytest.raises(UsageError, match="iterations: 100002 times the scores of model fashion_cnn are more"):
        check(many, description)
    check(many + "output: label\n", description)


BOXES = TensorDescription(name="boxes", type="FLOAT32", shape=(1, 12, 16), bytes=768)
LIKELY = TensorDescription(name="likely", type="FLOAT32", shape=(1, 12, 1), bytes=48)
DETECTOR = ModelDescription(inputs=(), outputs=(BOXES, LIKELY))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("topk", "output: topk: model fashion_cnn has 2: boxes [1, 12, 16], likely [1, 12, 1]"),
        ("scores", "output: scores: model fashion_cnn has 2: boxes [1, 12, 16], likely [1, 12, 1]"),
        ("{read: topk, tensor: boxes}", "boxes [1, 12, 16] of model fashion_cnn is no list of scores"),
        ("{read: label, tensor: class}", "model fashion_cnn has no output 'class'; it has boxes"),
        ("{read: topk, tensor: likely, top: 13}", "top: 13: model fashion_cnn has 12 classes"),
        ("{read: detections, boxes: likely, scores: likely}", "likely [1, 12, 1] of model fashion_cnn has no boxes"),
        ("{read: keypoints, tensor: boxes, dims: 5}", "has no whole number of points of 5"),
    ],
)
def test_a_detectors_first_tensor_is_not_ranked_without_a_word(output: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(SMALL + f"output: {output}\n", DETECTOR)
    assert expected in caught.value.message


def test_outputs_that_are_named() -> None:
    for output in (
        *("raw", "{read: scores, tensor: boxes}", "{read: topk, tensor: likely}"),
        *("{read: detections, boxes: boxes, scores: likely}", "{read: keypoints, tensor: boxes, dims: 4}"),
    ):
        check(SMALL + f"output: {output}\n", DETECTOR)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("{read: detections, boxes: b}", "`read: detections` needs scores"),
        ("{read: raw, tensor: b}", "'tensor' means nothing to `read: raw`"),
        ("{read: label, top: 3}", "'top' means nothing to `read: label`"),
    ],
)
def test_keys_of_another_way_of_reading(output: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loads(SMALL + f"output: {output}\n", "w.yaml", Workload)


def test_a_file_that_is_another_one_than_said(tmp_path: Path) -> None:
    (tmp_path / "mine.tflite").write_bytes(tiny_model.identity(4, scale=0.5))
    model = "name: w\nmodels: {name: mine, path: mine.tflite, quantization: float32}\n"
    (tmp_path / "w.yaml").write_text(model)
    with pytest.raises(UsageError) as caught:
        open_workload(tmp_path / "w.yaml", (), Project.open(ROOT / "testbed.yaml"))
    assert "models.quantization: said to be float32, and mine.tflite is int8" in caught.value.message
    (tmp_path / "w.yaml").write_text(model.replace(", quantization: float32", ""))
    workload = open_workload(tmp_path / "w.yaml", (), Project.open(ROOT / "testbed.yaml"))
    assert [str(cell.quantization) for cell in cells_of(workload, tmp_path)] == ["int8"]


def test_mistakes_of_different_kinds_are_told_together(tmp_path: Path) -> None:
    """A key that is unknown does not hide a file that is missing."""
    text = (
        "name: w\nmodels:\n  - {name: a, path: a.tflite, quantization: int8}\n"
        "iteratons: 3\nboots: 0\ninputs: {files: [b.npy]}\n"
    )
    assert refused(tmp_path, text).split("\n") == [
        "w.yaml:3:15: models.0.path: a.tflite: cannot be read: No such file or directory",
        "w.yaml:4:1: iteratons: unknown key; did you mean 'iterations'?",
        "w.yaml:5:1: boots: Input should be greater than or equal to 1",
        "w.yaml:6:18: inputs.files.0: b.npy: no such file",
    ]


def test_what_may_follow_from_a_wrong_value_is_not_told(tmp_path: Path) -> None:
    assert refused(tmp_path, SMALL + "attacks: dma\nworlds: [vmm]\n").split("\n") == [
        "w.yaml:4:10: worlds.0: Input should be 'host', 'vm' or 'realm'"
    ]


# --- the counter's log ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("iterations: 100000\n", "1,800,120 markers in a boot of 3 steps, and the counter holds 762,600"),
        ("iterations: 100000\nworlds: host\n", None),
        ("iterations: 42000\n", None),
        ("iterations: 43000\n", "774,120 markers"),
        ("iterations: 30000\nquantization: [int8, float32]\n", "1,080,240 markers in a boot of 6 steps"),
        ("iterations: 30000\ntiming: {mode: fast}\n", "540,120 markers"),
    ],
)
def test_more_markers_than_the_counter_holds(tmp_path: Path, text: str, told: str | None) -> None:
    """They would be lost when a boot has gone on for hours."""
    if told is None:
        opened(tmp_path, SMALL + text)
        return
    with pytest.raises(UsageError) as caught:
        opened(tmp_path, SMALL + text)
    assert caught.value.message.replace(f"{tmp_path}/", "").startswith(f"w.yaml:3:1: iterations: {told}")
    most = int(str(caught.value.hint).partition(" ")[0].replace(",", ""))
    _, _, rest = text.partition("\n")
    opened(tmp_path, f"{SMALL}iterations: {most}\n{rest}")
    with pytest.raises(UsageError):
        opened(tmp_path, f"{SMALL}iterations: {most + 1}\n{rest}")


def test_the_limit_is_that_of_the_plugin_and_of_the_runner() -> None:
    plugin = ROOT / "images/qemu/plugin"
    found = re.findall(r"#define LOG_LIMIT_BYTES \(UINT64_C\((\d+)\) << 20\)", (plugin / "record.c").read_text())
    assert found == [str(LOG_BYTES >> 20)]
    assert f"{RECORD_BYTES} bytes and {TALLY_BYTES} for each vCPU a record" in (ROOT / "docs/counting.md").read_text()
    runner = (ROOT / "guest/world/runner/worker.c").read_text()
    assert re.findall(r"#define CALIBRATIONS (\d+)", runner) == [str(CALIBRATIONS)]
