# SPDX-License-Identifier: Apache-2.0
"""Comparing a model with what is stated, with programs that answer like the runner."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from orchestrator.build.graph import file_digest
from orchestrator.errors import BuildError
from orchestrator.models import evaluation
from orchestrator.models.oracle import Oracle
from orchestrator.models.zoo import Model
from orchestrator.registry import DEFAULT_RUNTIME
from orchestrator.schema.zoo import DatasetYaml, ModelYaml, Subset

# The best class is the first byte of each input, but where the model file says otherwise.
RUNNER = """#!{python}
import json, sys
options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
if sys.argv[1] == "describe":
    tensor = {{"type": "INT8", "shape": [1, 2, 2, 1], "bytes": 4, "scale": 1.0, "zero_point": 0}}
    scores = {{"type": "INT8", "shape": [1, {scores}], "bytes": {scores}}}
    print(json.dumps({{"inputs": [tensor], "outputs": [scores]}}))
    sys.exit()
inputs = open(options["--inputs"], "rb").read()
assert len(inputs) == 4 * int(options["--iterations"]), "each run is given just its inputs"
if b"fails" in open(options["--model"], "rb").read():
    sys.exit("no memory")
with open(options["--results"], "x") as out:
    print(json.dumps({{"event": "start"}}), file=out)
    for k in range({answered}):
        best = inputs[4 * k]
        scores = bytes(int(each == best) for each in range({scores}))
        row = {{"event": "iteration", "k": k, "output": {{"raw": [scores.hex()]}}}}
        print(json.dumps(row), file=out)
    print(json.dumps({{"event": "end", "status": "ok"}}), file=out)
"""


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    return program(tmp_path / "runner", scores=10, answered='int(options["--iterations"])')


def program(path: Path, **parts: object) -> Oracle:
    path.write_text(RUNNER.format(python=sys.executable, **parts))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Oracle(DEFAULT_RUNTIME, path)


def subject(folder: Path, stated: float, images: int = 10, content: bytes = b"model") -> tuple[Model, ModelYaml]:
    """A model and its declaration; the data set's first pixels are 0 to 9, and 7 of 10 labels are the same."""
    (folder / "m.tflite").write_bytes(content)
    pixels = np.zeros((10, 2, 2, 1), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(10)
    np.save(folder / "i.npy", pixels)
    np.save(folder / "l.npy", np.array([0, 1, 2, 3, 4, 5, 6, 0, 0, 0], np.uint8))
    subset = Subset(images="i.npy", labels="l.npy")
    data = DatasetYaml(name="d", summary="s", licence="l", source="s", node="d", first=subset, test=subset)
    spec = ModelYaml.model_validate(
        {
            **dict.fromkeys(("summary", "licence", "source", "recipe"), "s"),
            "name": "m",
            "trained": True,
            "task": "classification",
            "parameters": 1,
            "macs": 1,
            "dataset": "d",
            "node": "model-m",
            "shipped": True,
            "input": {"shape": [2, 2, 1]},
            "classes": {"count": 10},
            "files": {
                "int8": {
                    "file": "m.tflite",
                    "bytes": 5,
                    "sha256": file_digest(folder / "m.tflite"),
                    "accuracy": {"top1": stated, "images": images},
                }
            },
        }
    )
    file = spec.files["int8"]
    return Model("m", "int8", True, "s", "l", folder / "m.tflite", stated=file, dataset=data), spec


def test_accuracy_as_stated(oracle: Oracle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_MOST_AT_ONCE", 4)  # three runs of the runner, the last one short
    model, spec = subject(tmp_path, 0.7)
    found = evaluation.verify(model, spec, oracle, tmp_path)
    assert (found.right, found.images, found.same_bytes, found.problems) == (7, 10, True, ())


def test_other_accuracy_than_stated(oracle: Oracle, tmp_path: Path) -> None:
    model, spec = subject(tmp_path, 0.71)
    assert evaluation.verify(model, spec, oracle, tmp_path).problems == ("accuracy 0.7000, stated is 0.7100",)
    model, spec = subject(tmp_path, 0.7, images=11)
    assert "stated for 11 images, there are 10" in evaluation.verify(model, spec, oracle, tmp_path).problems[0]


def test_other_bytes_than_stated_are_told(oracle: Oracle, tmp_path: Path) -> None:
    model, spec = subject(tmp_path, 0.7)
    (tmp_path / "m.tflite").write_bytes(b"rounded otherwise")
    found = evaluation.verify(model, spec, oracle, tmp_path)
    assert (found.same_bytes, found.problems) == (False, ())


def test_another_model_than_described(oracle: Oracle, tmp_path: Path) -> None:
    model, spec = subject(tmp_path, 0.7)
    other = spec.model_copy(update={"input": spec.input.model_copy(update={"shape": (4, 4, 1)})})
    assert evaluation.verify(model, other, oracle, tmp_path).problems == (
        "its input is [2, 2, 1], stated is [4, 4, 1]",
    )
    five = program(tmp_path / "five", scores=5, answered=0)
    assert evaluation.verify(model, spec, five, tmp_path).problems == ("it has 5 scores, stated are 10",)


def test_random_weights_are_not_judged_by_answers(oracle: Oracle, tmp_path: Path) -> None:
    model, spec = subject(tmp_path, 0.7)
    plain = spec.files["int8"].model_copy(update={"accuracy": None})
    random = spec.model_copy(update={"trained": False, "dataset": None, "files": {"int8": plain}})
    unlabelled = Model("m", "int8", False, "s", "l", model.path, stated=plain)
    found = evaluation.verify(unlabelled, random, oracle, None)
    assert (found.images, found.problems) == (0, ())


def test_a_runner_that_fails_or_leaves_inputs_out(oracle: Oracle, tmp_path: Path) -> None:
    model, spec = subject(tmp_path, 0.7, content=b"fails")
    with pytest.raises(BuildError, match=r"m\.tflite: the model does not run on this computer: no memory"):
        evaluation.verify(model, spec, oracle, tmp_path)
    model, spec = subject(tmp_path, 0.7)
    with pytest.raises(BuildError, match=r"m\.tflite: the oracle answered 9 of 10 inputs"):
        evaluation.verify(model, spec, program(tmp_path / "short", scores=10, answered=9), tmp_path)
