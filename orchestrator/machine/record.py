# SPDX-License-Identifier: Apache-2.0
"""The supervisor's account of a machine: `state.json`, `events.jsonl`, and a word to everyone who watches."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from orchestrator.files import replace_file
from orchestrator.machine.paths import RunPaths
from orchestrator.machine.process import ProcessId
from orchestrator.machine.stamping import stamp
from orchestrator.machine.states import Reason, State

# Console lines come by the hundred a second while booting; the file on disk need not follow each of them.
LINE_PERIOD = 0.5


class Record:
    """The newest state of one machine, on disk and in memory."""

    def __init__(self, paths: RunPaths) -> None:
        """Begin an empty account in the run folder."""
        self._paths = paths
        self._begin = time.monotonic()
        self._watchers: set[asyncio.Event] = set()
        self._delayed: asyncio.TimerHandle | None = None
        self._events = paths.events.open("a", encoding="utf-8")
        self.data: dict[str, Any] = {
            "state": State.STARTING,
            "since": stamp(time.time()),
            "started": stamp(time.time()),
            "reason": None,
            "detail": "",
            "timeline": {},
            "supervisor": None,
            "qemu": None,
            "last_line": "",
            "supervised": True,
            "paused": False,
        }

    @property
    def state(self) -> State:
        """The state the machine is in."""
        return State(self.data["state"])

    def set(self, **values: Any) -> None:
        """Replace other fields than the state (pids, port)."""
        self.data.update({key: _plain(value) for key, value in values.items()})
        self.write()

    def change(self, state: State, reason: Reason | None = None, detail: str = "") -> None:
        """Enter a state, with a reason and details when it is final."""
        self.data.update(state=state, since=stamp(time.time()), reason=reason, detail=detail)
        self.data["timeline"].setdefault(state, self.elapsed())
        self.event("state", state=state, reason=reason, detail=detail)
        self.write()

    def line(self, text: str) -> None:
        """Remember the newest console line that says something."""
        if not text.strip():
            return
        self.data["last_line"] = text
        self._wake()
        if self._delayed is None:
            self._delayed = asyncio.get_running_loop().call_later(LINE_PERIOD, self.write)

    def event(self, name: str, **fields: Any) -> None:
        """Append one event: wall-clock time, seconds since the start, name, fields."""
        entry = {"time": stamp(time.time()), "seconds": self.elapsed(), "event": name, **fields}
        self._events.write(json.dumps(entry) + "\n")
        self._events.flush()

    def elapsed(self) -> float:
        """Seconds since the supervisor began."""
        return round(time.monotonic() - self._begin, 3)

    def write(self) -> None:
        """Bring the file on disk up to date and wake the watchers."""
        if self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None
        replace_file(self._paths.state, json.dumps(self.data, indent=2) + "\n")
        self._wake()

    def watch(self) -> asyncio.Event:
        """An event that is set at each change from now on; give it back with `unwatch`."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        return woken

    def unwatch(self, woken: asyncio.Event) -> None:
        """End a `watch`."""
        self._watchers.discard(woken)

    def _wake(self) -> None:
        for woken in self._watchers:
            woken.set()


def _plain(value: Any) -> Any:
    return {"pid": value.pid, "start": value.start} if isinstance(value, ProcessId) else value
