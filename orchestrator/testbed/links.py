# SPDX-License-Identifier: Apache-2.0
"""SSH connections to the worlds of a running machine, kept from one use to the next.

A new one is a second or two: to agree on keys takes 63 million instructions of a guest, and as many of the host. While
they are a testbed's `kept` ones, all that asks it for a connection to the host shares one, guests' gateway as well.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.shell import ssh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric import Connection

    from orchestrator.testbed.testbed import Testbed


@dataclass
class Links:
    """At most one connection to each world of `bed`."""

    bed: Testbed
    _open: dict[str, tuple[ExitStack, Connection]] = field(default_factory=dict)

    @contextmanager
    def to(self, world: str) -> Iterator[Connection]:
        """A connection, opened if there is none; one on which something failed is closed, and not used again.

        Raises BootError if the world is not up or goes away meanwhile.
        """
        if world in self._open and not self._open[world][1].is_connected:
            self.hang_up(world)
        if world not in self._open:
            stack = ExitStack()
            self._open[world] = stack, stack.enter_context(self.bed.world(world).link())
        stack, link = self._open[world]
        try:
            yield link
        except BaseException:
            self._open.pop(world, None)
            if not stack.__exit__(*sys.exc_info()):  # which may know better what the failure is
                raise

    def hang_up(self, world: str | None = None) -> None:
        """Close the one to `world`, or all: guests before the host, through which they lead.

        What is wrong with one that is not needed any more is nobody's failure.
        """
        for name in [world] if world else [*reversed(self._open)]:
            if name in self._open:
                stack, _ = self._open.pop(name)
                with suppress(OrchError, *ssh.LOST):
                    stack.close()
