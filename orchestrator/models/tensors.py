# SPDX-License-Identifier: Apache-2.0
"""Pictures of data sets as the runner takes them: prepared and quantized for one model, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import UsageError
from orchestrator.models.dtypes import DTYPES, is_float, is_quantized, stored
from orchestrator.models.pictures import Shape, picture
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from orchestrator.models.zoo import Model
    from orchestrator.schema.zoo import ModelDescription, Subset, TensorDescription

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float32]

_COLOURS = (1, 3)
_OF_PIXELS = ("INT8", "UINT8")
_PICTURE_DIMS = 4  # one picture: 1, height, width, channels


@dataclass(frozen=True)
class Examples:
    """Pictures `[N, height, width, channels]` before they are prepared.

    `labels` holds the classes that are right for each input, the usual one first; it is empty where none is known.
    """

    images: Pixels
    labels: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tensors:
    """What the runner's --inputs takes: `count` records, one behind the other, each of all inputs in their order."""

    data: bytes
    count: int
    labels: tuple[tuple[int, ...], ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def correct(self, index: int, answer: int | None) -> bool | None:
        """Whether class `answer` is right for record `index`; None where that is not known."""
        return answer in self.labels[index] if self.labels and answer is not None else None


@dataclass(frozen=True)
class PictureShape:
    """How one picture lies in a tensor: its size, and whether its channels come before its rows."""

    size: Shape
    nchw: bool

    def lay(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pictures `[N, height, width, channels]` in the tensor's order of dimensions."""
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 1)) if self.nchw else pixels


def picture_shape(tensor: TensorDescription, preparation: Preparation) -> PictureShape | None:
    """How a picture lies in this tensor; None if it takes none. The layout is read from the shape if nobody says it."""
    holds = tensor.type in _OF_PIXELS or (tensor.type in DTYPES and (is_float(tensor) or is_quantized(tensor)))
    if len(tensor.shape) != _PICTURE_DIMS or tensor.shape[0] != 1 or not holds:
        return None
    _, one, two, three = tensor.shape
    if three in _COLOURS and preparation.layout in (None, "nhwc"):
        return PictureShape((one, two, three), nchw=False)
    if one in _COLOURS and preparation.layout in (None, "nchw"):
        return PictureShape((two, three, one), nchw=True)
    return None


def image_input(name: str, description: ModelDescription) -> tuple[TensorDescription, Shape]:
    """The one input tensor of a model with its height, width and channels; raises UsageError if it is no picture."""
    if len(description.inputs) != 1:
        raise UsageError(f"model {name}: one input expected, it has {len(description.inputs)}")
    tensor = description.inputs[0]
    found = picture_shape(tensor, Preparation(layout="nhwc"))
    if found is None:
        shape = list(tensor.shape)
        raise UsageError(f"model {name}: expected an input [1, height, width, 1 or 3], found {tensor.type} {shape}")
    return tensor, found.size


# --- where examples come from ---------------------------------------------------------------------------------------


def subset_examples(
    folder: Path, subset: Subset, shape: Shape, preparation: Preparation, count: int | None
) -> Examples:
    """The first `count` (all if None) inputs of a data set's subset, in the shape of a model."""
    if subset.photos:
        photos = subset.photos[:count]
        images = [picture(folder / photo.file, shape, preparation) for photo in photos]
        labels = tuple(photo.labels for photo in photos)
        return Examples(np.stack(images), labels, tuple(photo.file for photo in photos))
    images = np.load(folder / str(subset.images))[:count]
    labels = tuple((int(label),) for label in np.load(folder / str(subset.labels))[:count])
    if images.ndim != _PICTURE_DIMS or images.shape[1:] != shape or len(images) < 1:
        raise UsageError(f"{subset.images}: expected shape {shape_text(shape)}, found {list(images.shape)}")
    return Examples(images, labels)


def shape_text(shape: tuple[int, ...]) -> str:
    """Of an array of any number of records."""
    return f"[{', '.join(['N', *map(str, shape)])}]"


def noise(shape: Shape, count: int, seed: int) -> Examples:
    """Random pixels, for models whose answers mean nothing."""
    return Examples(np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8))


def model_examples(model: Model, folder: Path | None, shape: Shape, count: int, seed: int) -> Examples:
    """What a model of the zoo is given by default: its data set's first inputs, or noise where it has none."""
    if model.dataset is None or folder is None:
        return noise(shape, count, seed)
    return subset_examples(folder, model.dataset.first, shape, model.preparation or Preparation(), count)


# --- what the model is given ------------------------------------------------------------------------------------------


def make_tensors(examples: Examples, tensor: TensorDescription, preparation: Preparation) -> Tensors:
    """Prepare pixels, quantize, and lay the tensors one behind the other."""
    images = examples.images
    data = stored(prepare(images, preparation), tensor).tobytes()
    if len(data) != len(images) * tensor.bytes:
        raise UsageError(f"expected {tensor.bytes} bytes an input, found {len(data) / len(images):g}")
    return Tensors(data, len(images), examples.labels, examples.names)


def prepare(pixels: NDArray[Any], preparation: Preparation, *, nchw: bool = False) -> Floats:
    """(pixel - mean) / std in single precision; raises UsageError unless there are as many of both as channels."""
    mean, std = (_of_channels(each, pixels, nchw=nchw) for each in (preparation.mean, preparation.std))
    return (pixels.astype(np.float32) - mean) / std


def _of_channels(value: float | tuple[float, ...], pixels: NDArray[Any], *, nchw: bool) -> Floats:
    numbers = np.asarray(value, np.float32)
    channels = pixels.shape[1 if nchw else -1]
    if numbers.ndim and numbers.size != channels:
        raise UsageError(f"preprocess: {numbers.size} numbers for {channels} channels (`mean`, `std`)")
    return numbers.reshape(-1, 1, 1) if nchw and numbers.ndim else numbers
