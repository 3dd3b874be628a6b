# SPDX-License-Identifier: Apache-2.0
"""The scheduler of jobs that are done on a Dask cluster: the client is the only writer of the run's folder."""

from __future__ import annotations

import pickle
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.build.cache import Cache, default_cache
from orchestrator.errors import EnvError, OrchError
from orchestrator.experiment.board import Board, Post
from orchestrator.experiment.cluster import offer
from orchestrator.experiment.cluster.lease import Beat
from orchestrator.experiment.cluster.parcel import pack, sources_digest
from orchestrator.experiment.cluster.tail import LOG, Mirror
from orchestrator.experiment.cluster.task import do
from orchestrator.experiment.cluster.transfer import Supply
from orchestrator.experiment.processes import refusal
from orchestrator.experiment.relay import Receiver
from orchestrator.experiment.scheduler import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.cluster.connect import Connection
    from orchestrator.experiment.job import BootJob
    from orchestrator.machine.needs import Needs
    from orchestrator.runs.shard import Shard

PROGRAM = "orchestrator.experiment.worker"
SILENCE = 20.0  # s without a sign of life of an execution that has begun
_LOOK = 0.5  # s
_MOMENT = 0.01  # s
_WORKERS = 2.0  # s between looks at who is there
_END = 8.0  # s for the executions of a run that ends
_TOO_SMALL = 10.0  # s for a larger worker to come, when none that is there has room
_QUEUED = 64  # items, of about a MiB at most


@dataclass
class _Attempt:
    """A job that was given to a worker."""

    name: str
    job: BootJob
    worker: offer.Worker
    place: int
    core: int
    receiver: Receiver
    mirror: Mirror
    supply: Supply
    post: Post
    future: Any = None
    execution: str = ""
    heard: float = 0.0
    number: int = -1
    ending: bool = False
    broken: str = ""


@dataclass
class Cluster:
    """Does jobs on the workers of `connection`, each of which takes `needs`; `keys` is the folder of the SSH keys.

    With `pin` each machine has a core of its own. `program` is the module that does a job.
    """

    connection: Connection
    needs: Needs
    progress: Progress
    board: Board
    keys: Path
    pin: bool = False
    program: str = PROGRAM
    _running: dict[str, _Attempt] = field(default_factory=dict)
    _workers: list[offer.Worker] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _looked: float = 0.0
    _alone: float = field(default_factory=time.monotonic)
    _closed: bool = False

    def __post_init__(self) -> None:
        from distributed import Queue, Variable  # noqa: PLC0415 - an extra

        self._sources = sources_digest()
        self._client = self.connection.client
        self._channel = f"orch-{secrets.token_hex(8)}"
        self._queue = Queue(self._channel, client=self._client, maxsize=_QUEUED)
        self._word = Variable(self._channel, client=self._client)
        self._beat = Beat(self._word)
        self._see()

    # --- what the dispatcher asks ---------------------------------------------------------------------------------

    @property
    def slots(self) -> int:
        """How many machines the workers that are there now have room for."""
        return offer.slots_of(self._workers, self.needs)

    def start(self, job: BootJob, shard: Shard) -> None:
        """Give a job to the worker with the most room."""
        worker = max(self._workers, key=self._room)
        cache = Cache(default_cache())
        supply = Supply(cache, pack(job, cache.root), shard.folder)
        attempt = self._attempt(job, worker, supply)
        self._running[attempt.name] = attempt
        self._beat.want(attempt.name)
        # A key of its own, for equal arguments would be one task; that worker alone, as its room was counted.
        attempt.future = self._client.submit(
            do,
            self._order(attempt),
            key=attempt.name,
            pure=False,
            retries=0,
            workers=[worker.address],
            allow_other_workers=False,
        )
        self._show(at_once=True)

    def _attempt(self, job: BootJob, worker: offer.Worker, supply: Supply) -> _Attempt:
        others = [each for each in self._running.values() if each.worker.host == worker.host]
        place = offer.lowest_free([each.place for each in others if each.worker.address == worker.address])
        several = f".{place + 1}" if worker.room(self.needs) > 1 else ""
        tag = f"worker {self._numbers[worker.address] + 1}{several}"
        return _Attempt(
            name=f"{self._channel}-{supply.shard.name}-{secrets.token_hex(4)}",
            job=job,
            worker=worker,
            place=place,
            core=offer.lowest_free([each.core for each in others]),
            receiver=Receiver(self.progress, tag),
            mirror=Mirror(supply.shard),
            supply=supply,
            post=Post(tag, job.label, worker.address, "waits for the worker"),
        )

    def _order(self, attempt: _Attempt) -> dict[str, Any]:
        """What `do` is asked for."""
        job, parcel, cache = attempt.job, attempt.supply.parcel, attempt.supply.cache
        return {
            "sources": self._sources,
            "channel": self._channel,
            "attempt": attempt.name,
            "files": sorted(parcel.files),
            "needs": sorted(parcel.keys | {key for key in job.artifacts.values() if cache.has(key)}),
            "artifacts": dict(job.artifacts),
            "extensions": [list(each) for each in parcel.extensions],
            "bed": pickle.dumps((job.testbed_file, job.config)),
            "keys": _contents(self.keys),
            "core": attempt.core if self.pin else None,
            "program": self.program,
        }

    def wait(self) -> Outcome | None:
        """Take what workers tell until a job has ended; None when there are more slots than before.

        Raises EnvError when the scheduler is gone, or no worker has come for too long.
        """
        before = self.slots
        while True:
            self._hear(_LOOK)
            self._check_there()
            for attempt in list(self._running.values()):
                outcome = self._ended(attempt)
                if outcome is not None:
                    return outcome
            self._see()
            self._show()
            if self.slots > before:
                return None
            before = min(before, self.slots)

    def close(self) -> None:
        """End all executions, and wait until they have; a cluster of our own ends as well."""
        if self._closed:
            return
        self._closed = True
        self._beat.revoke_all()
        deadline = time.monotonic() + _END
        with suppress(Exception):  # of a scheduler that is gone
            while time.monotonic() < deadline and any(not each.future.done() for each in self._running.values()):
                self._hear(_LOOK)
        for attempt in list(self._running.values()):
            self._leave(attempt)
        self._beat.close()
        with suppress(Exception):
            self._word.delete()
            self._queue.close()
        self.connection.close()
        self.board.clear()

    # --- the cluster ----------------------------------------------------------------------------------------------

    def _see(self) -> None:
        """Who is there."""
        if time.monotonic() - self._looked < _WORKERS:
            return
        self._looked = time.monotonic()
        with suppress(OSError):  # of a scheduler that is gone, which is told elsewhere
            self._workers = offer.workers_of(self._client.scheduler_info(n_workers=-1))
        self._numbers = offer.numbered(self._workers, self._numbers)
        if self._running or self.slots:
            self._alone = time.monotonic()

    def _check_there(self) -> None:
        if self._client.status != "running":
            raise EnvError(f"{self.connection.name}: the Dask scheduler is gone", hint="`orch run --resume`")
        patience = min(self.connection.patience, _TOO_SMALL) if self._workers else self.connection.patience
        if time.monotonic() - self._alone < patience:
            return
        if self._workers:
            largest = max(each.threads for each in self._workers)
            reason = f"a machine keeps {self.needs.cores} cores busy, and the largest worker has {largest} threads"
        else:
            reason = f"no worker has come within {self.connection.patience:.0f} s"
        raise EnvError(f"{self.connection.name}: {reason}", hint='docs/running.md, "More than one computer"')

    def _room(self, worker: offer.Worker) -> int:
        taken = sum(each.worker.address == worker.address for each in self._running.values())
        return worker.room(self.needs) - taken

    # --- what workers tell ----------------------------------------------------------------------------------------

    def _hear(self, seconds: float) -> None:
        """Take what is there, or comes within so many seconds."""
        try:
            items = self._queue.get(batch=True)
            if not items and seconds:  # a time-out of 0 would take nothing, whatever is there
                items = [self._queue.get(timeout=seconds)]
        except TimeoutError:
            return
        except Exception:  # the scheduler is gone: who asks next finds out
            time.sleep(seconds)
            return
        for item in items:
            attempt = self._running.get(item["attempt"])
            if attempt is not None and not attempt.broken:
                self._take(attempt, item)

    def _take(self, attempt: _Attempt, item: Mapping[str, Any]) -> None:
        if "begun" in item:
            self._begun(attempt, item)
        if item["execution"] != attempt.execution or item["number"] <= attempt.number:
            return
        attempt.number, attempt.heard = item["number"], time.monotonic()
        try:
            for change in item.get("changes", ()):
                attempt.mirror.apply(change)
        except OrchError as error:
            attempt.broken = error.message
        for message in item.get("messages", ()):
            attempt.receiver.take(message)
        attempt.post.doing = attempt.receiver.doing or attempt.post.doing
        attempt.post.machine = item.get("machine", attempt.post.machine)
        attempt.ending = attempt.ending or "ending" in item
        if "need" in item:
            threading.Thread(target=self._supply, args=(attempt, tuple(item["need"])), daemon=True).start()

    def _begun(self, attempt: _Attempt, item: Mapping[str, Any]) -> None:
        """An execution asks whether it may go on: the first may; a second means that the first was lost."""
        if attempt.execution:
            attempt.broken = "its worker was lost"
            return
        attempt.execution, attempt.post.place = item["execution"], item["begun"]
        attempt.post.doing = "gets what it lacks"
        self._beat.want(attempt.name, attempt.execution)

    def _supply(self, attempt: _Attempt, need: tuple[str, str]) -> None:
        """Send one thing to the execution that asked for it."""
        from distributed import Queue  # noqa: PLC0415

        queue = Queue(f"{self._channel}-{attempt.execution}", client=self._client, maxsize=4)

        def put(piece: bytes) -> None:
            while attempt.name in self._running:
                try:
                    queue.put(piece, timeout="2s")
                except TimeoutError:
                    continue
                return
            raise EnvError("the attempt has ended")

        try:
            attempt.supply.send(need, put)
        except Exception as error:  # the execution waits in vain, and is lost
            attempt.broken = attempt.broken or str(error)
        finally:
            with suppress(Exception):
                queue.close()

    # --- ends -----------------------------------------------------------------------------------------------------

    def _ended(self, attempt: _Attempt) -> Outcome | None:
        if attempt.future.done() or (attempt.ending and _done_soon(attempt)):
            self._hear(0)
            return self._leave(attempt, self._outcome(attempt))
        reason = attempt.broken
        if attempt.worker.address not in [each.address for each in self._workers]:
            reason = reason or f"the worker {attempt.worker.address} is gone"
        elif attempt.execution and time.monotonic() - attempt.heard > SILENCE:
            reason = reason or f"nothing was heard of it for {SILENCE:.0f} s"
        return self._leave(attempt, Outcome(attempt.job, lost=reason)) if reason else None

    def _outcome(self, attempt: _Attempt) -> Outcome:
        """Of a task that has ended."""
        if attempt.broken:
            return Outcome(attempt.job, lost=attempt.broken)
        if attempt.future.status != "finished":
            return _failed(attempt)
        result = attempt.future.result()
        if "refused" in result:
            return Outcome(attempt.job, refused=refusal(result))
        lost, log = result.get("lost"), attempt.supply.shard / LOG
        return Outcome(attempt.job, lost=f"{lost}; {log}" if lost and log.exists() else lost)

    def _leave(self, attempt: _Attempt, outcome: Outcome | None = None) -> Outcome | None:
        """Nothing more is taken of it, and nothing more is done."""
        self._running.pop(attempt.name, None)
        self._beat.revoke(attempt.name)
        attempt.receiver.close()
        with suppress(Exception):
            attempt.future.cancel()
        self._show(at_once=True)
        return outcome

    def _show(self, *, at_once: bool = False) -> None:
        self.board.show([each.post for each in self._running.values()], at_once=at_once)


def _done_soon(attempt: _Attempt) -> bool:
    """Whether a task that has said its last word is done, which is a matter of milliseconds."""
    attempt.ending = False
    deadline = time.monotonic() + _LOOK
    while not attempt.future.done() and time.monotonic() < deadline:
        time.sleep(_MOMENT)
    return bool(attempt.future.done())


def _failed(attempt: _Attempt) -> Outcome:
    """Of a task without a result; a worker that has no orch to do it with is refused."""
    if attempt.future.status != "error":
        return Outcome(attempt.job, lost=f"its task is {attempt.future.status}")
    try:
        error = attempt.future.exception(timeout=5)
    except Exception as failed:  # it cannot even be read here
        error = failed
    if isinstance(error, ImportError | AttributeError):
        reason = f"worker {attempt.worker.address}: has no orch, or another one: {error}"
        return Outcome(attempt.job, refused=EnvError(reason, hint="the same checkout on all computers"))
    return Outcome(attempt.job, lost=f"{type(error).__name__}: {error}")


def _contents(folder: Path) -> dict[str, bytes]:
    """The files of a small folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
