# SPDX-License-Identifier: Apache-2.0
"""Models and inputs of a workload, built and checked before any machine is booted."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models import tensors
from orchestrator.models.oracle import Oracle, top1_of
from orchestrator.models.runtime import Execution
from orchestrator.models.zoo import Model, Zoo, own_model
from orchestrator.protect.deployable import INPUTS, RESULTS, Opening
from orchestrator.protect.protection import Given
from orchestrator.registry import PROTECTIONS, RUNTIMES
from orchestrator.runs.matrix import SubjectKey
from orchestrator.schema.zoo import Preparation
from orchestrator.testbed.guest import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.build.graph import Graph, Node
    from orchestrator.models.runtime import Runtime
    from orchestrator.models.tensors import Tensors
    from orchestrator.protect.deployable import Deployable
    from orchestrator.protect.protection import Protection
    from orchestrator.runs.matrix import Cell
    from orchestrator.schema.workload import Inputs, Workload
    from orchestrator.schema.zoo import ModelDescription
    from orchestrator.testbed.testbed import Testbed

_BASE_MIB = 44
"""Of a guest: kernel, initrd and bounce buffers; without the runtime."""
_FILES_SHARE = 2  # a tmpfs takes half of the memory at most
SCORES = ("FLOAT32", "INT8", "UINT8")
"""Types of scores whose answers can be checked."""
_TYPES = {"float32": "FLOAT32", "int8": "INT8"}


@dataclass(frozen=True)
class Parts:
    """What preparing needs of the artifact graph.

    `bundles` (a disk, or an archive) and `oracles` are by runtime, `models` by what is deployed, `data` by data set,
    `artifacts` of protections by their nodes' names; `keys` has the keys of all these artifacts, by node.
    """

    bundles: dict[str, Path]
    oracles: dict[str, Oracle]
    models: dict[SubjectKey, Model]
    data: dict[str, Path]
    artifacts: dict[str, Path]
    keys: dict[str, str]


@dataclass(frozen=True)
class Subject:
    """A model as it is deployed, with its inputs, the right classes if known, and the oracle's scores."""

    key: SubjectKey
    model: Model
    sha256: str
    """Of the plain model."""
    deployable: Deployable
    inputs: Path
    tensors: Tensors
    expected: tuple[dict[str, Any], ...]
    oracle: Oracle

    @property
    def needed_mib(self) -> int:
        """Roughly the smallest guest that it runs in, MiB: it holds the inputs as well, and files in half of itself."""
        runtime, model, inputs = self.oracle.runtime, self.deployable.bytes, len(self.tensors.data)
        used = runtime.mib + (runtime.copies * model + inputs >> 20)
        return _BASE_MIB + max(used, _FILES_SHARE * (model + inputs) >> 20)

    def accuracy(self, model: Path) -> tuple[int, int]:
        """Right answers that another file gives to the same inputs, and the inputs; only where labels are known.

        It is opened as a plain model. Raises WorkloadError if it fails.
        """
        outputs = _answers(self.oracle, model.parent, Opening(model.name), self.inputs, self.tensors.count)
        right = [bool(self.tensors.correct(k, top1_of(output))) for k, output in enumerate(outputs)]
        return sum(right), len(right)


def _answers(oracle: Oracle, folder: Path, opening: Opening, inputs: Path, count: int) -> tuple[dict[str, Any], ...]:
    """All scores of `count` inferences on this computer; `folder` is laid out as that of a world."""
    what = Execution(
        model=str(folder / opening.model),
        inputs=str(inputs),
        results=str(inputs.with_name(RESULTS)),
        iterations=count,
        output="scores",
        options=opening.words(str(folder)),
    )
    return oracle.run(what).outputs


def chosen(root: Path, cells: Iterable[Cell]) -> dict[SubjectKey, Model]:
    """The models of `cells`; raises UsageError for unknown ones and files that are none."""
    zoo = Zoo.load(root)
    return {SubjectKey.of(cell): _chosen(zoo, cell) for cell in cells}


def _chosen(zoo: Zoo, cell: Cell) -> Model:
    if cell.own is None:
        return zoo.get(cell.model, cell.quantization)
    return own_model(cell.model, cell.own.path, cell.quantization, runtime=cell.runtime)


def nodes_of(graph: Graph, models: Mapping[SubjectKey, Model], *, attacked: bool = False) -> dict[str, Node]:
    """All that is built beside the machine, by label: runtimes, models, data, protections, and what attacks them."""
    names = [*_runtime_nodes(models), *(("attack", "attack:arch=amd64") if attacked else ())]
    for model in models.values():
        names += [model.node] if model.node is not None and model.path is None else []
        names += [model.dataset.node] if model.dataset is not None else []
    nodes = [graph.node(name) for name in dict.fromkeys([*names, *_protection_nodes(models)])]
    return {node.label: node for node in nodes}


def _runtime_nodes(keys: Iterable[SubjectKey]) -> Iterator[str]:
    for name in dict.fromkeys(key.runtime for key in keys):
        runtime: Runtime = RUNTIMES[name]
        yield from (runtime.node, runtime.oracle_node)


def _protection_nodes(models: Mapping[SubjectKey, Model]) -> Iterator[str]:
    for key, model in models.items():
        protection: Protection = PROTECTIONS[key.protection]
        yield from protection.nodes(model)


def build(bed: Testbed, cells: Iterable[Cell], *, attacked: bool = False) -> Parts:
    """Make runtimes, everything that the models of `cells` and their protections consist of, and what attacks them.

    Raises UsageError for unknown models and missing files before anything is built.
    """
    zoo, models = Zoo.load(bed.project.root), chosen(bed.project.root, cells)
    nodes = nodes_of(bed.graph, models, attacked=attacked)
    bed.builder.build(list(nodes.values()))
    datasets = {model.dataset.name: model.dataset for model in models.values() if model.dataset is not None}
    runtimes: list[Runtime] = [RUNTIMES[name] for name in dict.fromkeys(key.runtime for key in models)]
    return Parts(
        bundles={each.name: _bundle(bed, each) for each in runtimes},
        oracles={each.name: Oracle.built(bed.builder, each.name) for each in runtimes},
        models=dict(zip(models, zoo.build(list(models.values()), bed.builder), strict=True)),
        data=zoo.data(list(datasets.values()), bed.builder),
        artifacts={name: bed.builder.artifact(bed.graph.node(name)) for name in _protection_nodes(models)},
        keys={label: bed.builder.keys.key(node) for label, node in nodes.items()},
    )


def _bundle(bed: Testbed, runtime: Runtime) -> Path:
    """What brings a runtime to a world: the disk that worlds of this testbed mount, or else what is copied."""
    if runtime.disk == RUNTIME.node and bed.project.mounts_runtime:
        return bed.guests.source(RUNTIME)
    return bed.builder.artifact(bed.graph.node(runtime.node)) / runtime.bundle


def check_output(workload: Workload, name: str, description: ModelDescription, held: int) -> None:
    """Raise UsageError if the workload asks for more of a model's scores than there are, or than `held` bytes."""
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
    if "scores" in workload.output and inferences * scores.bytes > held:
        raise UsageError(
            f"iterations: {inferences} times the scores of model {name} are more than {held >> 20} MiB",
            hint="fewer iterations, more boots, or another `output`",
        )


@dataclass(frozen=True)
class Preparer:
    """Makes inputs and asks the oracle: files go to `work`, the workload's own files are relative to `folder`."""

    parts: Parts
    workload: Workload
    folder: Path
    work: Path

    def subjects(self) -> dict[SubjectKey, Subject]:
        """One for every model, protection and runtime.

        Raises UsageError for inputs that do not fit, WorkloadError if a model does not run.
        """
        return {key: self._subject(key, model) for key, model in self.parts.models.items()}

    def _subject(self, key: SubjectKey, model: Model) -> Subject:
        oracle = self.parts.oracles[key.runtime]
        description = oracle.describe(model.built)
        check_output(self.workload, model.name, description, oracle.runtime.held_bytes)
        made = self._tensors(model, description)
        place = self.work.joinpath(key.model, key.quantization, key.protection, key.runtime)  # two keys, two folders
        shutil.rmtree(place, ignore_errors=True)  # of an invocation that was killed
        place.mkdir(parents=True, mode=0o700)  # what is secret of it is nobody else's
        inputs, world = place / INPUTS, place / "world"
        inputs.write_bytes(made.data)
        deployable = self._deployable(key, model, place / "made")
        deployable.lay_out(world)
        try:
            expected = _answers(oracle, world, deployable.opening, inputs, made.count)
        except WorkloadError as error:
            raise WorkloadError(f"{key}: {error.message}") from None
        return Subject(key, model, model.sha256, deployable, inputs, made, expected, oracle)

    def _deployable(self, key: SubjectKey, model: Model, work: Path) -> Deployable:
        work.mkdir()
        protection: Protection = PROTECTIONS[key.protection]
        artifacts = {name: self.parts.artifacts[name] for name in protection.nodes(model)}
        return protection.prepare(Given(model, RUNTIMES[key.runtime], self.workload.seed, work, artifacts))

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
