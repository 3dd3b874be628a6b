# SPDX-License-Identifier: Apache-2.0
"""One boot of a machine from power-on to power-off: its guests come and go, its steps are done in between."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import BootError, EnvError, OrchError, UsageError
from orchestrator.experiment import collect, twins
from orchestrator.experiment.stage import Stage, guest_of
from orchestrator.schema.workload import machine_seed
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.testbed import UpOptions
from orchestrator.words import TEARDOWN, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.job import BootJob
    from orchestrator.experiment.steps import Steps
    from orchestrator.runs.matrix import GuestKind, Session, Step
    from orchestrator.runs.shard import Shard
    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.testbed import Testbed

_PAGES_OF_A_MIB = 256
_TEARDOWN_LOOKS = 50
_LOOK = 0.1  # s
_HURRY = 3.0  # s for a machine that is switched off


@dataclass
class BootRun:
    """Does a job's boot on the machine of `bed`; `tied` lets that end with this process."""

    job: BootJob
    bed: Testbed
    shard: Shard
    steps: Steps
    progress: Progress
    tied: bool = True
    _granules: int = field(default=0, init=False)

    def run(self) -> None:
        """One machine from power-on to power-off; if it fails, what was left to do in it has failed.

        Raises UsageError if one is up that is not ours, EnvError if another orch works on the testbed.
        """
        boot, boot_id = self.job.boot, self.job.facts.boot_id
        self.steps.open = list(boot.steps)
        self.shard.log.add("boot-begin", boot=boot.number, boot_id=boot_id, machine=boot.machine.label)
        up, stage = False, None
        try:
            with self.steps.part("boot", boot_id=boot_id):
                began = time.monotonic()
                self._up()
                up = True
                seconds = time.monotonic() - began
            limits = self.job.workload.timeouts
            stage = Stage.on(self.bed, deploy_seconds=limits.deploy, run_seconds=limits.run)
            self.steps.rows.booted(boot.steps[0], seconds)
            for session in boot.sessions:
                self._session(session, stage, stay=self.job.keep and session is boot.sessions[-1])
            if self.job.keep:
                self._leave_guest(stage)
        except OrchError as error:
            if isinstance(error, UsageError | EnvError) and not up:
                raise
            for step in list(self.steps.open):
                self.steps.failed(step, error)
        except KeyboardInterrupt:
            # Whoever interrupts waits for no guest: the machine is switched off with all that is in it.
            self.bed.instance.stop(_HURRY)
            raise
        finally:
            try:
                if stage is not None:
                    stage.close()
            finally:
                if up and not self.job.keep:
                    self._down()

    # --- the machine ----------------------------------------------------------------------------------------------

    def _up(self) -> None:
        """Power on; a machine that does not come up is gone afterwards, and leaves what it said."""
        seed = machine_seed(self.job.workload.seed, self.job.boot.number)
        deterministic = self.job.boot.machine.deterministic
        options = UpOptions(fresh=True, deterministic=deterministic, count=True, seed=seed, tied=self.tied)
        try:
            self.bed.up(options)
        except BootError:
            self._keep_consoles()
            raise

    def _down(self) -> None:
        with self.steps.part("down", boot_id=self.job.facts.boot_id):
            try:
                self._keep_consoles()
            finally:  # also where the results' disk is full
                self.bed.down()

    def _keep_consoles(self) -> None:
        """What UARTs and guests said goes to the shard."""
        prefix = f"boot{self.job.facts.boot_id}"
        for uart, path in self.bed.console_logs().items():
            shutil.copyfile(path, self.shard.console / f"{prefix}-{uart}.log")
        for path in sorted(self.bed.guests.record.folder.glob("*.log")):
            shutil.copyfile(path, self.shard.console / f"{prefix}-{path.name}")

    # --- guests ---------------------------------------------------------------------------------------------------

    def _session(self, session: Session, stage: Stage, *, stay: bool) -> None:
        with self._world(session, stage, stay=stay) as absent:
            problem = absent or self._twin_difference(session, stage)
            for step in session.steps:
                if not self.steps.do(step, stage, problem) and not problem:
                    problem = self._revive(step, stage, more=step is not session.steps[-1])
            for step in session.steps:
                if step in self.steps.open:
                    self.steps.attack_later(step, stage)

    def _twin_difference(self, session: Session, stage: Stage) -> OrchError | None:
        """What realm and normal VM see differently; neither has results in this boot then.

        Under another monitor than ours it is a word on the second of them: what that shows its realms is not ours to
        change, and they may be compared with that in mind.
        """
        if session.world == World.HOST:
            return None
        try:
            with self.steps.part("deploy", world=session.world):
                seen = stage.fingerprint(session.world)
        except OrchError as error:
            return error
        twins.note(self.shard, self.job.boot, session, seen)
        found = twins.difference(self.shard, self.job.boot, session, seen)
        if found is None:
            return None
        problem, keys = found
        if self.job.foreign_monitor:
            for each in session.steps:
                self.steps.warn(each, f"under this monitor {problem.message}")
            return None
        for step in self.job.whole.steps:
            if step.key in keys:
                boot_id = self.shard.steps()[step.key].boot_id
                self.shard.retract(step.key, problem.message)
                self.steps.failed(step, problem, boot_id)
        return problem

    def _leave_guest(self, stage: Stage) -> None:
        """For `--keep`: the host is measured alone and last, so a guest that is to stay up then is started again."""
        boot = self.job.boot
        guests = [session for session in boot.sessions if session.world != World.HOST]
        if not guests or boot.sessions[-1].world != World.HOST:
            return
        cell = guests[0].steps[-1].cell
        subject = self.steps.subject(cell)
        try:
            self._enter(guests[0], stage)
            stage.need_runner(guests[0].world, self.job.bundles[cell.runtime])
            stage.deploy_model(guests[0].world, subject.deployable, subject.inputs)
        except OrchError as error:
            self.progress.notice(f"no guest is left up: {error.message}")

    @contextmanager
    def _world(self, session: Session, stage: Stage, *, stay: bool) -> Iterator[OrchError | None]:
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
        with self.steps.part("guest-stop", world=session.world):
            try:
                stage.links.hang_up()
                stage.bed.guests.stop(name)
                if problem is None:
                    self._life(session, stage, run)
            except OrchError as error:
                self.progress.notice(f"{session.world}: {error.message}")

    def _enter(self, session: Session, stage: Stage) -> None:
        guest, name = session.guest, guest_of(session.world)
        if name is not None:
            with self.steps.part("guest-start", world=session.world, guest=guest.label):
                self._start(name, guest, stage)
                self._granules = stage.granules()
        with self.steps.part("deploy", world=session.world):
            bundle = self.job.bundles[session.steps[0].cell.runtime]
            stage.need_runner(World.HOST, bundle)
            if name is not None:  # a fresh guest, which has nothing
                stage.deploy_runner(session.world, bundle)

    def _start(self, name: GuestName, guest: GuestKind, stage: Stage) -> None:
        stage.bed.guests.start(name, GuestOptions(guest.memory_mib, guest.vcpus, guest.pretouch))
        proof = stage.bed.guests.attestation(name)
        if proof is not None:
            self.shard.attested({"boot_id": self.job.facts.boot_id, **proof})

    def _life(self, session: Session, stage: Stage, run: int) -> None:
        """Rows about the guest itself, when the marker of its end is there."""
        for _ in range(_TEARDOWN_LOOKS):
            stage.look()
            if any(each.event == TEARDOWN.event and each.end for each in stage.lives[run]):
                break
            time.sleep(_LOOK)
        sizes = {"pages": session.guest.memory_mib * _PAGES_OF_A_MIB, "granules": self._granules}
        lived = collect.life_rows(stage.lives.pop(run, []), session.world, run)
        self.steps.rows.life(session.steps[0], [*lived, *collect.size_rows(sizes)])

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
            with self.steps.part("guest-start", world=step.world):
                stage.links.hang_up()
                stage.bed.guests.stop(name)
                self._start(name, guest, stage)
                stage.deploy_runner(step.world, self.job.bundles[step.cell.runtime])
        except OrchError as error:
            return error
        return None
