# SPDX-License-Identifier: Apache-2.0
"""A protection and a runtime from outside the package: schema, matrix, preparation, command line, rows."""

from __future__ import annotations

import json
import pickle
import stat
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_model

from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.experiment import gate
from orchestrator.experiment.conduct import open_workload
from orchestrator.experiment.gate import CountedExecution, arm_script, gate_script, runner_command
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.prepare import Parts, Preparer, Subject, chosen, nodes_of
from orchestrator.experiment.stage import Stage
from orchestrator.models.checking import check_answers
from orchestrator.models.oracle import Oracle
from orchestrator.models.record import RunnerRecord
from orchestrator.models.runtime import Execution, Runtime
from orchestrator.protect.deployable import Deployable, Opening, Option, Sought, Source
from orchestrator.protect.plain import plain_model
from orchestrator.protect.protection import Given, Protection
from orchestrator.registry import PROTECTIONS, RUNTIMES
from orchestrator.runs.matrix import Cell, SubjectKey
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.project import Project
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[3]
TEXT = "name: w\nmodels: {name: mine, path: mine.tflite, quantization: int8}\n"
BOTH = TEXT + "runtime: [litert, toy]\nprotection: [none, sealed]\ninputs: {files: [i.npy]}\n"

# Answers with the first byte of the model, once it is opened, and the first byte of each input.
ANSWERS = """#!{python}
import json, sys
words = sys.argv[1:]
def value(name):
    for place, word in enumerate(words):
        if word == f"--{{name}}":
            return words[place + 1]
        if word.startswith(f"{{name}}="):
            return word.partition("=")[2]
if words[0] in ("describe", "tell"):
    tensor = {{"type": "INT8", "shape": [1, 2, 2, 1], "bytes": 4, "scale": 1.0, "zero_point": 0}}
    print(json.dumps({{"inputs": [tensor], "outputs": [{{"type": "INT8", "shape": [1, 2], "bytes": 2}}]}}))
    sys.exit()
model = open(value("model"), "rb").read()
if value("unseal"):
    key = open(value("unseal"), "rb").read()
    model = bytes(each ^ key[0] for each in model)
if model[4:8] != b"TFL3":
    sys.exit("no model")
inputs = open(value("inputs"), "rb").read()
with open(value("results"), "x") as out:
    for k in range(int(value("iterations"))):
        scores = bytes([model[0] % 100, inputs[4 * k] % 100]).hex()
        output = {{"scores_hex": scores, "dtype": "INT8", "scale": 1.0, "zero_point": 0}}
        print(json.dumps({{"event": "iteration", "k": k, "input": k, "output": output}}), file=out)
    print(json.dumps({{"event": "end", "status": "ok"}}), file=out)
"""


def seal(given: Given) -> Deployable:
    """Every byte with the key's: the key is no part of what is delivered."""
    key, sealed = given.work / "key", given.work / "sealed"
    key.write_bytes(bytes([given.seed + 40]))
    sealed.write_bytes(bytes(each ^ (given.seed + 40) for each in given.model.built.read_bytes()))
    return Deployable(
        files={"model.sealed": sealed},
        opening=Opening("model.sealed", (Option("unseal", "model-key", Source.SECRET),)),
        sought=(plain_model(given), Sought("key", key, "what opens it")),
        secrets={"model-key": key},
    )


SEALED = Protection("sealed", "a cipher that keeps nobody out", seal, needs=frozenset({"unseal"}))


def toy_argv(what: Execution) -> list[str]:
    """Other words than those of guest/runner."""
    files = [f"model={what.model}", f"inputs={what.inputs}", f"results={what.results}"]
    armed = [f"wait={what.armed.port}", f"say={what.armed.say}"] if what.armed else []
    return ["think", *files, f"iterations={what.iterations}", *(f"{n}={v}" for n, v in what.options), *armed]


def toy_parse(text: str) -> RunnerRecord:
    """Says that it was the toy's."""
    return RunnerRecord.parse(text.replace('"ok"', '"ok", "by": "toy"'))


TOY = Runtime(
    name="toy",
    summary="thinks of a number",
    node="rvmm",
    oracle_node="rvmm-describe",
    argv=toy_argv,
    describe=lambda model: ["tell", model],
    go=lambda address, port: ["wake", f"{address}:{port}"],
    parse=toy_parse,
    check=lambda _: None,
    mib=1,
    copies=1,
    held_bytes=1 << 20,
    program="bundle/bin/toy-inference-program",
    model_file="model.toy",
    options=frozenset({"unseal"}),
)


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plain = replace(RUNTIMES["litert"], options=TOY.options, kernels=(), anatomy=lambda _: None)
    monkeypatch.setitem(RUNTIMES._records, "litert", plain)
    with PROTECTIONS.extended(SEALED), RUNTIMES.extended(TOY):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's model and inputs."""
    (tmp_path / "mine.tflite").write_bytes(b"\x1c\0\0\0TFL3 and weights")
    np.save(tmp_path / "i.npy", np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1))
    return tmp_path


def cells(folder: Path, text: str = BOTH) -> tuple[Cell, ...]:
    return cells_of(loads(text, "w.yaml", Workload), folder)


def prepared(folder: Path, text: str = BOTH) -> dict[SubjectKey, Subject]:
    program = folder / "program"
    program.write_text(ANSWERS.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    oracles = {name: Oracle(name, program) for name in ("litert", "toy")}
    parts = Parts({}, oracles, chosen(ROOT, cells(folder, text)), {}, {}, {})
    return Preparer(parts, loads(text, "w.yaml", Workload), folder, folder / "work").subjects()


def measurement(subject: Subject, cell: Cell) -> CountedExecution:
    return CountedExecution(cell, subject.deployable.opening, gate.ID_STEP, 4, 1, 5, seed=100)


# --- what a workload may say ------------------------------------------------------------------------------------------


def test_the_schema_has_their_names() -> None:
    properties = Workload.model_json_schema()["properties"]
    for key, name in (("runtime", "toy"), ("protection", "sealed")):
        one, many = properties[key]["anyOf"]
        assert name in one["enum"]
        assert many["items"]["enum"] == one["enum"]


def test_without_them_they_are_unknown(folder: Path) -> None:
    RUNTIMES._records.pop("toy")
    PROTECTIONS._records.pop("sealed")
    for text, expected in (
        (TEXT + "runtime: [litert, toy]\n", "w.yaml:3:19: runtime.1: expected one of litert, found 'toy'"),
        (TEXT + "protection: sealed\n", "w.yaml:3:1: protection: expected one of none, found 'sealed'"),
    ):
        with pytest.raises(UsageError) as caught:
            cells(folder, text)
        assert caught.value.message.startswith(expected)
        assert "\n" not in caught.value.message
    assert Workload.model_json_schema()["properties"]["runtime"]["anyOf"][0]["enum"] == ["litert"]


def test_a_runtime_must_be_able_to_open_what_a_protection_delivers(folder: Path) -> None:
    RUNTIMES._records.pop("litert")  # the real one, which opens plain files only, and looks into them
    (folder / "mine.tflite").write_bytes(tiny_model.identity(4, scale=0.5))
    (folder / "w.yaml").write_text(BOTH, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        open_workload(folder / "w.yaml", (), Project.open(ROOT / "testbed.yaml"))
    expected = "w.yaml:4:20: protection.1: sealed needs unseal of a runtime, and litert does not know it"
    assert caught.value.message.endswith(expected)
    (folder / "w.yaml").write_text(BOTH.replace("[litert, toy]", "toy"), encoding="utf-8")
    assert open_workload(folder / "w.yaml", (), Project.open(ROOT / "testbed.yaml")).runtime == ("toy",)


# --- the matrix -------------------------------------------------------------------------------------------------------


def test_they_span_the_matrix(folder: Path) -> None:
    found = cells(folder)
    assert {(cell.runtime, cell.protection) for cell in found} == {
        (runtime, protection) for runtime in ("litert", "toy") for protection in ("none", "sealed")
    }
    assert len({cell.cell_id for cell in found}) == len({SubjectKey.of(cell) for cell in found}) == 4
    assert [str(SubjectKey.of(cell)) for cell in found] == [
        *("mine int8", "mine int8 sealed", "mine int8 toy", "mine int8 sealed toy"),
    ]


def test_a_cell_of_the_usual_runtime_has_the_id_that_it_always_had(folder: Path) -> None:
    """Ids of runs from before there was a choice: they are compared with those of today."""
    (cell,) = cells(folder, "name: w\nmodels: fashion_cnn\n")
    assert cell.cell_id == "fashion_cnn-int8-495ac4"
    (paper,) = cells(folder, "name: w\nmodels: resnet18\nquantization: float32\nticks: {host_hz: 1000}\noutput: top1\n")
    assert paper.cell_id == "resnet18-float32-471f3a"
    (toy,) = cells(folder, "name: w\nmodels: fashion_cnn\nruntime: toy\n")
    assert (cell.as_table() | {"runtime": "toy"}, toy.cell_id == cell.cell_id) == (toy.as_table(), False)


# --- preparation ------------------------------------------------------------------------------------------------------


def test_no_two_get_each_others_files(folder: Path) -> None:
    subjects = prepared(folder)
    plain = (folder / "mine.tflite").read_bytes()
    assert [key for key, _ in subjects.items()] == [SubjectKey.of(cell) for cell in cells(folder)]
    delivered = {}
    for key, subject in subjects.items():
        ((name, path),) = subject.deployable.files.items()
        delivered[key.protection, key.runtime] = (name, path.read_bytes() == plain)
        assert subject.deployable.plain.read_bytes() == plain
        assert subject.sha256 == file_digest(folder / "mine.tflite")
    assert delivered == {
        ("none", "litert"): ("model.tflite", True),
        ("none", "toy"): ("model.toy", True),
        ("sealed", "litert"): ("model.sealed", False),
        ("sealed", "toy"): ("model.sealed", False),
    }
    assert len({subject.inputs for subject in subjects.values()}) == 4
    sealed = [subject.deployable for key, subject in subjects.items() if key.protection == "sealed"]
    assert len({each.files["model.sealed"] for each in sealed}) == len({each.secrets["model-key"] for each in sealed})
    for each in sealed:
        assert [(sought.name, sought.path) for sought in each.sought] == [
            ("model", folder / "mine.tflite"),
            ("key", each.secrets["model-key"]),
        ]


def test_the_oracle_opens_what_is_delivered(folder: Path) -> None:
    """The right answers are those of the opened file: a wrong key is no answer at all."""
    subjects = prepared(folder)
    expected = {key: subject.expected for key, subject in subjects.items()}
    assert len({json.dumps(str(each)) for each in expected.values()}) == 1
    assert [answer[0][1] for answer in next(iter(expected.values())).answers] == [0, 4, 8]
    for subject in subjects.values():
        released = [{"scores_hex": answer[0].hex()} for answer in subject.expected.answers]
        lines = tuple({"k": k, "input": k, "output": each} for k, each in enumerate(released))
        assert check_answers(RunnerRecord(0, lines, {}), subject.expected) == 0

    def wrongly(given: Given) -> Deployable:
        made = seal(given)
        made.secrets["model-key"].write_bytes(b"\x01")
        return made

    with (
        PROTECTIONS.extended(Protection("wrong", "", wrongly)),
        pytest.raises(WorkloadError, match="mine int8 wrong toy: the model does not run on this computer: no model"),
    ):
        prepared(folder, TEXT + "inputs: {files: [i.npy]}\nruntime: toy\nprotection: wrong\n")


def test_what_a_killed_invocation_left_is_made_anew(folder: Path) -> None:
    first = prepared(folder)
    (folder / "work/mine/int8/sealed/toy/made/sealed").write_bytes(b"half of")
    again = prepared(folder)
    assert again == first
    sealed = again[SubjectKey("mine", "int8", "sealed", "toy")].deployable.files["model.sealed"]
    assert sealed.stat().st_size == (folder / "mine.tflite").stat().st_size


def test_what_is_prepared_can_be_handed_to_another_process(folder: Path) -> None:
    subjects = prepared(folder)
    assert pickle.loads(pickle.dumps(subjects)) == subjects


def test_what_they_are_made_of_is_built(folder: Path) -> None:
    trained = Protection("trained", "", seal, nodes=lambda model: (f"tools-of-{model.name}", "rmm"))
    graph = SimpleNamespace(node=lambda name: SimpleNamespace(label=name))
    with PROTECTIONS.extended(trained):
        text = BOTH.replace("sealed]", "trained]")
        labels = list(nodes_of(graph, chosen(ROOT, cells(folder, text))))  # type: ignore[arg-type]
    assert labels == ["runner", "oracle", "runner:arch=amd64", "rvmm", "rvmm-describe", "tools-of-mine", "rmm"]
    assert list(nodes_of(graph, chosen(ROOT, cells(folder, TEXT)))) == labels[:3]  # type: ignore[arg-type]


# --- in a world -------------------------------------------------------------------------------------------------------


def test_each_runtime_is_told_in_its_own_words(folder: Path) -> None:
    subjects, name = prepared(folder), GuestName(World.REALM)
    said = {}
    for cell in cells(folder):
        what = measurement(subjects[SubjectKey.of(cell)], cell)
        said[cell.runtime, cell.protection] = runner_command(what, name)
        word, target = ("go", "10.79.1.2 7070") if cell.runtime == "litert" else ("wake", "10.79.1.2:7070")
        assert f"{what.runtime.program} {word} {target}" in gate_script(what, name)
        assert f"-e {what.runtime.comm} " in arm_script(what, name)  # whichever was armed before
        assert "-e runner " in arm_script(what, name)
    assert said["toy", "sealed"] == [
        "/tmp/orch/bundle/bin/toy-inference-program",
        "think",
        "model=/tmp/orch/model.sealed",
        "inputs=/tmp/orch/inputs.bin",
        "results=/tmp/orch/results.jsonl",
        "iterations=4",
        "unseal=/tmp/orch/secrets/model-key",
        f"wait={gate.PORT}",
        f"say={gate.CONSOLE}",
    ]
    assert said["toy", "none"][2] == "model=/tmp/orch/model.toy"
    plain, sealed = said["litert", "none"], said["litert", "sealed"]
    assert sealed[2:4] == ["--model", "/tmp/orch/model.sealed"]
    assert sealed[sealed.index("--unseal") + 1] == "/tmp/orch/secrets/model-key"
    # Each cell draws a phase of its own.
    for command, own in ((sealed, ("--model", "--phase-us", "--unseal")), (plain, ("--model", "--phase-us"))):
        for word in own:
            del command[command.index(word) : command.index(word) + 2]
    assert sealed == plain
    assert TOY.comm == "toy-inference-p"


def test_only_what_is_delivered_leaves_this_computer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = prepared(folder)
    sent: list[Any] = []
    stage = Stage(SimpleNamespace(), SimpleNamespace(), deploy_seconds=1, run_seconds=1)  # type: ignore[arg-type]
    monkeypatch.setattr(stage.links, "to", lambda _: nullcontext())

    def capture(_link: object, script: str, *_: object) -> str:
        """As a world does that has what was sent: one SHA-256 a line."""
        if "sha256sum" in script:
            return "".join(f"{file_digest(path)}  -\n" for _, path in sent[1:])
        sent.append(script)
        return ""

    monkeypatch.setattr("orchestrator.shell.ssh.capture", capture)
    monkeypatch.setattr("orchestrator.shell.ssh.put", lambda _l, source, target, _s: sent.append((target, source)))
    for key in (SubjectKey("mine", "int8", "sealed", "toy"), SubjectKey("mine", "int8", "none", "toy")):
        subject = subjects[key]
        arrived = stage.deploy_model(World.REALM, subject.deployable, subject.inputs)
        clear, *copied = sent
        sent.clear()
        assert arrived == {target.removeprefix("/tmp/orch/"): file_digest(path) for target, path in copied}
        assert clear == gate.clear_script()
        assert copied == [
            *((f"/tmp/orch/{name}", path) for name, path in subject.deployable.files.items()),
            ("/tmp/orch/inputs.bin", subject.inputs),
        ]
        assert not set(subject.deployable.secrets.values()) & {source for _, source in copied}


def test_a_world_gets_the_runtime_of_its_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(SimpleNamespace(), SimpleNamespace(), deploy_seconds=1, run_seconds=1)  # type: ignore[arg-type]
    copied: list[tuple[str, str]] = []

    def deploy(world: World, bundle: Path) -> None:
        copied.append((str(world), bundle.name))
        stage.bundles[world] = bundle

    monkeypatch.setattr(stage, "deploy_runner", deploy)
    for world, bundle in (("host", "a"), ("realm", "a"), ("realm", "a"), ("realm", "b"), ("host", "b"), ("vm", "a")):
        stage.need_runner(World(world), Path(bundle))
    assert copied == [("host", "a"), ("realm", "a"), ("host", "b"), ("realm", "b"), ("host", "a"), ("vm", "a")]
