# SPDX-License-Identifier: Apache-2.0
"""Stages and notices of a worker, as lines of JSON that its client draws."""

from __future__ import annotations

import itertools
import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.build.progress import Progress

_LOOK = 1.0  # s between looks at what a stage has to say


class Sender:
    """A Progress that writes what it is told to a stream."""

    def __init__(self, stream: IO[str]) -> None:
        """`stream` is read by `Receiver.take`."""
        self._stream = stream
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def send(self, **message: Any) -> None:
        """One message."""
        with self._lock:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()

    def notice(self, text: str) -> None:
        """Something the user should see whatever the stage."""
        self.send(notice=text)

    @contextmanager
    def stage(
        self, name: str, *, estimate: float | None = None, last_line: Callable[[], str] | None = None
    ) -> Iterator[None]:
        """A stage that lasts as long as the context."""
        number, over = next(self._numbers), threading.Event()
        self.send(begin=number, name=name, estimate=estimate)
        looker = threading.Thread(target=self._look, args=(number, last_line, over), daemon=True)
        if last_line is not None:
            looker.start()
        well = False
        try:
            yield
            well = True
        finally:
            over.set()
            self.send(end=number, well=well)

    def _look(self, number: int, last_line: Callable[[], str], over: threading.Event) -> None:
        said = ""
        while not over.wait(_LOOK):
            now = last_line()
            if now != said:
                said = now
                self.send(line=now, of=number)


@dataclass
class Receiver:
    """Draws what one worker sends; `tag` names it."""

    progress: Progress
    tag: str
    _stages: dict[int, ExitStack] = field(default_factory=dict)
    _lines: dict[int, str] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    @property
    def doing(self) -> str:
        """The newest stage that lasts, with its last line; empty between stages."""
        for number in reversed(self._stages):
            line = self._lines.get(number, "")
            return f"{self._names[number]}: {line}" if line else self._names[number]
        return ""

    def take(self, message: dict[str, Any]) -> None:
        """One message of a `Sender`; others are ignored."""
        if "notice" in message:
            self.progress.notice(f"{self.tag}: {message['notice']}")
        elif "begin" in message:
            self._begin(message["begin"], message["name"], message["estimate"])
        elif "line" in message:
            self._lines[message["of"]] = message["line"]
        elif "end" in message:
            self._end(message["end"], well=message["well"])

    def close(self) -> None:
        """The worker is gone: no stage of it goes on."""
        for number in list(self._stages):
            self._end(number, well=False)

    def _begin(self, number: int, name: str, estimate: float | None) -> None:
        stack = self._stages[number] = ExitStack()
        self._lines[number], self._names[number] = "", name
        last_line = lambda: self._lines.get(number, "")  # noqa: E731
        stack.enter_context(self.progress.stage(f"{self.tag}: {name}", estimate=estimate, last_line=last_line))

    def _end(self, number: int, *, well: bool) -> None:
        stack = self._stages.pop(number, None)
        if stack is not None and well:
            stack.close()
        elif stack is not None:  # a stage that failed is one that is left by an exception
            stack.__exit__(StageFailedError, StageFailedError(), None)


class StageFailedError(Exception):
    """Tells a stage of the client that the worker's failed; nobody sees it."""
