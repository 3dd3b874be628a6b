# SPDX-License-Identifier: Apache-2.0
"""SSH connections to the worlds of a running machine, kept between one measurement and the next.

A new one is a second or two: to agree on keys takes 63 million instructions of a guest, and as many of the host.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.errors import OrchError
from orchestrator.shell import ssh
from orchestrator.words import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric import Connection

    from orchestrator.testbed.testbed import Testbed


@dataclass
class Links:
    """At most one connection to each world of `bed`."""

    bed: Testbed
    _open: dict[World, tuple[ExitStack, Connection]] = field(default_factory=dict)

    @contextmanager
    def to(self, world: World) -> Iterator[Connection]:
        """A connection, opened if there is none; one on which something failed is closed, and not used again.

        Raises BootError if the world is not up or goes away meanwhile.
        """
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

    def hang_up(self, world: World | None = None) -> None:
        """Close the one to `world`, or all. What is wrong with one that is not needed any more is nobody's failure."""
        for name in [world] if world else [*self._open]:
            if name in self._open:
                stack, _ = self._open.pop(name)
                with suppress(OrchError, *ssh.LOST):
                    stack.close()
