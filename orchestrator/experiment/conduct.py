# SPDX-License-Identifier: Apache-2.0
"""`orch run` from the workload file to the finished folder: prepare, run, write tables and report."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.build.cache import key_of
from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.experiment import provenance
from orchestrator.experiment.attacks import Attacks
from orchestrator.experiment.plan import cells_of, input_digests, plan
from orchestrator.experiment.precheck import mistakes
from orchestrator.experiment.prepare import Preparer, Subject, build, chosen, nodes_of
from orchestrator.experiment.run import Runner
from orchestrator.models.zoo import Zoo
from orchestrator.runs.costs import Costs
from orchestrator.runs.journal import Journal, utc_now
from orchestrator.runs.matrix import Cell, MachineKind, SubjectKey
from orchestrator.runs.rows import RowMaker
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load
from orchestrator.testbed.guest import files_for
from orchestrator.testbed.testbed import Testbed
from orchestrator.words import GUEST_WORLDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.build.graph import Node
    from orchestrator.build.progress import Progress
    from orchestrator.models.zoo import Model
    from orchestrator.testbed.project import Project

WORKLOAD_FILE = "workload.yaml"
_THE_MACHINE = ("machine", "kernel", "guest", "stack")  # parts of a testbed file; the others change no row


@dataclass(frozen=True)
class RunOptions:
    """What the command line asks for; `resume` continues the journal's run."""

    keep: bool = False
    resume: bool = False


@dataclass
class Conductor:
    """One run: everything before and after the measuring."""

    project: Project
    workload: Workload
    workload_file: Path
    journal: Journal
    progress: Progress
    options: RunOptions

    @property
    def folder(self) -> Path:
        """What the workload's own files are relative to."""
        return self.workload_file.resolve().parent

    def conduct(self) -> int:
        """Do it; returns the number of steps that failed. Whatever happens, run.yaml says how far it came."""
        with self.journal.held():
            if self.options.resume:
                if self._is_whole():
                    return 0
                self._check_same()
                self.journal.repair()
            costs = Costs(self._cost_before())
            facts = self._begin()
            status = "error"
            try:
                failures = self._run(costs, facts)
                status = "failed" if failures else "ok"
            except BaseException as error:
                facts["cause"] = f"{type(error).__name__}: {error}"
                raise
            finally:
                self._end(facts, status, costs)
        return failures

    def _is_whole(self) -> bool:
        """Whether the run has ended and nothing of it is to be done."""
        done = self.journal.done()
        return self.journal.read_run()["status"] == "ok" and not plan(self.workload, done, self.folder)

    def _cost_before(self) -> dict[str, Any]:
        if not self.options.resume:
            return {}
        return self.journal.cost() or self.journal.read_run().get("cost") or {}

    def _check_same(self) -> None:
        """Raises UsageError if a run would go on with another machine, model or tool: its rows would not be alike."""
        facts = self.journal.read_run()
        now = self.project.config.model_dump(mode="json")
        changed = [f"testbed: {part}" for part in _THE_MACHINE if facts["testbed"].get(part) != now[part]]
        cells = cells_of(self.workload, self.folder)
        known = {each["cell_id"]: each["model_sha256"] for each in facts.get("cells", ())}
        changed += sorted({f"model {cell.model}" for cell in cells if known and cell.cell_id not in known})
        changed += self._changed_inputs(facts, cells)
        models = chosen(self.project.root, cells)
        for cell in cells:
            model = models[SubjectKey.of(cell)]
            if model.path is not None and known.get(cell.cell_id, model.sha256) != model.sha256:
                changed.append(f"model {cell.model}")
        artifacts = self._artifacts(cells, models) if "artifacts" in facts else {}
        changed += [name for name, key in facts.get("artifacts", {}).items() if artifacts.get(name) != key]
        if changed:
            revision = str(facts["git"]["revision"] or "unknown")[:12]
            what = ", ".join(dict.fromkeys(changed))
            raise UsageError(
                f"run {self.journal.run_id} was begun with another stack; what differs: {what}",
                hint=f"go on with revision {revision} and the same --testbed, or start a new run",
            )

    def _changed_inputs(self, facts: dict[str, Any], cells: Sequence[Cell]) -> list[str]:
        """Keys of the workload whose inputs or number of classes are others now, as far as the run wrote them down."""
        tops = {each["cell_id"]: each["top"] for each in facts.get("cells", ()) if "top" in each}
        top = {cell.cell_id: cell.top(self.workload) for cell in cells}
        changed = ["top"] if any(tops.get(cell, count) != count for cell, count in top.items()) else []
        begun = facts["workload"].get("inputs", {})
        now = self.workload.inputs.model_dump(mode="json", exclude={"files"})  # the saved workload's are absolute
        changed += [f"inputs.{name}" for name, value in now.items() if begun.get(name, value) != value]
        if "input_files" in facts and facts["input_files"] != input_digests(self.workload, self.folder):
            changed.append("inputs.files")
        return changed

    def _artifacts(self, cells: Sequence[Cell], models: dict[SubjectKey, Model]) -> dict[str, str]:
        """Keys of all that this run is made of, as they are now; nothing is built."""
        beds = self._beds(cells).values()
        bed = next(iter(beds))
        nodes = nodes_of(bed.graph, models, attacked=bool(self.workload.attacks))
        keys = {label: bed.builder.keys.key(node) for label, node in nodes.items()}
        return keys | {name: key for each in beds for name, key in self._keys(each).items()}

    def _begin(self) -> dict[str, Any]:
        """Write down what is about to be done before anything of it is."""
        git = provenance.git_facts(self.project.root)
        if self.options.resume:
            # Its rows come from what it was begun with: that stays on record.
            facts = self.journal.read_run() | {"ended_utc": None, "status": "running"}
            facts.pop("cause", None)
            facts["resumed"] = [*facts.get("resumed", ()), {"utc": utc_now(), **git}]
        else:
            facts = self._first_facts(git)
            self._save_inputs(git["revision"])
        self.journal.write_run(facts)
        self.journal.event("run-begin", resume=self.options.resume)
        return facts

    def _first_facts(self, git: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "run_id": self.journal.run_id,
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
        }

    def _save_inputs(self, revision: str | None) -> None:
        """Workload and testbed as resolved, and the script that repeats the run with them."""
        resolved = yaml.safe_dump(_with_paths(self.workload, self.folder), sort_keys=False, allow_unicode=True)
        self.journal.write(WORKLOAD_FILE, resolved)
        self.journal.write("testbed.yaml", provenance.testbed_text(self.project))
        script = self.journal.folder / "reproduce.sh"
        self.journal.write(script.name, provenance.reproduce_script(revision, self.project.root))
        script.chmod(0o755)

    def _run(self, costs: Costs, facts: dict[str, Any]) -> int:
        cells = cells_of(self.workload, self.folder)
        bed, beds = Testbed(self.project, self.progress), self._beds(cells)
        self._clear(bed)
        with costs.spent_on("build"):
            parts = build(bed, cells, attacked=bool(self.workload.attacks))
            for each in beds.values():
                each.builder.build(list(self._nodes(each).values()))
        facts["tools"].setdefault("qemu", provenance.qemu_version(_emulator(next(iter(beds.values())))))
        scratch = self.journal.folder / ".scratch"
        scratch.mkdir(exist_ok=True)
        try:
            subjects = Preparer(parts, self.workload, self.folder, scratch).subjects()
            _check_sizes(cells, subjects)
            runner = Runner(
                workload=self.workload,
                folder=self.folder,
                beds=beds,
                journal=self.journal,
                progress=self.progress,
                subjects=subjects,
                bundles=parts.bundles,
                rows=self._rows(beds, subjects, facts["tools"]["qemu"]),
                attacks=Attacks(self.workload, cells, self.journal.run_id, scratch),
                keep=self.options.keep,
                costs=costs,
            )
            machines = {name: key for each in beds.values() for name, key in self._keys(each).items()}
            facts["artifacts"] = parts.keys | machines | facts.get("artifacts", {})
            facts["cells"] = [self._cell_facts(cell, subjects) for cell in cells]
            self.journal.write_run(facts)
            runner.run()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return runner.failures

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
        """Whether the run, as far as its journal goes, began a boot and did not end it."""
        told = [each for each in self.journal.events() if each["event"] in ("boot-begin", "boot", "down")]
        # A boot that failed has ended, a machine that could not be taken down has not.
        return bool(told) and (told[-1]["event"] == "down") == (told[-1].get("outcome") == "error")

    def _beds(self, cells: Sequence[Cell]) -> dict[MachineKind, Testbed]:
        """A testbed for every kind of machine."""
        machines = dict.fromkeys(cell.machine for cell in cells)
        return {machine: machine_testbed(self.project, self.progress, machine) for machine in machines}

    def _nodes(self, bed: Testbed) -> dict[str, Node]:
        """The nodes of the machine and of the guests that this workload has."""
        files = [file for world in GUEST_WORLDS if world in self.workload.worlds for file in files_for(world)]
        return bed.project.machine_nodes(bed.graph) | bed.project.guest_nodes(bed.graph, files)

    def _keys(self, bed: Testbed) -> dict[str, str]:
        """What the machine and its guests were made of: artifact keys by node, which tell ticks apart.

        Of what `stack:` gives ready-made, the digests.
        """
        stack = bed.project.config.stack
        given = {f"stack.{name}": getattr(stack, name) for name in ("qemu", "host_kernel", "guest_kernel")}
        files = {name: bed.project.path(path) for name, path in given.items() if path is not None}
        files |= {f"stack.vmm:{place}": path for place, path in bed.project.vmm_files().items()}
        keys = {node.label: bed.builder.keys.key(node) for node in self._nodes(bed).values()}
        return keys | {name: file_digest(path) for name, path in files.items()}

    def _rows(self, beds: dict[MachineKind, Testbed], subjects: dict[SubjectKey, Subject], qemu: str) -> RowMaker:
        return RowMaker(
            journal=self.journal,
            workload=self.workload.name,
            seed=self.workload.seed,
            platform_version=f"qemu-{qemu.split(maxsplit=1)[0]}",
            stack_hash={machine: key_of(self._keys(bed)) for machine, bed in beds.items()},
            model_sha256={key: subject.sha256 for key, subject in subjects.items()},
            host_cpus=self.project.config.machine.cpus,
        )

    def _cell_facts(self, cell: Cell, subjects: dict[SubjectKey, Subject]) -> dict[str, Any]:
        subject = subjects[SubjectKey.of(cell)]
        return {
            "cell_id": cell.cell_id,
            **cell.as_table(),
            "model_sha256": subject.sha256,
            "model_bytes": subject.model.bytes,
            "trained": subject.model.trained,
            "delivered": {name: file_digest(path) for name, path in subject.deployable.files.items()},
            "top": cell.top(self.workload),
            "inputs_sha256": file_digest(subject.inputs),
        }

    def _end(self, facts: dict[str, Any], status: str, costs: Costs) -> None:
        steps = self.journal.steps().values()
        cost = costs.as_table()
        facts["ended_utc"] = utc_now()
        facts["status"] = status
        facts["steps"] = [
            {key: value for key, value in each.items() if key not in ("event", "sizes", "cost")} for each in steps
        ]
        facts["cost"] = cost | {"steps": len(facts["steps"])}
        self.journal.event("run-end", status=status, cost=cost)
        self.journal.write_run(facts)


def _emulator(bed: Testbed) -> Path:
    """The program that runs the machine."""
    given = bed.project.config.stack.qemu
    return bed.project.path(given) if given else bed.artifacts()["qemu"] / "bin/qemu-system-aarch64"


def machine_testbed(project: Project, progress: Progress, machine: MachineKind) -> Testbed:
    """The user's testbed with the ticks and the timing of `machine`."""
    config = project.config
    deterministic = config.machine.deterministic.model_copy(update={"icount_shift": machine.timing.shift})
    changed = config.model_copy(
        update={
            "kernel": config.kernel.model_copy(update=machine.ticks.model_dump()),
            "machine": config.machine.model_copy(update={"deterministic": deterministic}),
        }
    )
    return Testbed(dataclasses.replace(project, config=changed), progress)


def open_workload(path: Path, changes: Sequence[str], project: Project) -> Workload:
    """Read a workload file with the command line's `--set`; raises UsageError with file, line and key."""
    zoo, folder = Zoo.load(project.root), path.resolve().parent
    return load(path, Workload, changes, lambda workload: mistakes(workload, zoo, project.config, folder))


def start(
    project: Project, workload: Workload, workload_file: Path, results: Path, progress: Progress, *, keep: bool
) -> tuple[Journal, int]:
    """A new run in `results`; returns its journal and the number of steps that failed."""
    journal = Journal.create(results, workload.name)
    conductor = Conductor(project, workload, workload_file, journal, progress, RunOptions(keep=keep))
    try:
        return journal, conductor.conduct()
    except (UsageError, WorkloadError):
        # A mistake that was found before anything booted is no run, and must not be the latest one.
        if not any(each["event"] == "boot-begin" for each in journal.events()):
            shutil.rmtree(journal.folder)
        raise


def resume(project: Project, journal: Journal, progress: Progress, *, keep: bool) -> int:
    """Go on with a run: finished steps stay as they are; returns the number of steps that failed now."""
    workload, saved = _saved(journal)
    return Conductor(project, workload, saved, journal, progress, RunOptions(keep=keep, resume=True)).conduct()


def _saved(journal: Journal) -> tuple[Workload, Path]:
    """The workload of a run, and its file."""
    saved = journal.folder / WORKLOAD_FILE
    if not saved.is_file():
        raise UsageError(f"{journal.folder}: the run has no {WORKLOAD_FILE} and cannot be continued")
    return load(saved, Workload), saved


def left_lines(journal: Journal) -> list[str]:
    """What going on with a run would do, for people."""
    workload, saved = _saved(journal)
    with journal.held():
        journal.read_run()
        return plan_lines(workload, saved, journal.done())


def plan_lines(workload: Workload, workload_file: Path, done: frozenset[str] = frozenset()) -> list[str]:
    """What a run would do, for people; `done` are keys of steps that need no repetition."""
    folder = workload_file.resolve().parent
    boots, cells = plan(workload, done, folder), cells_of(workload, folder)
    attacks = Attacks(workload, cells, run_id="", work=folder)
    lines = [f"{len(cells)} cells, {len(boots)} boots, {sum(len(each.steps) for each in boots)} steps"]
    for boot in boots:
        lines.append(f"boot {boot.number + 1}: {boot.machine.label}")
        for session in boot.sessions:
            where = session.world if session.world == "host" else f"{session.world} {session.guest.label}"
            for step in session.steps:
                names = ", ".join([*attacks.now(step), *attacks.later(step)])
                lines.append(f"  {where}: {step.cell.cell_id}{f', then {names}' if names else ''}")
    return lines


def _with_paths(workload: Workload, folder: Path) -> dict[str, Any]:
    """The workload with its files' paths made absolute, as the copy lies elsewhere."""
    table: dict[str, Any] = workload.model_dump(mode="json")
    for model in table["models"]:
        if isinstance(model, dict):
            model["path"] = str(folder / model["path"])
    table["inputs"]["files"] = [str(folder / each) for each in table["inputs"]["files"]]
    return table


def _check_sizes(cells: Sequence[Cell], subjects: dict[SubjectKey, Subject]) -> None:
    """Raises WorkloadError before anything is booted if a model cannot fit into its guest."""
    for cell in cells:
        subject = subjects[SubjectKey.of(cell)]
        needed = subject.needed_mib
        if needed > cell.guest.memory_mib:
            raise WorkloadError(
                f"{SubjectKey.of(cell)}: needs about {needed} MiB, the guest has {cell.guest.memory_mib}",
                hint="`memory_mib` in the workload file",
            )
