# SPDX-License-Identifier: Apache-2.0
"""What a model is given, input by input: arrays and pictures of the user's, a data set, or what is drawn at random."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import UsageError
from orchestrator.models.dtypes import DTYPES, is_float, is_quantized, stored
from orchestrator.models.pictures import picture
from orchestrator.models.tensors import (
    PictureShape,
    Tensors,
    make_tensors,
    model_examples,
    noise,
    picture_shape,
    prepare,
    shape_text,
)
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from orchestrator.models.zoo import Model
    from orchestrator.schema.workload import Inputs
    from orchestrator.schema.zoo import ModelDescription, TensorDescription

    Array = NDArray[Any]

_ARRAYS = ".npz"


@dataclass(frozen=True)
class Slot:
    """An input of a model: its tensor, how a picture lies in it if it takes one, and how pixels are prepared."""

    tensor: TensorDescription
    preparation: Preparation
    picture: PictureShape | None

    @classmethod
    def of(cls, tensor: TensorDescription, preparation: Preparation) -> Slot:
        """Raises UsageError for a tensor that nothing can be fed to."""
        if tensor.type not in DTYPES:
            raise UsageError(f"input {tensor.name} is of type {tensor.type}: expected one of {', '.join(DTYPES)}")
        return cls(tensor, preparation, picture_shape(tensor, preparation))

    @property
    def record(self) -> tuple[int, ...]:
        """The shape of one record: without a batch of one."""
        shape = self.tensor.shape
        return shape[1:] if shape and shape[0] == 1 else shape

    def column(self, files: Sequence[Path]) -> Array:
        """All records of these files in the tensor's type, `[N, …]`; raises UsageError, naming file and shape."""
        return np.concatenate([self._from_file(path) for path in files])

    def _from_file(self, path: Path) -> Array:
        if path.suffix == ".npy":
            return self.stored(load_array(path), str(path))
        if self.picture is None:
            what = f"{self.tensor.type} {list(self.tensor.shape)}"
            raise UsageError(
                f"{path}: input {self.tensor.name} takes no picture, it is {what}: expected is a .npy file"
            )
        pixels = picture(path, self.picture.size, self.preparation)[np.newaxis]
        return self.stored(self.picture.lay(pixels), str(path))

    def stored(self, array: Array, name: str) -> Array:
        """An array of the user's in the tensor's type; raises UsageError if shape, type or a number does not fit."""
        array = self._shaped(array, name)
        if array.dtype == np.uint8 and self.picture is not None:
            return stored(prepare(array, self.preparation, nchw=self.picture.nchw), self.tensor)
        dtype = DTYPES[self.tensor.type]
        if array.dtype == dtype and not (is_float(self.tensor) or array.dtype == np.float64):
            return array
        if array.dtype.kind == "f" and (is_float(self.tensor) or is_quantized(self.tensor)):
            return stored(array.astype(np.float32 if dtype.itemsize <= 4 else np.float64, copy=False), self.tensor)
        if array.dtype.kind in "iub" and is_float(self.tensor) and array.dtype != np.uint8:
            return stored(array.astype(np.float32), self.tensor)
        if array.dtype.kind in "iub" and dtype.kind in "iub" and not is_quantized(self.tensor):
            return self._whole(array, name)
        raise UsageError(f"{name}: expected {self._types()}, found {array.dtype}")

    def _types(self) -> str:
        """What arrays may be of."""
        own = DTYPES[self.tensor.type].name
        if self.picture is not None:
            return (
                f"uint8 (pixels) or float32 (prepared){f' or {own} (quantized)' if is_quantized(self.tensor) else ''}"
            )
        return f"float32 or {own} (quantized)" if is_quantized(self.tensor) else own

    def _whole(self, array: Array, name: str) -> Array:
        made = array.astype(DTYPES[self.tensor.type])
        if not np.array_equal(made.astype(object), array.astype(object)):
            raise UsageError(f"{name}: a number does not fit into {self.tensor.type}, the type of {self.tensor.name}")
        return made

    def _shaped(self, array: Array, name: str) -> Array:
        if array.shape == self.tensor.shape and self.record == self.tensor.shape:
            return array[np.newaxis]
        if array.shape[1:] != self.record or array.ndim == 0 or len(array) < 1:
            raise UsageError(f"{name}: expected shape {shape_text(self.record)}, found {list(array.shape)}")
        return array

    def drawn(self, count: int, seed: int, limits: tuple[float, float] | None, place: int) -> Array:
        """Random records: pixels for a picture, else numbers within `limits`; the same for the same seed and place."""
        told = is_float(self.tensor) or self.preparation != Preparation()  # else pixels may be beyond its numbers
        if self.picture is not None and limits is None and told:
            pixels = noise(self.picture.size, count, seed if place == 0 else seed + place).images
            return self.stored(self.picture.lay(pixels), "noise")
        draw, shape, dtype = np.random.default_rng([seed, place]), (count, *self.record), DTYPES[self.tensor.type]
        if dtype.kind == "f" or (is_quantized(self.tensor) and limits is not None):
            low, high = limits or (-1.0, 1.0)
            return stored(draw.uniform(low, high, shape).astype(np.float32), self.tensor)
        if limits is None and (is_quantized(self.tensor) or self.picture is not None):
            return draw.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        low, high = limits or (0, 1)  # an index or a flag that any table has
        return draw.integers(round(low), round(high), shape, np.int64, endpoint=True).astype(dtype)


def load_array(path: Path) -> Array:
    """An array of a .npy file; raises UsageError."""
    try:
        found: Array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path}: no array: {error}") from None
    return found


def model_inputs(
    model: Model, description: ModelDescription, given: Inputs, folder: Path, *, data: Path | None, seed: int
) -> Tensors:
    """Records for all inputs of a model, in the order of its description.

    `given` is what the workload says, its files relative to `folder`; `data` is the model's data set. Raises UsageError
    for what does not fit, with the names that there are.
    """
    try:
        if given.tensors or given.files:
            columns = _given(description, given, folder, model.preparation or given.preparation)
            return _together(description, columns, given.labels)
        if model.dataset is not None and data is not None:
            return _of_data_set(model, description, data, given.count, seed)
        preparation = model.preparation or given.preparation
        slots = [Slot.of(tensor, preparation) for tensor in description.inputs]
        drawn = [slot.drawn(given.count, seed, given.range, place) for place, slot in enumerate(slots)]
        return _together(description, drawn, ())
    except UsageError as error:
        raise UsageError(f"model {model.name}: {error.message}", hint=error.hint) from None


def _of_data_set(model: Model, description: ModelDescription, data: Path, count: int, seed: int) -> Tensors:
    from orchestrator.models.tensors import image_input  # noqa: PLC0415

    tensor, shape = image_input(model.name, description)
    preparation = model.preparation
    assert preparation is not None  # noqa: S101 - a model with a data set has one
    return make_tensors(model_examples(model, data, shape, count, seed), tensor, preparation)


def _given(description: ModelDescription, given: Inputs, folder: Path, preparation: Preparation) -> list[Array]:
    """A column for each input."""
    names = [tensor.name for tensor in description.inputs]
    if given.tensors:
        _same_names("inputs.tensors", set(given.tensors), names)
        return [
            Slot.of(tensor, feed.preprocess).column([folder / path for path in feed.files])
            for tensor in description.inputs
            for feed in [given.tensors[tensor.name]]
        ]
    files = [folder / path for path in given.files]
    slots = [Slot.of(tensor, preparation) for tensor in description.inputs]
    if any(path.suffix == _ARRAYS for path in files):
        return _from_archives(files, slots, names)
    if len(slots) != 1:
        raise UsageError(
            f"inputs.files: it has {len(slots)} inputs: {', '.join(names)}",
            hint="name them: `inputs: {tensors: {NAME: {files: […]}}}`, or one .npz file with an array for each",
        )
    return [slots[0].column(files)]


def _same_names(where: str, found: set[str], names: Sequence[str]) -> None:
    if found != set(names):
        odd = ", ".join(sorted(found ^ set(names)))
        raise UsageError(f"{where}: {odd}: the model's inputs are {', '.join(names)}")


def _from_archives(files: Sequence[Path], slots: Sequence[Slot], names: Sequence[str]) -> list[Array]:
    parts: list[list[Array]] = [[] for _ in slots]
    for path in files:
        for place, array in enumerate(_archive(path, names)):
            parts[place].append(slots[place].stored(array, f"{path}: {names[place]}"))
    return [np.concatenate(part) for part in parts]


def _archive(path: Path, names: Sequence[str]) -> Iterator[Array]:
    """The arrays of a .npz file by their names."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise UsageError(f"{path}: expected only .npz files beside one that is")
            _same_names(str(path), set(archive.files), names)
            yield from [archive[name] for name in names]
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: no archive of arrays: {error}") from None


def _together(description: ModelDescription, columns: Sequence[Array], labels: Sequence[int]) -> Tensors:
    """Records of all inputs, one behind the other."""
    counts = {tensor.name: len(column) for tensor, column in zip(description.inputs, columns, strict=True)}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(f"inputs of different numbers of records: {told}")
    count = next(iter(counts.values()))
    if labels and len(labels) != count:
        raise UsageError(f"labels: expected one for each of the {count} inputs, found {len(labels)}")
    bytes_of = [np.ascontiguousarray(column).reshape(count, -1).view(np.uint8) for column in columns]
    data = np.concatenate(bytes_of, axis=1).tobytes() if count else b""
    expected = count * sum(tensor.bytes for tensor in description.inputs)
    if len(data) != expected:
        raise UsageError(f"expected {expected} bytes of inputs, made are {len(data)}")
    return Tensors(data, count, tuple((label,) for label in labels))
