# SPDX-License-Identifier: Apache-2.0
"""Workers on this computer: a process a job, each with a machine, a state folder and a log of its own."""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import EnvError, OrchError, UsageError
from orchestrator.experiment.board import Post
from orchestrator.experiment.job import Place
from orchestrator.experiment.relay import Receiver
from orchestrator.experiment.scheduler import Outcome

if TYPE_CHECKING:
    from orchestrator.build.progress import Progress
    from orchestrator.experiment.board import Board
    from orchestrator.experiment.cluster.parcel import Arrived
    from orchestrator.experiment.job import BootJob
    from orchestrator.runs.shard import Shard

LOG = "worker.log"
_END = 6.0  # s for workers that are told to end; their machines take up to 5
_LOOK = 1.0  # s between looks at what is to be shown
_REFUSALS: dict[str, type[OrchError]] = {"UsageError": UsageError, "EnvError": EnvError}


def refusal(message: dict[str, Any]) -> OrchError:
    """The error that a worker's word `refused` stands for."""
    kind = _REFUSALS.get(message["refused"], OrchError)
    return kind(message["message"], hint=message["hint"])


def how_it_ended(code: int, log: Path) -> str:
    """Of a process that had no last word: its signal or exit code, and the last line of its log."""
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    words = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return f"{how}: {words[-1].strip()}" if words and words[-1].strip() else how


def handed_over(process: subprocess.Popen[bytes], work: tuple[BootJob | Arrived, Place]) -> None:
    """Give a worker its work; one that has ended takes none, and how it ended is told elsewhere."""
    assert process.stdin is not None  # noqa: S101
    try:
        with process.stdin:
            pickle.dump(work, process.stdin)
    except BrokenPipeError:
        pass


@dataclass
class _Child:
    job: BootJob
    slot: int
    process: subprocess.Popen[bytes]
    receiver: Receiver
    log: Path
    post: Post
    rest: bytes = b""
    done: bool = False
    refused: OrchError | None = None

    def take(self, data: bytes) -> None:
        """What it said, as far as lines are whole."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            self.done = self.done or "done" in message
            if "refused" in message:
                self.refused = refusal(message)
            self.receiver.take(message)
        self.post.doing = self.receiver.doing or self.post.doing

    def outcome(self) -> Outcome:
        """When it has ended."""
        if self.done or self.refused is not None:
            return Outcome(self.job, refused=self.refused)
        return Outcome(self.job, lost=f"{how_it_ended(self.process.returncode, self.log)}; {self.log}")


@dataclass
class Processes:
    """As many workers as `slots`; `state` is the folder in which each has its own.

    `pin` gives each worker a core of its own, with all processes of its machine.
    """

    slots: int
    state: Path
    progress: Progress
    pin: bool = False
    board: Board | None = None
    _children: list[_Child] = field(default_factory=list)

    def start(self, job: BootJob, shard: Shard) -> None:
        """Begin a job in a process."""
        slot = min(set(range(self.slots)) - {child.slot for child in self._children})
        cores = sorted(os.sched_getaffinity(0)) if self.pin else []
        core = str(cores[slot % len(cores)]) if cores else ""
        log = shard.folder / LOG
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.experiment.worker", str(os.getpid()), core],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the client, which tells its workers
            )
        place = Place(shard.folder, self.state / str(slot + 1))
        tag = f"worker {slot + 1}"
        post = Post(tag, job.label, str(place.state))
        self._children.append(_Child(job, slot, process, Receiver(self.progress, tag), log, post))
        self._show(at_once=True)
        handed_over(process, (job, place))

    def wait(self) -> Outcome:
        """Draw what workers say until one has ended."""
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                assert child.process.stdout is not None  # noqa: S101
                selector.register(child.process.stdout, selectors.EVENT_READ, child)
            while True:
                self._show()
                for key, _ in selector.select(_LOOK):
                    child = key.data
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        child.take(data)
                    else:  # nobody but the worker has its end of the pipe
                        return self._ended(child)

    def _show(self, *, at_once: bool = False) -> None:
        if self.board is not None:
            self.board.show([child.post for child in self._children], at_once=at_once)

    def _ended(self, child: _Child) -> Outcome:
        child.process.wait()
        child.process.stdout.close()  # type: ignore[union-attr]
        child.receiver.close()
        self._children.remove(child)
        return child.outcome()

    def close(self) -> None:
        """Tell all workers to end, and make them."""
        deadline = time.monotonic() + _END
        for child in self._children:
            child.process.send_signal(signal.SIGTERM)
        for child in list(self._children):
            try:
                child.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                child.process.kill()
            self._ended(child)
        if self.board is not None:
            self.board.clear()
