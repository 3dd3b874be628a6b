# SPDX-License-Identifier: Apache-2.0
"""A run's folder: found by name, and read as far as it goes. A run that was cut short is read like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import UsageError
from orchestrator.runs.frames import read_frame
from orchestrator.schema.samples import PRIVACY, SAMPLES
from orchestrator.words import DEFAULT_MARGIN

LATEST = "latest"


class _Lenient(BaseModel):
    """What reports need of run.yaml; its writer may say more, and a run that died less."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


class Cell(_Lenient):
    """One point of the matrix."""

    cell_id: str
    model: str = ""
    model_sha256: str | None = None
    model_bytes: int | None = None
    quantization: str = ""
    trained: bool | None = None
    output: str | None = None
    threads: int | None = None
    pretouch: bool | None = None
    icount_shift: int | None = None
    host_hz: int | None = None
    guest_hz: int | None = None
    top: int | None = None
    inputs: int | None = None
    inputs_sha256: str | None = None


class Step(_Lenient):
    """What became of one cell in one world and boot."""

    cell_id: str
    world: str | None = None
    boot_id: int | None = None
    status: str = "ok"
    note: str | None = None


class Git(_Lenient):
    """The checkout that ran."""

    revision: str | None = None
    dirty: bool | None = None


class Cost(_Lenient):
    """What the harness cost, s: wall time, and what of it went into building, the emulator and the orchestrator.

    `tables_s` is a part of the orchestrator's. What drawing the report took is known only afterwards, and not here.
    """

    wall_s: float | None = None
    build_s: float | None = None
    emulation_s: float | None = None
    orchestration_s: float | None = None
    tables_s: float | None = None
    steps: int | None = None
    parts: dict[str, float] = Field(default_factory=dict)


class Resumption(_Lenient):
    """A later start of the same run, and the checkout then."""

    utc: str | None = None
    revision: str | None = None
    dirty: bool | None = None


class RunInfo(_Lenient):
    """The parts of run.yaml that reports use."""

    run_id: str = ""
    name: str = ""
    summary: str | None = None
    cause: str | None = None
    started_utc: str | None = None
    ended_utc: str | None = None
    status: str = "unknown"
    workload: dict[str, Any] = Field(default_factory=dict)
    testbed: dict[str, Any] = Field(default_factory=dict)
    artifacts: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str | None] = Field(default_factory=dict)
    git: Git = Git()
    resumed: list[Resumption] = Field(default_factory=list)
    host: dict[str, Any] = Field(default_factory=dict)
    cost: Cost = Cost()
    cells: list[Cell] = Field(default_factory=list)
    steps: list[Step] = Field(default_factory=list)
    margin: float = Field(default=DEFAULT_MARGIN, gt=0, lt=1)


@dataclass(frozen=True)
class Run:
    """Everything that was read of one run."""

    folder: Path
    info: RunInfo
    samples: pd.DataFrame
    privacy: pd.DataFrame
    events: list[dict[str, Any]]


def load_run(folder: Path) -> Run:
    """Read a run's folder; raises UsageError if it is none, or a file of it is not what it should be."""
    if not (folder / "run.yaml").exists() and not (folder / SAMPLES.name).exists():
        raise UsageError(f"{folder}: no run: neither run.yaml nor {SAMPLES.name} is there")
    info = read_info(folder)
    samples = read_frame(folder / SAMPLES.name, SAMPLES)
    return Run(folder, info, samples, read_frame(folder / PRIVACY.name, PRIVACY), _read_events(folder / "events.jsonl"))


def find_run(name: str, results: Path, notice: Callable[[str], None]) -> Path:
    """A run: the newest (`latest`), by its path, or by the beginning of its name in `results`; raises UsageError.

    Of `latest`, runs that cannot be read are passed over with a `notice`.
    """
    runs = sorted(path.parent for path in results.glob("*/run.yaml")) if results.is_dir() else []
    if name == LATEST:
        return _newest(runs, results, notice)
    if Path(name).is_dir():
        return Path(name).resolve()
    found = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if len(found) != 1:
        what = "more than one run begins" if found else "no run begins"
        shown = ", ".join(run.name for run in (found or runs)[-5:])
        raise UsageError(f"{results}: {what} with '{name}'", hint=f"there are: {shown}" if shown else None)
    return found[0]


def _newest(runs: list[Path], results: Path, notice: Callable[[str], None]) -> Path:
    """The run that was started last, of those that can be read."""
    started = []
    for run in runs:
        try:
            started.append((read_info(run).started_utc or "", run))
        except UsageError as error:
            notice(f"passed over: {error.message}")
    if not started:
        what = "no run there can be read" if runs else "no run there yet"
        raise UsageError(f"{results}: {what}", hint="`orch run WORKLOAD` makes one")
    return max(started)[1]


def read_info(folder: Path) -> RunInfo:
    """What run.yaml says; raises UsageError if it is not understood."""
    path = folder / "run.yaml"
    if not path.exists():
        return RunInfo(run_id=folder.name, name=folder.name)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        info = RunInfo.model_validate({} if data is None else data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return info.model_copy(update={"run_id": info.run_id or folder.name, "name": info.name or folder.name})


def _read_events(path: Path) -> list[dict[str, Any]]:
    """The lines that are JSON objects; a torn last one is none."""
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events
