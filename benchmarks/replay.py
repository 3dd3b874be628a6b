# SPDX-License-Identifier: Apache-2.0
"""`make bench-replay`: one saved moment, replayed: are the counts of its inferences the same each time?"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.build.progress import Silent
from orchestrator.experiment.gate import CountedExecution
from orchestrator.experiment.parts import machine_testbed
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.prepare import Preparer, build
from orchestrator.experiment.replay import DETERMINISTIC, replays
from orchestrator.experiment.stage import Stage, guest_of
from orchestrator.runs.matrix import SubjectKey
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.project import Project
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[1]
ORCH = Path(sys.executable).parent / "orch"


def replay_world(world: World, times: int, iterations: int, work: Path) -> bool:
    """Print the instructions of each replay in one world; whether all of them are the same."""
    workload = load(ROOT / "workloads/smoke.yaml", Workload)
    (cell,) = cells_of(workload)
    bed = machine_testbed(Project.open(), Silent(), cell.machine)
    parts = build(bed, [cell])
    subject = Preparer(parts, workload, ROOT / "workloads", work / world).subjects()[SubjectKey.of(cell)]
    bed.up(DETERMINISTIC)
    stage = Stage.on(bed, deploy_seconds=300, run_seconds=600)
    name = guest_of(world)
    stage.deploy_runner(World.HOST, parts.bundles[cell.runtime])
    if name is not None:
        bed.guests.start(name, GuestOptions(cell.guest.memory_mib, cell.guest.vcpus, cell.guest.pretouch))
        stage.deploy_runner(world, parts.bundles[cell.runtime])
    stage.deploy_model(world, subject.deployable, subject.inputs)
    opening = subject.deployable.opening
    base = stage.take_base()
    what = CountedExecution(cell, opening, base, iterations, workload.warmups, workload.top, seed=workload.seed)
    seen = []
    for number, counts in enumerate(replays(stage, what, world, work / "saved.state", times)):
        seen.append(counts)
        total, own = (sum(each[part] for each in counts) for part in ("all", "guest_user"))
        print(
            f"{world:6} replay {number + 1}: {len(counts)} inferences, {total:,} instructions, {own:,} of the program"
        )
    bed.down()
    same = all(counts == seen[0] for counts in seen)
    print(f"{world:6} {'identical in every inference and component' if same else 'DIFFERENT'}")
    return same


def main() -> None:
    """In a state folder of its own, so that a machine of the user is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="replays of each world [5]")
    parser.add_argument("--iterations", type=int, default=20, help="inferences in each [20]")
    parser.add_argument("--worlds", nargs="+", type=World, default=[World.REALM, World.VM, World.HOST])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-replay-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        try:
            same = [replay_world(world, options.times, options.iterations, Path(folder)) for world in options.worlds]
        finally:
            subprocess.run([ORCH, "down"], check=False, capture_output=True)
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
