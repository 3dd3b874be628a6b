# SPDX-License-Identifier: Apache-2.0
"""Models and inputs of a workload, built and checked before any machine is booted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import WorkloadError
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.readings import check_output
from orchestrator.models.feeds import model_inputs
from orchestrator.models.oracle import Oracle
from orchestrator.models.runtime import Execution
from orchestrator.models.zoo import Model, Zoo, own_model
from orchestrator.protect.deployable import INPUTS, RESULTS, Opening
from orchestrator.protect.protection import Given
from orchestrator.registry import PROTECTIONS, RUNTIMES
from orchestrator.runs.matrix import SubjectKey
from orchestrator.testbed.guest import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.build.graph import Graph, Node
    from orchestrator.models.expected import Expected
    from orchestrator.models.runtime import Runtime
    from orchestrator.models.tensors import Tensors
    from orchestrator.protect.deployable import Deployable
    from orchestrator.protect.protection import Protection
    from orchestrator.runs.matrix import Cell
    from orchestrator.schema.workload import Workload
    from orchestrator.schema.zoo import ModelDescription
    from orchestrator.testbed.testbed import Testbed

_BASE_MIB = 44
"""Of a guest: kernel, initrd and bounce buffers; without the runtime."""
_FILES_SHARE = 2  # a tmpfs takes half of the memory at most


@dataclass(frozen=True)
class Parts:
    """What preparing needs of the artifact graph.

    `bundles` (a disk, or an archive) and `oracles` are by runtime, `models` by what is deployed, `data` by data set,
    `artifacts` of protections by their nodes' names; `keys` has the keys of all these artifacts, by node. `seconds` are
    independent builds beside the oracles.
    """

    bundles: dict[str, Path]
    oracles: dict[str, Oracle]
    models: dict[SubjectKey, Model]
    data: dict[str, Path]
    artifacts: dict[str, Path]
    keys: dict[str, str]
    seconds: dict[str, Oracle] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A model as it is deployed, with its inputs, the right classes if known, and what the oracle says.

    `xnnpack`: whether that could prepare it, None if the runtime does not say; `memory_kib` as of `ModelDescription`.
    """

    key: SubjectKey
    model: Model
    sha256: str
    """Of the plain model."""
    deployable: Deployable
    inputs: Path
    tensors: Tensors
    expected: Expected
    oracle: Oracle
    xnnpack: bool | None = None
    memory_kib: int | None = None

    @property
    def needed_mib(self) -> int:
        """Roughly the smallest guest that it runs in, MiB: it holds the inputs as well, and files in half of itself."""
        runtime, model, inputs = self.oracle.runtime, self.deployable.bytes, len(self.tensors.data)
        needed = max(runtime.copies * model, (self.memory_kib or 0) << 10)
        used = guest_base(runtime) + (needed + inputs >> 20)
        return max(used, _BASE_MIB + (_FILES_SHARE * (model + inputs) >> 20))

    def accuracy(self, model: Path) -> tuple[int, int]:
        """Right answers that another file gives to the same inputs, and the inputs; only where labels are known.

        It is opened as a plain model. Raises WorkloadError if it fails.
        """
        what = _asked(model.parent, Opening(model.name), self.inputs, self.tensors.count)
        expected = self.oracle.expect(what, self.oracle.describe(model))
        best = [int(np.argmax(expected.real(k, k, 0))) for k in range(self.tensors.count)]
        return sum(bool(self.tensors.correct(k, label)) for k, label in enumerate(best)), len(best)


def guest_base(runtime: Runtime) -> int:
    """MiB of a guest with a runtime and no model."""
    return _BASE_MIB + runtime.mib


def _asked(folder: Path, opening: Opening, inputs: Path, iterations: int) -> Execution:
    """What the oracle is asked; `folder` is laid out as that of a world."""
    return Execution(
        model=str(folder / opening.model),
        inputs=str(inputs),
        results=str(inputs.with_name(RESULTS)),
        iterations=iterations,
        output="scores",
        options=opening.words(str(folder)),
    )


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
        yield from filter(None, (runtime.node, runtime.oracle_node, runtime.second_node))


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
        seconds={each.name: _second(bed, each) for each in runtimes if each.second_node is not None},
    )


def _second(bed: Testbed, runtime: Runtime) -> Oracle:
    node = bed.graph.node(str(runtime.second_node))
    return Oracle(runtime.name, bed.builder.artifact(node) / runtime.program)


def _bundle(bed: Testbed, runtime: Runtime) -> Path:
    """What brings a runtime to a world: the disk that worlds of this testbed mount, or else what is copied."""
    if runtime.disk == RUNTIME.node and bed.project.mounts_runtime:
        return bed.guests.source(RUNTIME)
    return bed.builder.artifact(bed.graph.node(runtime.node)) / runtime.bundle


@dataclass(frozen=True)
class Preparer:
    """Makes inputs and asks the oracle: files go to `work`, the workload's own files are relative to `folder`."""

    parts: Parts
    workload: Workload
    folder: Path
    work: Path

    def subjects(self) -> dict[SubjectKey, Subject]:
        """One for every model, protection and runtime.

        Raises UsageError for inputs or outputs that do not fit, WorkloadError if a model does not run.
        """
        cells: dict[SubjectKey, list[Cell]] = {}
        for cell in cells_of(self.workload, self.folder):
            cells.setdefault(SubjectKey.of(cell), []).append(cell)
        return {key: self._subject(key, model, cells[key]) for key, model in self.parts.models.items()}

    def _subject(self, key: SubjectKey, model: Model, cells: Sequence[Cell]) -> Subject:
        oracle = self.parts.oracles[key.runtime]
        signature = cells[0].own.signature if cells[0].own else None
        description = oracle.describe(model.built, signature)
        for cell in cells:
            check_output(cell, self.workload, description, oracle.runtime.held_bytes)
        given = cells[0].inputs(self.workload)
        data = self.parts.data.get(model.dataset.name) if model.dataset else None
        made = model_inputs(model, description, given, self.folder, data=data, seed=self.workload.seed)
        place = self.work.joinpath(key.model, key.quantization, key.protection, key.runtime)  # two keys, two folders
        shutil.rmtree(place, ignore_errors=True)  # of an invocation that was killed
        place.mkdir(parents=True, mode=0o700)  # what is secret of it is nobody else's
        inputs, world = place / INPUTS, place / "world"
        inputs.write_bytes(made.data)
        deployable = self._deployable(key, model, place / "made")
        deployable.lay_out(world)
        try:
            expected = self._expected(oracle, _asked(world, deployable.opening, inputs, made.count), model, description)
        except WorkloadError as error:
            raise WorkloadError(f"{key}: {error.message}") from None
        subject = Subject(key, model, model.sha256, deployable, inputs, made, expected, oracle)
        return replace(subject, xnnpack=description.xnnpack, memory_kib=description.memory_kib)

    def _expected(self, oracle: Oracle, what: Execution, model: Model, description: ModelDescription) -> Expected:
        """A model that keeps state answers each inference of a run, and is asked all of them, as the worlds are."""
        anatomy = oracle.runtime.anatomy(model.built)
        what = replace(what, signature=description.signature)
        stateful = anatomy is not None and anatomy.stateful
        if stateful:
            what = replace(what, iterations=self.workload.iterations, warmups=self.workload.warmups)
        expected = oracle.expect(what, description, in_sequence=stateful)
        second = self.parts.seconds.get(oracle.name)
        return expected if second is None else replace(expected, second=second.opine(what, expected))

    def _deployable(self, key: SubjectKey, model: Model, work: Path) -> Deployable:
        work.mkdir()
        protection: Protection = PROTECTIONS[key.protection]
        artifacts = {name: self.parts.artifacts[name] for name in protection.nodes(model)}
        return protection.prepare(Given(model, RUNTIMES[key.runtime], self.workload.seed, work, artifacts))
