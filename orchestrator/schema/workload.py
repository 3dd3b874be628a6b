# SPDX-License-Identifier: Apache-2.0
"""`workload.yaml`: what to run. Keys that can be lists span the matrix of cells; a single value is a list of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from orchestrator.schema.testbed import GUEST_CPUS_MAX, GUEST_MIB_MAX, GUEST_MIB_MIN, Seconds, Ticks
from orchestrator.schema.yamlfile import Strict

WorldName = Literal["host", "vm", "realm"]
Quantization = Literal["float32", "int8"]
Output = Literal["scores", "topk", "top1", "label"]
Protection = Literal["none"]
Attack = Literal["memory-scan", "dma", "plain-channel"]
Item = TypeVar("Item")
BOOTS_MAX = 100


def _listed(value: Any) -> Any:
    """One value stands for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len({str(value) for value in values}) != len(values):
        raise ValueError("a value is given twice, which would measure the same cell twice")
    return values


Axis = Annotated[tuple[Item, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_distinct)]


class OwnModel(Strict):
    """A model of the user's own, beside those of the zoo."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="how results call it")
    path: Path = Field(description=".tflite file, relative to the workload file")
    quantization: Quantization = Field(description="of the file: the type of its input")


ModelName = Annotated[
    Annotated[str, Tag("name")] | Annotated[OwnModel, Tag("own")],
    Discriminator(lambda value: "own" if isinstance(value, dict | OwnModel) else "name"),
]


class Inputs(Strict):
    """What the models are given; without files, the zoo's data set of each model."""

    count: int = Field(default=8, ge=1, le=4096, description="different inputs; iterations go round them")
    files: tuple[Path, ...] = Field(default=(), description=".npy or image files, relative to the workload file")
    labels: tuple[int, ...] = Field(default=(), description="the right class of each input in `files`, if known")
    mean: float = Field(default=0.0, description="subtracted from pixels (0-255) of `files` before `std` divides")
    std: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _labels_belong_to_files(self) -> Self:
        if self.labels and not self.files:
            raise ValueError("'labels' are those of 'files', and there are none")
        return self


class TicksOf(Strict):
    """Timer ticks of the two kernels, Hz: other values than 100 build another kernel first (20 min, once)."""

    host_hz: Ticks = 100
    guest_hz: Ticks = 100


class Timing(Strict):
    """How time passes in the emulated machine."""

    mode: Literal["deterministic", "fast"] = Field(
        default="deterministic", description="virtual time by executed instructions (1 CPU), or the computer's clock"
    )
    shift: int = Field(default=3, ge=0, le=10, description="deterministic: 2^shift ns of virtual time an instruction")


class Timeouts(Strict):
    """Longest wait for each named state of a run, s."""

    deploy: Seconds = 300
    run: Seconds = 1800
    attack: Seconds = 900


class Workload(Strict):
    """The whole of a `workload.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$", description="names the run's folder")
    summary: str = Field(default="", description="one line for people, shown in the report")
    models: Axis[ModelName] = Field(description="names of the zoo (`orch models list`), or {name, path, …}")
    quantization: Axis[Quantization] = ("int8",)
    inputs: Inputs = Inputs()
    worlds: Axis[WorldName] = ("host", "vm", "realm")
    protection: Axis[Protection] = ("none",)
    output: Axis[Output] = Field(default=("scores",), description="what leaves the world of an inference's result")
    top: int = Field(default=5, ge=1, le=1000, description="K of output topk")
    boots: int = Field(default=1, ge=1, le=BOOTS_MAX, description="independent boots of the machine and its guests")
    iterations: int = Field(default=10, ge=1, le=100_000, description="measured inferences a boot and cell")
    warmups: int = Field(default=2, ge=0, le=1000, description="inferences before these; recorded, flagged")
    threads: Axis[Annotated[int, Field(ge=1, le=GUEST_CPUS_MAX)]] = (1,)
    memory_mib: Axis[Annotated[int, Field(ge=GUEST_MIB_MIN, le=GUEST_MIB_MAX, multiple_of=2)]] = (256,)
    vcpus: int = Field(default=1, ge=1, le=GUEST_CPUS_MAX)
    pretouch: Axis[bool] = Field(default=(True,), description="populate all of a guest's memory before it runs")
    ticks: Axis[TicksOf] = (TicksOf(),)
    timing: Axis[Timing] = (Timing(),)
    attacks: Annotated[tuple[Attack, ...], BeforeValidator(_listed), AfterValidator(_distinct)] = Field(
        default=(), description="done on the first boot, after a cell's inferences"
    )
    seed: int = Field(
        default=1, ge=0, lt=2**32, description="of all that is drawn at random; each boot's own follows from it"
    )
    margin: float = Field(default=0.02, gt=0, lt=1, description="ratios within 1 ± margin count as equal")
    timeouts: Timeouts = Timeouts()

    @model_validator(mode="after")
    def _threads_have_cpus(self) -> Self:
        if max(self.threads) > self.vcpus:
            raise ValueError("'threads' may be 'vcpus' at most")
        if self.vcpus > 1 and any(timing.mode == "deterministic" for timing in self.timing):
            raise ValueError("'vcpus' above 1 need 'timing: {mode: fast}': a deterministic machine has one CPU")
        return self


def machine_seed(seed: int, boot: int) -> int:
    """Of the machine and the guests of a boot (from 0) in a run with this `seed`: no two boots or runs share one."""
    return seed * BOOTS_MAX + boot
