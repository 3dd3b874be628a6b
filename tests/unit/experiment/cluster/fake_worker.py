# SPDX-License-Identifier: Apache-2.0
"""In place of orchestrator.experiment.worker: writes what a machine would give, a step every FAKE_PACE seconds.

Its machine is a process that sleeps, tied to it as a supervisor is. Both leave their pids in the folder FAKE_PIDS.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.experiment.cluster.parcel import extension_files
from orchestrator.experiment.relay import Sender
from orchestrator.runs.observation import Observation
from orchestrator.runs.outputs import OUTPUTS, check_equal
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import Shard
from orchestrator.words import INFER, Component, Method

MOMENT = "2026-01-01T00:00:00Z"


def _die_with_parent() -> None:  # as worker.tie, whose module would take seconds to load
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def _note(folder: Path, pid: int, what: str) -> None:
    (folder / f"{what}-{pid}").write_text(str(os.getppid()), encoding="utf-8")


def main() -> int:
    _die_with_parent()
    pids, pace = Path(os.environ["FAKE_PIDS"]), float(os.environ["FAKE_PACE"])
    arrived, place = pickle.load(sys.stdin.buffer)
    job = arrived.job()
    sender = Sender(sys.stdout)
    if os.environ.get("FAKE_FAILS"):
        sys.stderr.write("the fake worker fails\n")
        return 3
    machine = subprocess.Popen(["sleep", "600"], preexec_fn=_die_with_parent)  # noqa: PLW1509 - nothing else runs
    _note(pids, os.getpid(), "worker")
    _note(pids, machine.pid, "machine")
    for path in [getattr(subject, "path", job.scratch) for subject in job.subjects.values()]:
        assert not path.is_absolute() or path == job.scratch or path.exists(), path
    shard = Shard(place.shard)
    shard.log.add("boot-begin", boot=job.boot.number, boot_id=job.facts.boot_id, machine=job.boot.machine.label)
    rows = RowMaker(shard, job.facts, began=MOMENT)
    for step in job.boot.steps:
        with sender.stage(f"{step.key} on {sys.argv[2] or 'any core'}"):
            time.sleep(pace)
        count = sum(step.key.encode()) * 1000
        rows.step(step, [Observation(INFER, Component.ALL, "instructions", count, Method.TCG_PLUGIN, 0)])
        check_equal([{"label": 1}], shard.folder / OUTPUTS / f"{step.cell.cell_id}.jsonl")
        shard.step_done(step.key, status="ok", boot_id=job.facts.boot_id, world=step.world)
    (shard.console / f"boot{job.facts.boot_id}-uart0.log").write_text(
        "".join(map(Path.read_text, extension_files())), encoding="utf-8"
    )
    machine.kill()
    machine.wait()
    sender.send(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
