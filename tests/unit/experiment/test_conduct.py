# SPDX-License-Identifier: Apache-2.0
"""What is saved of a run, and what resuming it does to that: the same stack or none, first facts kept, costs summed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_model
from click.testing import CliRunner

from orchestrator.build.graph import file_digest
from orchestrator.build.progress import Silent
from orchestrator.cli.context import Context
from orchestrator.cli.run import run
from orchestrator.errors import UsageError
from orchestrator.experiment import conduct, planner, provenance, sameness
from orchestrator.experiment.conduct import RunOptions
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import cells_of
from orchestrator.experiment.prepare import Subject, nodes_of
from orchestrator.experiment.processes import Processes
from orchestrator.experiment.scheduler import Inline, Outcome
from orchestrator.models.expected import Expected
from orchestrator.models.runtime import Execution
from orchestrator.models.tensors import Tensors
from orchestrator.models.zoo import Zoo
from orchestrator.runs.costs import Costs
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.matrix import SubjectKey
from orchestrator.runs.shard import Shard
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load
from orchestrator.schema.zoo import TensorDescription
from orchestrator.testbed.project import Project

ROOT = Path(__file__).resolve().parents[3]
TEXT = "name: w\nmodels: {name: mine, path: mine.tflite, quantization: int8}\nworlds: [vm, host]\n"


class FakeScheduler:
    """Does the steps that it may, until `until` of them are done; each costs 10 s of the machine."""

    until = 99
    slots = 1

    def __init__(self, _progress: object) -> None:
        self.jobs: list[tuple[BootJob, Shard]] = []

    def start(self, job: BootJob, shard: Shard) -> None:
        self.jobs.append((job, shard))

    def wait(self) -> Outcome:
        job, shard = self.jobs.pop()
        costs = Costs(shard.cost())
        for number, step in enumerate(job.boot.steps, start=1):
            if number > type(self).until:
                raise KeyboardInterrupt
            costs.parts["measure"] = 10.0 * number
            about = {"cell_id": step.cell.cell_id, "world": step.world, "cost": costs.as_table()}
            shard.step_done(step.key, status="ok", boot_id=job.facts.boot_id, **about)
        if type(self).until < 99:
            raise KeyboardInterrupt
        return Outcome(job)

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Artifact keys as they are now; nothing is built, and no machine is made."""
    keys = {"kernel": "k1", "rmm": "r1"}
    parts = SimpleNamespace(bundles={"litert": Path("b")}, keys={})

    class Subjects:
        def __init__(self, _parts: object, workload: Workload, folder: Path, _work: Path) -> None:
            self.cells = cells_of(workload, folder)

        def subjects(self) -> dict[Any, Any]:
            def subject(path: Path) -> Any:
                model = SimpleNamespace(bytes=path.stat().st_size, trained=True)
                files = SimpleNamespace(files={"model.tflite": path})
                return SimpleNamespace(
                    model=model,
                    sha256=file_digest(path),
                    deployable=files,
                    needed_mib=1,
                    inputs=path,
                    tensors=SimpleNamespace(count=1),
                    expected=Expected((), (), (), release="1.4.0", kernels={"xnnpack": "ok"}),
                    xnnpack=True,
                )

            return {SubjectKey.of(cell): subject(cell.own.path) for cell in self.cells if cell.own}

    monkeypatch.setattr(conduct, "build", lambda *_, **__: parts)
    monkeypatch.setattr(conduct, "Preparer", Subjects)
    monkeypatch.setattr(conduct, "Inline", FakeScheduler)
    monkeypatch.setattr(
        conduct, "Testbed", lambda *_: SimpleNamespace(running=lambda: None, keys=SimpleNamespace(ensure=lambda: None))
    )
    monkeypatch.setattr(sameness, "artifact_keys", lambda *_: dict(keys))
    builder = SimpleNamespace(build=lambda _: None)
    project = Project.open(ROOT / "testbed.yaml")
    bed = SimpleNamespace(builder=builder, project=project, platform_version=lambda: "10.0.13 (Debian 1)")
    monkeypatch.setattr(conduct, "testbeds", lambda _project, _progress, cells: {cell.machine: bed for cell in cells})
    monkeypatch.setattr(conduct, "machine_nodes", lambda *_: {})
    monkeypatch.setattr(conduct, "machine_keys", lambda *_: dict(keys))
    monkeypatch.setattr(planner, "machine_keys", lambda *_: dict(keys))
    monkeypatch.setattr(FakeScheduler, "until", 99)
    return keys


@pytest.fixture
def begin(
    tmp_path: Path, stack: dict[str, str], request: pytest.FixtureRequest
) -> Callable[[int], tuple[Project, RunFolder]]:
    """Starts a run that is interrupted after so many of its two steps; its parameter is a folder for all of it."""
    assert stack
    tmp_path /= getattr(request, "param", ".")
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "mine.tflite").write_bytes(tiny_model.identity(4, scale=0.5))
    file = tmp_path / "w.yaml"
    file.write_text(TEXT, encoding="utf-8")
    project = Project.open(ROOT / "testbed.yaml")

    def started(steps: int) -> tuple[Project, RunFolder]:
        FakeScheduler.until = steps
        arguments = (project, load(file, Workload), file, tmp_path / "results", Silent())
        if steps < 99:
            with pytest.raises(KeyboardInterrupt):
                conduct.start(*arguments, RunOptions())
        else:
            conduct.start(*arguments, RunOptions())
        FakeScheduler.until = 99
        (folder,) = (tmp_path / "results").iterdir()
        return project, RunFolder(folder)

    return started


def resume(project: Project, journal: RunFolder) -> int:
    return conduct.resume(project, journal, Silent(), RunOptions(resume=True))


def test_resuming_finds_the_steps_of_an_own_model(begin: Callable[[int], tuple[Project, RunFolder]]) -> None:
    """The saved workload names the file by its absolute path, the user's by a relative one."""
    project, journal = begin(1)
    (first,) = journal.done()
    assert resume(project, journal) == 0
    assert len(journal.steps()) == 2
    assert first in journal.done()


@pytest.mark.parametrize("begin", ["no \udcff text", "100 % of #1?", "-rf 'a\"b\\n"], indirect=True)
def test_folders_of_any_name(
    begin: Callable[[int], tuple[Project, RunFolder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the workload, and of the results."""
    monkeypatch.setattr(provenance.sys, "argv", ["orch", "run", "no \udcff text/w.yaml"])
    project, journal = begin(1)
    assert resume(project, journal) == 0
    assert len(journal.steps()) == 2
    script = (journal.folder / "reproduce.sh").read_bytes()
    assert b"'no \xff text/w.yaml'" in script
    assert subprocess.run(["sh", "-n"], input=script, check=True).returncode == 0


def test_what_is_left_is_told_and_not_done(
    begin: Callable[[int], tuple[Project, RunFolder]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, journal = begin(1)
    monkeypatch.setattr(conduct, "resume", None)
    before = {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
    arguments = ["--resume", "latest", "--dry-run", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(run, arguments, obj=Context())
    assert done.exit_code == 0, done.exception
    first, machine, *steps, outlook = done.output.splitlines()
    assert first == "1 cells, 1 boots, 1 steps"
    assert outlook.startswith("about ")
    assert machine.startswith("boot 1: deterministic")
    assert [step.partition(":")[0] for step in steps] == ["  host"]
    assert {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()} == before


def test_the_first_facts_stay_and_costs_add_up(
    begin: Callable[[int], tuple[Project, RunFolder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "git_facts", lambda _: {"revision": "a" * 40, "dirty": False})
    project, journal = begin(1)
    before = journal.read_run().facts()
    assert (before["status"], before["cause"]) == ("error", "KeyboardInterrupt: ")
    monkeypatch.setattr(provenance, "git_facts", lambda _: {"revision": "b" * 40, "dirty": True})
    assert resume(project, journal) == 0
    after = journal.read_run().facts()
    for name in ("git", "testbed", "tools", "host", "started_utc", "artifacts", "cells"):
        assert after[name] == before[name]
    assert [(each["revision"], each["dirty"]) for each in after["resumed"]] == [("b" * 40, True)]
    assert "cause" not in after
    assert (before["cost"]["parts"]["measure"], after["cost"]["parts"]["measure"]) == (10.0, 20.0)
    assert after["cost"]["wall_s"] >= before["cost"]["wall_s"]
    assert after["cost"]["steps"] == 2
    assert after["tools"]["qemu"] == "10.0.13 (Debian 1)"


def test_a_killed_invocation_costs_what_its_steps_did(begin: Callable[[int], tuple[Project, RunFolder]]) -> None:
    project, journal = begin(1)
    run = journal.read_run().facts()
    run.pop("cost")  # kill -9 leaves no word in run.yaml
    journal.write_run(run)
    assert resume(project, journal) == 0
    assert journal.read_run().cost.parts["measure"] == 20.0


def test_resuming_a_finished_run_changes_nothing(begin: Callable[[int], tuple[Project, RunFolder]]) -> None:
    project, journal = begin(99)
    before = {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
    assert resume(project, journal) == 0
    assert {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()} == before


def test_another_stack_is_refused_and_nothing_written(
    begin: Callable[[int], tuple[Project, RunFolder]], stack: dict[str, str], tmp_path: Path
) -> None:
    project, journal = begin(1)
    before = {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
    stack["kernel"] = "k2"
    with pytest.raises(UsageError, match=r"begun with another stack; what differs: kernel$") as caught:
        resume(project, journal)
    assert "same --testbed" in str(caught.value.hint)
    stack["kernel"] = "k1"
    other = tmp_path / "testbed.yaml"
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    other.write_text(text.replace("  cpus: 2\n", "  cpus: 4\n"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"what differs: testbed: machine$"):
        resume(Project.open(other), journal)
    (tmp_path / "mine.tflite").write_bytes(tiny_model.identity(5, scale=0.5))
    with pytest.raises(UsageError, match=r"what differs: model mine$"):
        resume(project, journal)
    assert {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ([], False),
        ([("boot-begin", None)], True),
        ([("boot-begin", None), ("boot", "ok")], True),
        ([("boot-begin", None), ("boot", "error")], False),
        ([("boot-begin", None), ("boot", "ok"), ("down", "ok")], False),
        ([("boot-begin", None), ("boot", "ok"), ("down", "error")], True),
    ],
)
def test_resuming_takes_down_what_the_run_left(
    begin: Callable[[int], tuple[Project, RunFolder]],
    monkeypatch: pytest.MonkeyPatch,
    told: list[tuple[str, str | None]],
    ours: bool,
) -> None:
    project, journal = begin(1)
    for event, outcome in told:
        about = {"outcome": outcome, "seconds": 1.0} if outcome else {"boot": 0, "boot_id": 0, "machine": "m"}
        journal.shard(0).log.add(event, **about)
    downs: list[str] = []
    keys = SimpleNamespace(ensure=lambda: None)
    bed = SimpleNamespace(running=lambda: {"ssh_port": 1}, down=lambda: downs.append("down"), keys=keys)
    monkeypatch.setattr(conduct, "Testbed", lambda *_: bed)
    if ours:
        assert resume(project, journal) == 0
    else:
        with pytest.raises(UsageError, match="is up, and a run boots machines of its own"):
            resume(project, journal)
    assert downs == ["down"] * ours


def test_other_inputs_are_refused_and_nothing_written(
    begin: Callable[[int], tuple[Project, RunFolder]], tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs.npy"
    inputs.write_bytes(b"one")
    more = "inputs: {files: [inputs.npy]}\noutput: topk\ntop: 3\n"
    (tmp_path / "w.yaml").write_text(TEXT + more, encoding="utf-8")
    project, journal = begin(1)
    (cell,) = journal.read_run().cells
    assert (cell.top, len(str(cell.inputs_sha256))) == (3, 64)
    before = {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()}
    inputs.write_bytes(b"other")
    with pytest.raises(UsageError, match=r"what differs: inputs\.files$"):
        resume(project, journal)
    inputs.unlink()
    with pytest.raises(UsageError, match=r"inputs\.files: .*/inputs\.npy: cannot be read: No such file"):
        resume(project, journal)
    inputs.write_bytes(b"one")
    saved = journal.folder / "workload.yaml"
    text = saved.read_text(encoding="utf-8")
    saved.write_text(text.replace("top: 3", "top: 4").replace("mean: 0.0", "mean: 1.0"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"what differs: top, inputs\.mean$"):
        resume(project, journal)
    saved.write_text(text, encoding="utf-8")
    assert {path: path.read_bytes() for path in journal.folder.rglob("*") if path.is_file()} == before
    old = journal.read_run().facts()
    for each in (old, *old["cells"]):
        for name in ("input_files", "top", "inputs_sha256"):
            each.pop(name, None)
    journal.write_run(old)
    assert resume(project, journal) == 0


def test_the_saved_testbed_means_the_same_elsewhere(tmp_path: Path) -> None:
    """Its relative paths started at the folder of the user's file."""
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/rmm.img").write_bytes(b"rmm")
    (tmp_path / "here/vmm").write_bytes(b"vmm")
    user = tmp_path / "here/testbed.yaml"
    vmm = "  vmm: {command: /usr/lib/vmm/vmm, worlds: [vm], files: [vmm]}\n"
    user.write_text(f"{text}stack:\n  rmm: rmm.img\n{vmm}", encoding="utf-8")
    project = Project.open(user)
    saved = tmp_path / "testbed.yaml"
    saved.write_text(provenance.testbed_text(project), encoding="utf-8")
    again = Project.open(saved)
    assert again.config.stack.rmm == tmp_path / "here/rmm.img"
    assert again.vmm_files() == project.vmm_files()
    assert again.config.model_dump(exclude={"stack"}) == project.config.model_dump(exclude={"stack"})


def test_the_script_uses_the_saved_testbed(tmp_path: Path) -> None:
    """Run with a program in orch's place that says what it was given."""
    program = tmp_path / ".venv/bin/orch"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = tmp_path / "run of mine" / "reproduce.sh"
    script.parent.mkdir()
    script.write_text(provenance.reproduce_script("abc", tmp_path), encoding="utf-8")
    said = subprocess.run(["sh", script, "--keep"], capture_output=True, text=True, check=True, cwd="/")
    folder = script.parent
    assert said.stdout.strip() == f"--testbed {folder}/testbed.yaml run {folder}/workload.yaml --keep"
    assert "the checkout is at" in said.stderr


def test_artifacts_are_all_that_is_built() -> None:
    zoo = Zoo.load(ROOT)
    graph = Project.open(ROOT / "testbed.yaml").graph()
    made = next(name for name, model in zoo.models.items() if not model.shipped)
    models = [zoo.get("fashion_cnn", "int8"), zoo.get(made, next(iter(zoo.describe(made).files)))]
    wanted = {SubjectKey(model.name, str(model.quantization), "none", "litert"): model for model in models}
    labels = set(nodes_of(graph, wanted, attacked=True))
    assert {"runner", "oracle", "attack", "attack:arch=amd64"} <= labels
    assert any(models[1].node == label.partition(":")[0] for label in labels)
    assert models[0].dataset is not None
    assert models[0].dataset.node in {label.partition(":")[0] for label in labels}
    assert "attack" not in nodes_of(graph, wanted)


def test_costs_are_those_of_all_invocations() -> None:
    costs = Costs({"wall_s": 100.0, "build_s": 1.0, "parts": {"build": 1.0, "boot": 5.0}})
    with costs.spent_on("measure"):
        pass
    table = costs.as_table()
    assert 100.0 <= table["wall_s"] < 101.0
    assert set(table["parts"]) == {"build", "boot", "measure"}
    assert table["parts"]["boot"] == 5.0


def test_a_rebuilt_file_is_judged_by_its_answers_to_the_inputs(tmp_path: Path) -> None:
    asked: list[Execution] = []

    scores = TensorDescription(name="s", type="UINT8", shape=(1, 3), bytes=3)

    def answer(what: Execution, _description: object) -> Expected:
        asked.append(what)
        return Expected((scores,), ((b"\0\1\0",), (b"\0\0\1",), (b"\1\0\0",)), ())

    tensors: Any = Tensors(b"", 3, labels=((1,), (5, 2), (3,)))
    oracle = SimpleNamespace(expect=answer, describe=lambda _: None)
    about: dict[str, Any] = {"key": None, "model": None, "deployable": None, "oracle": oracle}
    subject = Subject(sha256="0a", inputs=tmp_path / "i", tensors=tensors, expected=None, **about)
    assert subject.accuracy(tmp_path / "rebuilt") == (2, 3)
    (what,) = asked
    assert (what.model, what.inputs, what.iterations) == (str(tmp_path / "rebuilt"), str(tmp_path / "i"), 3)


def test_one_worker_that_is_pinned_is_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an arm of one worker can be compared with one of two."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    project = Project.open(ROOT / "testbed.yaml")
    workload = load(project.root / "workloads/smoke.yaml", Workload)
    run_folder = RunFolder.create(tmp_path / "results", "w")
    for pin, kind in ((True, Processes), (False, Inline)):
        conductor = conduct.Conductor(
            project, workload, project.root / "workloads/smoke.yaml", run_folder, Silent(), RunOptions(pin=pin)
        )
        assert isinstance(conductor._scheduler(), kind)


def repository(folder: Path) -> str:
    """Make one with a commit; returns its revision."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@y"]
    folder.mkdir(exist_ok=True)
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], check=True, env=own)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True, env=own
    ).stdout.strip()


@pytest.mark.parametrize("variable", [None, "GIT_DIR"])
@pytest.mark.parametrize("name", ["inner", "in ner#%"])
def test_no_foreign_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, name: str) -> None:
    """Of a repository around the checkout, or of one that a variable names."""
    outer = repository(tmp_path / "outer")
    checkout = tmp_path / "outer" / name
    checkout.mkdir()
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "outer/.git"))
    assert provenance.git_facts(checkout) == {"revision": None, "dirty": None}
    script = provenance.reproduce_script(None, checkout).replace("exec ", "true ")
    told = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True, env={**os.environ})
    assert outer not in told.stderr
    assert "the checkout is at unknown now" in told.stderr
    own = repository(checkout)
    assert provenance.git_facts(checkout) == {"revision": own, "dirty": False}
    script = provenance.reproduce_script(own, checkout).replace("exec ", "true ")
    assert subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stderr == ""
