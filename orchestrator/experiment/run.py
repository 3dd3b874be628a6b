# SPDX-License-Identifier: Apache-2.0
"""Run a workload: boot after boot, step after step, each written down before the next begins."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BootError, EnvError, OrchError, UsageError, WorkloadError
from orchestrator.experiment import collect, twins
from orchestrator.experiment.gate import Measurement
from orchestrator.experiment.measure import Measured, Stage, guest_of
from orchestrator.experiment.plan import plan
from orchestrator.models import oracle
from orchestrator.runs.costs import Costs
from orchestrator.runs.journal import PRIVACY
from orchestrator.runs.observation import Observation
from orchestrator.runs.outputs import check_equal
from orchestrator.runs.rows import RowMaker
from orchestrator.schema.workload import machine_seed
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.testbed import UpOptions
from orchestrator.words import TEARDOWN, Status, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.attacks import Attacks
    from orchestrator.experiment.prepare import Subject
    from orchestrator.runs.journal import Journal
    from orchestrator.runs.matrix import Boot, Cell, MachineKind, Session, Step
    from orchestrator.schema.workload import Workload
    from orchestrator.testbed.testbed import Testbed

_PAGES_OF_A_MIB = 256
_TEARDOWN_LOOKS = 50
_LOOK = 0.1  # s


@dataclass
class Runner:
    """Everything that one run needs; `subjects` has the prepared model of every cell.

    The workload's own files are relative to `folder`.
    """

    workload: Workload
    folder: Path
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
    _open: list[Step] = field(default_factory=list)  # of the current boot: those without a last word
    _all: dict[str, Step] = field(default_factory=dict)
    _warnings: dict[str, str] = field(default_factory=dict)
    _granules: int = 0
    _done: int = 0
    _total: int = 0
    _seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Do all steps that are not done yet; a failed one is written down and costs nothing but itself."""
        self._all = {step.key: step for boot in plan(self.workload, folder=self.folder) for step in boot.steps}
        boots = plan(self.workload, self.journal.done(), self.folder)
        self._total = sum(len(boot.steps) for boot in boots)
        for boot in boots:
            self._boot(boot, keep=self.keep and boot is boots[-1])

    # --- machines -------------------------------------------------------------------------------------------------

    def _boot(self, boot: Boot, *, keep: bool) -> None:
        """One machine from power-on to power-off; if it fails, what was left to do in it has failed.

        Raises UsageError if one is up that is not ours, EnvError if another orch works on the testbed.
        """
        bed = self.beds[boot.machine]
        boot_id = self._next_boot_id()
        self._open = list(boot.steps)
        self.journal.event("boot-begin", boot=boot.number, boot_id=boot_id, machine=boot.machine.label)
        self.rows.booting(boot_id)
        up, stage = False, None
        try:
            with self._part("boot", boot_id=boot_id):
                began = time.monotonic()
                self._up(bed, boot, boot_id)
                up = True
                seconds = time.monotonic() - began
            limits = self.workload.timeouts
            stage = Stage.on(bed, deploy_seconds=limits.deploy, run_seconds=limits.run)
            self.rows.booted(boot.steps[0], boot_id, seconds)
            for session in boot.sessions:
                self._session(boot, session, boot_id, stage, stay=keep and session is boot.sessions[-1])
            if keep:
                self._leave_guest(boot, stage)
        except OrchError as error:
            if isinstance(error, UsageError | EnvError) and not up:
                raise
            for step in list(self._open):
                self._step_failed(step, boot_id, error)
        finally:
            try:
                if stage is not None:
                    stage.links.hang_up()
            finally:
                if up and not keep:
                    self._down(bed, boot_id)

    def _down(self, bed: Testbed, boot_id: int) -> None:
        with self._part("down", boot_id=boot_id):
            try:
                self._keep_consoles(bed, boot_id)
            finally:  # also where the results' disk is full
                bed.down()

    def _up(self, bed: Testbed, boot: Boot, boot_id: int) -> None:
        """Power on; a machine that does not come up is gone afterwards, and leaves what it said."""
        seed = machine_seed(self.workload.seed, boot.number)
        try:
            bed.up(UpOptions(fresh=True, deterministic=boot.machine.deterministic, count=True, seed=seed))
        except BootError:
            self._keep_consoles(bed, boot_id)
            raise

    def _session(self, boot: Boot, session: Session, boot_id: int, stage: Stage, *, stay: bool) -> None:
        with self._world(session, boot_id, stage, stay=stay) as absent:
            problem = absent or self._twin_difference(boot, session, stage)
            for step in session.steps:
                if not self._step(step, boot_id, stage, problem) and not problem:
                    problem = self._revive(step, stage, more=step is not session.steps[-1])
            for step in session.steps:
                if step in self._open:
                    self._attack_later(step, boot_id, stage)

    def _attack_later(self, step: Step, boot_id: int, stage: Stage) -> None:
        """The last of a step that was measured, when nothing else is to be done with its guest."""
        now = ""

        def say(text: str) -> None:
            nonlocal now
            now = text

        with self.progress.stage(f"{step.cell.model} in {step.world}", last_line=lambda: now):
            if self._attack(step, boot_id, stage, self.attacks.later(step), say):
                self._settle(step, boot_id)

    def _twin_difference(self, boot: Boot, session: Session, stage: Stage) -> OrchError | None:
        """What realm and normal VM see differently; neither has results in this boot then."""
        if session.world == World.HOST:
            return None
        try:
            with self._part("deploy", world=session.world):
                seen = stage.fingerprint(session.world)
        except OrchError as error:
            return error
        twins.note(self.journal, boot, session, seen)
        found = twins.difference(self.journal, boot, session, seen)
        if found is None:
            return None
        problem, keys = found
        for key in sorted(keys):
            boot_id = int(self.journal.steps()[key]["boot_id"])
            self.journal.retract(key, problem.message)
            self._step_failed(self._all[key], boot_id, problem)
        return problem

    def _leave_guest(self, boot: Boot, stage: Stage) -> None:
        """For `--keep`: the host is measured alone and last, so a guest that is to stay up then is started again."""
        guests = [session for session in boot.sessions if session.world != World.HOST]
        if not guests or boot.sessions[-1].world != "host":
            return
        cell = guests[0].steps[-1].cell
        subject = self.subjects[cell.model, cell.quantization]
        try:
            self._enter(guests[0], stage)
            stage.deploy_model(guests[0].world, subject.path, subject.inputs)
        except OrchError as error:
            self.progress.notice(f"no guest is left up: {error.message}")

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
                stage.links.hang_up()
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
            if World.HOST not in stage.worlds:  # a guest's gate sends the start signal from there
                stage.deploy_runner(World.HOST, self.bundle)
            if name is not None:
                stage.deploy_runner(session.world, self.bundle)

    def _life(self, session: Session, boot_id: int, stage: Stage, run: int) -> None:
        """Rows about the guest itself, when the marker of its end is there."""
        for _ in range(_TEARDOWN_LOOKS):
            stage.look()
            if any(each.event == TEARDOWN.event and each.end for each in stage.lives[run]):
                break
            time.sleep(_LOOK)
        sizes = {"pages": session.guest.memory_mib * _PAGES_OF_A_MIB, "granules": self._granules}
        lived = collect.life_rows(stage.lives.pop(run, []), session.world, run)
        self.rows.life(session.steps[0], boot_id, [*lived, *collect.size_rows(sizes)])

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
        """One cell in one world, measured and attacked: rows and the journal's word on it, whatever happens.

        Whether it went well; what is to be done with it later leaves it open.
        """
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
                if not self._attack(step, boot_id, stage, self.attacks.now(step), say):
                    return False
        except OrchError as error:
            self._step_failed(step, boot_id, error)
            return False
        self._seconds.append(time.monotonic() - began)
        if not self.attacks.later(step):
            self._settle(step, boot_id)
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
        stage.check()
        self.rows.step(step, boot_id, self._check(cell, subject, measured, step.world, what.base))
        if cell.machine.deterministic:
            for text in measured.warnings:
                self._warnings[step.key] = "; ".join(filter(None, (self._warnings.get(step.key), text)))
                self.journal.event("warning", step=step.key, text=text)
                self.progress.notice(f"{cell.cell_id} in {step.world}, boot {step.boot + 1}: {text}")

    def _check(self, cell: Cell, subject: Subject, measured: Measured, world: World, base: int) -> list[Observation]:
        """The rows of a measurement, when its answers are right and those of the other worlds."""
        record = measured.record
        if len(record.iterations) != self.workload.iterations + self.workload.warmups:
            raise WorkloadError(f"{len(record.iterations)} inferences are on record, not as many as were asked for")
        oracle.check_oracle(record, subject.expected)
        check_equal(record.outputs, self.journal.folder / "outputs" / f"{cell.cell_id}.jsonl")
        answers = [oracle.top1_of(output) for output in record.outputs]
        return [
            *collect.inference_rows(measured.markers, record, world, base),
            *collect.correct_rows(record, subject.tensors, answers),
            *collect.exit_rows(measured.exits),
        ]

    def _attack(self, step: Step, boot_id: int, stage: Stage, names: Sequence[str], say: Callable[[str], None]) -> bool:
        """What the host gets of the deployed model; a step whose attack fails has failed, with its samples kept."""
        subject = self.subjects[step.cell.model, step.cell.quantization]
        if names:
            stage.links.hang_up()
        for name in names:
            say(f"attack {name}")
            try:
                with self._part("attack", step=step.key, attack=name):
                    rows = self.attacks.run(name, stage.bed, step, subject)
            except OrchError as error:
                rows = [self.attacks.failed(name, step, error)]
            self.rows.attack(rows)
            bad = next((row for row in rows if row.status in (Status.FAILED, Status.ERROR)), None)
            if bad is not None:
                self._failed(step, boot_id, str(bad.status), f"attack {name}: {bad.note}")
                return False
        return True

    def _step_failed(self, step: Step, boot_id: int, error: OrchError) -> None:
        status = "failed" if isinstance(error, WorkloadError) else "error"
        self.rows.failed(step, boot_id, status, error.message)
        self._failed(step, boot_id, status, error.message)

    def _failed(self, step: Step, boot_id: int, status: str, note: str) -> None:
        self.failures += 1
        left = self.attacks.left(step, note, self.journal.folder / PRIVACY)
        if left:
            self.rows.attack(left)
        self.progress.notice(f"{step.cell.cell_id} in {step.world}, boot {step.boot + 1}: {status}: {note}")
        self._settle(step, boot_id, status, note)

    def _settle(self, step: Step, boot_id: int, status: str = "ok", note: str | None = None) -> None:
        """The journal's last word on a step, whose rows are on the disk."""
        if step in self._open:
            self._open.remove(step)
        note = note or self._warnings.get(step.key)
        self.journal.step_done(
            step.key,
            status=status,
            boot_id=boot_id,
            world=step.world,
            cell_id=step.cell.cell_id,
            sizes=self.journal.sizes(),
            cost=self.costs.as_table(),
            **({"note": note} if note else {}),
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
                stage.links.hang_up()
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
