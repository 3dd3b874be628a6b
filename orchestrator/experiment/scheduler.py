# SPDX-License-Identifier: Apache-2.0
"""Who does the boots of a run: what the dispatcher asks of a scheduler, and the one that does them itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.experiment.execute import execute
from orchestrator.experiment.job import Place

if TYPE_CHECKING:
    from orchestrator.build.progress import Progress
    from orchestrator.errors import OrchError
    from orchestrator.experiment.job import BootJob
    from orchestrator.runs.shard import Shard


@dataclass(frozen=True)
class Outcome:
    """How the doing of a job ended: well (though steps may have failed), lost with its worker, or refused."""

    job: BootJob
    lost: str | None = None
    refused: OrchError | None = None


class Scheduler(Protocol):
    """Does jobs, as many at once as it has slots."""

    @property
    def slots(self) -> int:
        """How many jobs it does at once."""

    def start(self, job: BootJob, shard: Shard) -> None:
        """Begin a job in a free slot; nobody else writes into the shard until it has ended."""

    def wait(self) -> Outcome | None:
        """Block until one of the jobs that were started has ended; None when there are more slots than before."""

    def close(self) -> None:
        """End whatever still runs, with its machines; harmless if nothing does."""


@dataclass
class Inline:
    """One job at a time, by this process, on the user's own testbed; the machine of a `keep` stays up."""

    progress: Progress
    slots: int = 1
    _started: list[tuple[BootJob, Shard]] = field(default_factory=list)

    def start(self, job: BootJob, shard: Shard) -> None:
        """Take it; it is done in `wait`."""
        self._started.append((job, shard))

    def wait(self) -> Outcome:
        """Do the job."""
        job, shard = self._started.pop(0)
        execute(job, Place(shard.folder, tied=not job.keep), self.progress)
        return Outcome(job)

    def close(self) -> None:
        """Nothing runs between two calls."""
