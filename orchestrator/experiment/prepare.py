# SPDX-License-Identifier: Apache-2.0
"""Models and inputs of a workload, built and checked before any machine is booted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models import tensors
from orchestrator.models.oracle import oracle, top1_of
from orchestrator.models.zoo import Model, Zoo, own_model
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.build.graph import Graph, Node
    from orchestrator.models.tensors import Tensors
    from orchestrator.runs.matrix import Cell
    from orchestrator.schema.workload import Inputs, Workload
    from orchestrator.schema.zoo import ModelDescription
    from orchestrator.testbed.testbed import Testbed

_BASE_MIB = 56
"""Of a guest: kernel, initrd, bounce buffers and the unpacked runtime (about 12 MiB)."""
_COPIES = 4
"""Of a model: its file in the guest's memory, its read copy, packed weights, and room for activations."""
SCORES = ("FLOAT32", "INT8", "UINT8")
"""Types of scores whose answers can be checked."""
RELEASED_MAX = 256 << 20
"""Bytes that the runner holds of all results: RELEASED_MAX in guest/world/runner/record.c."""
_TYPES = {"float32": "FLOAT32", "int8": "INT8"}
ORACLE = "runner:arch=amd64"
BUNDLE, RUNNER = "bundle.tar.gz", "bundle/runner"
Key = tuple[str, str]


@dataclass(frozen=True)
class Parts:
    """What preparing needs of the artifact graph: the runner for machines and for this computer, models, data."""

    bundle: Path
    runner: Path
    models: dict[Key, Model]
    data: dict[str, Path]
    keys: dict[str, str]
    """Keys of all these artifacts, by node."""


@dataclass(frozen=True)
class Subject:
    """A model with its inputs as the runner takes them, the right classes if known, and the oracle's scores."""

    name: str
    quantization: str
    path: Path
    sha256: str
    trained: bool
    inputs: Path
    tensors: Tensors
    expected: tuple[dict[str, Any], ...]
    runner: Path

    @property
    def needed_mib(self) -> int:
        """Roughly the smallest guest that it runs in, MiB."""
        return _BASE_MIB + (_COPIES * self.path.stat().st_size >> 20)

    def accuracy(self, model: Path) -> tuple[int, int]:
        """Right answers that another file gives to the same inputs, and the inputs; only where labels are known.

        Raises WorkloadError if it fails.
        """
        outputs = oracle(self.runner, model, self.inputs, self.tensors.count, self.inputs.parent)
        right = [bool(self.tensors.correct(k, top1_of(output))) for k, output in enumerate(outputs)]
        return sum(right), len(right)


def chosen(root: Path, cells: Iterable[Cell]) -> dict[Key, Model]:
    """The models of `cells`; raises UsageError for unknown ones and files that are none."""
    zoo = Zoo.load(root)
    return {(cell.model, cell.quantization): _chosen(zoo, cell) for cell in cells}


def _chosen(zoo: Zoo, cell: Cell) -> Model:
    if cell.own is None:
        return zoo.get(cell.model, cell.quantization)
    return own_model(cell.model, cell.own.path, cell.quantization)


def nodes_of(graph: Graph, models: Iterable[Model], *, attacked: bool = False) -> dict[str, Node]:
    """All that is built beside the machine, by label: the runner, models, data, and what attacks them."""
    names = ["runner", ORACLE, *(("attack", "attack:arch=amd64") if attacked else ())]
    for model in models:
        names += [model.node] if model.node is not None and model.path is None else []
        names += [model.dataset.node] if model.dataset is not None else []
    nodes = [graph.node(name) for name in dict.fromkeys(names)]
    return {node.label: node for node in nodes}


def build(bed: Testbed, cells: Iterable[Cell], *, attacked: bool = False) -> Parts:
    """Make the runner, everything that the models of `cells` consist of, and what attacks them.

    Raises UsageError for unknown models and missing files before anything is built.
    """
    zoo, models = Zoo.load(bed.project.root), chosen(bed.project.root, cells)
    nodes = nodes_of(bed.graph, models.values(), attacked=attacked)
    bed.builder.build(list(nodes.values()))
    datasets = {model.dataset.name: model.dataset for model in models.values() if model.dataset is not None}
    return Parts(
        bundle=bed.builder.artifact(bed.graph.node("runner")) / BUNDLE,
        runner=bed.builder.artifact(bed.graph.node(ORACLE)) / RUNNER,
        models=dict(zip(models, zoo.build(list(models.values()), bed.builder), strict=True)),
        data=zoo.data(list(datasets.values()), bed.builder),
        keys={label: bed.builder.keys.key(node) for label, node in nodes.items()},
    )


def check_output(workload: Workload, name: str, description: ModelDescription) -> None:
    """Raise UsageError if the workload asks for more of a model's scores than there are, or than the runner holds."""
    scores = description.outputs[0] if description.outputs else None
    if scores is None or scores.type not in SCORES:
        found = scores.type if scores else "none"
        raise UsageError(f"model {name}: expected an output of type {', '.join(SCORES)}, found {found}")
    count, inferences = math.prod(scores.shape), workload.iterations + workload.warmups
    if "topk" in workload.output and workload.top > count:
        raise UsageError(f"top: {workload.top}: model {name} has {count} classes", hint="`top` in the workload file")
    beyond = [label for label in workload.inputs.labels if label >= count]
    if beyond:
        raise UsageError(f"inputs.labels: {beyond[0]}: model {name} has {count} classes, counted from 0")
    if "scores" in workload.output and inferences * scores.bytes > RELEASED_MAX:
        raise UsageError(
            f"iterations: {inferences} times the scores of model {name} are more than {RELEASED_MAX >> 20} MiB",
            hint="fewer iterations, more boots, or another `output`",
        )


@dataclass(frozen=True)
class Preparer:
    """Makes inputs and asks the oracle: files go to `work`, the workload's own files are relative to `folder`."""

    parts: Parts
    workload: Workload
    folder: Path
    work: Path

    def subjects(self) -> dict[Key, Subject]:
        """One for every model; raises UsageError for inputs that do not fit, WorkloadError if a model does not run."""
        return {key: self._subject(model) for key, model in self.parts.models.items()}

    def _subject(self, model: Model) -> Subject:
        description = tensors.describe(self.parts.runner, model.built)
        check_output(self.workload, model.name, description)
        made = self._tensors(model, description)
        inputs = self.work / f"{model.name}-{model.quantization}.bin"
        inputs.write_bytes(made.data)
        expected = oracle(self.parts.runner, model.built, inputs, made.count, self.work)
        if len(expected) != made.count:
            raise WorkloadError(f"{model.name} {model.quantization}: {len(expected)} answers to {made.count} inputs")
        return Subject(
            name=model.name,
            quantization=model.quantization,
            path=model.built,
            sha256=model.sha256,
            trained=model.trained,
            inputs=inputs,
            tensors=made,
            expected=expected,
            runner=self.parts.runner,
        )

    def _tensors(self, model: Model, description: ModelDescription) -> Tensors:
        tensor, shape = tensors.image_input(model.name, description)
        if tensor.type != _TYPES[model.quantization]:
            raise UsageError(f"model {model.name}: said to be {model.quantization}, and its input is {tensor.type}")
        given = self.workload.inputs
        preparation = preparation_of(model, given)
        if given.files:
            files = [self.folder / path for path in given.files]
            examples = tensors.file_examples(files, shape, preparation, given.labels)
        else:
            data = self.parts.data.get(model.dataset.name) if model.dataset else None
            examples = tensors.model_examples(model, data, shape, given.count, self.workload.seed)
        return tensors.make_tensors(examples, tensor, preparation)


def preparation_of(model: Model, given: Inputs) -> Preparation:
    """How pixels become a model's numbers: models of the zoo say that themselves."""
    return model.preparation or Preparation(mean=given.mean, std=given.std)
