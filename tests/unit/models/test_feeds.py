# SPDX-License-Identifier: Apache-2.0
"""What a model is given: arrays and pictures by the names of its inputs, or numbers drawn at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import UsageError
from orchestrator.models.feeds import Slot, model_inputs
from orchestrator.models.tensors import Tensors
from orchestrator.models.zoo import Model
from orchestrator.schema.workload import Inputs
from orchestrator.schema.zoo import ModelDescription, Preparation, TensorDescription

UNIT = Preparation(std=255)
SIZES = {"FLOAT32": 4, "FLOAT16": 2, "INT8": 1, "UINT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "BOOL": 1}


def tensor(kind: str, *shape: int, name: str = "x", scale: float = 0.0, zero: int = 0) -> TensorDescription:
    size = int(np.prod(shape)) * SIZES[kind]
    return TensorDescription(name=name, type=kind, shape=shape, bytes=size, scale=scale, zero_point=zero)


GREY = tensor("FLOAT32", 1, 2, 2, 1)
GREY8 = tensor("INT8", 1, 2, 2, 1, scale=1 / 255, zero=-128)


def fed(folder: Path, inputs: Inputs, *tensors: TensorDescription, preparation: Preparation | None = None) -> Tensors:
    model = Model("m", "int8", trained=False, summary="", licence="", path=None, preparation=preparation)
    description = ModelDescription(inputs=tensors, outputs=())
    return model_inputs(model, description, inputs, folder, data=None, seed=1)


def numbers(made: Tensors, kind: str) -> list[Any]:
    return np.frombuffer(made.data, kind).tolist()


def saved(folder: Path, name: str, values: Any, kind: str) -> Path:
    np.save(folder / name, np.array(values, kind))
    return Path(name)


def test_float_arrays_are_prepared_already(tmp_path: Path) -> None:
    array = np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1) / 8
    saved(tmp_path, "a.npy", array, "f4")
    assert fed(tmp_path, Inputs(files=(Path("a.npy"),), mean=9), GREY).data == array.tobytes()


def test_files_come_in_order_with_their_labels(tmp_path: Path) -> None:
    saved(tmp_path, "a.npy", np.full((2, 2, 2, 1), 51), "u1")
    Image.new("RGB", (9, 5), (204, 204, 204)).save(tmp_path / "b.png")
    files = (Path("a.npy"), Path("b.png"))
    made = fed(tmp_path, Inputs(files=files, labels=(4, 5, 6), std=255), GREY)
    assert np.allclose(numbers(made, "<f4")[::4], [0.2, 0.2, 0.8])
    assert made.labels == ((4,), (5,), (6,))
    assert [made.correct(2, 6), made.correct(2, 5), made.correct(2, None)] == [True, False, None]
    assert fed(tmp_path, Inputs(files=files), GREY).correct(0, 1) is None


def test_a_model_of_the_zoo_prepares_as_it_was_trained(tmp_path: Path) -> None:
    saved(tmp_path, "a.npy", np.full((1, 2, 2, 1), 10), "u1")
    made = fed(tmp_path, Inputs(files=(Path("a.npy"),)), GREY, preparation=Preparation(mean=4, std=2))
    assert numbers(made, "<f4") == [3.0] * 4


@pytest.mark.parametrize(
    ("given", "kind", "target", "expected"),
    [
        ([[1.5, -2]], "f4", tensor("FLOAT32", 1, 2), [1.5, -2]),
        ([[1.5, -2]], "f8", tensor("FLOAT16", 1, 2), [1.5, -2]),
        ([[3, -4]], "i4", tensor("FLOAT32", 1, 2), [3, -4]),
        ([[1.5, -2]], "f4", tensor("INT8", 1, 2, scale=0.5, zero=1), [4, -3]),
        ([[100, -100]], "i1", tensor("INT8", 1, 2, scale=0.5, zero=1), [100, -100]),
        ([[1.5, -2]], "f4", tensor("INT16", 1, 2, scale=0.25), [6, -8]),
        ([[2**40, -1]], "i8", tensor("INT64", 1, 2), [2**40, -1]),
        ([[7, -1]], "i8", tensor("INT32", 1, 2), [7, -1]),
        ([[True, False]], "?", tensor("BOOL", 1, 2), [True, False]),
        ([5.0, 6.0], "f4", tensor("FLOAT32"), [5.0, 6.0]),
        ([[5.0], [6.0]], "f4", tensor("FLOAT32", 1), None),
        ([[1, 2], [3, 4], [5, 6]], "f4", tensor("FLOAT32", 3, 2), [1, 2, 3, 4, 5, 6]),
        ([[[1, 2]] * 3] * 2, "f4", tensor("FLOAT32", 3, 2), [1, 2] * 6),
    ],
)
def test_arrays_of_any_rank_and_type(
    tmp_path: Path, given: Any, kind: str, target: TensorDescription, expected: list[Any] | None
) -> None:
    inputs = Inputs(files=(saved(tmp_path, "a.npy", given, kind),))
    if expected is None:
        with pytest.raises(UsageError, match=r"expected shape \[N\], found \[2, 1\]"):
            fed(tmp_path, inputs, target)
        return
    stored = {"FLOAT32": "<f4", "FLOAT16": "<f2", "BOOL": "?"}.get(target.type, f"<i{SIZES[target.type]}")
    assert numbers(fed(tmp_path, inputs, target), stored) == expected


@pytest.mark.parametrize(
    ("given", "kind", "target", "problem"),
    [
        (np.zeros((10, 32, 32, 3)), "u1", GREY, r"expected shape \[N, 2, 2, 1\], found \[10, 32, 32, 3\]"),
        (np.zeros((2, 2, 1)), "u1", GREY, r"expected shape \[N, 2, 2, 1\], found \[2, 2, 1\]"),
        (np.zeros((0, 2, 2, 1)), "u1", GREY, r"expected shape \[N, 2, 2, 1\], found \[0, 2, 2, 1\]"),
        (np.zeros((1, 2, 2, 1)), "c8", GREY, r"expected uint8 \(pixels\) or float32 \(prepared\), found complex64"),
        (np.zeros((1, 2, 2, 1)), "i8", GREY8, r"float32 \(prepared\) or int8 \(quantized\), found int64"),
        ([[2**40]], "i8", tensor("INT32", 1, 1), "a number does not fit into INT32, the type of x"),
        ([[0.5]], "f4", tensor("INT32", 1, 1), "expected int32, found float32"),
        ([[2]], "i4", tensor("BOOL", 1, 1), "a number does not fit into BOOL"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, given: Any, kind: str, target: TensorDescription, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        fed(tmp_path, Inputs(files=(saved(tmp_path, "a.npy", given, kind),)), target)
    assert caught.value.message.startswith("model m: ")
    assert "a.npy" in caught.value.message
    assert "\n" not in caught.value.message


def test_files_that_are_no_inputs(tmp_path: Path) -> None:
    for name in ("a.png", "a.npy", "a.npz"):
        (tmp_path / name).write_bytes(b"nothing")
    (tmp_path / "empty.npy").touch()
    cases = {
        "a.png": "no picture",
        "a.npy": "no array",
        "empty.npy": "no array",
        "a.npz": "no archive of arrays",
        "b.png": "such file",
        "b.npy": "such file",
        "b.npz": "such file",
    }
    for name, problem in cases.items():
        with pytest.raises(UsageError, match=problem):
            fed(tmp_path, Inputs(files=(Path(name),)), GREY)
    Image.new("L", (4, 4)).save(tmp_path / "p.png")
    with pytest.raises(UsageError, match=r"input x takes no picture, it is FLOAT32 \[1, 16\]: expected is a .npy file"):
        fed(tmp_path, Inputs(files=(Path("p.png"),)), tensor("FLOAT32", 1, 16))


LEFT, RIGHT = tensor("FLOAT32", 1, 2, name="left"), tensor("INT32", 1, 1, name="right")


def test_inputs_by_name_in_the_order_of_the_model(tmp_path: Path) -> None:
    left, right = saved(tmp_path, "l.npy", [[1, 2], [3, 4]], "f4"), saved(tmp_path, "r.npy", [[7], [8]], "i8")
    inputs = Inputs.model_validate({"tensors": {"right": {"files": [right]}, "left": {"files": [left]}}})
    for made in (fed(tmp_path, inputs, LEFT, RIGHT), fed(tmp_path, _archive(tmp_path), LEFT, RIGHT)):
        rows = np.frombuffer(made.data, [("left", "<f4", 2), ("right", "<i4")])
        assert made.count == 2
        assert rows["left"].tolist() == [[1, 2], [3, 4]]
        assert rows["right"].tolist() == [7, 8]


def _archive(folder: Path) -> Inputs:
    np.savez(folder / "both.npz", right=np.array([[7], [8]]), left=np.array([[1, 2], [3, 4]], np.float32))
    return Inputs(files=(Path("both.npz"),))


def test_names_and_numbers_of_inputs_that_do_not_fit(tmp_path: Path) -> None:
    left, right = saved(tmp_path, "l.npy", [[1, 2], [3, 4]], "f4"), saved(tmp_path, "r.npy", [[7]], "i8")
    cases = [
        ({"files": [left]}, "inputs.files: it has 2 inputs: left, right"),
        ({"tensors": {"left": {"files": [left]}}}, "inputs.tensors: right: the model's inputs are left, right"),
        (
            {"tensors": {"left": {"files": [left]}, "right": {"files": [right]}}},
            "inputs of different numbers of records: left 2, right 1",
        ),
    ]
    for given, problem in cases:
        with pytest.raises(UsageError, match=problem):
            fed(tmp_path, Inputs.model_validate(given), LEFT, RIGHT)
    np.savez(tmp_path / "odd.npz", left=np.zeros((1, 2), np.float32), wrong=np.zeros((1, 1)))
    with pytest.raises(UsageError, match=r"odd\.npz: right, wrong: the model's inputs are left, right"):
        fed(tmp_path, Inputs(files=(Path("odd.npz"),)), LEFT, RIGHT)
    with pytest.raises(UsageError, match="expected one for each of the 2 inputs, found 1"):
        fed(tmp_path, Inputs(files=(left,), labels=(1,)), LEFT)


def test_channels_first_and_a_mean_for_each(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (10, 20, 30))
    image.save(tmp_path / "p.png")
    preprocess = Preparation(mean=(1, 2, 3), std=(1, 2, 3))
    given = Inputs(files=(Path("p.png"),), preprocess=preprocess)
    first, last = tensor("FLOAT32", 1, 3, 2, 2), tensor("FLOAT32", 1, 2, 2, 3)
    assert numbers(fed(tmp_path, given, first), "<f4") == [9.0] * 12
    assert numbers(fed(tmp_path, given, last), "<f4") == [9.0] * 12
    swapped = Inputs(files=(Path("p.png"),), preprocess=Preparation(channels="bgr"))
    assert numbers(fed(tmp_path, swapped, first), "<f4") == [30.0] * 4 + [20.0] * 4 + [10.0] * 4
    with pytest.raises(UsageError, match="3 numbers for 1 channels"):
        fed(tmp_path, given, GREY)
    both = tensor("FLOAT32", 1, 3, 2, 3)
    assert Slot.of(both, Preparation()).picture != Slot.of(both, Preparation(layout="nchw")).picture


def test_what_is_drawn_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for target in (tensor("FLOAT32", 1, 64), tensor("INT32", 1, 64), tensor("BOOL", 1, 64), GREY, GREY8):
        one, same = (fed(tmp_path, Inputs(count=4), target).data for _ in range(2))
        assert one == same
        assert len(set(one)) > 1, target
    two = fed(tmp_path, Inputs(count=4), tensor("FLOAT32", 1, 8, name="a"), tensor("FLOAT32", 1, 8, name="b"))
    rows = np.frombuffer(two.data, "<f4").reshape(4, 2, 8)
    assert (rows[:, 0] != rows[:, 1]).any()
    limited = fed(tmp_path, Inputs(count=4, range=(3, 5)), tensor("INT32", 1, 64))
    assert set(numbers(limited, "<i4")) == {3, 4, 5}
