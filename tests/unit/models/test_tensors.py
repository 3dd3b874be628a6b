# SPDX-License-Identifier: Apache-2.0
"""From pictures and arrays to the bytes that a model takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import UsageError
from orchestrator.experiment.prepare import preparation_of
from orchestrator.models import tensors
from orchestrator.models.tensors import Examples, file_examples, make_tensors, quantize
from orchestrator.models.zoo import Model
from orchestrator.schema.workload import Inputs
from orchestrator.schema.zoo import ModelDescription, Photo, Preparation, Subset, TensorDescription

FLOAT = TensorDescription(type="FLOAT32", shape=(1, 2, 2, 1), bytes=16)
INT8 = TensorDescription(type="INT8", shape=(1, 2, 2, 1), bytes=4, scale=1 / 255, zero_point=-128)
UNIT = Preparation(mean=0, std=255)


def pixels(*values: int) -> Examples:
    return Examples(np.array(values, np.uint8).reshape(-1, 2, 2, 1))


def test_pixels_are_prepared_and_laid_one_behind_the_other() -> None:
    made = make_tensors(pixels(0, 51, 102, 255, 255, 255, 0, 0), FLOAT, UNIT)
    assert made.count == 2
    assert np.allclose(np.frombuffer(made.data, "<f4"), [0, 0.2, 0.4, 1, 1, 1, 0, 0])


def test_pixels_are_quantized_as_the_tensor_says() -> None:
    made = make_tensors(pixels(0, 51, 102, 255), INT8, UNIT)
    assert np.frombuffer(made.data, "i1").tolist() == [-128, -77, -26, 127]


def test_quantization_rounds_to_the_nearest_and_saturates() -> None:
    tensor = TensorDescription(type="INT8", shape=(1, 6), bytes=6, scale=0.5, zero_point=1)
    values = np.array([-1000, -0.3, 0.2, 0.3, 0.74, 1000], np.float32)
    assert quantize(values, tensor).tolist() == [-128, 0, 1, 2, 2, 127]
    unsigned = tensor.model_copy(update={"type": "UINT8"})
    assert quantize(values, unsigned).tolist() == [0, 0, 1, 2, 2, 255]


def test_float_arrays_are_prepared_already(tmp_path: Path) -> None:
    array = np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1) / 8
    np.save(tmp_path / "a.npy", array)
    found = file_examples([tmp_path / "a.npy"], (2, 2, 1), UNIT)
    assert make_tensors(found, FLOAT, UNIT).data == array.tobytes()


def test_files_come_in_order_with_their_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 2, 2, 1), 7, np.uint8))
    Image.new("RGB", (9, 5), (200, 200, 200)).save(tmp_path / "b.png")
    found = file_examples([tmp_path / "a.npy", tmp_path / "b.png"], (2, 2, 1), UNIT, (4, 5, 6))
    assert found.images[:, 0, 0, 0].tolist() == [7, 7, 200]
    made = make_tensors(found, INT8, UNIT)
    assert made.labels == ((4,), (5,), (6,))
    assert [made.correct(2, 6), made.correct(2, 5)] == [True, False]
    assert make_tensors(pixels(1, 2, 3, 4), INT8, UNIT).correct(0, 1) is None


def test_a_picture_is_cropped_to_its_middle_square(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.save(tmp_path / "p.png")
    whole = tensors.picture(tmp_path / "p.png", (8, 8, 3), 1.0)
    assert whole.shape == (8, 8, 3)
    assert (whole[:, 2:6] == [0, 0, 255]).all(), "what is left and right of the square is not there"
    image.paste((0, 255, 0), (100, 0, 200, 10))
    image.save(tmp_path / "p.png")
    assert (tensors.picture(tmp_path / "p.png", (8, 8, 3), 1.0)[0, 2:6, 1] > 100).all()
    assert (tensors.picture(tmp_path / "p.png", (8, 8, 3), 0.6)[0, 2:6, 1] == 0).all(), "nor is the green border"


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((10, 32, 32, 3), np.uint8), r"expected shape \[N, 28, 28, 1\], found \[10, 32, 32, 3\]"),
        (np.zeros((28, 28, 1), np.uint8), r"expected shape \[N, 28, 28, 1\], found \[28, 28, 1\]"),
        (np.zeros((0, 28, 28, 1), np.uint8), r"expected shape \[N, 28, 28, 1\], found \[0, 28, 28, 1\]"),
        (np.zeros((1, 28, 28, 1), np.float64), r"expected uint8 \(pixels\) or float32 \(prepared\), found float64"),
        (np.array([{}]), "no array"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: np.ndarray, problem: str) -> None:  # type: ignore[type-arg]
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UsageError, match=problem) as caught:
        file_examples([tmp_path / "a.npy"], (28, 28, 1), UNIT)
    assert "a.npy" in caught.value.message
    assert "\n" not in caught.value.message


def test_files_that_are_no_inputs(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    (tmp_path / "a.npy").write_bytes(b"nothing")
    (tmp_path / "empty.npy").touch()
    cases = {
        "a.png": "no picture",
        "a.npy": "no array",
        "empty.npy": "no array",
        "b.png": "such file",
        "b.npy": "such file",
    }
    for name, problem in cases.items():
        with pytest.raises(UsageError, match=problem):
            file_examples([tmp_path / name], (2, 2, 1), UNIT)
    with pytest.raises(UsageError, match="no input files"):
        file_examples([], (2, 2, 1), UNIT)


def test_two_types_and_wrong_numbers_of_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 2, 1), np.uint8))
    np.save(tmp_path / "b.npy", np.zeros((1, 2, 2, 1), np.float32))
    with pytest.raises(UsageError, match="found both"):
        file_examples([tmp_path / "a.npy", tmp_path / "b.npy"], (2, 2, 1), UNIT)
    with pytest.raises(UsageError, match="expected one for each of the 1 inputs, found 2"):
        file_examples([tmp_path / "a.npy"], (2, 2, 1), UNIT, (1, 2))


def test_subsets_of_data_sets(tmp_path: Path) -> None:
    np.save(tmp_path / "i.npy", np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1))
    np.save(tmp_path / "l.npy", np.array([5, 6, 7], np.uint8))
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "p.png")
    arrays, photos = Subset(images="i.npy", labels="l.npy"), Subset(photos=(Photo(file="p.png", labels=(3, 4)),))
    two = tensors.subset_examples(tmp_path, arrays, (2, 2, 1), UNIT, 2)
    assert (two.images.tolist(), two.labels) == (np.arange(8).reshape(2, 2, 2, 1).tolist(), ((5,), (6,)))
    one = tensors.subset_examples(tmp_path, photos, (2, 2, 3), UNIT, None)
    assert (one.images.shape, one.labels, one.names) == ((1, 2, 2, 3), ((3, 4),), ("p.png",))
    with pytest.raises(UsageError, match=r"i\.npy: expected shape \[N, 4, 4, 1\]"):
        tensors.subset_examples(tmp_path, arrays, (4, 4, 1), UNIT, 2)


def test_noise_is_the_same_for_the_same_seed() -> None:
    one, same, other = (tensors.noise((4, 4, 3), 2, seed).images for seed in (1, 1, 2))
    assert one.shape == (2, 4, 4, 3)
    assert (one == same).all()
    assert (one != other).any()


def test_a_model_takes_one_picture() -> None:
    tensor = TensorDescription(type="INT8", shape=(1, 2, 2, 1), bytes=4)
    description = ModelDescription(inputs=(tensor,), outputs=())
    assert tensors.image_input("m", description) == (tensor, (2, 2, 1))


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ((), "one input expected, it has 0"),
        ((FLOAT, FLOAT), "one input expected, it has 2"),
        ((FLOAT.model_copy(update={"shape": (1, 16)}),), r"found FLOAT32 \[1, 16\]"),
        ((FLOAT.model_copy(update={"type": "INT32"}),), r"found INT32 \[1, 2, 2, 1\]"),
        ((FLOAT.model_copy(update={"shape": (2, 2, 2, 1)}),), "found FLOAT32"),
    ],
)
def test_models_that_take_no_picture(inputs: tuple[TensorDescription, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        tensors.image_input("m", ModelDescription(inputs=inputs, outputs=()))


def test_a_mean_is_for_models_that_have_none() -> None:
    own = Model("own", "int8", trained=False, summary="", licence="", path=None)
    known = dataclasses.replace(own, name="known", preparation=Preparation(mean=3, std=4))
    assert preparation_of(own, Inputs(mean=1, std=2)) == Preparation(mean=1, std=2)
    assert preparation_of(known, Inputs()) == known.preparation
