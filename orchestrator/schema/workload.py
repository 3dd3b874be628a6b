# SPDX-License-Identifier: Apache-2.0
"""`workload.yaml`: what to run. Keys that can be lists span the matrix of cells; a single value is a list of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.schema.csvtable import Name
from orchestrator.schema.names import AttackName, ProtectionName, RuntimeName
from orchestrator.schema.testbed import GUEST_CPUS_MAX, GUEST_MIB_MAX, GUEST_MIB_MIN, Seconds, Ticks
from orchestrator.schema.yamlfile import Strict
from orchestrator.schema.zoo import Preparation
from orchestrator.words import DEFAULT_MARGIN, Quantization, World

Output = Literal["scores", "topk", "top1", "label", "keypoints", "detections", "raw"]
Item = TypeVar("Item")
BOOTS_MAX = 100
TOP_MAX = 100  # of the runner: RELEASE_TOP_MAX in guest/world/runner/release.h
# `boots: yes` is no 1: numbers and flags are what YAML says they are.
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


def _listed(value: Any) -> Any:
    """One value stands for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len({str(value) for value in values}) != len(values):
        raise ValueError("a value is given twice")
    return values


class _OneOrMore:
    """Tells editors of `_listed`: an item, or a list of them."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many | {"uniqueItems": True}]}


Axis = Annotated[
    tuple[Item, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_distinct), _OneOrMore()
]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Feed(Strict):
    """What one input of a model is given, by its name in `inputs.tensors`."""

    files: tuple[Path, ...] = Field(min_length=1, description=".npy or image files, relative to the workload file")
    preprocess: Preparation = Field(default=Preparation(), description="how pictures become numbers")


class Inputs(Strict):
    """What the models are given; without files, the zoo's data set of each model."""

    count: Whole = Field(default=8, ge=1, le=4096, description="inputs at most of a data set; iterations go round them")
    files: tuple[Path, ...] = Field(
        default=(),
        description=".npy, .npz (arrays by the names of inputs) or image files, relative to the workload file",
    )
    tensors: dict[str, Feed] = Field(
        default_factory=dict, description="instead of `files`: each input of a model by its name"
    )
    labels: tuple[Annotated[Whole, Field(ge=0)], ...] = Field(
        default=(), description="the right class of each input in `files`, if known"
    )
    mean: Real = Field(default=0.0, description="subtracted from pixels (0-255) of `files` before `std` divides")
    std: Real = Field(default=1.0, gt=0)
    preprocess: Preparation | None = Field(
        default=None, description="how pictures of `files` become numbers; has mean and std as well"
    )
    range: Annotated[tuple[Real, Real], BeforeValidator(_as_tuple)] | None = Field(
        default=None, description="limits of what is drawn at random for a model without files"
    )

    @model_validator(mode="after")
    def _labels_belong_to_files(self) -> Self:
        if self.labels and not self.given:
            raise ValueError("'labels' are those of 'files', and there are none")
        if self.files and self.tensors:
            raise ValueError("either 'files' or 'tensors'")
        if self.preprocess is not None and (self.mean, self.std) != (0.0, 1.0):
            raise ValueError("'mean' and 'std' stand in 'preprocess', which there is")
        if self.range is not None and self.range[0] > self.range[1]:
            raise ValueError("'range': the lower limit comes first")
        return self

    @property
    def given(self) -> tuple[Path, ...]:
        """All files."""
        return (*self.files, *(path for feed in self.tensors.values() for path in feed.files))

    @property
    def preparation(self) -> Preparation:
        """How pictures become numbers, where a model does not say that itself."""
        return self.preprocess or Preparation(mean=self.mean, std=self.std)


_READS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    **{kind: (frozenset({"tensor"}), frozenset()) for kind in ("scores", "top1", "label")},
    "topk": (frozenset({"tensor", "top"}), frozenset()),
    "keypoints": (frozenset({"tensor", "dims"}), frozenset()),
    "detections": (
        frozenset({"boxes", "scores", "classes", "count", "top", "min_score"}),
        frozenset({"boxes", "scores"}),
    ),
    "raw": (frozenset(), frozenset()),
}
"""Keys of an output that each way of reading knows, and those that it needs."""
_READING_KEYS = frozenset({"tensor", "top", "dims", "boxes", "scores", "classes", "count", "min_score"})


class OutputOf(Strict):
    """Which tensors of an answer are read and how: all that leaves the world of an inference's result."""

    read: Output = Field(
        description="scores: the tensor; topk, top1, label: its best classes; keypoints: its points; "
        "detections: the best boxes; raw: all outputs"
    )
    tensor: str | None = Field(default=None, description="name of the output; needed where there are several")
    top: Whole | None = Field(default=None, ge=1, le=TOP_MAX, description="of topk and detections: how many")
    dims: Whole | None = Field(default=None, ge=1, le=64, description="of keypoints: numbers of a point; 2")
    boxes: str | None = Field(default=None, description="of detections: name of the output with a box in each row")
    scores: str | None = Field(default=None, description="of detections: name of the output with their scores")
    classes: str | None = Field(default=None, description="of detections: name of the output with their classes")
    count: str | None = Field(default=None, description="of detections: name of the output that says how many count")
    min_score: Real | None = Field(default=None, description="of detections: the lowest score that leaves")

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Self:
        known, needed = _READS[self.read]
        said = {key for key in _READING_KEYS if getattr(self, key) is not None}
        if said - known:
            raise ValueError(f"'{min(said - known)}' means nothing to `read: {self.read}`")
        if needed - said:
            raise ValueError(f"`read: {self.read}` needs {' and '.join(sorted(needed - said))}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs that are named."""
        return tuple(name for _, name in self.named())

    def named(self) -> tuple[tuple[str, str], ...]:
        """The outputs that are named, each by the word of the runner's command line for it."""
        words = ("tensor", "boxes", "scores", "classes", "count")
        return tuple((word, getattr(self, word)) for word in words if getattr(self, word) is not None)


AnyOutput = Annotated[
    Annotated[Output, Tag("word")] | Annotated[OutputOf, Tag("of")],
    Discriminator(lambda value: "of" if isinstance(value, dict | OutputOf) else "word"),
]


class OwnModel(Strict):
    """A model of the user's own, beside those of the zoo."""

    name: Name = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="how results call it")
    path: Path = Field(description=".tflite file, relative to the workload file")
    quantization: Quantization | None = Field(default=None, description="of the file; it is read from it if left out")
    signature: str | None = Field(default=None, description="which of its signatures; serving_default, or the first")
    inputs: Inputs | None = Field(default=None, description="in place of the workload's `inputs`")
    output: AnyOutput | None = Field(default=None, description="in place of the workload's `output`")


ModelName = Annotated[
    Annotated[str, Tag("name")] | Annotated[OwnModel, Tag("own")],
    Discriminator(lambda value: "own" if isinstance(value, dict | OwnModel) else "name"),
]


def _told_apart(models: tuple[str | OwnModel, ...]) -> tuple[str | OwnModel, ...]:
    """Results, and files on their way there, know a model by name and quantization alone."""
    seen: set[tuple[str, str | None]] = set()
    for model in models:
        name, quantization = (model, None) if isinstance(model, str) else (model.name, model.quantization)
        if seen & {(name, quantization), (name, None)} or (quantization is None and name in {each for each, _ in seen}):
            raise ValueError(f"'{name}' stands for two models, which results could not tell apart")
        seen.add((name, quantization))
    return models


def _one_fast(timings: tuple[Timing, ...]) -> tuple[Timing, ...]:
    if sum(timing.mode == "fast" for timing in timings) > 1:
        raise ValueError("'fast' is given twice ('shift' means nothing to it): the same cell would be measured twice")
    return timings


class TicksOf(Strict):
    """Timer ticks of the two kernels, Hz: other values than 100 build another kernel first (20 min, once)."""

    host_hz: Ticks = 100
    guest_hz: Ticks = 100


class Timing(Strict):
    """How time passes in the emulated machine."""

    mode: Literal["deterministic", "fast"] = Field(
        default="deterministic", description="virtual time by executed instructions (1 CPU), or the computer's clock"
    )
    shift: Whole = Field(default=3, ge=0, le=10, description="deterministic: 2^shift ns of virtual time an instruction")


class Timeouts(Strict):
    """Longest wait for each named state of a run, s."""

    deploy: Seconds = 300
    run: Seconds = 1800
    attack: Seconds = 900


class Workload(Strict):
    """The whole of a `workload.yaml`."""

    name: Name = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="names the run's folder")
    summary: str = Field(default="", description="one line for people, shown in the report")
    models: Annotated[Axis[ModelName], AfterValidator(_told_apart)] = Field(
        description="names of the zoo (`orch models list`), or {name, path, …}"
    )
    quantization: Axis[Quantization] = (Quantization.INT8,)
    inputs: Inputs = Inputs()
    worlds: Axis[World] = tuple(World)
    runtime: Axis[RuntimeName] = Field(default=(DEFAULT_RUNTIME,), description="what executes the model")
    protection: Axis[ProtectionName] = Field(
        default=(DEFAULT_PROTECTION,), description="what is done to the model before it is deployed"
    )
    output: Axis[AnyOutput] = Field(
        default=("scores",),
        description="what leaves the world of an inference's result: a way of reading, or {read, tensor, …}",
    )
    top: Whole = Field(
        default=5,
        ge=1,
        le=TOP_MAX,
        description="K of output topk and detections, at most the model's number of classes",
    )
    boots: Whole = Field(default=1, ge=1, le=BOOTS_MAX, description="independent boots of the machine and its guests")
    iterations: Whole = Field(default=10, ge=1, le=100_000, description="measured inferences a boot and cell")
    warmups: Whole = Field(default=2, ge=0, le=1000, description="inferences before these; recorded, flagged")
    threads: Axis[Annotated[Whole, Field(ge=1, le=GUEST_CPUS_MAX)]] = (1,)
    memory_mib: Axis[Annotated[Whole, Field(ge=GUEST_MIB_MIN, le=GUEST_MIB_MAX, multiple_of=2)]] = (256,)
    vcpus: Whole = Field(default=1, ge=1, le=GUEST_CPUS_MAX)
    pretouch: Axis[Flag] = Field(default=(True,), description="populate all of a guest's memory before it runs")
    ticks: Axis[TicksOf] = (TicksOf(),)
    timing: Annotated[Axis[Timing], AfterValidator(_one_fast)] = (Timing(),)
    attacks: Annotated[tuple[AttackName, ...], BeforeValidator(_listed), AfterValidator(_distinct), _OneOrMore()] = (
        Field(
            default=(), description="live: on the first boot, after a cell's inferences; offline: at the end of the run"
        )
    )
    seed: Whole = Field(
        default=1, ge=0, lt=2**32, description="of all that is drawn at random; each boot's own follows from it"
    )
    margin: Real = Field(default=DEFAULT_MARGIN, gt=0, lt=1, description="ratios within 1 ± margin count as equal")
    timeouts: Timeouts = Timeouts()

    @model_validator(mode="after")
    def _threads_have_cpus(self) -> Self:
        if max(self.threads) > self.vcpus:
            raise ValueError("'threads' may be 'vcpus' at most")
        if self.vcpus > 1 and any(timing.mode == "deterministic" for timing in self.timing):
            raise ValueError("'vcpus' above 1 need 'timing: {mode: fast}': a deterministic machine has one CPU")
        return self

    @property
    def input_files(self) -> tuple[Path, ...]:
        """All files that models are given, each model's own as well."""
        own = [model.inputs for model in self.models if isinstance(model, OwnModel) and model.inputs is not None]
        return tuple(path for inputs in (self.inputs, *own) for path in inputs.given)


def machine_seed(seed: int, boot: int) -> int:
    """Of the machine and the guests of a boot (from 0) in a run with this `seed`: no two boots or runs share one."""
    return seed * BOOTS_MAX + boot
