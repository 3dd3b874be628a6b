# SPDX-License-Identifier: Apache-2.0
"""One step after the other in a running machine: measured, checked, attacked, and written down."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchError, WorkloadError
from orchestrator.experiment import collect
from orchestrator.experiment.gate import CountedExecution
from orchestrator.models.checking import check_answers
from orchestrator.models.oracle import top1_of
from orchestrator.runs.costs import Costs
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.outputs import OUTPUTS, check_equal
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import PRIVACY
from orchestrator.schema.workload import machine_seed
from orchestrator.words import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.attacks import Attacks
    from orchestrator.experiment.job import BootJob
    from orchestrator.experiment.prepare import Subject
    from orchestrator.experiment.stage import Counted, Stage
    from orchestrator.runs.matrix import Cell, Step
    from orchestrator.runs.observation import Observation
    from orchestrator.runs.shard import Shard
    from orchestrator.words import World


@dataclass
class Steps:
    """The steps of one boot; each has its last word in the shard before the next begins."""

    job: BootJob
    shard: Shard
    rows: RowMaker
    attacks: Attacks
    progress: Progress
    costs: Costs
    open: list[Step] = field(default_factory=list)
    """Those without a last word."""
    _warnings: dict[str, str] = field(default_factory=dict)
    _done: int = 0
    _seconds: list[float] = field(default_factory=list)

    @contextmanager
    def part(self, part: str, **facts: Any) -> Iterator[None]:
        """Time that is not ours but the machine's: in the shard's events, and apart in the costs."""
        with self.shard.log.timed(part, **facts), self.costs.spent_on(part):
            yield

    def subject(self, cell: Cell) -> Subject:
        """The prepared model of a cell."""
        return self.job.subjects[SubjectKey.of(cell)]

    def do(self, step: Step, stage: Stage, problem: OrchError | None) -> bool:
        """One cell in one world, measured and attacked: rows and a word on it, whatever happens.

        Whether it went well; what is to be done with it later leaves it open.
        """
        self._done += 1
        if problem is not None:
            self.failed(step, problem)
            return False
        cell, now, began = step.cell, "deploying", time.monotonic()
        place = f"[{self.job.offset + self._done}/{self.job.total}]"
        label = f"{place} {cell.model} {cell.quantization} in {step.world}, boot {step.boot + 1}"

        def say(text: str) -> None:
            nonlocal now
            now = f"{text}{self._left()}"

        estimate = sum(self._seconds) / len(self._seconds) if self._seconds else None
        try:
            with self.progress.stage(label, estimate=estimate, last_line=lambda: now):
                self._measure(step, stage, say)
                if not self._attack(step, stage, self.attacks.now(step), say):
                    return False
        except OrchError as error:
            self.failed(step, error)
            return False
        self._seconds.append(time.monotonic() - began)
        if not self.attacks.later(step):
            self._settle(step)
        return True

    def _left(self) -> str:
        """How long the steps after this one may take, from those before it."""
        if not self._seconds:
            return ""
        mean, after = sum(self._seconds) / len(self._seconds), self.job.total - self.job.offset - self._done
        return f"; about {mean * after:.0f} s left after this"

    def attack_later(self, step: Step, stage: Stage) -> None:
        """The last of a step that was measured, when nothing else is to be done with its guest."""
        now = ""

        def say(text: str) -> None:
            nonlocal now
            now = text

        with self.progress.stage(f"{step.cell.model} in {step.world}", last_line=lambda: now):
            if self._attack(step, stage, self.attacks.later(step), say):
                self._settle(step)

    # --- measuring ------------------------------------------------------------------------------------------------

    def _measure(self, step: Step, stage: Stage, say: Callable[[str], None]) -> None:
        cell, subject, load = step.cell, self.subject(step.cell), self.job.workload
        with self.part("deploy", step=step.key):
            bundle = self.job.bundles[cell.runtime]
            stage.need_runner(step.world, bundle)
            files = stage.deploy_model(step.world, subject.deployable, subject.inputs)
            self.shard.log.add("deployed", step=step.key, runtime=stage.runtime_of(bundle), files=files)
        opening = subject.deployable.opening
        what = CountedExecution(
            *(cell, opening, stage.take_base(), load.iterations, load.warmups, cell.top(load) or load.top),
            seed=machine_seed(load.seed, step.boot),
        )
        with self.part("count", step=step.key):
            counted = stage.count(what, step.world, say)
        stage.check()
        rows = self._check(cell, subject, counted, step.world, what.base)
        self.rows.step(step, rows, note=self._warnings.get(step.key))
        if cell.machine.deterministic:
            for text in counted.warnings:
                self.warn(step, text)
        if counted.record.without is not None:
            self.warn(step, f"without XNNPACK: {counted.record.without}")

    def warn(self, step: Step, text: str) -> None:
        """Something makes the step's figures less than they look: journal, report, the user's screen."""
        self._warnings[step.key] = "; ".join(filter(None, (self._warnings.get(step.key), text)))
        self.shard.log.add("warning", step=step.key, text=text)
        self.progress.notice(f"{step.cell.cell_id} in {step.world}, boot {step.boot + 1}: {text}")

    def _check(self, cell: Cell, subject: Subject, counted: Counted, world: World, base: int) -> list[Observation]:
        """The rows of a measurement, when its answers are right and those of the other worlds."""
        record = counted.record
        if len(record.iterations) != self.job.workload.iterations + self.job.workload.warmups:
            raise WorkloadError(f"{len(record.iterations)} inferences are on record, not as many as were asked for")
        worst = check_answers(record, subject.expected, cell.reading_of(self.job.workload))
        check_equal(record.outputs, self.shard.folder / OUTPUTS / f"{cell.cell_id}.jsonl")
        answers = [top1_of(output) for output in record.outputs]
        return [
            *collect.inference_rows(counted.markers, record, world, base),
            *collect.correct_rows(record, subject.tensors, answers),
            *collect.exit_rows(counted.exits),
            collect.oracle_row(worst),
        ]

    # --- attacking ------------------------------------------------------------------------------------------------

    def _attack(self, step: Step, stage: Stage, names: Sequence[str], say: Callable[[str], None]) -> bool:
        """What the host gets of the deployed model; a step whose attack fails has failed, with its samples kept."""
        subject = self.subject(step.cell)
        for name in names:
            say(f"attack {name}")
            try:
                with self.part("attack", step=step.key, attack=name):
                    rows = self.attacks.run(name, stage.bed, step, subject)
            except OrchError as error:
                rows = [self.attacks.failed(name, step, error)]
            self.rows.attack(rows)
            bad = next((row for row in rows if row.status in (Status.FAILED, Status.ERROR)), None)
            if bad is not None:
                self._failed(step, str(bad.status), f"attack {name}: {bad.note}")
                return False
        return True

    # --- last words -----------------------------------------------------------------------------------------------

    def failed(self, step: Step, error: OrchError, boot_id: int | None = None) -> None:
        """A step came to nothing; `boot_id` is that of an earlier boot if it was measured in one."""
        status = "failed" if isinstance(error, WorkloadError) else "error"
        self.rows.failed(step, status, error.message, boot_id)
        self._failed(step, status, error.message, boot_id)

    def _failed(self, step: Step, status: str, note: str, boot_id: int | None = None) -> None:
        self.progress.notice(f"{step.cell.cell_id} in {step.world}, boot {step.boot + 1}: {status}: {note}")
        left = self.attacks.left(step, note, self.shard.folder / PRIVACY)
        if left:
            self.rows.attack(left)
        self._settle(step, status, note, boot_id)

    def _settle(self, step: Step, status: str = "ok", note: str | None = None, boot_id: int | None = None) -> None:
        """The shard's last word on a step, whose rows are on the disk."""
        if step in self.open:
            self.open.remove(step)
        note = note or self._warnings.get(step.key)
        self.shard.step_done(
            step.key,
            status=status,
            boot_id=self.job.facts.boot_id if boot_id is None else boot_id,
            world=step.world,
            cell_id=step.cell.cell_id,
            cost=self.costs.as_table(),
            **({"note": note} if note else {}),
        )
