# SPDX-License-Identifier: Apache-2.0
"""The three worlds by one interface: the bare host, a normal VM, a realm."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import BootError, OrchError
from orchestrator.machine.states import State
from orchestrator.shell import ssh
from orchestrator.testbed.guest import end_command, pages_limit
from orchestrator.testbed.guest_life import ask
from orchestrator.testbed.probe import GuestState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fabric import Connection

    from orchestrator.testbed.guest import GuestName
    from orchestrator.testbed.testbed import Testbed

_TRY = 5.0  # s for one look whether a world still answers, or has gone


class AnyWorld(Protocol):
    """Where something can be run: what is above it is written once for all three."""

    @property
    def name(self) -> str:
        """As on the command line: host, vm, realm, realm2, …"""

    def link(self, timeout: float | None = None) -> AbstractContextManager[Connection]:
        """An open SSH connection; raises BootError if the world is not up."""

    def lost(self) -> BootError:
        """Why a connection to it has ended in the middle of a command; what is still going on is waited for."""


@dataclass(frozen=True)
class HostWorld:
    """The emulated host itself."""

    bed: Testbed
    name: str = "host"

    def link(self, timeout: float | None = None) -> AbstractContextManager[Connection]:
        """An SSH connection of its own through the emulator's port on loopback."""
        return self.bed.open_host(timeout)

    def lost(self) -> BootError:
        """What the machine says of itself, when it has come to its end or answers again."""
        limit = self.bed.project.config.timeouts.down
        deadline = time.monotonic() + limit
        while True:
            now = self.bed.instance.status()
            if now.state.final or now.state is State.PAUSED:
                words = ": ".join(filter(None, (str(now.reason or ""), now.detail)))
                told = f"{now.state}: {words}" if words else str(now.state)
                return BootError(f"the connection to the host ended: it is {told}", hint="`orch logs`")
            if ssh.answers(self.bed.server(int(self.bed.need_running()["ssh_port"])), _TRY):
                return BootError("the connection to the host ended, but it answers a new one")
            if time.monotonic() >= deadline:
                return _unsettled("host", str(now.state), limit)


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
        """An open SSH connection with the host as gateway; the server must own the key that its console showed.

        What goes wrong on it is told as it is, unless the guest has ended or the connection has: then it is that.
        """
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
                with ssh.closed_after(connected, gateway, end_command(self.guest)) as ended:
                    try:
                        yield connected
                    except ssh.StalledError:  # it was closed for that
                        raise
                    except (OrchError, *ssh.LOST) as error:
                        # Asked here: what is behind this block closes the connection itself.
                        if connected.is_connected and not ended() and not isinstance(error, ssh.LostError):
                            raise
                        raise self.lost() from None
            finally:
                ssh.leave(connected)

    def lost(self) -> BootError:
        """What the host says of the guest, when it is gone or answers again.

        A guest loses its network before all of it is gone: a panic shows when its VMM has ended.
        """
        memory_mib = int(self.bed.guests.record.guest(self.guest).get("memory_mib", 0))
        limit = max(pages_limit(memory_mib), self.bed.project.config.timeouts.ssh)
        deadline = time.monotonic() + limit
        try:
            with self.bed.host() as gateway:
                while (report := ask(gateway).of(self.guest)).state.there:
                    server = self.bed.guests.server(self.guest, gateway)
                    if report.state is GuestState.RUNNING and ssh.answers(server, _TRY):
                        return BootError(f"the connection to the {self.name} ended, but it answers a new one")
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return _unsettled(self.name, report.words, limit)
                    with suppress(BootError):  # returns as soon as the guest is gone
                        ssh.attempt(gateway, shlex.join(end_command(self.guest)), min(left, _TRY))
        except OrchError as error:
            return BootError(f"the connection to the {self.name} ended: {error.message}")
        return BootError(f"the {self.name} ended: {report.words}", hint=f"`orch logs {self.name}`")


def _unsettled(name: str, words: str, limit: float) -> BootError:
    return BootError(
        f"the connection to the {name} ended; state 'ended' not reached within {limit:g} s: it is {words}, and does "
        "not answer",
        hint=f"`orch logs {name}`" if name != "host" else "`orch logs`",
    )
