# SPDX-License-Identifier: Apache-2.0
"""`played_run.py WORKLOAD RESULTS PROGRAM`: a whole run of a workload whose machines are played on this computer.

Everything above the machine is the real thing: extensions, plan, preparation, boots, steps, attacks, merge, report.
In a world PROGRAM, the runtime of the build computer, is executed; it says in its record which markers it would have
executed, as lines `{"event": "mark", "number": N, "id": I, "cost": C}`: C instructions at EL0. Prints the run's folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from fake_platform import FakeCounter, tally_of

from orchestrator import extensions
from orchestrator.build.graph import file_digest
from orchestrator.build.progress import Silent
from orchestrator.experiment import boot, conduct, planner
from orchestrator.experiment.attacks import Attacks
from orchestrator.experiment.boot import BootRun
from orchestrator.experiment.gate import ID_STEP
from orchestrator.experiment.prepare import Parts, chosen
from orchestrator.experiment.scheduler import Outcome
from orchestrator.experiment.stage import Counted
from orchestrator.experiment.steps import Steps
from orchestrator.models.oracle import Oracle
from orchestrator.models.runtime import Execution
from orchestrator.protect.deployable import INPUTS, RESULTS
from orchestrator.registry import RUNTIMES
from orchestrator.report.finish import finish
from orchestrator.runs.costs import Costs
from orchestrator.runs.rows import RowMaker
from orchestrator.testbed.project import Project
from orchestrator.words import Mark, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.experiment.gate import CountedExecution
    from orchestrator.experiment.job import BootJob
    from orchestrator.protect.deployable import Deployable
    from orchestrator.runs.shard import Shard
    from orchestrator.trace.markers import MarkerRecord

ROOT = Path(__file__).resolve().parents[3]
EL0 = {World.HOST: "non_secure_host_el0", World.VM: "non_secure_el0", World.REALM: "realm_el0"}


def marked(text: str, base: int, world: World) -> tuple[MarkerRecord, ...]:
    """The markers that a record tells of, behind the empty pairs of a calibration."""
    lines = [json.loads(line) for line in text.splitlines()]
    told = [(line["number"], line["id"], line["cost"]) for line in lines if line["event"] == "mark"]
    counter, spent = FakeCounter(), 0
    for number, ident, cost in [*((int(Mark.CALIBRATE), each, 0) for each in range(8)), *told]:
        for end in (False, True):
            spent += cost if end else 0
            counter.tally = tally_of(**{EL0[world]: spent})
            counter.mark(number, base + ident, end=end)
    return counter.markers()


@dataclass
class PlayedStage:
    """Testbed and stage at once: every world is a folder of this computer."""

    folder: Path
    program: Path
    lives: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    _base: int = 0
    _worlds: dict[str, Deployable] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """All else that is asked of a machine costs nothing and says nothing: up, down, stop, check, …"""
        return lambda *_, **__: ()

    @property
    def bed(self) -> PlayedStage:
        return self

    @property
    def instance(self) -> Any:
        return SimpleNamespace(status=lambda: SimpleNamespace(alive=True))

    @property
    def links(self) -> Any:
        return SimpleNamespace(hang_up=lambda: None)

    @property
    def guests(self) -> Any:
        record = SimpleNamespace(guest=lambda _: {"run": 1}, folder=self.folder)
        return SimpleNamespace(start=lambda *_: None, stop=lambda *_: None, record=record, attestation=lambda _: None)

    def console_logs(self) -> dict[str, Path]:
        return {}

    def take_base(self) -> int:
        self._base += ID_STEP
        return self._base

    def granules(self) -> int:
        return 9

    def fingerprint(self, _world: str) -> dict[str, str]:
        return {"cpus": "1"}

    def runtime_of(self, bundle: Path) -> dict[str, str]:
        return {"runtime": bundle.name}

    def deploy_model(self, world: str, model: Deployable, inputs: Path) -> dict[str, str]:
        place = self.folder / f"{world}-{self._base}"
        model.lay_out(place)
        (place / INPUTS).symlink_to(inputs)
        self._worlds[world] = model
        self._place = place
        return {INPUTS: file_digest(inputs)}

    def count(self, what: CountedExecution, world: World, _say: object) -> Counted:
        place = self._place
        execution = Execution(
            model=f"{place}/{what.opening.model}",
            inputs=f"{place}/{INPUTS}",
            results=f"{place}/{RESULTS}",
            iterations=what.iterations,
            warmups=what.warmups,
            output=what.cell.output,
            base=what.base,
            options=what.opening.words(str(place)),
        )
        subprocess.run([self.program, *what.runtime.argv(execution)], check=True)
        text = (place / RESULTS).read_text(encoding="utf-8")
        return Counted(marked(text, what.base, world), what.runtime.parse(text), {})


@dataclass
class Player:
    """Does boots one after the other, as `Inline` does on a real machine."""

    scratch: Path
    program: Path
    slots: int = 1
    _jobs: list[tuple[BootJob, Shard]] = field(default_factory=list)

    def start(self, job: BootJob, shard: Shard) -> None:
        self._jobs.append((job, shard))

    def wait(self) -> Outcome:
        job, shard = self._jobs.pop()
        attacks = Attacks(job.workload, job.cells, job.facts.run_id, job.scratch)
        steps = Steps(job, shard, RowMaker(shard, job.facts), attacks, Silent(), Costs(shard.cost()))
        stage: Any = PlayedStage(self.scratch / f"boot-{job.index}", self.program)
        with mock.patch.object(boot, "Stage", SimpleNamespace(on=lambda *_, **__: stage)):
            BootRun(job, stage, shard, steps, Silent()).run()
        return Outcome(job)

    def close(self) -> None:
        """Nothing runs."""


def played(program: Path, scratch: Path, project: Project) -> Iterator[Any]:
    """What stands for artifacts and machines; each is one name that is replaced."""

    def parts(_bed: object, cells: Any, **_: object) -> Parts:
        names = dict.fromkeys(cell.runtime for cell in cells)
        oracles = {name: Oracle(name, program) for name in names}
        return Parts(dict.fromkeys(names, program), oracles, chosen(ROOT, cells), {}, {}, {})

    builder = SimpleNamespace(build=lambda _: None)
    keys = SimpleNamespace(ensure=lambda: None)
    bed = SimpleNamespace(project=project, builder=builder, keys=keys, platform_version=lambda: "10.0.13 (Debian 1)")
    conducts: dict[str, Any] = {
        "build": parts,
        "Testbed": lambda *_: SimpleNamespace(running=lambda: None, keys=keys),
        "testbeds": lambda _project, _progress, cells: {cell.machine: bed for cell in cells},
        "machine_nodes": lambda *_: {},
        "machine_keys": lambda *_: {"kernel": "k"},
        "Inline": lambda _: Player(scratch, program),
    }
    yield from (mock.patch.object(conduct, name, value) for name, value in conducts.items())
    yield mock.patch.object(planner, "machine_keys", conducts["machine_keys"])
    yield mock.patch.object(boot, "_TEARDOWN_LOOKS", 0)


def main(workload_file: Path, results: Path, program: Path) -> int:
    """Do it; the number of steps that failed."""
    extensions.load()
    project = Project.open(ROOT / "testbed.yaml")
    for each in played(program, results / ".played", project):
        each.start()
    # A real bundle takes memory of its guest; what is played here takes none.
    for name in RUNTIMES:
        RUNTIMES._records[name] = replace(RUNTIMES[name], mib=0)
    workload = conduct.open_workload(workload_file, (), project)
    run, failures = conduct.start(project, workload, workload_file, results, Silent(), conduct.RunOptions())
    finish(run)
    sys.stdout.write(f"{run.folder}\n")
    return failures


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
