# SPDX-License-Identifier: Apache-2.0
"""Inputs as the runner takes them: pictures and arrays, prepared and quantized for one model, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import UsageError
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from orchestrator.models.zoo import Model
    from orchestrator.schema.zoo import ModelDescription, Subset, TensorDescription

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float32]

_NUMPY: dict[str, np.dtype[Any]] = {"FLOAT32": np.dtype("<f4"), "INT8": np.dtype("i1"), "UINT8": np.dtype("u1")}
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Examples:
    """Inputs of one shape before quantization: uint8 are pixels, float32 are numbers as the model was trained on.

    `labels` holds the classes that are right for each input, the usual one first; it is empty where none is known.
    """

    images: Pixels | Floats
    labels: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tensors:
    """What the runner's --inputs takes: `count` tensors, one behind the other."""

    data: bytes
    count: int
    labels: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def correct(self, index: int, answer: int) -> bool | None:
        """Whether class `answer` is right for tensor `index`; None where that is not known."""
        return answer in self.labels[index] if self.labels else None


def image_input(name: str, description: ModelDescription) -> tuple[TensorDescription, Shape]:
    """The one input tensor of a model with its height, width and channels; raises UsageError if it is no picture."""
    if len(description.inputs) != 1:
        raise UsageError(f"model {name}: one input expected, it has {len(description.inputs)}")
    tensor = description.inputs[0]
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.shape[3] not in (1, 3) or tensor.type not in _NUMPY:
        shape = list(tensor.shape)
        raise UsageError(f"model {name}: expected an input [1, height, width, 1 or 3], found {tensor.type} {shape}")
    return tensor, (tensor.shape[1], tensor.shape[2], tensor.shape[3])


# --- where examples come from ---------------------------------------------------------------------------------------


def subset_examples(
    folder: Path, subset: Subset, shape: Shape, preparation: Preparation, count: int | None
) -> Examples:
    """The first `count` (all if None) inputs of a data set's subset, in the shape of a model."""
    if subset.photos:
        photos = subset.photos[:count]
        images = [picture(folder / photo.file, shape, preparation.crop) for photo in photos]
        labels = tuple(photo.labels for photo in photos)
        return Examples(np.stack(images), labels, tuple(photo.file for photo in photos))
    images = np.load(folder / str(subset.images))[:count]
    labels = tuple((int(label),) for label in np.load(folder / str(subset.labels))[:count])
    _check_shape(str(subset.images), images.shape, shape)
    return Examples(images, labels)


def noise(shape: Shape, count: int, seed: int) -> Examples:
    """Random pixels, for models whose answers mean nothing."""
    return Examples(np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8))


def file_examples(
    files: Sequence[Path], shape: Shape, preparation: Preparation, labels: Sequence[int] = ()
) -> Examples:
    """The user's inputs: arrays [N, height, width, channels] of uint8 or float32 in .npy files, and pictures.

    Raises UsageError naming expected and found shape, type or number of labels.
    """
    parts = [_from_file(path, shape, preparation) for path in files]
    if not parts:
        raise UsageError("no input files given")
    if len({part.dtype for part in parts}) > 1:
        raise UsageError("inputs of two types: expected pixels (uint8 arrays, pictures) or float32 arrays, found both")
    images = np.concatenate(parts)
    if labels and len(labels) != len(images):
        raise UsageError(f"labels: expected one for each of the {len(images)} inputs, found {len(labels)}")
    return Examples(images, tuple((label,) for label in labels))


def _from_file(path: Path, shape: Shape, preparation: Preparation) -> NDArray[Any]:
    if path.suffix != ".npy":
        return picture(path, shape, preparation.crop)[np.newaxis]
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path}: no array: {error}") from None
    if array.dtype not in (np.uint8, np.float32):
        raise UsageError(f"{path}: expected uint8 (pixels) or float32 (prepared), found {array.dtype}")
    _check_shape(str(path), array.shape, shape)
    return array


def _check_shape(name: str, found: tuple[int, ...], shape: Shape) -> None:
    if len(found) != 4 or found[1:] != shape or found[0] < 1:
        expected = ", ".join(str(size) for size in shape)
        raise UsageError(f"{name}: expected shape [N, {expected}], found {list(found)}")


def picture(path: Path, shape: Shape, crop: float) -> Pixels:
    """The middle square of a picture, bicubically resized to [height, width, channels]; raises UsageError."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - costs 50 ms and most runs bring arrays

    height, width, channels = shape
    try:
        with Image.open(path) as opened:
            image = opened.convert("L" if channels == 1 else "RGB")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: no picture: {error}") from None
    side = min(image.size) * crop
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    resized = image.resize((width, height), Image.Resampling.BICUBIC, box)
    return np.asarray(resized, np.uint8).reshape(shape)


# --- what the model is given ------------------------------------------------------------------------------------------


def make_tensors(examples: Examples, tensor: TensorDescription, preparation: Preparation) -> Tensors:
    """Prepare pixels, quantize, and lay the tensors one behind the other."""
    images = examples.images
    values = prepare(images, preparation) if images.dtype == np.uint8 else images.astype(np.float32)
    data = quantize(values, tensor).tobytes()
    if len(data) != len(images) * tensor.bytes:
        raise UsageError(f"expected {tensor.bytes} bytes an input, found {len(data) / len(images):g}")
    return Tensors(data, len(images), examples.labels, examples.names)


def prepare(pixels: NDArray[Any], preparation: Preparation) -> Floats:
    """(pixel - mean) / std in single precision."""
    return (pixels.astype(np.float32) - np.float32(preparation.mean)) / np.float32(preparation.std)


def quantize(values: Floats, tensor: TensorDescription) -> NDArray[Any]:
    """Numbers in the type of a tensor: round(value / scale) + zero point, saturated (TFLite 8-bit specification)."""
    dtype = _NUMPY[tensor.type]
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    low, high = (-128, 127) if dtype.kind == "i" else (0, 255)
    scaled = np.rint(values / np.float32(tensor.scale or 1.0)) + tensor.zero_point
    quantized: NDArray[Any] = np.clip(scaled, low, high).astype(dtype)
    return quantized


def model_examples(model: Model, folder: Path | None, shape: Shape, count: int, seed: int) -> Examples:
    """What a model of the zoo is given by default: its data set's first inputs, or noise where it has none."""
    if model.dataset is None or folder is None:
        return noise(shape, count, seed)
    return subset_examples(folder, model.dataset.first, shape, model.preparation or Preparation(), count)
