# SPDX-License-Identifier: Apache-2.0
"""From pictures and arrays to the bytes that a model takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import UsageError
from orchestrator.models import tensors
from orchestrator.models.dtypes import stored
from orchestrator.models.tensors import Examples, make_tensors
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
    assert stored(values, tensor).tolist() == [-128, 0, 1, 2, 2, 127]
    unsigned = tensor.model_copy(update={"type": "UINT8"})
    assert stored(values, unsigned).tolist() == [0, 0, 1, 2, 2, 255]


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
