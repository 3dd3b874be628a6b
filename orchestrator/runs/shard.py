# SPDX-License-Identifier: Apache-2.0
"""A shard: what one boot of a machine leaves of a run, in a folder with one writer.

Written so that a kill at any moment loses no finished step and doubles none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.runs.events import EVENTS, BootBegun, EventLog, RowsWritten, StepDone
from orchestrator.schema import samples
from orchestrator.words import Owner, phases_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SAMPLES, PRIVACY = samples.SAMPLES.name, samples.PRIVACY.name
ATTESTED = "attestation.jsonl"
_STEP_DONE, _ROWS = "step-done", "rows"


@dataclass(frozen=True)
class Shard:
    """The folder of one boot of the plan; a boot that is repeated goes on in it."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def log(self) -> EventLog:
        """Its events."""
        return EventLog(self.folder / EVENTS)

    @property
    def console(self) -> Path:
        """Where what UARTs and guests said is kept."""
        return self.folder / "console"

    def make(self) -> None:
        """Create the folder, if it is not there."""
        self.console.mkdir(parents=True, exist_ok=True)

    def attested(self, facts: Mapping[str, Any]) -> None:
        """A realm has proved itself: one more line of what is said of that."""
        with (self.folder / ATTESTED).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(facts) + "\n")

    def step_done(self, key: str, *, status: str, boot_id: int, **facts: Any) -> None:
        """The step is over, its rows are on the disk."""
        self.log.add(_STEP_DONE, key=key, status=status, boot_id=boot_id, sizes=self.sizes(), **facts)

    def written(self) -> None:
        """Rows that belong to no step are on the disk."""
        self.log.add(_ROWS, sizes=self.sizes())

    def repair(self) -> None:
        """After a kill: cut from the tables what was not written down as whole, and what a retry will replace."""
        self.log.repair()
        sizes: dict[str, int] | None = {}
        for each in self.log.read():
            if isinstance(each, RowsWritten) or (isinstance(each, StepDone) and each.sizes is not None):
                sizes = each.sizes
        for table in (samples.SAMPLES, samples.PRIVACY):
            table.repair(self.folder / table.name, size=None if sizes is None else sizes.get(table.name, 0))
        done = self.done()
        self._retain(lambda key: key in done, failed=False)

    def retract(self, key: str, note: str) -> None:
        """A finished step turns out to be worth nothing: it has failed, and its rows go."""
        facts = self.steps()[key].model_dump(exclude_unset=True, exclude={"event", "utc", "sizes"})
        self.log.add(_STEP_DONE, **facts | {"status": "failed", "note": note})
        self._retain(lambda other: other != key, failed=True)

    def _retain(self, keep: Callable[[str | None], bool], *, failed: bool) -> None:
        """Keep the rows of these steps, by key (None: one without a last word), and those of machines and guests.

        Of samples.csv also those of `failed` observations.
        """
        owners = {(*key.rsplit("/", 2)[:2], str(facts.boot_id)): key for key, facts in self.steps().items()}
        measured = {str(phase) for phase in phases_of(Owner.STEP)}  # other phases are about a machine or a guest

        def stays(row: Mapping[str, str]) -> bool:
            mine = owners.get((row["cell_id"], row["world"], row["boot_id"]))
            return (failed or row["status"] == "ok") and (row["phase"] not in measured or keep(mine))

        self.log.add(_ROWS, sizes=None)  # until the next line a kill leaves either the old rows or the new ones
        samples.SAMPLES.retain(self.folder / SAMPLES, stays)
        # Only steps of the first boot are attacked.
        samples.PRIVACY.retain(self.folder / PRIVACY, lambda row: keep(f"{row['cell_id']}/{row['world']}/0"))
        self.written()

    def sizes(self) -> dict[str, int]:
        """Bytes of the tables as they are."""
        paths = {name: self.folder / name for name in (SAMPLES, PRIVACY)}
        return {name: path.stat().st_size for name, path in paths.items() if path.exists()}

    def steps(self) -> dict[str, StepDone]:
        """The last word on each step, by key."""
        return {each.key: each for each in self.log.of(StepDone)}

    def done(self) -> frozenset[str]:
        """Keys of the steps that need no repetition."""
        return frozenset(key for key, facts in self.steps().items() if facts.status == "ok")

    def attempts(self) -> int:
        """How often a machine was powered on for it."""
        return len(self.log.of(BootBegun))

    def cost(self) -> dict[str, Any]:
        """What its boots cost up to the last step that has its last word; empty if there is none."""
        told = [each.cost for each in self.log.of(StepDone) if each.cost is not None]
        return told[-1] if told else {}
