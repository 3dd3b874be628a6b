# SPDX-License-Identifier: Apache-2.0
"""The model zoo: models that come with orch, their data sets, and models that users bring."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from orchestrator.build.graph import file_digest
from orchestrator.errors import BuildError, UsageError
from orchestrator.registry import DEFAULT_RUNTIME, RUNTIMES
from orchestrator.schema.yamlfile import load
from orchestrator.schema.zoo import Accuracy, Classes, DatasetYaml, ModelFile, ModelInput, ModelYaml, Preparation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.build.builder import Builder
    from orchestrator.words import Quantization

MODELS = "workloads/models"
DATASETS = "workloads/data"
Named = TypeVar("Named", ModelYaml, DatasetYaml)


@dataclass(frozen=True)
class Model:
    """One .tflite file, of the zoo or of the user; `path` is None until the node that makes it was built.

    `preparation`, `shape` (height, width, channels), `classes` and `accuracy` are None where nothing is known.
    """

    name: str
    quantization: Quantization
    trained: bool
    summary: str
    licence: str
    path: Path | None
    node: str | None = None
    file: str = ""
    stated: ModelFile | None = None
    shape: tuple[int, int, int] | None = None
    preparation: Preparation | None = None
    classes: Classes | None = None
    dataset: DatasetYaml | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        """The stated accuracy."""
        return self.stated.accuracy if self.stated else None

    @property
    def labels(self) -> dict[int, str]:
        """Names of classes by index, as far as they are known."""
        return self.classes.names if self.classes else {}

    @property
    def built(self) -> Path:
        """The file; raises BuildError before `Zoo.build`."""
        if self.path is None:
            raise BuildError(f"model {self.name} is not built yet", hint=f"run `orch build {self.node}`")
        return self.path

    @property
    def sha256(self) -> str:
        """Of the file that is there, which for a model of a node may differ from the stated one; raises BuildError."""
        return file_digest(self.built)

    @property
    def bytes(self) -> int:
        """Size of the file; before it is built, the stated one."""
        if self.path is None and self.stated is not None:
            return self.stated.bytes
        return self.built.stat().st_size


@dataclass(frozen=True)
class Zoo:
    """All models and data sets of a checkout."""

    root: Path
    models: dict[str, ModelYaml]
    datasets: dict[str, DatasetYaml]

    @classmethod
    def load(cls, root: Path) -> Zoo:
        """Read every model.yaml and dataset.yaml of the checkout at `root`; raises UsageError on a mistake in one."""
        models = _by_name(sorted((root / MODELS).glob("*/model.yaml")), ModelYaml)
        datasets = _by_name(sorted((root / DATASETS).glob("*/dataset.yaml")), DatasetYaml)
        zoo = cls(root, models, datasets)
        for model in models.values():
            if model.dataset is not None and model.dataset not in zoo.datasets:
                raise UsageError(f"model {model.name}: no data set '{model.dataset}' in {DATASETS}")
        return zoo

    def describe(self, name: str) -> ModelYaml:
        """The declaration of a model; raises UsageError with the nearest name."""
        if name not in self.models:
            close = difflib.get_close_matches(name, self.models, n=1, cutoff=0.4)
            nearest = f"; did you mean '{close[0]}'?" if close else ""
            raise UsageError(f"unknown model '{name}'{nearest}", hint=f"models: {', '.join(self.models)}")
        return self.models[name]

    def file_of(self, name: str, quantization: Quantization) -> ModelFile:
        """What is stated of one file of a model; raises UsageError if there is none."""
        spec = self.describe(name)
        if quantization not in spec.files:
            raise UsageError(f"model {name} has no {quantization} file", hint=f"it has: {', '.join(spec.files)}")
        return spec.files[quantization]

    def get(self, name: str, quantization: Quantization) -> Model:
        """One file of a model; `path` is set where it is shipped. Raises UsageError; BuildError if it was changed."""
        spec, stated = self.describe(name), self.file_of(name, quantization)
        return Model(
            name=name,
            quantization=quantization,
            trained=spec.trained,
            summary=spec.summary,
            licence=spec.licence,
            path=self._shipped(spec, stated) if spec.shipped else None,
            node=None if spec.shipped else spec.node,
            file=stated.file,
            stated=stated,
            shape=spec.input.shape,
            preparation=spec.input.preparation,
            classes=spec.classes,
            dataset=self.datasets[spec.dataset] if spec.dataset else None,
        )

    def _shipped(self, spec: ModelYaml, stated: ModelFile) -> Path:
        """The file in the checkout; raises BuildError unless it is the one stated."""
        path = self.root / MODELS / spec.name / stated.file
        if not path.is_file() or file_digest(path) != stated.sha256:
            raise BuildError(f"{path} is not the file that model.yaml states", hint="restore it from version control")
        return path

    def build(self, models: Sequence[Model], builder: Builder) -> list[Model]:
        """The same models with their paths; makes what is not in the cache."""
        nodes = {model.node: builder.graph.node(model.node) for model in models if model.node and model.path is None}
        builder.build(list(nodes.values()))
        return [_placed(model, builder) for model in models]

    def data(self, datasets: Sequence[DatasetYaml], builder: Builder) -> dict[str, Path]:
        """Folders with the files of data sets, by name; makes what is not in the cache."""
        nodes = {dataset.name: builder.graph.node(dataset.node) for dataset in datasets}
        builder.build(list(nodes.values()))
        return {name: builder.artifact(node) for name, node in nodes.items()}


def _by_name(paths: Sequence[Path], kind: type[Named]) -> dict[str, Named]:
    """Declarations by name, which is also that of their folder."""
    found = {}
    for path in paths:
        found[path.parent.name] = load(path, kind)
        if found[path.parent.name].name != path.parent.name:
            raise UsageError(f"{path}: name: must be that of its folder, '{path.parent.name}'")
    return found


def _placed(model: Model, builder: Builder) -> Model:
    if model.node is None or model.path is not None:
        return model
    path = builder.artifact(builder.graph.node(model.node)) / model.file
    if not path.is_file():
        raise BuildError(f"node {model.node} made no {model.file}")
    return replace(model, path=path)


def own_model(
    name: str,
    path: Path,
    quantization: Quantization,
    *,
    runtime: str = DEFAULT_RUNTIME,
    input_of: ModelInput | None = None,
    classes: Classes | None = None,
) -> Model:
    """A model that the user brings, called `name` in results; raises UsageError if `path` is none for the runtime."""
    RUNTIMES[runtime].check(path)
    return Model(
        name=name,
        quantization=quantization,
        trained=True,
        summary=f"own model, {path.name}",
        licence="the user's",
        path=path.resolve(),
        file=path.name,
        shape=input_of.shape if input_of else None,
        preparation=input_of.preparation if input_of else None,
        classes=classes,
    )
