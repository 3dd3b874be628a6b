# SPDX-License-Identifier: Apache-2.0
"""run.yaml: what a run is made of and what became of it; its schema, its one reader and its one writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.words import DEFAULT_MARGIN

RUN_FILE = "run.yaml"
RUN_VERSION = 2
"""1: tables are written as such; 2: they are merged from shards."""


class _Part(BaseModel):
    """Of run.yaml; one that died says less, one of another version may say more, which is kept."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True)


class AllowanceFacts(_Part):
    """How far an output may be from the oracle's; all but `scale` in parts of that, its largest number.

    `spread` is that of the release's own kernels on the same inputs; None if only one could execute the model.
    """

    output: str = ""
    scale: float | None = None
    spread: float | None = None
    allowed: float | None = None
    step: float | None = None


class SecondFacts(_Part):
    """What an independent build of another release says: its largest difference, in parts of the output's scale."""

    release: str | None = None
    difference: float | None = None
    within: bool | None = None
    cannot: str | None = None


class OracleFacts(_Part):
    """What said what is right: the release, what became of each of its kernels, what each output is allowed."""

    release: str | None = None
    kernels: dict[str, str] = Field(default_factory=dict)
    outputs: list[AllowanceFacts] = Field(default_factory=list)
    second: SecondFacts | None = None


class CellFacts(_Part):
    """One point of the matrix."""

    cell_id: str
    model: str = ""
    model_sha256: str | None = None
    model_bytes: int | None = None
    quantization: str = ""
    runtime: str = DEFAULT_RUNTIME
    protection: str = DEFAULT_PROTECTION
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
    oracle: OracleFacts | None = None
    xnnpack: bool | None = None


class StepFacts(_Part):
    """What became of one cell in one world and boot."""

    cell_id: str
    world: str | None = None
    boot_id: int | None = None
    status: str = "ok"
    note: str | None = None


class Git(_Part):
    """The checkout that ran."""

    revision: str | None = None
    dirty: bool | None = None


class Cost(_Part):
    """What the harness cost, s: wall time, and what of it went into building, the emulator and the orchestrator.

    `tables_s` is a part of the orchestrator's. What drawing the report took is known only afterwards, and not here.
    With more than one worker the emulator's seconds are those of all workers.
    """

    wall_s: float | None = None
    build_s: float | None = None
    emulation_s: float | None = None
    orchestration_s: float | None = None
    tables_s: float | None = None
    steps: int | None = None
    workers: int | None = None
    parts: dict[str, float] = Field(default_factory=dict)


class Resumption(_Part):
    """A later start of the same run, and the checkout then."""

    utc: str | None = None
    revision: str | None = None
    dirty: bool | None = None


class RunFile(_Part):
    """The whole of run.yaml."""

    schema_version: int = 1
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
    input_files: list[str] | None = None
    tools: dict[str, str | None] = Field(default_factory=dict)
    git: Git = Git()
    resumed: list[Resumption] = Field(default_factory=list)
    host: dict[str, Any] = Field(default_factory=dict)
    extensions: dict[str, str] | None = None
    cost: Cost = Cost()
    cells: list[CellFacts] = Field(default_factory=list)
    steps: list[StepFacts] = Field(default_factory=list)
    margin: float = Field(default=DEFAULT_MARGIN, gt=0, lt=1)

    def facts(self) -> dict[str, Any]:
        """What was said, as it stands in the file."""
        return self.model_dump(mode="json", exclude_unset=True)


def write_run_file(folder: Path, facts: dict[str, Any]) -> None:
    """Replace run.yaml; raises ValidationError for facts that its reader would not take."""
    RunFile.model_validate(facts)
    replace_file(folder / RUN_FILE, yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=120))


def read_run_file(folder: Path, *, needed: tuple[str, ...] = ()) -> RunFile:
    """What run.yaml says; raises UsageError if it is not understood, or has nothing of what is `needed`.

    A folder without the file is a run of which nothing is known, unless something is needed.
    """
    path = folder / RUN_FILE
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = RunFile.model_validate({} if data is None else data)
    except FileNotFoundError:
        if needed:
            raise UsageError(f"{path}: no such file: the folder is no run, or a broken one") from None
        found = RunFile()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {f'{where}: ' if where else ''}{first['msg']}") from None
    for name in needed:
        if name not in found.model_fields_set:
            raise UsageError(f"{path}: {name}: missing")
    if not needed:
        names = {"run_id": found.run_id or folder.name, "name": found.name or folder.name}
        return found.model_copy(update=names)
    return found
