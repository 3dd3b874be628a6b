# SPDX-License-Identifier: Apache-2.0
"""The three worlds by one interface: the bare host, a normal VM, a realm."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import BootError, OrchError
from orchestrator.shell import ssh
from orchestrator.testbed.guest import end_command
from orchestrator.testbed.guest_life import ask
from orchestrator.testbed.probe import GuestState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fabric import Connection

    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.testbed import Testbed


class AnyWorld(Protocol):
    """Where something can be run: what is above it is written once for all three."""

    @property
    def name(self) -> str:
        """As on the command line: host, vm, realm, realm2, …"""

    def link(self, timeout: float | None = None) -> AbstractContextManager[Connection]:
        """An open SSH connection; raises BootError if the world is not up."""

    def lost(self) -> BootError:
        """Why a connection to it may have ended in the middle of a command."""


@dataclass(frozen=True)
class HostWorld:
    """The emulated host itself."""

    bed: Testbed
    name: str = "host"

    def link(self, timeout: float | None = None) -> AbstractContextManager[Connection]:
        """An open SSH connection through the emulator's port on loopback."""
        return self.bed.host(timeout)

    def lost(self) -> BootError:
        """What the machine says of itself."""
        now = self.bed.instance.status()
        return BootError(f"the connection to the host ended: it is {now.state}", hint="`orch logs`")


@dataclass(frozen=True)
class GuestWorld:
    """A guest in the host, reached through it."""

    bed: Testbed
    guest: GuestName

    @property
    def name(self) -> str:
        """The guest's name."""
        return str(self.guest)

    @contextmanager
    def link(self, timeout: float | None = None) -> Iterator[Connection]:
        """An open SSH connection with the host as gateway; the server must own the key that its console showed."""
        limit = timeout or self.bed.project.config.timeouts.ssh
        with self.bed.host(limit) as gateway:
            self.bed.guests.need_running(gateway, self.guest)
            try:
                connected = ssh.connect(self.bed.guests.server(self.guest, gateway), limit)
            except BootError:
                self.bed.guests.need_running(gateway, self.guest)  # one that ended meanwhile is reported as that
                raise
            try:
                # The connections of a guest that is gone get no reset, as its network went too: a command would wait.
                with ssh.closed_after(connected, gateway, end_command(self.guest)):
                    yield connected
            except ssh.StalledError:  # it was closed for that
                raise
            except (OrchError, *ssh.LOST):
                if connected.is_connected:
                    raise
                raise self.lost() from None
            finally:
                connected.close()

    def lost(self) -> BootError:
        """What the host says of the guest."""
        try:
            with self.bed.host() as gateway:
                report = ask(gateway).of(self.guest)
        except OrchError as error:
            return BootError(f"the connection to the {self.name} ended: {error.message}")
        if report.state is GuestState.RUNNING:
            return BootError(f"the connection to the {self.name} ended, but it still runs")
        return BootError(f"the {self.name} ended: {report.words}", hint=f"`orch logs {self.name}`")
