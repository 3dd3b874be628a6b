# SPDX-License-Identifier: Apache-2.0
"""`orch run` from the workload file to the finished folder: prepare, plan boots, have them done, merge."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.experiment import provenance
from orchestrator.experiment.admission import admit
from orchestrator.experiment.attacks import Attacks, lacking_of
from orchestrator.experiment.board import BOARD, Board
from orchestrator.experiment.cluster.open import offered, open_cluster
from orchestrator.experiment.dispatch import Dispatcher
from orchestrator.experiment.parts import machine_keys, machine_nodes, testbeds
from orchestrator.experiment.plan import cells_of, input_digests, plan
from orchestrator.experiment.planner import Planner
from orchestrator.experiment.precheck import mistakes
from orchestrator.experiment.prepare import Preparer, Subject, build
from orchestrator.experiment.processes import Processes
from orchestrator.experiment.sameness import check_same
from orchestrator.experiment.scheduler import Inline
from orchestrator.models.zoo import Zoo
from orchestrator.privacy.offline import attack_ended, attack_missing, offline_attacks
from orchestrator.runs.costs import Costs, cost_of
from orchestrator.runs.events import BootBegun, Part, utc_now
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.merge import merge
from orchestrator.runs.outputs import compare_boots
from orchestrator.runs.run_file import RUN_VERSION
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load
from orchestrator.schema.yamltext import dump
from orchestrator.testbed.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.build.progress import Progress
    from orchestrator.experiment.scheduler import Scheduler
    from orchestrator.runs.matrix import Boot, Cell, MachineKind
    from orchestrator.schema.cluster import ClusterConfig
    from orchestrator.testbed.project import Project

WORKLOAD_FILE = "workload.yaml"
WORKERS = "workers"  # in the testbed's state folder


@dataclass(frozen=True)
class RunOptions:
    """What the command line asks for; `resume` continues a run, `pin` gives each worker a core of its own."""

    keep: bool = False
    resume: bool = False
    workers: int = 1
    pin: bool = False
    cluster: ClusterConfig | None = None


@dataclass
class Conductor:
    """One run: everything before and after its boots."""

    project: Project
    workload: Workload
    workload_file: Path
    run: RunFolder
    progress: Progress
    options: RunOptions
    workers: int = 1
    """As many boots were done at once."""

    @property
    def folder(self) -> Path:
        """What the workload's own files are relative to."""
        return self.workload_file.resolve().parent

    def conduct(self) -> int:
        """Do it; returns the number of steps that failed. Whatever happens, run.yaml says how far it came."""
        with self.run.held():
            cells = cells_of(self.workload, self.folder)
            beds = testbeds(self.project, self.progress, cells)
            if self.options.resume:
                if self._is_whole():
                    attack_missing(self.run, self.workload.attacks)
                    return 0
                check_same(self.run.read_run(), self.project, self.workload, self.folder, beds)
                self.run.repair()
            costs = Costs()
            facts = self._begin()
            status = "error"
            try:
                self._do(cells, beds, costs, facts)
                status = "failed" if self.run.failures() else "ok"
            except BaseException as error:
                facts["cause"] = f"{type(error).__name__}: {error}"
                raise
            finally:
                self._end(facts, status, costs)
            attack_ended(self.run, self.workload.attacks)
        return self.run.failures()

    def _is_whole(self) -> bool:
        """Whether the run has ended and nothing of it is to be done."""
        ended = self.run.read_run().status == "ok"
        return ended and (not self.run.shards() or not plan(self.workload, self.run.done(), self.folder))

    # --- before and after -----------------------------------------------------------------------------------------

    def _begin(self) -> dict[str, Any]:
        """Write down what is about to be done before anything of it is."""
        git = provenance.git_facts(self.project.root)
        if self.options.resume:
            # Its rows come from what it was begun with: that stays on record.
            facts = self.run.read_run().facts() | {"ended_utc": None, "status": "running"}
            facts.pop("cause", None)
            facts["resumed"] = [*facts.get("resumed", ()), {"utc": utc_now(), **git}]
        else:
            facts = self._first_facts(git)
            self._save_inputs(git["revision"])
        self.run.write_run(facts)
        self.run.log.add("run-begin", resume=self.options.resume)
        return facts

    def _first_facts(self, git: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema_version": RUN_VERSION,
            "run_id": self.run.run_id,
            "name": self.workload.name,
            "summary": self.workload.summary,
            "started_utc": utc_now(),
            "ended_utc": None,
            "status": "running",
            "margin": self.workload.margin,
            "workload": self.workload.model_dump(mode="json"),
            "input_files": input_digests(self.workload, self.folder),
            "testbed": self.project.config.model_dump(mode="json"),
            "git": git,
            "tools": provenance.tool_facts(),
            "host": provenance.host_facts(),
            "extensions": provenance.extension_facts(),
        }

    def _save_inputs(self, revision: str | None) -> None:
        """Workload and testbed as resolved, and the script that repeats the run with them."""
        self.run.write(WORKLOAD_FILE, dump(_with_paths(self.workload, self.folder)))
        self.run.write("testbed.yaml", provenance.testbed_text(self.project))
        script = self.run.folder / "reproduce.sh"
        self.run.write(script.name, provenance.reproduce_script(revision, self.project.root))
        script.chmod(0o755)

    def _end(self, facts: dict[str, Any], status: str, costs: Costs) -> None:
        """Merge what there is, and say what it cost."""
        self.run.log.add("run-end", status=status, client=costs.as_client())
        steps = [
            each.model_dump(mode="json", exclude_unset=True, exclude={"event", "sizes", "cost"})
            for each in self.run.steps().values()
        ]
        facts["ended_utc"] = utc_now()
        facts["status"] = status
        facts["steps"] = steps
        facts["cost"] = cost_of(self.run) | {"steps": len(steps), "workers": self.workers}
        self.run.write_run(facts)
        merge(self.run.folder)

    # --- the boots ------------------------------------------------------------------------------------------------

    def _do(
        self, cells: Sequence[Cell], beds: Mapping[MachineKind, Testbed], costs: Costs, facts: dict[str, Any]
    ) -> None:
        with closing(self._scheduler()) as scheduler:
            self._do_on(scheduler, cells, beds, costs, facts)

    def _do_on(
        self,
        scheduler: Scheduler,
        cells: Sequence[Cell],
        beds: Mapping[MachineKind, Testbed],
        costs: Costs,
        facts: dict[str, Any],
    ) -> None:
        with costs.spent_on("build"):
            bed = Testbed(self.project, self.progress)
            bed.keys.ensure()
            parts = build(bed, cells, attacked=bool(self.workload.attacks))
            for each in beds.values():
                each.builder.build(list(machine_nodes(each, self.workload).values()))
        platform = self.project.platform.name
        version = facts["tools"].setdefault(platform, next(iter(beds.values())).platform_version())
        scratch = self.run.folder / ".scratch"
        scratch.mkdir(exist_ok=True)
        try:
            subjects = Preparer(parts, self.workload, self.folder, scratch).subjects()
            _check_sizes(cells, subjects)
            machines = {name: key for each in beds.values() for name, key in machine_keys(each, self.workload).items()}
            facts["artifacts"] = parts.keys | machines | facts.get("artifacts", {})
            facts["cells"] = [self._cell_facts(cell, subjects) for cell in cells]
            self.run.write_run(facts)
            planner = Planner(
                self.run, self.workload, self.folder, beds, subjects, parts.bundles, scratch, parts.keys | machines
            )
            jobs = planner.jobs(f"{platform}-{version.split(maxsplit=1)[0]}", keep=self.options.keep)
            dispatcher = Dispatcher(self.run, scheduler, self.progress, planner.boots)
            try:
                with costs.spent_on("boots"):
                    dispatcher.work(jobs)
            finally:
                self.workers = dispatcher.most
            for key in compare_boots(self.run):
                self.progress.notice(f"{key}: its outputs are not those of the other boots")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _scheduler(self) -> Scheduler:
        """Who does the boots; raises UsageError if there is no room, or a machine in the way."""
        left = list(plan(self.workload, self.run.done(), self.folder).values())
        if self.options.cluster is not None:
            return open_cluster(self.options.cluster, left, self.project, self.run, self.progress, self.options.pin)
        admission = admit(self.options.workers, left, self.project.config)
        if admission.reason:
            self.progress.notice(f"{admission.workers} workers instead of {self.options.workers}: {admission.reason}")
        if admission.workers > 1 or self.options.pin:
            state = self.project.state_folder()
            board = Board(state / BOARD, self.run.run_id)
            return Processes(admission.workers, state / WORKERS, self.progress, pin=self.options.pin, board=board)
        self._clear(Testbed(self.project, self.progress))
        return Inline(self.progress)

    def _clear(self, bed: Testbed) -> None:
        """No machine may be up: one of a killed run makes way, one of the user's does not."""
        if bed.running() is None:
            return
        if not self._left_a_machine():
            raise UsageError(
                f"testbed '{self.project.config.name}' is up, and a run boots machines of its own",
                hint="`orch down`, or another testbed file (--testbed)",
            )
        self.progress.notice("the machine of the killed run is taken down")
        bed.down()

    def _left_a_machine(self) -> bool:
        """Whether the run, as far as a shard's events go, began a boot and did not end it."""
        for shard in self.run.shards():
            told = [
                each
                for each in shard.log.read()
                if isinstance(each, BootBegun) or (isinstance(each, Part) and each.event in ("boot", "down"))
            ]
            last = told[-1] if told else None
            failed = isinstance(last, Part) and last.outcome == "error"
            # A boot that failed has ended, a machine that could not be taken down has not.
            if last is not None and (last.event == "down") == failed:
                return True
        return False

    def _cell_facts(self, cell: Cell, subjects: Mapping[SubjectKey, Subject]) -> dict[str, Any]:
        subject = subjects[SubjectKey.of(cell)]
        return {
            "cell_id": cell.cell_id,
            **cell.as_table(),
            "model_sha256": subject.sha256,
            "model_bytes": subject.model.bytes,
            "trained": subject.model.trained,
            "delivered": {name: file_digest(path) for name, path in subject.deployable.files.items()},
            "top": cell.top(self.workload),
            "inputs": subject.tensors.count,
            "inputs_sha256": file_digest(subject.inputs),
            "oracle": subject.expected.facts(),
            "xnnpack": subject.xnnpack,
        }


def open_workload(path: Path, changes: Sequence[str], project: Project) -> Workload:
    """Read a workload file with the command line's `--set`; raises UsageError with file, line and key."""
    zoo, folder = Zoo.load(project.root), path.resolve().parent
    return load(path, Workload, changes, lambda workload: mistakes(workload, zoo, project.config, folder))


def start(  # noqa: PLR0917 - all that a run is made of
    project: Project, workload: Workload, workload_file: Path, results: Path, progress: Progress, options: RunOptions
) -> tuple[RunFolder, int]:
    """A new run in `results`; returns its folder and the number of steps that failed."""
    run = RunFolder.create(results, workload.name)
    conductor = Conductor(project, workload, workload_file, run, progress, options)
    try:
        return run, conductor.conduct()
    except (UsageError, WorkloadError):
        # A mistake that was found before anything booted is no run, and must not be the latest one.
        if not run.shards():
            shutil.rmtree(run.folder)
        raise


def resume(project: Project, run: RunFolder, progress: Progress, options: RunOptions) -> int:
    """Go on with a run: finished steps stay as they are; returns the number of steps that failed now."""
    workload, saved = saved_workload(run)
    return Conductor(project, workload, saved, run, progress, options).conduct()


def saved_workload(run: RunFolder) -> tuple[Workload, Path]:
    """The workload of a run, and its file."""
    saved = run.folder / WORKLOAD_FILE
    if not saved.is_file():
        raise UsageError(f"{run.folder}: the run has no {WORKLOAD_FILE} and cannot be continued")
    return load(saved, Workload), saved


def left_lines(run: RunFolder, project: Project, workers: int = 1, cluster: ClusterConfig | None = None) -> list[str]:
    """What going on with a run would do, for people."""
    workload, saved = saved_workload(run)
    with run.held():
        run.read_run()
        return plan_lines(workload, saved, project, workers, run.done(), cluster)


def plan_lines(  # noqa: PLR0917 - what a run is made of
    workload: Workload,
    workload_file: Path,
    project: Project,
    workers: int = 1,
    done: frozenset[str] = frozenset(),
    cluster: ClusterConfig | None = None,
) -> list[str]:
    """What a run would do, for people; `done` are keys of steps that need no repetition."""
    folder = workload_file.resolve().parent
    boots, cells = plan(workload, done, folder), cells_of(workload, folder)
    attacks = Attacks(workload, cells, run_id="", work=folder, lacking=lacking_of(project.platform))
    lines = [f"{len(cells)} cells, {len(boots)} boots, {sum(len(each.steps) for each in boots.values())} steps"]
    admission = admit(workers, list(boots.values()), project.config)
    if cluster is not None:
        lines.append(offered(cluster, list(boots.values()), project.config))
    if workers > 1:
        lines.append(f"{admission.workers} workers" + (f": {admission.reason}" if admission.reason else ""))
    for boot in boots.values():
        lines.append(f"boot {boot.number + 1}: {boot.machine.label}")
        lines += _boot_lines(boot, attacks)
    offline = [record.name for record in offline_attacks() if record.name in workload.attacks]
    return [*lines, f"at the end: {', '.join(offline)}"] if offline else lines


def _boot_lines(boot: Boot, attacks: Attacks) -> list[str]:
    lines = []
    for session in boot.sessions:
        where = session.world if session.world == "host" else f"{session.world} {session.guest.label}"
        for step in session.steps:
            lines.append(f"  {where}: {step.cell.cell_id}{attacks.plan(step)}")
    return lines


def _with_paths(workload: Workload, folder: Path) -> dict[str, Any]:
    """The workload with its files' paths made absolute, as the copy lies elsewhere."""
    table: dict[str, Any] = workload.model_dump(mode="json")
    own = [model for model in table["models"] if isinstance(model, dict)]
    for model in own:
        model["path"] = str(folder / model["path"])
    for inputs in filter(None, (table["inputs"], *(model["inputs"] for model in own))):
        for feed in (inputs, *inputs["tensors"].values()):
            feed["files"] = [str(folder / each) for each in feed["files"]]
    return table


def _check_sizes(cells: Sequence[Cell], subjects: Mapping[SubjectKey, Subject]) -> None:
    """Raises WorkloadError before anything is booted if a model cannot fit into its guest."""
    for cell in cells:
        subject = subjects[SubjectKey.of(cell)]
        needed = subject.needed_mib
        if needed > cell.guest.memory_mib:
            raise WorkloadError(
                f"{SubjectKey.of(cell)}: needs about {needed} MiB, the guest has {cell.guest.memory_mib}",
                hint="`memory_mib` in the workload file",
            )
