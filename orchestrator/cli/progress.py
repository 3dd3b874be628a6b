# SPDX-License-Identifier: Apache-2.0
"""Draw stages: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.live import Live
    from rich.table import Table

_REPEAT = 30.0  # s between plain lines about the same stage


@dataclass
class _Stage:
    name: str
    estimate: float | None
    last_line: Callable[[], str] | None
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def clock(self) -> str:
        """Elapsed and estimated time, as in '12/~60 s'."""
        return f"{self.elapsed():.0f}/~{self.estimate:.0f} s" if self.estimate else f"{self.elapsed():.0f} s"

    def last(self) -> str:
        return (self.last_line() if self.last_line else "").strip()


class PlainProgress:
    """One line when a stage starts and ends, and one now and then while it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def notice(self, text: str) -> None:
        """Print a line."""
        with self._lock:
            sys.stderr.write(f"orch: {text}\n")
            sys.stderr.flush()

    @contextmanager
    def stage(
        self, name: str, *, estimate: float | None = None, last_line: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """Announce a stage and how it ended."""
        current = _Stage(name, estimate, last_line)
        self.notice(f"{name} …" + (f" (about {estimate:.0f} s)" if estimate and estimate >= 1 else ""))
        stop = threading.Event()
        repeater = threading.Thread(target=self._repeat, args=(current, stop), daemon=True)
        repeater.start()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            stop.set()
            self.notice(f"{name}: {outcome} in {current.elapsed():.1f} s")

    def _repeat(self, current: _Stage, stop: threading.Event) -> None:
        while not stop.wait(_REPEAT):
            self.notice(f"{current.name} {current.clock()}: {current.last()}")


class TerminalProgress:
    """A live table of the running stages below the lines of those that ended."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - costs 50 ms that plain commands need not pay

        self._console = Console(stderr=True)
        self._running: list[_Stage] = []
        self._lock = threading.Lock()
        self._live: Live | None = None

    def notice(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, highlight=False, markup=False)

    @contextmanager
    def stage(
        self, name: str, *, estimate: float | None = None, last_line: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """Show a stage while it lasts, then one line about its end."""
        current = _Stage(name, estimate, last_line)
        self._add(current)
        outcome = "[red]✗[/]"
        try:
            yield
            outcome = "[green]✓[/]"
        finally:
            self._remove(current)
            self._console.print(f"{outcome} {name}  [dim]{current.elapsed():.1f} s[/]", highlight=False)

    def _add(self, current: _Stage) -> None:
        from rich.live import Live  # noqa: PLC0415

        with self._lock:
            self._running.append(current)
            if self._live is None:
                self._live = Live(
                    get_renderable=self._table, console=self._console, refresh_per_second=8, transient=True
                )
                self._live.start()

    def _remove(self, current: _Stage) -> None:
        with self._lock:
            self._running.remove(current)
            if not self._running and self._live is not None:
                self._live.stop()
                self._live = None

    def _table(self) -> Table:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2))
        for current in list(self._running):
            table.add_row(Text("•"), Text(current.name), Text(current.clock()), Text(current.last()[:80], style="dim"))
        return table


def make_progress() -> PlainProgress | TerminalProgress:
    """The right one for where stderr goes."""
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()
