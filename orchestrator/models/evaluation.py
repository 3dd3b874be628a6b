# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model on a data set, by the runner on the build computer: the oracle of what guests answer."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.run import CommandError, run
from orchestrator.errors import BuildError, OrchError
from orchestrator.models.tensors import describe, image_input, make_tensors, subset_examples
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from orchestrator.build.builder import Builder
    from orchestrator.models.tensors import Tensors
    from orchestrator.models.zoo import Model
    from orchestrator.schema.zoo import ModelDescription, ModelYaml, TensorDescription

ORACLE = "runner:arch=amd64"
_TIMEOUT = 1800.0
_MOST_AT_ONCE = 1000  # tensors in one run of the runner
# What a batch of 10,000 may gain or lose by other rounding on another CPU; a broken conversion costs far more.
_TOLERANCE = 0.001


@dataclass(frozen=True)
class Verdict:
    """What was found of one file: right answers of `images` (none for random weights), and what is wrong with it."""

    right: int
    images: int
    same_bytes: bool
    problems: tuple[str, ...]


def oracle(builder: Builder) -> Path:
    """The runner of the build computer, built if need be."""
    node = builder.graph.node(ORACLE)
    builder.build([node])
    return builder.artifact(node) / "bundle/runner"


def verify(model: Model, spec: ModelYaml, runner: Path, data: Path | None) -> Verdict:
    """Compare a built model with what model.yaml states: shapes, size, checksum, and accuracy on its whole test set.

    Other bytes than stated are no problem of a model that a node makes: another CPU may round otherwise.
    """
    description = describe(runner, model.built)
    tensor, shape = image_input(model.name, description)
    problems = _mismatches(spec, shape, description)
    stated = spec.files[model.quantization]
    right = images = 0
    if model.dataset is not None and data is not None and not problems:
        preparation = model.preparation or Preparation()
        examples = subset_examples(data, model.dataset.test, shape, preparation, None)
        tensors = make_tensors(examples, tensor, preparation)
        found = answers(runner, model.built, tensors, tensor)
        images, right = len(found), sum(bool(tensors.correct(index, answer)) for index, answer in enumerate(found))
    if stated.accuracy is not None and images:
        if images != stated.accuracy.images:
            problems.append(f"accuracy is stated for {stated.accuracy.images} images, there are {images}")
        elif abs(right / images - stated.accuracy.top1) > _TOLERANCE:
            problems.append(f"accuracy {right / images:.4f}, stated is {stated.accuracy.top1:.4f}")
    return Verdict(right, images, model.sha256 == stated.sha256, tuple(problems))


def _mismatches(spec: ModelYaml, shape: tuple[int, int, int], description: ModelDescription) -> list[str]:
    """Where the file is not the model that is described."""
    problems = []
    if shape != spec.input.shape:
        problems.append(f"its input is {list(shape)}, stated is {list(spec.input.shape)}")
    scores = description.outputs[0].shape[-1] if description.outputs else 0
    if scores != spec.classes.count:
        problems.append(f"it has {scores} scores, stated are {spec.classes.count}")
    return problems


def answers(runner: Path, model: Path, tensors: Tensors, tensor: TensorDescription) -> list[int]:
    """The class with the best score for each tensor; raises BuildError if the runner fails."""
    found: list[int] = []
    with tempfile.TemporaryDirectory(prefix="orch-oracle-") as folder:
        inputs, results = Path(folder) / "inputs", Path(folder) / "results"
        for start in range(0, tensors.count, _MOST_AT_ONCE):
            count = min(_MOST_AT_ONCE, tensors.count - start)
            inputs.write_bytes(tensors.data[start * tensor.bytes : (start + count) * tensor.bytes])
            found += _run(runner, model, inputs, results, count)
            results.unlink()
    return found


def _run(runner: Path, model: Path, inputs: Path, results: Path, count: int) -> list[int]:
    argv: list[str | Path] = ["nice", "-n", "10", runner, "run", "--model", model, "--inputs", inputs]
    argv += ["--iterations", str(count), "--warmups", "0", "--threads", "1", "--output", "label", "--id", "0"]
    try:
        run([*argv, "--results", results], timeout=_TIMEOUT)
        events = [json.loads(line) for line in results.read_text().splitlines()]
        rows = [event for event in events if event["event"] == "iteration"]
        labels = [int(row["output"]["label"]) for row in sorted(rows, key=lambda row: int(row["k"]))]
    except (CommandError, OSError, ValueError, KeyError) as error:
        text = error.message if isinstance(error, OrchError) else str(error)
        raise BuildError(f"{model.name}: the runner failed on this computer: {text}") from None
    if len(labels) != count:
        raise BuildError(f"{model.name}: the runner answered {len(labels)} of {count} inputs")
    return labels
