# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: written so that a kill at any moment loses no finished step and doubles none."""

from __future__ import annotations

import datetime
import errno
import json
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout

from orchestrator.errors import EnvError, UsageError
from orchestrator.files import replace_file
from orchestrator.schema import samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EVENTS, RUN_FILE, SAMPLES, PRIVACY = "events.jsonl", "run.yaml", "samples.csv", "privacy.csv"
STEP_PHASES = frozenset({"load", "read", "infer", "write"})
"""What a step measures; rows of other phases are about a machine or a guest."""
_STEP_DONE = "step-done"
_KEPT = {"status": str, "testbed": dict, "git": dict, "tools": dict}
"""What a later start of a run needs of run.yaml."""


def utc_now() -> str:
    """This moment, ISO 8601 with a Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Journal:
    """A run's folder and the events in it."""

    folder: Path

    @classmethod
    def create(cls, results: Path, name: str) -> Journal:
        """A new folder `<name>-<utc>-<short hash>` in `results`; raises UsageError if there can be none."""
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = results / f"{name}-{stamp}-{secrets.token_hex(3)}"
        try:
            (folder / "console").mkdir(parents=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise UsageError(f"{results}: no folder for runs: {error.strerror}", hint="--results DIR") from None
        return cls(folder)

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @contextmanager
    def held(self) -> Iterator[None]:
        """The right to write here; a second orch is refused."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EnvError(f"another orch is working on run {self.run_id}", hint="wait for it to end") from None
        try:
            yield
        finally:
            lock.release()

    # --- events ---------------------------------------------------------------------------------------------------

    def event(self, event: str, **facts: Any) -> None:
        """Append one line, on the disk when this returns."""
        line = json.dumps({"event": event, "utc": utc_now(), **facts}) + "\n"
        descriptor = os.open(self.folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def timed(self, event: str, **facts: Any) -> Iterator[None]:
        """Append a line about what the block did when it ends: seconds and outcome."""
        began, outcome = time.monotonic(), "error"
        try:
            yield
            outcome = "ok"
        finally:
            self.event(event, seconds=round(time.monotonic() - began, 3), outcome=outcome, **facts)

    def events(self) -> list[dict[str, Any]]:
        """All whole lines; one that a kill cut off is cut from the file as well, or the next would join it.

        Raises UsageError for a whole line that is no event.
        """
        path = self.folder / EVENTS
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(path, len(whole))
        return [_event_of(line, f"{path}:{number}") for number, line in enumerate(whole.splitlines(), start=1)]

    def step_done(self, key: str, *, status: str, boot_id: int, **facts: Any) -> None:
        """The step is over, its rows are on the disk."""
        self.event(_STEP_DONE, key=key, status=status, boot_id=boot_id, **facts)

    def written(self, sizes: dict[str, int]) -> None:
        """Rows that belong to no step are on the disk; `sizes` of the tables with them, in bytes."""
        self.event("rows", sizes=sizes)

    def repair(self) -> None:
        """After a kill: cut from the tables what was not written down as whole, and what a retry will replace."""
        sizes: dict[str, int] | None = {}
        for each in self.events():
            sizes = each.get("sizes", sizes)
        for table in (samples.SAMPLES, samples.PRIVACY):
            table.repair(self.folder / table.name, size=None if sizes is None else sizes.get(table.name, 0))
        done = self.done()
        self._retain(lambda key: key in done, failed=False)

    def retract(self, key: str, note: str) -> None:
        """A finished step turns out to be worth nothing: it has failed, and its rows go."""
        facts = {name: value for name, value in self.steps()[key].items() if name not in ("event", "utc", "sizes")}
        self.event(_STEP_DONE, **facts | {"status": "failed", "note": note})
        self._retain(lambda other: other != key, failed=True)

    def _retain(self, keep: Callable[[str | None], bool], *, failed: bool) -> None:
        """Keep the rows of these steps, by key (None: one without a last word), and those of machines and guests.

        Of samples.csv also those of `failed` observations.
        """
        owners = {(*key.rsplit("/", 2)[:2], str(facts["boot_id"])): key for key, facts in self.steps().items()}

        def stays(row: Mapping[str, str]) -> bool:
            mine = owners.get((row["cell_id"], row["world"], row["boot_id"]))
            return (failed or row["status"] == "ok") and (row["phase"] not in STEP_PHASES or keep(mine))

        self.event("rows", sizes=None)  # until the next line a kill leaves either the old rows or the new ones
        samples.SAMPLES.retain(self.folder / SAMPLES, stays)
        # Only steps of the first boot are attacked.
        samples.PRIVACY.retain(self.folder / PRIVACY, lambda row: keep(f"{row['cell_id']}/{row['world']}/0"))
        self.written(self.sizes())

    def sizes(self) -> dict[str, int]:
        """Bytes of the tables as they are."""
        paths = {name: self.folder / name for name in (SAMPLES, PRIVACY)}
        return {name: path.stat().st_size for name, path in paths.items() if path.exists()}

    def steps(self) -> dict[str, dict[str, Any]]:
        """The last word on each step, by key."""
        return {each["key"]: each for each in self.events() if each["event"] == _STEP_DONE}

    def done(self) -> frozenset[str]:
        """Keys of the steps that need no repetition."""
        return frozenset(key for key, facts in self.steps().items() if facts["status"] == "ok")

    def cost(self) -> dict[str, Any]:
        """What the run cost up to the last step that has its last word, or its end; empty if there is none."""
        told: list[dict[str, Any]] = [each["cost"] for each in self.events() if "cost" in each]
        return told[-1] if told else {}

    # --- files ----------------------------------------------------------------------------------------------------

    def write_run(self, facts: dict[str, Any]) -> None:
        """Replace run.yaml."""
        replace_file(self.folder / RUN_FILE, yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=120))

    def read_run(self) -> dict[str, Any]:
        """The content of run.yaml; raises UsageError if it is not there or not what `write_run` wrote."""
        path = self.folder / RUN_FILE
        try:
            facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{path}: no such file: the folder is no run, or a broken one") from None
        except (yaml.YAMLError, ValueError) as error:
            raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(facts, dict):
            raise UsageError(f"{path}: not a description of a run")
        for key, kind in _KEPT.items():
            if not isinstance(facts.get(key), kind):
                raise UsageError(f"{path}: {key}: missing, or not what a run has there")
        return facts

    def write(self, name: str, content: str) -> None:
        """Replace one small file."""
        replace_file(self.folder / name, content)


def _event_of(line: bytes, place: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as error:  # also bytes that are no text
        raise UsageError(f"{place}: no event: {error}", hint="the file was changed by others") from None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise UsageError(f"{place}: no event: 'event' is missing", hint="the file was changed by others")
    return event
