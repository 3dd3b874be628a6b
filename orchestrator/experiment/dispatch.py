# SPDX-License-Identifier: Apache-2.0
"""Jobs to workers, and again to others where a worker is lost: no finished step is done twice, no row is doubled."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.runs.rows import RowMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.job import BootJob
    from orchestrator.experiment.scheduler import Outcome, Scheduler
    from orchestrator.runs.folder import RunFolder

LOSSES_MAX = 3
"""As often may the worker of a job be lost in one invocation; then its steps are errors."""


@dataclass
class Dispatcher:
    """The jobs of one invocation; `boots` is the number of those in the whole plan."""

    run: RunFolder
    scheduler: Scheduler
    progress: Progress
    boots: int
    most: int = 1
    """As many jobs have run at once."""
    _losses: Counter[int] = field(default_factory=Counter)
    _running: int = 0

    def work(self, jobs: Sequence[BootJob]) -> None:
        """Do them all; raises what a scheduler refuses a job for (UsageError, EnvError)."""
        waiting = deque(jobs)
        try:
            while waiting or self._running:
                while waiting and self._running < self.scheduler.slots:
                    self._start(waiting.popleft())
                if waiting or self._running:
                    outcome = self.scheduler.wait()
                    waiting.extend(() if outcome is None else self._ended(outcome))
        finally:
            self.scheduler.close()

    def _start(self, job: BootJob) -> None:
        """Begin what is left of a job; an attempt of it has a boot's number of its own, whoever makes it."""
        shard = self.run.shard(job.index)
        attempt = job.attempt(job.index + shard.attempts() * self.boots, shard.done())
        if attempt is not None:
            shard.make()
            self.scheduler.start(attempt, shard)
            self._running += 1
            self.most = max(self.most, self._running)

    def _ended(self, outcome: Outcome) -> list[BootJob]:
        """What is to be done again."""
        self._running -= 1
        if outcome.refused is not None:
            raise outcome.refused
        job = outcome.job
        if outcome.lost is None:
            return []
        self._losses[job.index] += 1
        losses, shard = self._losses[job.index], self.run.shard(job.index)
        shard.repair()
        self.run.log.add("job-lost", shard=shard.name, losses=losses, reason=outcome.lost)
        if losses < LOSSES_MAX:
            self.progress.notice(f"{job.label}: its worker was lost ({outcome.lost}); it is done again")
            return [job]
        self._give_up(job, f"its worker was lost {losses} times; the last time: {outcome.lost}")
        return []

    def _give_up(self, job: BootJob, reason: str) -> None:
        """What is left of a job are errors."""
        self.progress.notice(f"{job.label}: given up: {reason}")
        shard = self.run.shard(job.index)
        rows, done = RowMaker(shard, job.facts), shard.done()
        for step in job.whole.steps:
            if step.key not in done:
                rows.failed(step, "error", reason)
                about = {"world": step.world, "cell_id": step.cell.cell_id, "note": reason}
                shard.step_done(step.key, status="error", boot_id=job.facts.boot_id, **about)
