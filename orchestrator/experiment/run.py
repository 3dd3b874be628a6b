# SPDX-License-Identifier: Apache-2.0
"""Run a workload: boot after boot, step after step, each written down before the next begins."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BootError, OrchError, WorkloadError
from orchestrator.experiment import collect, verify
from orchestrator.experiment.costs import Costs
from orchestrator.experiment.gate import Measurement
from orchestrator.experiment.measure import Measured, Stage, guest_of
from orchestrator.experiment.plan import plan
from orchestrator.experiment.rows import RowMaker
from orchestrator.schema.workload import machine_seed
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.testbed import UpOptions
from orchestrator.trace.counters import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.attacks import Attacks
    from orchestrator.experiment.journal import Journal
    from orchestrator.experiment.plan import Boot, Cell, GuestKind, MachineKind, Session, Step
    from orchestrator.experiment.prepare import Subject
    from orchestrator.schema.samples import PrivacyRow
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed

_PAGES_OF_A_MIB = 256
_TEARDOWN_LOOKS = 50
_LOOK = 0.1  # s


@dataclass
class Runner:
    """Everything that one run needs; `subjects` has the prepared model of every cell."""

    workload: Workload
    beds: dict[MachineKind, Testbed]
    journal: Journal
    progress: Progress
    subjects: dict[tuple[str, str], Subject]
    bundle: Path
    rows: RowMaker
    attacks: Attacks
    keep: bool = False
    costs: Costs = field(default_factory=Costs)
    failures: int = 0
    _granules: int = 0
    _done: int = 0
    _total: int = 0
    _seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Do all steps that are not done yet; a failed one is written down and costs nothing but itself."""
        done = frozenset(key for key, facts in self.journal.steps().items() if facts["status"] == "ok")
        boots = plan(self.workload, done)
        self._total = sum(len(boot.steps) for boot in boots)
        for boot in boots:
            self._boot(boot, keep=self.keep and boot is boots[-1])

    # --- machines -------------------------------------------------------------------------------------------------

    def _boot(self, boot: Boot, *, keep: bool) -> None:
        """One machine from power-on to power-off; if it fails, what was left to do in it has failed."""
        bed = self.beds[boot.machine]
        boot_id = self._next_boot_id()
        left = list(boot.steps)
        self.journal.event("boot-begin", boot=boot.number, boot_id=boot_id, machine=boot.machine.label)
        try:
            with self._part("boot", boot_id=boot_id):
                began = time.monotonic()
                seed = machine_seed(self.workload.seed, boot.number)
                bed.up(UpOptions(fresh=True, deterministic=boot.machine.deterministic, count=True, seed=seed))
                seconds = time.monotonic() - began
            limits = self.workload.timeouts
            stage = Stage.on(bed, deploy_seconds=limits.deploy, run_seconds=limits.run)
            self.rows.booted(boot.steps[0], boot_id, seconds)
            self._sessions(boot, boot_id, stage, left, keep=keep)
        except OrchError as error:
            for step in left:
                self._step_failed(step, boot_id, error)
        finally:
            if not keep:
                with self._part("down", boot_id=boot_id):
                    self._keep_consoles(bed, boot_id)
                    bed.down()

    def _sessions(self, boot: Boot, boot_id: int, stage: Stage, left: list[Step], *, keep: bool) -> None:
        seen: dict[GuestKind, dict[str, dict[str, str]]] = {}
        for session in boot.sessions:
            with self._world(session, boot_id, stage, stay=keep and session is boot.sessions[-1]) as absent:
                prints = seen.setdefault(session.guest, {})
                if not absent and session.world != "host":
                    with self._part("deploy", world=session.world):
                        prints[session.world] = stage.fingerprint(session.world)
                problem = absent or _twin_difference(prints)
                for step in session.steps:
                    left.remove(step)
                    if not self._step(step, boot_id, stage, problem) and not problem:
                        problem = self._revive(step, stage, more=step is not session.steps[-1])

    @contextmanager
    def _world(self, session: Session, boot_id: int, stage: Stage, *, stay: bool) -> Iterator[OrchError | None]:
        """The world of a session with the runner in it; the error instead if it did not come up."""
        problem: OrchError | None = None
        name = guest_of(session.world)
        try:
            self._enter(session, stage)
        except OrchError as error:
            problem = error
        yield problem
        if name is None or stay:
            return
        run = int(stage.bed.guests.record.guest(name).get("run", 0))
        with self._part("guest-stop", world=session.world):
            try:
                stage.bed.guests.stop(name)
                if problem is None:
                    self._life(session, boot_id, stage, run)
            except OrchError as error:
                self.progress.notice(f"{session.world}: {error.message}")

    def _enter(self, session: Session, stage: Stage) -> None:
        guest, name = session.guest, guest_of(session.world)
        if name is not None:
            with self._part("guest-start", world=session.world, guest=guest.label):
                stage.bed.guests.start(name, GuestOptions(guest.memory_mib, guest.vcpus, guest.pretouch))
                self._granules = stage.granules()
        with self._part("deploy", world=session.world):
            if name is not None and "host" not in stage.worlds:  # the gate sends the start signal from there
                stage.deploy_runner("host", self.bundle)
            stage.deploy_runner(session.world, self.bundle)

    def _life(self, session: Session, boot_id: int, stage: Stage, run: int) -> None:
        """Rows about the guest itself, when the marker of its end is there."""
        for _ in range(_TEARDOWN_LOOKS):
            stage.look()
            if any(each.event == Event.TEARDOWN and each.end for each in stage.lives[run]):
                break
            time.sleep(_LOOK)
        observations = [*collect.life_rows(stage.lives.pop(run, []), session.world, run)]
        about = {"pages": session.guest.memory_mib * _PAGES_OF_A_MIB, "granules": self._granules}
        self.rows.life(session.steps[0], boot_id, observations, about)

    def _next_boot_id(self) -> int:
        known = [int(each["boot_id"]) for each in self.journal.events() if each["event"] == "boot-begin"]
        return max(known, default=-1) + 1

    def _keep_consoles(self, bed: Testbed, boot_id: int) -> None:
        """What UARTs and guests said goes to the run's folder."""
        folder = self.journal.folder / "console"
        for uart, path in bed.console_logs().items():
            shutil.copyfile(path, folder / f"boot{boot_id}-{uart}.log")
        for path in sorted(bed.guests.record.folder.glob("*.log")):
            shutil.copyfile(path, folder / f"boot{boot_id}-{path.name}")

    # --- steps ----------------------------------------------------------------------------------------------------

    def _step(self, step: Step, boot_id: int, stage: Stage, problem: OrchError | None) -> bool:
        """One cell in one world: rows and the journal's word on it, whatever happens; whether it was measured."""
        self._done += 1
        if problem is not None:
            self._step_failed(step, boot_id, problem)
            return False
        cell = step.cell
        label = f"[{self._done}/{self._total}] {cell.model} {cell.quantization} in {step.world}, boot {step.boot + 1}"
        now, began = "deploying", time.monotonic()

        def say(text: str) -> None:
            nonlocal now
            now = f"{text}{self._left()}"

        estimate = sum(self._seconds) / len(self._seconds) if self._seconds else None
        try:
            with self.progress.stage(label, estimate=estimate, last_line=lambda: now):
                self._measure(step, boot_id, stage, say)
        except OrchError as error:
            self._step_failed(step, boot_id, error)
            return False
        self._seconds.append(time.monotonic() - began)
        return True

    def _left(self) -> str:
        """How long the steps after this one may take, from those before it."""
        if not self._seconds:
            return ""
        seconds = sum(self._seconds) / len(self._seconds) * (self._total - self._done)
        return f"; about {seconds:.0f} s left after this"

    def _measure(self, step: Step, boot_id: int, stage: Stage, say: Callable[[str], None]) -> None:
        cell, subject = step.cell, self.subjects[step.cell.model, step.cell.quantization]
        with self._part("deploy", step=step.key):
            stage.deploy_model(step.world, subject.path, subject.inputs)
        what = Measurement(cell, stage.take_base(), self.workload.iterations, self.workload.warmups, self.workload.top)
        with self._part("measure", step=step.key):
            measured = stage.measure(what, step.world, say)
        observations = self._check(cell, subject, measured, step.world, what.base)
        attacks = self._attack(step, stage, subject, say)
        stage.check()
        sizes = self.rows.step(step, boot_id, observations, attacks)
        self.journal.step_done(
            step.key, status="ok", boot_id=boot_id, world=step.world, cell_id=cell.cell_id, sizes=sizes
        )

    def _check(
        self, cell: Cell, subject: Subject, measured: Measured, world: str, base: int
    ) -> list[collect.Observation]:
        """The rows of a measurement, when its answers are right and those of the other worlds."""
        record = measured.record
        if len(record.iterations) != self.workload.iterations + self.workload.warmups:
            raise WorkloadError(f"{len(record.iterations)} inferences are on record, not as many as were asked for")
        verify.check_oracle(record, subject.expected)
        verify.check_equal(record.outputs, self.journal.folder / "outputs" / f"{cell.cell_id}.jsonl")
        answers = [verify.top1_of(output) for output in record.outputs]
        return [
            *collect.inference_rows(measured.markers, record, world, base),
            *collect.correct_rows(record, subject.tensors, answers),
            *collect.exit_rows(measured.exits),
        ]

    def _attack(self, step: Step, stage: Stage, subject: Subject, say: Callable[[str], None]) -> list[PrivacyRow]:
        """What the host gets of the deployed model; an attack that fails does not cost the measurement before it."""
        rows: list[PrivacyRow] = []
        for name in self.attacks.wanted(step):
            say(f"attack {name}")
            try:
                with self._part("attack", step=step.key, attack=name):
                    rows += self.attacks.run(name, stage.bed, step, subject)
            except OrchError as error:
                self.failures += 1
                self.progress.notice(f"{name} in {step.world}: {error.message}")
                rows += self.attacks.failed(name, step, error)
        return rows

    def _step_failed(self, step: Step, boot_id: int, error: OrchError) -> None:
        self.failures += 1
        status = "failed" if isinstance(error, WorkloadError) else "error"
        self.progress.notice(f"{step.cell.cell_id} in {step.world}, boot {step.boot + 1}: {status}: {error.message}")
        self.rows.failed(step, boot_id, status, error.message)
        self.journal.step_done(
            step.key,
            status=status,
            boot_id=boot_id,
            world=step.world,
            cell_id=step.cell.cell_id,
            sizes=self.rows.sizes(),
            note=error.message,
        )

    def _revive(self, step: Step, stage: Stage, *, more: bool) -> OrchError | None:
        """After a failure the next cell, if there is `more`, gets a fresh guest; the error if there is none to be had.

        Raises BootError if the machine itself is gone, which ends the boot.
        """
        if not stage.bed.instance.status().alive:
            raise BootError("the machine ended")
        name, guest = guest_of(step.world), step.cell.guest
        if name is None or not more:
            return None
        try:
            with self._part("guest-start", world=step.world):
                stage.bed.guests.stop(name)
                stage.bed.guests.start(name, GuestOptions(guest.memory_mib, guest.vcpus, guest.pretouch))
                stage.deploy_runner(step.world, self.bundle)
        except OrchError as error:
            return error
        return None

    @contextmanager
    def _part(self, part: str, **facts: Any) -> Iterator[None]:
        """Time that is not ours but the machine's: in the journal, and apart in the costs."""
        with self.journal.timed(part, **facts), self.costs.spent_on(part):
            yield


def _twin_difference(prints: dict[str, dict[str, str]]) -> OrchError | None:
    """What realm and normal VM see differently, if both were looked at and there is something."""
    if not {"vm", "realm"} <= prints.keys():
        return None
    vm, realm = prints["vm"], prints["realm"]
    for key in sorted(vm.keys() | realm.keys()):
        if vm.get(key) != realm.get(key):
            return WorkloadError(
                f"the twins differ: {key} is '{vm.get(key)}' in the vm, '{realm.get(key)}' in the realm"
            )
    return None
