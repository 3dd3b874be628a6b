# SPDX-License-Identifier: Apache-2.0
"""A run's folder: found by name, and read as far as it goes. A run that was cut short is read like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.errors import UsageError
from orchestrator.runs.events import EVENTS, Event, read_events
from orchestrator.runs.frames import read_frame
from orchestrator.runs.merge import ATTESTATION, is_stale, merge
from orchestrator.runs.run_file import RUN_FILE, RunFile, read_run_file
from orchestrator.schema.samples import PRIVACY, SAMPLES

LATEST = "latest"


@dataclass(frozen=True)
class Run:
    """Everything that was read of one run."""

    folder: Path
    info: RunFile
    samples: pd.DataFrame
    privacy: pd.DataFrame
    events: list[Event]
    proofs: tuple[dict[str, Any], ...] = ()
    """What attestation.json has of each realm that was started."""


def load_run(folder: Path) -> Run:
    """Read a run's folder; raises UsageError if it is none, or a file of it is not what it should be.

    Shards that have changed since, as those of a run that was killed, are merged first.
    """
    if is_stale(folder):
        merge(folder)
    if not (folder / RUN_FILE).exists() and not (folder / SAMPLES.name).exists():
        raise UsageError(f"{folder}: no run: neither {RUN_FILE} nor {SAMPLES.name} is there")
    info = read_run_file(folder)
    samples = read_frame(folder / SAMPLES.name, SAMPLES)
    privacy = read_frame(folder / PRIVACY.name, PRIVACY)
    return Run(
        folder, info, samples, privacy, read_events(folder / EVENTS, lenient=True), _proofs(folder / ATTESTATION)
    )


def _proofs(path: Path) -> tuple[dict[str, Any], ...]:
    """The realms of an attestation.json; raises UsageError for what is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"realms": []}
        return tuple(dict(each) for each in table["realms"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not what realms have proved: {error}") from None


def find_run(name: str, results: Path, notice: Callable[[str], None]) -> Path:
    """A run: the newest (`latest`), by its path, or by the beginning of its name in `results`; raises UsageError.

    Of `latest`, runs that cannot be read are passed over with a `notice`.
    """
    runs = sorted(path.parent for path in results.glob(f"*/{RUN_FILE}")) if results.is_dir() else []
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
            started.append((read_run_file(run).started_utc or "", run))
        except UsageError as error:
            notice(f"passed over: {error.message}")
    if not started:
        what = "no run there can be read" if runs else "no run there yet"
        raise UsageError(f"{results}: {what}", hint="`orch run WORKLOAD` makes one")
    return max(started)[1]
