# SPDX-License-Identifier: Apache-2.0
"""A run's folder as its writer sees it: made, held, and full of shards."""

from __future__ import annotations

import datetime
import errno
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from orchestrator.errors import EnvError, UsageError
from orchestrator.files import replace_file
from orchestrator.runs.events import EVENTS, EventLog
from orchestrator.runs.run_file import RunFile, read_run_file, write_run_file
from orchestrator.runs.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runs.events import StepDone

SHARDS = "shards"
_LOG = "run.jsonl"  # in SHARDS: what no boot did
_KEPT = ("status", "testbed", "git", "tools")
"""What a later start of a run needs of run.yaml."""


@dataclass(frozen=True)
class RunFolder:
    """One run: its description, its shards, and what was done by none of these."""

    folder: Path

    @classmethod
    def create(cls, results: Path, name: str) -> RunFolder:
        """A new folder `<name>-<utc>-<short hash>` in `results`; raises UsageError if there can be none."""
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = results / f"{name}-{stamp}-{secrets.token_hex(3)}"
        try:
            (folder / SHARDS).mkdir(parents=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise UsageError(f"{results}: no folder for runs: {error.strerror}", hint="--results DIR") from None
        return cls(folder)

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def log(self) -> EventLog:
        """What happened outside of boots; of an older run, which has no shards, all that did."""
        shards = self.folder / SHARDS
        return EventLog(shards / _LOG if shards.is_dir() else self.folder / EVENTS)

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

    # --- shards ---------------------------------------------------------------------------------------------------

    def shard(self, index: int) -> Shard:
        """The shard of a boot, by its place in the whole plan."""
        return Shard(self.folder / SHARDS / f"boot-{index:03d}")

    def shards(self) -> list[Shard]:
        """All that there are, in the order of the plan."""
        return [Shard(path) for path in sorted((self.folder / SHARDS).glob("boot-*"))]

    def steps(self) -> dict[str, StepDone]:
        """The last word on each step, by key."""
        return {key: facts for shard in self.shards() for key, facts in shard.steps().items()}

    def done(self) -> frozenset[str]:
        """Keys of the steps that need no repetition."""
        return frozenset(key for shard in self.shards() for key in shard.done())

    def failures(self) -> int:
        """How many steps have failed."""
        return sum(facts.status != "ok" for facts in self.steps().values())

    def repair(self) -> None:
        """After a kill: nothing half written is left in any shard."""
        self.log.repair()
        for shard in self.shards():
            shard.repair()

    # --- files ----------------------------------------------------------------------------------------------------

    def write_run(self, facts: dict[str, Any]) -> None:
        """Replace run.yaml."""
        write_run_file(self.folder, facts)

    def read_run(self) -> RunFile:
        """What run.yaml says; raises UsageError if it is not there, or lacks what going on with the run needs."""
        found = read_run_file(self.folder, needed=_KEPT)
        if not (self.folder / SHARDS).is_dir() and found.status != "ok":
            raise UsageError(
                f"{self.folder}: was begun by an older orch, whose runs have no shards, and cannot be continued",
                hint="start a new run; `orch report` still reads it",
            )
        return found

    def write(self, name: str, content: str) -> None:
        """Replace one small file."""
        replace_file(self.folder / name, content)
