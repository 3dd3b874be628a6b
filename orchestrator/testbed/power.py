# SPDX-License-Identifier: Apache-2.0
"""Power a testbed's machine on: from its saved state or cold, state by state, until SSH answers."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BootError, OrchError
from orchestrator.files import replace_file
from orchestrator.machine.platform import Capability
from orchestrator.machine.ports import PortTakenError, choose_port
from orchestrator.machine.states import State
from orchestrator.shell import ssh

if TYPE_CHECKING:
    from orchestrator.machine.platform import Blueprint
    from orchestrator.testbed.testbed import Testbed, UpOptions

_PORTS = 5  # that are tried where any will do


@dataclass(frozen=True)
class PowerOn:
    """One start of the machine of `bed`; `snapshot` names its saved state, None where it is not to have one.

    The caller has the testbed for itself, and ends the machine where this fails.
    """

    bed: Testbed
    blueprint: Blueprint
    options: UpOptions
    snapshot: str | None = None

    def up(self) -> tuple[str, int]:
        """Returns 'restored' or 'cold', and the port on which SSH has answered; raises BootError."""
        saved = self._saved() if not self.options.fresh else None
        restored = self._restore(saved) if saved else None
        port = restored or self._boot()
        self._answer(port)
        return "restored" if restored else "cold", port

    def save(self) -> None:
        """Save the machine for the next start, unless there is such a state; one that cannot be saved stays up."""
        if self.snapshot is None or not self._restorable() or self._saved():
            return
        try:
            with self.bed.progress.stage("save snapshot"):
                self.bed.snapshots.save(self.snapshot, self.bed.instance, self.bed.project.config.timeouts.snapshot)
        except OrchError as error:
            self.bed.progress.notice(f"no snapshot was saved: {error.message}")

    def replay(self, saved: Path) -> None:
        """Go on from a saved state, and tell the machine nothing; raises BootError."""
        with self.bed.progress.stage("replay", estimate=2, last_line=self._last_line):
            self._start(saved)
            self.bed.instance.wait(State.HOST_READY, self.bed.project.config.timeouts.restore)

    def _restorable(self) -> bool:
        return self.bed.able(Capability.SNAPSHOT) and self.bed.platform.restorable(self.blueprint)

    def _saved(self) -> Path | None:
        return self.bed.snapshots.find(self.snapshot) if self.snapshot and self._restorable() else None

    def _start(self, incoming: Path | None = None) -> int:
        """Leave word for later commands and start the machine; returns the port of its SSH.

        Between the choice of a port and its use somebody may take it: where any would do, another one is chosen.
        """
        port = self.blueprint.ssh_port
        for left in reversed(range(_PORTS)):
            record = {"ssh_port": port, "options": dataclasses.asdict(self.options), "snapshot": self.snapshot}
            replace_file(self.bed.state / "up.json", json.dumps(record, indent=1) + "\n")
            try:
                blueprint = dataclasses.replace(self.blueprint, ssh_port=port)
                self.bed.instance.start(blueprint, incoming=incoming, tied=self.options.tied)
                break
            except PortTakenError:
                if self.bed.project.ssh_port or not left:
                    raise
                port = choose_port(0)
        return port

    def _boot(self) -> int:
        """Start cold and wait through the named states; returns the port of its SSH."""
        timeouts = self.bed.project.config.timeouts
        steps = (
            (State.FIRMWARE, timeouts.firmware),
            (State.KERNEL, timeouts.kernel),
            (State.HOST_READY, timeouts.host_ready),
        )
        with self.bed.progress.stage("boot", estimate=3, last_line=self._last_line):
            port = self._start()
            for state, timeout in steps:
                self.bed.instance.wait(state, timeout)
        return port

    def _restore(self, saved: Path) -> int | None:
        """Go on from a saved state, returns the port of SSH; None for a state that is no use and was dropped."""
        timeouts, machine = self.bed.project.config.timeouts, self.bed.instance
        try:
            with self.bed.progress.stage("restore snapshot", estimate=1, last_line=self._last_line):
                port = self._start(saved)
                machine.wait(State.HOST_READY, timeouts.restore)
                # Otherwise the guest would repeat its random numbers and its time, and its CPUs' timers stood still.
                machine.resume_guest_now(timeouts.restore)
        except BootError as error:
            self.bed.progress.notice(f"snapshot unusable, booting cold: {error.message}")
            machine.stop(timeouts.down)
            self.bed.snapshots.drop(saved)
            return None
        return port

    def _answer(self, port: int) -> None:
        """State 'ssh': a command over SSH is answered; a machine that dies meanwhile is reported as that."""
        timeout, machine = self.bed.project.config.timeouts.ssh, self.bed.instance
        with self.bed.progress.stage("ssh", estimate=1, last_line=self._last_line):
            try:
                with ssh.opened(self.bed.server(port), timeout) as link:
                    ssh.capture(link, "true", timeout)
            except BootError as error:
                machine.wait(State.HOST_READY, 0.1)  # says so if the machine itself is gone
                error.console = machine.console_tail()
                raise

    def _last_line(self) -> str:
        now = self.bed.instance.status()
        return f"{now.state}: {now.last_line}"
