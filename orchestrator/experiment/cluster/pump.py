# SPDX-License-Identifier: Apache-2.0
"""From a worker to the client, through the scheduler: what a job says, and what it adds to its shard."""

from __future__ import annotations

import itertools
import json
import os
import select
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchError
from orchestrator.experiment.cluster.tail import PIECE, Tail
from orchestrator.experiment.processes import how_it_ended

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from orchestrator.experiment.cluster.lease import Lease
    from orchestrator.experiment.cluster.tail import Change
    from orchestrator.experiment.cluster.transfer import Need

LOOK = 0.4  # s between tellings: each costs client, scheduler and worker some milliseconds of the machines' cores
ALIVE = 1.0  # s between signs of life
_PUT = "2s"
_AGAIN = 0.2  # s


class OverError(Exception):
    """The execution has to end: the lease says why."""


@dataclass
class Channel:
    """Two queues between an execution and its client; raises OverError as soon as the lease is over.

    What is sent has a number each, since a put that failed may have come through.
    """

    out: Any
    back: Any
    lease: Lease
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _alive: float = 0.0

    def send(self, **item: Any) -> None:
        """Put one item where the client reads, however long that takes it."""
        with self._lock:
            whole = {"execution": self.lease.execution, "number": next(self._numbers), **item}
            while not self.lease.over:
                try:
                    self.out.put({"attempt": self.lease.attempt, **whole}, timeout=_PUT)
                except TimeoutError:  # the client has much to read
                    continue
                except Exception:  # the scheduler may be gone; then the lease will be over
                    time.sleep(_AGAIN)
                    continue
                self._alive = self._alive if "messages" in item else time.monotonic()
                return
        raise OverError

    @property
    def due(self) -> bool:
        """Whether it is time for a sign of life."""
        return time.monotonic() - self._alive > ALIVE

    def alive(self) -> None:
        """A sign of life, if it is time."""
        if self.due:
            self.send()

    def ask(self, need: Need) -> None:
        """Ask for what is not here; `piece` gives it."""
        self.send(need=list(need))

    def piece(self) -> bytes:
        """The next piece of what was asked for."""
        while not self.lease.over:
            self.alive()
            try:
                piece: bytes = self.back.get(timeout=_PUT)
            except TimeoutError:
                continue
            return piece
        raise OverError


@dataclass
class Pump:
    """Tells all that a child says and does, until it has ended."""

    channel: Channel
    child: subprocess.Popen[bytes]
    shard: Path
    machine: Callable[[], str]
    _rest: bytes = b""
    _result: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """In a thread of its own, as what is told may be held up."""
        tail = Tail(self.shard)
        tail.adopt()
        try:
            while True:
                said, ended = self._hear()
                self._tell(self._messages(said), tail.changes())
                if ended:
                    return
        except OverError:
            return  # the task sees that as well

    def result(self, log: Path) -> dict[str, Any]:
        """How the child ended, from its own words if it had any."""
        return self._result or {"lost": how_it_ended(self.child.returncode, log)}

    def _machine(self) -> str:
        try:
            return self.machine()
        except OrchError:  # of a platform that only extensions know
            return ""

    def _hear(self) -> tuple[bytes, bool]:
        """What the child says until the next telling, and whether that was its end, which is heard of at once."""
        assert self.child.stdout is not None  # noqa: S101
        said, due = b"", time.monotonic() + LOOK
        while (left := due - time.monotonic()) > 0:
            ready, _, _ = select.select([self.child.stdout], [], [], left)
            if ready:
                more = os.read(self.child.stdout.fileno(), 1 << 16)
                if not more:
                    return said, True
                said += more
        return said, False

    def _messages(self, said: bytes) -> list[dict[str, Any]]:
        *lines, self._rest = (self._rest + said).split(b"\n")
        messages = [json.loads(line) for line in lines]
        for message in messages:
            if "done" in message or "refused" in message:
                self._result = message
        return messages

    def _tell(self, messages: list[dict[str, Any]], changes: list[Change]) -> None:
        for batch in _batches(changes):
            self.channel.send(messages=messages, changes=batch)
            messages = []
        if messages:
            self.channel.send(messages=messages)
        if self.channel.due:
            self.channel.send(machine=self._machine())


def _batches(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """In order, and none much larger than a piece."""
    batch: list[Change] = []
    for change in changes:
        batch.append(change)
        if sum(len(each["data"]) for each in batch) >= PIECE:
            yield batch
            batch = []
    if batch:
        yield batch
