# SPDX-License-Identifier: Apache-2.0
"""`make soak-workers`: sweeps by workers and by a Dask cluster; workers, clients and schedulers are killed at random.

After each kill nothing of what hung on the victim may run after 10 s; no finished step may be lost, no row doubled.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

from orchestrator.machine.process import ProcessId
from orchestrator.runs.folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
ORCH = Path(sys.executable).parent / "orch"
BOOTS, ITERATIONS, WARMUPS = 8, 2, 1
CHANGES = (f"boots={BOOTS}", "worlds=[vm]", f"iterations={ITERATIONS}", f"warmups={WARMUPS}", "inputs.count=2")
GONE = 10.0  # s
LATEST = 50.0  # s after a job began: about twice what one takes
LIMIT = 900.0  # s: whatever takes longer hangs
JOB = "orchestrator.experiment.worker"
KEY = ["cell_id", "world", "boot_id", "phase", "component", "metric", "method", "iteration"]
Rows = set[tuple[object, ...]]


@dataclass
class Scene:
    """A sweep by `--workers 2`, or on a Dask cluster of two workers with a scheduler and nannies of their own."""

    folder: Path
    dask: bool
    rng: random.Random
    client: subprocess.Popen[bytes] | None = None
    cluster: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""
    known: Rows = field(default_factory=set)
    sweeps: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.results = self.folder / "results-0"

    # --- processes ------------------------------------------------------------------------------------------------

    def spawn(self, *argv: object) -> subprocess.Popen[bytes]:
        # The folder in PATH is the mark of all that is started here: of the environment, emulators are given that.
        path = f"{self.folder}:{os.environ['PATH']}"
        local = {"DASK_TEMPORARY_DIRECTORY": str(self.folder / "dask"), "PATH": path}
        with (self.folder / "log").open("ab") as log:
            environment = os.environ | local
            argv_text = [str(each) for each in argv]
            return subprocess.Popen(argv_text, stdout=log, stderr=log, env=environment, start_new_session=True)

    def ours(self) -> list[psutil.Process]:
        """All that was started here and still runs, whoever its parent is now."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("PATH", "").startswith(f"{self.folder}:")
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def machines(self) -> list[psutil.Process]:
        """Jobs, supervisors and emulators."""
        words = (JOB, "orchestrator.machine.supervisor", "qemu-system")
        return [each for each in self.ours() if any(word in part for part in _line(each) for word in words)]

    def jobs(self) -> list[psutil.Process]:
        return [each for each in self.machines() if JOB in _line(each)]

    # --- the cluster ----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """A scheduler and two workers, anew if one of these processes has ended."""
        if not self.dask or (self.cluster and all(each.poll() is None for each in self.cluster)):
            return
        self.leave_cluster()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        quiet = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        program = (sys.executable, "-m", "distributed.cli.dask_")
        self.cluster = [self.spawn(*program[:2], f"{program[2]}scheduler", *quiet, "--port", port)]
        worker = ("--nthreads", 1, "--memory-limit", 0, *quiet, self.address)
        self.cluster += [self.spawn(*program[:2], f"{program[2]}worker", *worker) for _ in range(2)]

    def leave_cluster(self) -> None:
        for each in self.cluster:
            each.terminate()
        for each in self.cluster:
            try:
                each.wait(15)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
        self.cluster = []

    # --- the sweep ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A client that goes on with the sweep, or begins the next one."""
        self.serve()
        who = ("--scheduler", self.address) if self.dask else ("--workers", 2)
        if self.run() is not None:
            what: tuple[object, ...] = ("--resume", "latest")
        else:
            what = (ROOT / "workloads/smoke.yaml", *(part for change in CHANGES for part in ("--set", change)))
        self.client = self.spawn(ORCH, "run", *what, *who, "--results", self.results)

    def run(self) -> RunFolder | None:
        folders = [path.parent for path in self.results.glob("*/run.yaml")]
        return RunFolder(folders[0]) if folders else None

    def rows(self) -> Rows:
        """What is on record of finished steps, in all shards; raises AssertionError for doubled rows."""
        found: Rows = set()
        run = self.run()
        for shard in run.shards() if run is not None else ():
            table = shard.folder / "samples.csv"
            done = {
                (*key.rsplit("/", 2)[:2], each.boot_id) for key, each in shard.steps().items() if each.status == "ok"
            }
            if not table.exists() or not done:
                continue
            rows = pd.read_csv(table, on_bad_lines="skip")
            rows = rows[[(row.cell_id, row.world, row.boot_id) in done for row in rows.itertuples()]]
            doubled = rows.duplicated(KEY)
            assert not doubled.any(), rows[doubled][KEY]
            found |= set(rows[[*KEY, "value"]].fillna(-1).itertuples(index=False, name=None))
        return found

    def look(self) -> int:
        """Nothing that was known is lost; returns how many rows are known now."""
        now = self.rows()
        missing = self.known - now
        assert not missing, f"{len(missing)} rows lost: {sorted(map(str, missing))[:3]}"
        self.known = now
        return len(now)

    def finish(self) -> None:
        """To the end, with resumes if steps were given up; then all is there once."""
        for _ in range(4):
            assert self.client is not None
            code = self.client.wait(LIMIT)
            if code == 0:
                break
            self.start()
        assert code == 0, f"the sweep ended with {code}: {self.folder / 'log'}"
        self.look()
        run = self.run()
        assert run is not None
        rows = pd.read_csv(run.folder / "samples.csv")
        inferences = rows.query("phase == 'infer' and metric == 'instructions' and component == 'all'")
        assert len(inferences) == BOOTS * (ITERATIONS + WARMUPS), len(inferences)
        assert set(rows["status"]) == {"ok"}
        assert not rows.duplicated(KEY).any()
        missing = self.known - set(rows[[*KEY, "value"]].fillna(-1).itertuples(index=False, name=None))
        assert not missing, f"{len(missing)} rows are not in the tables"
        assert not self.machines()
        self.sweeps, self.known = self.sweeps + 1, set()
        self.results = self.folder / f"results-{self.sweeps}"

    # --- kills ----------------------------------------------------------------------------------------------------

    def await_job(self) -> bool:
        """Until a job is done somewhere; False if the client ended before."""
        deadline = time.monotonic() + LIMIT
        while not self.jobs():
            assert self.client is not None
            if self.client.poll() is not None:
                return False
            assert time.monotonic() < deadline, f"no job has begun: {self.folder / 'log'}"
            time.sleep(0.2)
        return True

    def kill(self) -> str | None:
        """Kill somebody at some moment of a job, and see what is left; None if the sweep ended before."""
        if not self.await_job():
            return None
        time.sleep(self.rng.uniform(0, LATEST))
        assert self.client is not None
        jobs = self.jobs()
        if self.client.poll() is not None or not jobs:
            return None
        kinds = ["job", "client", *(("worker", "scheduler") if self.dask else ())]
        kind = self.rng.choice(kinds)
        job = self.rng.choice(jobs)
        pid = {"job": job.pid, "client": self.client.pid}.get(kind) or (
            job.ppid() if kind == "worker" else self.cluster[0].pid
        )
        everything = kind in ("client", "scheduler")
        fated = self.machines() if everything else [job, *job.children(recursive=True)]
        names = [each for each in (ProcessId.of(process.pid) for process in fated) if each is not None]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended at this moment
            return self.kill()
        began = time.monotonic()
        left = [each for each in names if not each.wait_gone(max(0.0, began + GONE - time.monotonic()))]
        assert not left, f"{kind}: {left} still run after {GONE:g} s"
        took = time.monotonic() - began
        if everything:
            self.client.wait(LIMIT)
            assert not self.machines(), f"{kind}: {self.machines()}"
        return f"{kind:9} {len(names)} processes gone after {took:.1f} s"

    def close(self) -> None:
        if self.client is not None and self.client.poll() is None:
            self.client.terminate()
            self.client.wait(60)
        self.leave_cluster()


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def soak(scene: Scene, kills: int, name: str) -> None:
    """So many kills, then the end."""
    scene.start()
    done = 0
    while done < kills:
        what = scene.kill()
        if what is None:
            scene.finish()
            scene.start()
            continue
        done += 1
        print(f"{name} {done:2}: {what}; {scene.look()} rows of finished steps", flush=True)
        if scene.client is None or scene.client.poll() is not None:
            scene.start()
    scene.finish()
    print(f"{name}: {kills} kills, {scene.sweeps} sweeps of {BOOTS} boots: no row lost, none doubled", flush=True)


def main() -> None:
    """Half of the kills with processes on this computer, half on a Dask cluster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=["workers", "dask"])
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="orch-soak-workers-") as name:
        os.environ["XDG_STATE_HOME"] = str(Path(name) / "state")
        kinds = [kind for kind in ("workers", "dask") if options.only in (None, kind)]
        for kind in kinds:
            scene = Scene(Path(name) / kind, kind == "dask", random.Random(f"{options.seed}{kind}"))
            try:
                soak(scene, options.kills // len(kinds), kind)
            except BaseException:
                print((scene.folder / "log").read_text(errors="replace")[-3000:])
                raise
            finally:
                scene.close()


if __name__ == "__main__":
    main()
