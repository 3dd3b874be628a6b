# SPDX-License-Identifier: Apache-2.0
"""The tables of a run: samples.csv (one observation a row), summary.csv, privacy.csv; their words are in words.py.

The data dictionary for people is results/README.md; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from orchestrator.registry import ATTACKS, DEFAULT_RUNTIME
from orchestrator.schema.csvtable import NOTHING, Edition, Finite, Name, Note, Row, Sha256, Table, Utc
from orchestrator.schema.names import PhaseName
from orchestrator.words import Access, Component, Method, Quantization, Status, Verdict, World, unit_of

SCHEMA_VERSION = 2
SUMMARY_VERSION = 3
_FIRST = {"runtime": DEFAULT_RUNTIME}
OLDER = (Edition(1, _FIRST),)
"""What tables of earlier versions lack: there was one runtime when they were written."""
EARLIER_ESTIMATOR = "ratio-of-medians-1"
"""What tables of before were made by, that do not name their estimator."""
_MEDIANS = {"estimator": EARLIER_ESTIMATOR, "mean": "", "needed": ""}
_Version = Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]


class SampleRow(Row):
    """One observation."""

    schema_version: _Version = Field(default=SCHEMA_VERSION, description="version of these columns")
    run_id: Name = Field(description="name of the run's folder")
    cell_id: Name = Field(description="point of the matrix without the world: the same for host, vm and realm")
    boot_id: int | None = Field(
        default=None, ge=0, description="number of the boot within the run, from 0: all cells of a boot share it"
    )
    iteration: int | None = Field(
        default=None, ge=0, description="number within the boot, warm-ups first; missing: once a boot"
    )
    is_warmup: bool = Field(default=False, description="1 for a warm-up: kept, and left out of all statistics")
    workload: Name = Field(description="name in the workload file")
    model: Name = Field(description="name in the model zoo, or of the user's file")
    model_sha256: Sha256 | None = Field(default=None, description="SHA-256 of the model's file")
    quantization: Quantization = Field(description="number format of the model")
    runtime: Name = Field(default=DEFAULT_RUNTIME, description="what executed the model")
    protection: Name = Field(default="none", description="what was done to the model before it was deployed")
    world: World = Field(description="where it ran")
    phase: PhaseName = Field(description="what was going on")
    component: Component = Field(description="who executed; `all` is the sum of the others")
    metric: Name = Field(description="what was observed; see Metrics")
    value: int | Finite | None = Field(default=None, description="the observation; missing unless status is ok")
    unit: str = Field(description="unit of value; 1 for counts and flags")
    method: Method = Field(description="how it was observed")
    platform: Name = Field(description="what stands for the machine: qemu")
    platform_version: Name = Field(description="its version, with a word: qemu-10.0.13")
    icount_shift: int | None = Field(
        default=None, ge=0, le=10, description="2^shift ns of virtual time an instruction; missing: real time"
    )
    smp: int = Field(ge=1, description="vCPUs of the machine")
    mem_mib: int = Field(ge=1, description="memory of the guest, MiB")
    host_hz: int = Field(ge=1, description="timer ticks of the host's kernel, Hz")
    guest_hz: int = Field(ge=1, description="timer ticks of the guests' kernel, Hz")
    stack_hash: Sha256 = Field(description="SHA-256 over the keys of all artifacts that the machine was made of")
    seed: int | None = Field(
        default=None, ge=0, description="seed of the machine's and the guests' entropy; missing: none"
    )
    started_utc: Utc = Field(description="when the boot of this observation began")
    status: Status = Field(default=Status.OK, description="ok, failed (wrong answer), skipped, error (no answer)")
    note: Note = Field(default=None, description=f"free text; `{NOTHING}`: nothing to say (older files: empty)")

    def fields(self) -> list[str]:
        """The row as it stands in the file, with a word for an empty note.

        pandas reads a long file in pieces, and would warn of mixed types if one of them had no note and another had.
        """
        *others, note = super().fields()
        return [*others, note or NOTHING]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """An ok row has a value, and a metric has its unit."""
        if self.status is Status.OK and self.value is None:
            raise ValueError("an ok row needs a value")
        unit = unit_of(self.metric, self.method)
        if unit is None:
            raise ValueError(f"no metric '{self.metric}' is observed by {self.method}; METRICS in words.py has all")
        if unit != self.unit:
            raise ValueError(f"{self.metric} by {self.method} is in '{unit}', not in '{self.unit}'")
        return self


class SummaryRow(Row):
    """Statistics of the ok rows, warm-ups left out, of one cell, world, phase, component and metric."""

    schema_version: Annotated[
        int, Field(ge=SUMMARY_VERSION, le=SUMMARY_VERSION, description="version of these columns")
    ] = SUMMARY_VERSION
    run_id: Name = Field(description="as in samples.csv")
    cell_id: Name = Field(description="as in samples.csv")
    workload: Name = Field(description="as in samples.csv")
    model: Name = Field(description="as in samples.csv")
    quantization: Quantization = Field(description="as in samples.csv")
    runtime: Name = Field(description="as in samples.csv")
    protection: Name = Field(description="as in samples.csv")
    world: World = Field(description="as in samples.csv")
    phase: PhaseName = Field(description="as in samples.csv")
    component: Component = Field(description="as in samples.csv")
    metric: Name = Field(description="as in samples.csv")
    unit: str = Field(description="as in samples.csv")
    method: Method = Field(description="as in samples.csv")
    icount_shift: int | None = Field(default=None, description="as in samples.csv")
    smp: int = Field(description="as in samples.csv")
    mem_mib: int = Field(description="as in samples.csv")
    host_hz: int = Field(description="as in samples.csv")
    guest_hz: int = Field(description="as in samples.csv")
    estimator: Name = Field(
        description=f"name and version of what made mean, ratio and intervals; `{EARLIER_ESTIMATOR}`: ratio and "
        "intervals are those of medians. Rows of different ones are not to be compared"
    )
    boots: int = Field(description="boots that gave samples")
    samples: int = Field(description="samples")
    mean: Finite | None = Field(default=None, description="mean, in unit")
    median: Finite | None = Field(default=None, description="median, in unit: a description, no part of the ratio")
    q1: Finite | None = Field(default=None, description="first quartile, in unit: likewise")
    q3: Finite | None = Field(default=None, description="third quartile, in unit: likewise")
    ci_low: Finite | None = Field(
        default=None, description="lower end of the mean's 95 % interval; missing where nothing can be resampled"
    )
    ci_high: Finite | None = Field(default=None, description="upper end")
    ratio_to_vm: Finite | None = Field(
        default=None,
        description="sum over the normal VM's, of the boots and iterations that both have; missing in vm rows and "
        "where the VM's is 0",
    )
    ratio_ci_low: Finite | None = Field(default=None, description="lower end of the ratio's 95 % interval")
    ratio_ci_high: Finite | None = Field(default=None, description="upper end")
    verdict: Verdict | None = Field(
        default=None, description="the ratio in one word, of metrics of which less is better"
    )
    needed: int | None = Field(
        default=None,
        description="of `too few ticks`: the iterations a boot that would do; of a phase that a boot has once, boots",
    )


class PrivacyRow(Row):
    """One figure of one attack, by world, protection and access."""

    schema_version: _Version = Field(default=SCHEMA_VERSION, description="version of these columns")
    run_id: Name = Field(description="as in samples.csv")
    cell_id: Name = Field(description="as in samples.csv")
    attack: Name = Field(description="name of the attack")
    world: World = Field(description="where the victim ran")
    protection: Name = Field(default="none", description="as in samples.csv")
    access: Access | None = Field(
        default=None,
        description="what of the model the attacker ends up with, in the attack's main rows; missing in the others",
    )
    model: Name = Field(description="as in samples.csv")
    quantization: Quantization = Field(description="as in samples.csv")
    runtime: Name = Field(default=DEFAULT_RUNTIME, description="as in samples.csv")
    metric: Name = Field(description="what the attack achieved; see Metrics of privacy.csv")
    value: int | Finite | None = Field(default=None, description="the figure")
    unit: str = Field(description="unit of value, that of the metric; 1 for fractions, counts and flags")
    ci_low: Finite | None = Field(default=None, description="lower end of the 95 % interval, where there is one")
    ci_high: Finite | None = Field(default=None, description="upper end")
    attempted: int | None = Field(default=None, ge=0, description="tries, or blocks looked for")
    control: bool = Field(default=False, description="1: a control, which shows that the attack can succeed")
    in_verdict: bool = Field(
        default=True, description="1: part of the verdict on CCA; 0: control, or a limitation of the emulator"
    )
    verdict: Note = Field(default=None, description="the figure in a word")
    status: Status = Field(default=Status.OK, description="as in samples.csv")
    note: Note = Field(default=None, description="free text")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """A metric is one of its attack's, in its unit; an attack that is not known here, as of an older file, is free.

        The record is the attack's own (orchestrator.privacy.attack), from where the registry has it.
        """
        record = ATTACKS.get(self.attack)
        if record is None:
            return self
        metric = record.by_name.get(self.metric)
        if metric is None:
            raise ValueError(f"{self.attack} has no metric '{self.metric}'; it has {', '.join(record.by_name)}")
        if metric.unit != self.unit:
            raise ValueError(f"{self.metric} of {self.attack} is in '{metric.unit}', not in '{self.unit}'")
        return self


_MANY = {"boot_id", "iteration", "is_warmup", "value"}
SAMPLES = Table("samples.csv", SampleRow, SCHEMA_VERSION, OLDER, frozenset(SampleRow.model_fields) - _MANY)
SUMMARY = Table("summary.csv", SummaryRow, SUMMARY_VERSION, (Edition(2, _MEDIANS), Edition(1, {**_FIRST, **_MEDIANS})))
PRIVACY = Table("privacy.csv", PrivacyRow, SCHEMA_VERSION, OLDER)


def append_samples(path: Path, rows: Iterable[SampleRow]) -> int:
    """Add a cell's rows, which have reached the disk on return; returns the file's new size, in bytes."""
    return SAMPLES.append(path, rows)


def append_privacy(path: Path, rows: Sequence[PrivacyRow]) -> int:
    """The same for privacy.csv."""
    return PRIVACY.append(path, rows)


def repair(path: Path, *, size: int | None = None) -> int:
    """Cut the torn last line of any of the tables, and all behind `size` bytes; see Table.repair."""
    return SAMPLES.repair(path, size=size)


def retain(path: Path, keep: Callable[[Mapping[str, str]], bool]) -> int:
    """Drop the rows of samples.csv for which `keep` is false; see Table.retain."""
    return SAMPLES.retain(path, keep)
