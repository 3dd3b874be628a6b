# SPDX-License-Identifier: Apache-2.0
"""The zoo that comes with orch, and mistakes in zoos and users' models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from orchestrator.build.graph import Graph, file_digest
from orchestrator.errors import BuildError, UsageError
from orchestrator.models.zoo import Model, Zoo, own_model
from orchestrator.testbed.project import CHECKOUT

DATASET = """
name: data
summary: s
licence: l
source: s
node: data-data
first: {images: i.npy, labels: l.npy}
test: {images: i.npy, labels: l.npy}
"""


def declared(folder: Path, **changes: object) -> Zoo:
    """A zoo of one shipped model with these changes to its declaration."""
    content = b"\x1c\0\0\0TFL3 and weights"
    models, data = folder / "workloads/models/it", folder / "workloads/data/data"
    models.mkdir(parents=True)
    data.mkdir(parents=True)
    (models / "it.tflite").write_bytes(content)
    digest = file_digest(models / "it.tflite")
    text = {"summary": "s", "task": "classification", "licence": "l", "source": "s", "recipe": "r"}
    numbers = {"parameters": 1, "macs": 1, "trained": True, "shipped": True}
    rest = {
        "name": "it",
        "node": "model-it",
        "dataset": "data",
        "input": {"shape": [4, 4, 1]},
        "classes": {"count": 2},
        "files": {
            "int8": {
                "file": "it.tflite",
                "bytes": len(content),
                "sha256": digest,
                "accuracy": {"top1": 0.5, "images": 2},
            }
        },
    }
    (models / "model.yaml").write_text(yaml.safe_dump({**text, **numbers, **rest, **changes}))
    (data / "dataset.yaml").write_text(DATASET)
    return Zoo.load(folder)


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo.load(CHECKOUT)


def test_every_model_of_the_zoo_has_its_node_its_recipe_and_data(zoo: Zoo) -> None:
    graph = Graph.load(CHECKOUT)
    assert {"fashion_cnn", "efficientnet_lite0", "mobilenet_v1_1.0_224", "resnet18", "alexnet"} == set(zoo.models)
    for spec in zoo.models.values():
        node = graph.node(spec.node)
        assert (CHECKOUT / "workloads/models" / spec.recipe).is_file()
        assert any(spec.recipe == file for file in node.spec.files), "an edited recipe must lead to a rebuild"
        assert {"float32", "int8"} == set(spec.files)
    for dataset in zoo.datasets.values():
        graph.node(dataset.node)


def test_only_shipped_models_need_no_tensorflow(zoo: Zoo) -> None:
    for spec in zoo.models.values():
        model = zoo.get(spec.name, "int8")
        assert (model.path is not None) == spec.shipped == (spec.name == "fashion_cnn")
        assert (model.node is None) == spec.shipped


def test_shipped_files_are_those_that_are_stated(zoo: Zoo) -> None:
    for quantization, size in (("float32", 258_552), ("int8", 73_368)):
        model = zoo.get("fashion_cnn", quantization)  # type: ignore[arg-type]
        assert model.path is not None
        assert model.stated is not None
        assert model.sha256 == model.stated.sha256
        assert model.bytes == size == model.stated.bytes
        assert model.trained
        assert model.accuracy is not None
        assert model.accuracy.top1 > 0.9
        assert model.labels[9] == "ankle boot"


def test_models_for_timing_are_labelled_so(zoo: Zoo) -> None:
    random = {name for name, spec in zoo.models.items() if not spec.trained}
    assert random == {"mobilenet_v1_1.0_224", "resnet18", "alexnet"}
    for name in random:
        assert "random weights" in zoo.models[name].summary
        assert zoo.get(name, "int8").accuracy is None


def test_unknown_names_lead_to_the_nearest(zoo: Zoo) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'resnet-18'; did you mean 'resnet18'\?") as caught:
        zoo.get("resnet-18", "int8")
    assert "alexnet" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"^unknown model 'zzz'$"):
        zoo.get("zzz", "int8")


def test_a_quantization_that_a_model_lacks(tmp_path: Path) -> None:
    zoo = declared(tmp_path)
    assert zoo.get("it", "int8").path == tmp_path / "workloads/models/it/it.tflite"
    with pytest.raises(UsageError, match="model it has no float32 file") as caught:
        zoo.get("it", "float32")
    assert caught.value.hint == "it has: int8"


def test_a_shipped_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    zoo = declared(tmp_path)
    (tmp_path / "workloads/models/it/it.tflite").write_bytes(b"\x1c\0\0\0TFL3 other weights")
    with pytest.raises(BuildError, match=r"is not the file that model\.yaml states"):
        zoo.get("it", "int8")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "other"}, "name: must be that of its folder, 'it'"),
        ({"dataset": "nowhere"}, "model it: no data set 'nowhere'"),
        ({"dataset": None}, "a trained model states its data set and the accuracy"),
        ({"trained": False}, "a model with random weights has neither accuracy nor data set"),
        ({"classes": {"count": 2, "names": {2: "x"}}}, "a name is of class 2, and there are 2"),
        ({"input": {"shape": [4, 4, 2]}}, "model.yaml:[0-9]+:[0-9]+: input.shape.2"),
        ({"licences": "l"}, "unknown key; did you mean 'licence'"),
    ],
)
def test_mistakes_in_a_declaration(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        declared(tmp_path, **changes)


def test_a_model_of_a_node_has_no_path_before_it_is_built(zoo: Zoo) -> None:
    model = zoo.get("resnet18", "int8")
    with pytest.raises(BuildError, match="resnet18 is not built yet"):
        assert model.sha256
    assert model.bytes == zoo.models["resnet18"].files["int8"].bytes


def test_own_models(tmp_path: Path) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3 and weights")
    model: Model = own_model("mine", path, "int8")
    assert (model.name, model.built, model.accuracy, model.shape) == ("mine", path, None, None)
    assert model.bytes == len(b"\x1c\0\0\0TFL3 and weights")
    path.write_bytes(b"PK\3\4 a zip file")
    with pytest.raises(UsageError, match=re.escape(f"{path}: no TensorFlow Lite model")):
        own_model("mine", path, "int8")
    with pytest.raises(UsageError, match="No such file"):
        own_model("mine", tmp_path / "nowhere.tflite", "int8")
