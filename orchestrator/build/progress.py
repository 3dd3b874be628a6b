# SPDX-License-Identifier: Apache-2.0
"""How long-running work reports itself; the drawing is done by the command line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """Receives stages as they start and end, possibly from several threads."""

    def stage(
        self, name: str, *, estimate: float | None = None, last_line: Callable[[], str] | None = None
    ) -> AbstractContextManager[None]:
        """A stage that lasts as long as the context; `estimate` in seconds, `last_line` is asked while it runs."""
        ...

    def notice(self, text: str) -> None:
        """Something the user should see whatever the stage."""
        ...


class Silent:
    """A Progress that shows nothing."""

    @contextmanager
    def stage(
        self, name: str, *, estimate: float | None = None, last_line: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """Ignore the stage."""
        del name, estimate, last_line
        yield

    def notice(self, text: str) -> None:
        """Ignore the notice."""
