# SPDX-License-Identifier: Apache-2.0
"""What a Dask worker does for us: a job in a child process, which can be ended, and whose shard is told as it grows.

A task is a thread that nobody can stop. So this one only watches: the work is a process of its own, tied to this
thread by the kernel (PR_SET_PDEATHSIG is about the thread that forked, and this one lives as long as the child may).
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator
from orchestrator.build.cache import Cache, default_cache
from orchestrator.errors import EnvError, UsageError
from orchestrator.experiment.board import Machine
from orchestrator.experiment.cluster.lease import Lease
from orchestrator.experiment.cluster.parcel import Arrived, sources_digest
from orchestrator.experiment.cluster.pump import Channel, OverError, Pump
from orchestrator.experiment.cluster.tail import LOG
from orchestrator.experiment.cluster.transfer import SHARD, Intake
from orchestrator.experiment.job import Place
from orchestrator.experiment.processes import handed_over
from orchestrator.extensions import VARIABLE
from orchestrator.runs.shard import Shard
from orchestrator.testbed.project import CHECKOUT, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LOOK = 0.2  # s
_ORDERLY = 2.0  # s for a job whose client is there and wants it no more

Order = dict[str, Any]
"""What `do` is asked for, of plain values: `Cluster` makes it."""


def do(order: Order) -> dict[str, Any]:
    """One attempt of a job; returns how it ended: `done`, `refused` or `lost`, each with what there is to say."""
    if order["sources"] != sources_digest():
        return _refusal(EnvError(f"{_here()}: has another orch than the client", hint="the same checkout on both"))
    from distributed import Queue, Variable, get_client, get_worker  # noqa: PLC0415 - an extra

    client, name = get_client(), order["channel"]
    execution = f"{get_worker().address}#{os.urandom(4).hex()}"
    lease = Lease(Variable(name, client=client), order["attempt"], execution)
    out, back = Queue(name, client=client), Queue(f"{name}-{execution}", client=client, maxsize=4)
    with closing(lease), closing(out), closing(back):
        try:
            return _Execution(order, Channel(out, back, lease)).run(Path(get_worker().local_directory))
        except (UsageError, EnvError) as error:
            return _refusal(error)
        except OverError:
            with suppress(Exception):  # nobody else will
                out.get(batch=True, timeout=1)
            return {"lost": lease.reason}


def _here() -> str:
    return f"worker at {os.uname().nodename}"


def _refusal(error: UsageError | EnvError) -> dict[str, Any]:
    return {"refused": type(error).__name__, "message": error.message, "hint": error.hint}


@dataclass
class _Execution:
    order: Order
    channel: Channel
    _folder: Path = field(init=False)

    def run(self, local: Path) -> dict[str, Any]:
        """All of it, in a folder of the worker that is gone afterwards."""
        lease = self.channel.lease
        self.channel.send(begun=_here())
        while not lease.granted(_LOOK):
            if lease.over:
                raise OverError
        self._folder = Path(tempfile.mkdtemp(prefix="orch-", dir=local))
        try:
            return self._child(self._receive())
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- before ---------------------------------------------------------------------------------------------------

    def _receive(self) -> Arrived:
        """Have all that the job needs on this computer."""
        cache = Cache(default_cache())
        intake = Intake(cache, self.channel.ask, self.channel.piece, self.channel.alive)
        for key in self.order["needs"]:
            intake.artifact(key)
        for place in self.order["files"]:
            intake.file(place)
        shard = Shard(self._folder / "shard")
        shard.make()
        intake.unpack((SHARD, ""), shard.folder)
        self._write("keys", self.order["keys"].items())
        return Arrived(intake.job(), cache.root, intake.store, self._folder)

    def _write(self, name: str, files: Iterable[Sequence[Any]]) -> list[Path]:
        """Small files that came with the order, in a folder that others cannot read; returns their paths."""
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        paths = [folder / file for file, _ in files]
        for path, (_, content) in zip(paths, files, strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return paths

    # --- meanwhile ------------------------------------------------------------------------------------------------

    def _child(self, job: Arrived) -> dict[str, Any]:
        shard, state = self._folder / "shard", self._folder / "state"
        place = Place(shard, state, keys=self._folder / "keys", artifacts=self.order["artifacts"])
        log = shard / LOG
        with log.open("ab") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", self.order["program"], str(os.getpid()), self._core()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._environment(),
                start_new_session=True,
            )
        project = Project(CHECKOUT, *pickle.loads(self.order["bed"])).with_state(state)  # noqa: S301 - of our client
        pump = Pump(self.channel, child, shard, Machine(project).line)
        telling = threading.Thread(target=pump.run, name="orch-pump", daemon=True)
        try:
            handed_over(child, (job, place))
            telling.start()
            self._watch(child, telling)
        finally:
            self._end(child)
        self.channel.send(ending=True)
        return pump.result(log)

    def _environment(self) -> dict[str, str]:
        """That of this worker, with the client's extensions."""
        extensions = enumerate(self.order["extensions"])  # two may have one name
        named = os.pathsep.join(str(self._write(f"extension-{number}", [each])[0]) for number, each in extensions)
        return {**os.environ, "PYTHONPATH": _package_path(), VARIABLE: named}

    def _core(self) -> str:
        """The core that the client's number leads to among those that this worker may use."""
        if self.order["core"] is None:
            return ""
        cores = sorted(os.sched_getaffinity(0))
        return str(cores[self.order["core"] % len(cores)])

    def _watch(self, child: subprocess.Popen[bytes], telling: threading.Thread) -> None:
        """Until the child has ended and all is told; never waits for anybody else."""
        lease = self.channel.lease
        while child.poll() is None or telling.is_alive():
            if lease.over:
                raise OverError
            if child.returncode is None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_LOOK)
            else:
                telling.join(_LOOK)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        """Nothing of it goes on; if its client is gone, at once."""
        if child.poll() is None and self.channel.lease.revoked:
            child.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_ORDERLY)
        if child.poll() is None:
            child.kill()
        child.wait()


def _package_path() -> str:
    """PYTHONPATH for the child: where this very package lies comes first."""
    here = str(Path(orchestrator.__path__[0]).parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
