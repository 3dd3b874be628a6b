# SPDX-License-Identifier: Apache-2.0
"""Files of the model zoo: `model.yaml` and `dataset.yaml` under workloads/, and what the runner says of a model."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from orchestrator.schema.lock import Sha256
from orchestrator.schema.yamlfile import Strict
from orchestrator.words import Quantization

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
NodeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
FileName = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
Class = Annotated[int, Field(ge=0)]


def _for_each_channel(value: float | tuple[float, ...]) -> float | tuple[float, ...]:
    if isinstance(value, tuple) and not 1 <= len(value) <= _CHANNELS_MAX:
        raise ValueError(f"a number, or one for each channel, at most {_CHANNELS_MAX}")
    return value


def _no_zero(value: float | tuple[float, ...]) -> float | tuple[float, ...]:
    if any(each <= 0 for each in (value if isinstance(value, tuple) else (value,))):
        raise ValueError("greater than 0 expected")
    return value


_CHANNELS_MAX = 4
PerChannel = Annotated[float | tuple[float, ...], AfterValidator(_for_each_channel)]
Pixel = Annotated[int, Field(strict=True, ge=0, le=255)]


class Preparation(Strict):
    """How a picture becomes the numbers that a model was trained on: (pixel - mean) / std, pixels in 0..255."""

    mean: PerChannel = Field(default=0.0, description="subtracted from pixels; one number, or one for each channel")
    std: Annotated[PerChannel, AfterValidator(_no_zero)] = Field(
        default=1.0, description="divides them then; one number, or one for each channel"
    )
    crop: float = Field(default=1.0, gt=0, le=1, description="share that is kept of the middle, for `resize: crop`")
    resize: Literal["crop", "fit", "stretch"] = Field(
        default="crop",
        description="crop: the middle part in the model's proportions; fit: all with a border; stretch: all of it",
    )
    filter: Literal["bicubic", "bilinear", "lanczos", "box", "nearest"] = Field(
        default="bicubic", description="how pixels are computed when the size changes"
    )
    border: Pixel = Field(default=0, description="pixel around a picture, for `resize: fit`")
    background: Pixel = Field(default=255, description="grey behind what is transparent")
    channels: Literal["rgb", "bgr"] = Field(default="rgb", description="order of colours that the model expects")
    layout: Literal["nhwc", "nchw"] | None = Field(
        default=None, description="order of dimensions that the model has; read from its input if left out"
    )


class ModelInput(Strict):
    """The one input of a model, without its batch of one."""

    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Literal[1, 3]] = Field(
        description="height, width, channels"
    )
    preparation: Preparation = Preparation()


class Accuracy(Strict):
    """Share of test images whose best score is that of a right class, measured with the oracle on one thread."""

    top1: float = Field(ge=0, le=1)
    images: int = Field(ge=1)


class ModelFile(Strict):
    """One .tflite file: shipped beside model.yaml (`sha256` must hold), or made by the model's node."""

    file: FileName
    bytes: int = Field(ge=1)
    sha256: Sha256 = Field(description="of a node's file: as made with the pinned tools on the CPU named in docs")
    accuracy: Accuracy | None = None


def _names_given(labels: dict[int, str]) -> dict[int, str]:
    if any(index < 0 for index in labels):
        raise ValueError("a class has a negative index")
    return labels


class Classes(Strict):
    """What the scores stand for; `names` may be of some classes only."""

    count: int = Field(ge=2)
    names: Annotated[dict[int, str], AfterValidator(_names_given)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_of_classes(self) -> Self:
        if any(index >= self.count for index in self.names):
            raise ValueError(f"a name is of class {max(self.names)}, and there are {self.count}, counted from 0")
        return self


class ModelYaml(Strict):
    """The whole of a `model.yaml`."""

    name: Name
    summary: str
    trained: bool = Field(description="false: random weights, for timing only; its answers mean nothing")
    task: Literal["classification"]
    licence: str
    source: str = Field(description="where architecture and weights are from")
    recipe: str = Field(description="script that makes the files, relative to workloads/models")
    parameters: int = Field(ge=1, description="weights and biases in the file, batch normalisation folded in")
    macs: int = Field(ge=1, description="multiplications with addition of one inference")
    node: NodeName = Field(description="build-graph node that makes (of a shipped model: makes again) the files")
    shipped: bool = Field(description="whether the files lie beside model.yaml")
    input: ModelInput
    classes: Classes
    dataset: Name | None = Field(default=None, description="of workloads/data; none: random inputs")
    files: dict[Quantization, ModelFile] = Field(min_length=1)

    @model_validator(mode="after")
    def _trained_models_state_accuracy(self) -> Self:
        stated = {quantization for quantization, file in self.files.items() if file.accuracy is not None}
        if self.trained and (stated != set(self.files) or self.dataset is None):
            raise ValueError("a trained model states its data set and the accuracy of each of its files")
        if not self.trained and (stated or self.dataset is not None):
            raise ValueError("a model with random weights has neither accuracy nor data set")
        return self


class Photo(Strict):
    """A picture and the classes that are right for it."""

    file: FileName
    labels: tuple[Class, ...] = Field(min_length=1, description="any of them is right; the first is the usual one")


class Subset(Strict):
    """Some of a data set: arrays in .npy files, or photos of any size."""

    images: FileName | None = Field(default=None, description="uint8 [N, height, width, channels]")
    labels: FileName | None = Field(default=None, description="int64 [N]")
    photos: tuple[Photo, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.photos) == (self.images is not None) or (self.images is None) != (self.labels is None):
            raise ValueError("either 'images' with 'labels', or 'photos'")
        return self


class DatasetYaml(Strict):
    """The whole of a `dataset.yaml`; the files are in the artifact of `node`."""

    name: Name
    summary: str
    licence: str
    source: str
    node: NodeName
    first: Subset = Field(description="a few, which experiments use")
    test: Subset = Field(description="all that accuracy is stated for")


class TensorDescription(BaseModel):
    """A tensor that is fed or read; `scale` 0: not quantized, or with one scale for each of `channels`.

    `name` is that of the signature, of a model without one the tensor's own. `open_shape` has -1 for free dimensions.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    type: str
    shape: tuple[int, ...]
    bytes: int
    scale: float = 0.0
    zero_point: int = 0
    open_shape: tuple[int, ...] = ()
    channels: int = 0


class OperatorDescription(BaseModel):
    """Operators of one kind in a model, and whether XNNPACK executes them."""

    model_config = ConfigDict(frozen=True)

    name: str
    count: int
    xnnpack: bool


class ModelDescription(BaseModel):
    """What a runtime says of a model; `without` is why it works without XNNPACK, `memory_kib` is of one inference."""

    model_config = ConfigDict(frozen=True)

    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    signature: str | None = None
    signatures: tuple[str, ...] = ()
    xnnpack: bool | None = None
    without: str | None = None
    operators: tuple[OperatorDescription, ...] = ()
    memory_kib: int | None = None

    def output(self, name: str) -> TensorDescription | None:
        """The output of that name, if there is one."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)
