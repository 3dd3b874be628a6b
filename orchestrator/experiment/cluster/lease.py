# SPDX-License-Identifier: Apache-2.0
"""Who may work: a word of the client that workers read through the scheduler, and that is worth nothing unless renewed.

A worker that sees no new word for `LEASE` ends what it does, whoever of client, scheduler and network is gone. The
word names the attempts that are wanted, each with the one execution of it that may go on.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT = 1.0  # s
LEASE = 6.0  # s; with what a machine takes to end, less than 10 s in all
_SOON = 0.1  # s between looks of those that wait for the client's word
_ANSWER = "2s"


class Beat:
    """The client's side: renews its word until it is closed."""

    def __init__(self, variable: Any) -> None:
        """`variable` is a distributed.Variable of this client."""
        self._variable = variable
        self._wanted: dict[str, str] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="orch-beat", daemon=True)
        self._say()
        self._thread.start()

    def want(self, attempt: str, execution: str = "") -> None:
        """An attempt may be made, by any execution that asks, or by this one from now on."""
        self._change(lambda wanted: wanted.update({attempt: execution}))

    def revoke(self, attempt: str) -> None:
        """An attempt ends, wherever it is made."""
        self._change(lambda wanted: wanted.pop(attempt, None))

    def revoke_all(self) -> None:
        """Everything ends."""
        self._change(lambda wanted: wanted.clear())

    def close(self) -> None:
        """Say nothing any more."""
        self._over.set()
        self._thread.join(timeout=5)

    def _change(self, change: Callable[[dict[str, str]], object]) -> None:
        with self._lock:
            change(self._wanted)
        self._say()

    def _go_on(self) -> None:
        while not self._over.wait(BEAT):
            self._say()

    def _say(self) -> None:
        with self._lock:
            self._number += 1
            word = {"beat": self._number, "wanted": dict(self._wanted)}
            with suppress(Exception):  # of whatever kind: the next beat tries again
                self._variable.set(word, timeout=_ANSWER)


@dataclass
class Lease:
    """A worker's side, of one execution of an attempt; `variable` is a distributed.Variable of the worker."""

    variable: Any
    attempt: str
    execution: str
    _over: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _granted: threading.Event = field(default_factory=threading.Event)
    _revoked: threading.Event = field(default_factory=threading.Event)
    _beat: int = -1
    _heard: float = field(default_factory=time.monotonic)
    reason: str = ""

    def __post_init__(self) -> None:
        threading.Thread(target=self._watch, name="orch-lease", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether this execution has to end; `reason` says why. Never waits for anything."""
        if time.monotonic() - self._heard > LEASE:
            self._end("the client was not heard of any more")
        return self._over.is_set()

    @property
    def revoked(self) -> bool:
        """Whether it is over by the client's own word, which is there then."""
        return self._revoked.is_set()

    def granted(self, seconds: float) -> bool:
        """Wait for the client's word that this execution may go on."""
        return self._granted.wait(seconds)

    def close(self) -> None:
        """Nothing is watched any more."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.is_set() and not self.over:
            self._look()  # may hang with the scheduler, so that others have to ask whether it is over
            self._ended.wait(BEAT if self._granted.is_set() else _SOON)

    def _look(self) -> None:
        try:
            word = self.variable.get(timeout=_ANSWER)
        except Exception:  # of whatever kind: silence is what counts
            return
        if word["beat"] == self._beat:
            return
        self._beat, self._heard = word["beat"], time.monotonic()
        wanted = word["wanted"].get(self.attempt)
        if wanted == self.execution:
            self._granted.set()
        elif wanted != "":
            self._revoked.set()
            self._end("the client wants it no more" if wanted is None else "another execution does it")

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._over.set()
