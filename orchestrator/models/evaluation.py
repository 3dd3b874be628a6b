# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model on a data set, by the runner on the build computer: the oracle of what guests answer."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import BuildError, WorkloadError
from orchestrator.models.dtypes import real
from orchestrator.models.runtime import Execution
from orchestrator.models.tensors import image_input, make_tensors, subset_examples
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from orchestrator.models.oracle import Oracle
    from orchestrator.models.tensors import Tensors
    from orchestrator.models.zoo import Model
    from orchestrator.schema.zoo import ModelDescription, ModelYaml, TensorDescription

_TIMEOUT = 1800.0
_NICE = 10  # 10,000 inferences take minutes
_MOST_AT_ONCE = 1000  # tensors in one run of the runner
# What a batch of 10,000 may gain or lose by other rounding on another CPU; a broken conversion costs far more.
_TOLERANCE = 0.001


@dataclass(frozen=True)
class Evaluation:
    """What was found of one file: right answers of `images` (none for random weights), and what is wrong with it."""

    right: int
    images: int
    same_bytes: bool
    problems: tuple[str, ...]


def verify(model: Model, spec: ModelYaml, oracle: Oracle, data: Path | None) -> Evaluation:
    """Compare a built model with what model.yaml states: shapes, size, checksum, and accuracy on its whole test set.

    Other bytes than stated are no problem of a model that a node makes: another CPU may round otherwise.
    """
    description = oracle.describe(model.built)
    tensor, shape = image_input(model.name, description)
    problems = _mismatches(spec, shape, description)
    stated = spec.files[model.quantization]
    right = images = 0
    if model.dataset is not None and data is not None and not problems:
        preparation = model.preparation or Preparation()
        examples = subset_examples(data, model.dataset.test, shape, preparation, None)
        tensors = make_tensors(examples, tensor, preparation)
        found = answers(oracle, model.built, tensors, tensor, description.outputs[0])
        images, right = len(found), sum(bool(tensors.correct(index, answer)) for index, answer in enumerate(found))
    if stated.accuracy is not None and images:
        if images != stated.accuracy.images:
            problems.append(f"accuracy is stated for {stated.accuracy.images} images, there are {images}")
        elif abs(right / images - stated.accuracy.top1) > _TOLERANCE:
            problems.append(f"accuracy {right / images:.4f}, stated is {stated.accuracy.top1:.4f}")
    return Evaluation(right, images, model.sha256 == stated.sha256, tuple(problems))


def _mismatches(spec: ModelYaml, shape: tuple[int, int, int], description: ModelDescription) -> list[str]:
    """Where the file is not the model that is described."""
    problems = []
    if shape != spec.input.shape:
        problems.append(f"its input is {list(shape)}, stated is {list(spec.input.shape)}")
    scores = description.outputs[0].shape[-1] if description.outputs else 0
    if scores != spec.classes.count:
        problems.append(f"it has {scores} scores, stated are {spec.classes.count}")
    return problems


def answers(
    oracle: Oracle, model: Path, tensors: Tensors, tensor: TensorDescription, scores: TensorDescription
) -> list[int]:
    """The class with the best score (of equal ones the first) for each tensor; raises BuildError if it fails."""
    found: list[int] = []
    with tempfile.TemporaryDirectory(prefix="orch-oracle-") as folder:
        inputs, results = Path(folder) / "inputs", Path(folder) / "results"
        for start in range(0, tensors.count, _MOST_AT_ONCE):
            count = min(_MOST_AT_ONCE, tensors.count - start)
            inputs.write_bytes(tensors.data[start * tensor.bytes : (start + count) * tensor.bytes])
            what = Execution(str(model), str(inputs), str(results), count, output="raw")
            try:
                record = oracle.run(what, seconds=_TIMEOUT, nice=_NICE)
            except WorkloadError as error:
                raise BuildError(f"{model.name}: {error.message}") from None
            raw = (bytes.fromhex(output["raw"][0]) for output in record.outputs)
            found += [int(np.argmax(real(data, scores))) for data in raw]
    return found
