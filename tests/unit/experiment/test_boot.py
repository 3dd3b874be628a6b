# SPDX-License-Identifier: Apache-2.0
"""What a run does with machines that fail, attacks that fail and twins that differ, and what resuming makes of it."""

from __future__ import annotations

import csv
import errno
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobs import a_job

from orchestrator.build.progress import Silent
from orchestrator.errors import BootError, EnvError, OrchError, UsageError
from orchestrator.experiment import boot as boot_module
from orchestrator.experiment.attacks import Attacks
from orchestrator.experiment.boot import BootRun
from orchestrator.experiment.dispatch import Dispatcher
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import plan
from orchestrator.experiment.scheduler import Outcome
from orchestrator.experiment.stage import Counted
from orchestrator.experiment.steps import Steps
from orchestrator.models.record import RunnerRecord
from orchestrator.privacy.attack import AttackMetric, LiveAttack, Need, Victim, find_attack
from orchestrator.privacy.rows import About
from orchestrator.registry import ATTACKS
from orchestrator.runs.costs import Costs
from orchestrator.runs.events import Event, Warned
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.matrix import Step
from orchestrator.runs.merge import merge
from orchestrator.runs.observation import Observation
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import PRIVACY, SAMPLES, Shard
from orchestrator.schema.samples import PrivacyRow
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.words import World as GuestWorld

ROW = Observation("infer", "all", "instructions", 7, "tcg_plugin", 0)
WORDS = "name: w\nmodels: fashion_cnn\n"
ALL = "attacks: [plain-channel, dma, memory-scan]\n"


@dataclass
class Machine:
    """Stands for testbed, stage and guests at once; `said` is all that was done, in order."""

    folder: Path
    said: list[str] = field(default_factory=list)
    alive: bool = True
    no_guest: set[str] = field(default_factory=set)
    no_model: set[str] = field(default_factory=set)
    prints: dict[str, str] = field(default_factory=dict)
    packets: int = 0
    no_boot: OrchError | None = None
    bundles: dict[str, Path] = field(default_factory=dict)
    linked: bool = False
    lives: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))

    # --- the testbed ---

    def up(self, _options: object) -> None:
        if self.no_boot is not None:
            raise self.no_boot
        self.alive = True
        self.said.append("up")

    def down(self) -> None:
        assert not self.linked
        self.said.append("down")

    def console_logs(self) -> dict[str, Path]:
        self.said.append("consoles")
        return {}

    @property
    def instance(self) -> Any:
        return SimpleNamespace(status=lambda: SimpleNamespace(alive=self.alive))

    @property
    def guests(self) -> Any:
        record = SimpleNamespace(guest=lambda _: {"run": 1}, folder=self.folder)
        return SimpleNamespace(start=self.start, stop=self.stop, record=record, attestation=lambda _: None)

    def start(self, name: object, options: Any) -> None:
        if str(name) in self.no_guest:
            raise BootError(f"no {name}")
        self.said.append(f"start {name} {options.memory_mib}")

    def stop(self, name: object) -> None:
        assert not self.linked
        self.said.append(f"stop {name}")

    # --- the stage ---

    def close(self) -> None:
        self.linked = False

    @property
    def bed(self) -> Machine:
        return self

    @property
    def links(self) -> Any:
        return SimpleNamespace(hang_up=lambda: setattr(self, "linked", False))

    def take_base(self) -> int:
        return 1

    def granules(self) -> int:
        return 9

    def deploy_runner(self, world: str, bundle: Path) -> None:
        self.bundles[world] = bundle

    def need_runner(self, world: str, bundle: Path) -> None:
        self.bundles[world] = bundle

    def deploy_model(self, world: str, _model: object, _inputs: object) -> dict[str, str]:
        if world in self.no_model:
            raise OrchError(f"no copy to the {world}")
        self.linked = True
        self.said.append(f"deploy {world}")
        return {"model.tflite": "ab"}

    def runtime_of(self, _bundle: Path) -> dict[str, str]:
        return {"runtime_root": "cd"}

    def count(self, what: Any, world: str, _say: object) -> Counted:
        self.linked = True
        self.said.append(f"measure {what.cell.model} {world}")
        record = RunnerRecord(0, (), {"rx_packets_during": self.packets})
        return Counted((), record, {}, ("packets arrived",) if self.packets else ())

    def check(self) -> None:
        """Nothing was counted wrongly."""

    def look(self) -> tuple[()]:
        return ()

    def fingerprint(self, world: str) -> dict[str, str]:
        return {"cpus": "1", "cmdline": self.prints.get(world, "same")}


class Fake:
    """Does boots of a run one after the other on the fake machine, as `Inline` does on a real one."""

    slots = 1

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs: list[tuple[BootJob, Shard]] = []

    def start(self, job: BootJob, shard: Shard) -> None:
        self.jobs.append((job, shard))

    def wait(self) -> Outcome:
        job, shard = self.jobs.pop()
        attacks = Attacks(job.workload, job.cells, job.facts.run_id, job.scratch)
        steps = Steps(job, shard, RowMaker(shard, job.facts), attacks, Silent(), Costs(shard.cost()))
        BootRun(job, self.world.machine, shard, steps, Silent()).run()  # type: ignore[arg-type]
        return Outcome(job)

    def close(self) -> None:
        """Nothing runs."""


class World:
    """A run of a workload on a fake machine, which can be run again as `--resume` does."""

    def __init__(self, tmp_path: Path, text: str) -> None:
        self.workload = loads(text, "w.yaml", Workload)
        self.machine = Machine(tmp_path)
        self.folder = RunFolder.create(tmp_path / "results", "w")
        self.keep = False
        self.foreign = False

    def run(self) -> int:
        boots = plan(self.workload)
        jobs = [
            a_job(self.workload, boot, index, keep=self.keep and index == max(boots)) for index, boot in boots.items()
        ]
        jobs = [replace(job, foreign_monitor=self.foreign) for job in jobs]
        Dispatcher(self.folder, Fake(self), Silent(), len(boots)).work(jobs)
        merge(self.folder.folder)
        return self.folder.failures()

    def resume(self) -> int:
        self.folder.repair()
        self.machine.said.clear()
        return self.run()

    def statuses(self) -> dict[str, str]:
        return {key.partition("/")[2]: facts.status for key, facts in self.folder.steps().items()}

    def notes(self) -> dict[str, str | None]:
        return {key.partition("/")[2]: facts.note for key, facts in self.folder.steps().items()}

    def events(self) -> list[Event]:
        return [each for shard in self.folder.shards() for each in shard.log.read()]

    def table(self, name: str) -> list[dict[str, str]]:
        path = self.folder.folder / name
        with path.open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def measured(self) -> list[str]:
        """Worlds of ok rows of inferences, each once if nothing is doubled."""
        return sorted(row["world"] for row in self.table(SAMPLES) if row["status"] == "ok" and row["phase"] == "infer")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], World]:
    monkeypatch.setattr(boot_module, "_TEARDOWN_LOOKS", 1)
    monkeypatch.setattr(boot_module, "_LOOK", 0)
    monkeypatch.setattr(boot_module, "Stage", SimpleNamespace(on=lambda bed, **_: bed))
    monkeypatch.setattr(Steps, "_check", lambda *_: [ROW])

    done = Attacks.run

    def attack(self: Attacks, name: str, bed: Any, step: Step, subject: Any) -> list[PrivacyRow]:
        if name not in ("memory-scan", "dma", "plain-channel"):
            return done(self, name, bed, step, subject)
        bed.said.append(f"{name} {step.cell.model} {step.world} {step.cell.guest.memory_mib}")
        if name in broken:
            bed.alive = broken[name]
            raise OrchError("it broke")
        about = About(step.world, step.cell.model, step.cell.quantization, cell_id=step.cell.cell_id)
        return [about.row(name, find_attack(name).main.name, value=0)]

    broken: dict[str, bool] = {}
    monkeypatch.setattr(Attacks, "run", attack)

    def made(text: str) -> World:
        world = World(tmp_path, text)
        world.broken = broken  # type: ignore[attr-defined]
        return world

    return made


def test_no_search_comes_after_what_it_would_find(make: Callable[[str], World]) -> None:
    """Two kinds of guests, two models, two outputs: a search in a realm must find nothing of an earlier deployment."""
    text = "name: w\nmodels: [a, b]\nmemory_mib: [128, 256]\noutput: [scores, label]\n" + ALL
    world = make(text)
    assert world.run() == 0
    said = world.machine.said
    realm = [each for each in said if each.startswith("memory-scan") and " realm " in each]
    assert len(realm) == 8  # each cell
    last = max(said.index(each) for each in realm)
    assert last < min(place for place, each in enumerate(said) if each.startswith("deploy vm"))
    plain = [each for each in said if each.startswith("plain-channel")]
    assert plain == ["plain-channel a realm 256", "plain-channel b realm 256"]
    assert last < said.index(plain[0])
    assert [each for each in said if each.startswith("dma")] == ["dma a realm 256", "dma b realm 256"]


@pytest.mark.parametrize("name", ["memory-scan", "plain-channel"])
def test_a_failed_attack_fails_its_step_which_is_repeated(make: Callable[[str], World], name: str) -> None:
    world = make(WORDS + ALL + "worlds: [realm, host]\n")
    world.broken[name] = True  # type: ignore[attr-defined]
    assert world.run() == (2 if name == "memory-scan" else 1)
    assert world.statuses()["realm/0"] == "error"
    assert world.measured() == ["host", "realm"]  # the measurement before it is there
    (row,) = (row for row in world.table(PRIVACY) if row["status"] == "error" and row["world"] == "realm")
    assert (row["attack"], row["note"]) == (name, "it broke")
    # Those that it did not come to, and only these, have rows as well.
    left = {"memory-scan": ["dma", "plain-channel"], "plain-channel": []}[name]
    skipped = [(row["world"], row["attack"], row["note"]) for row in world.table(PRIVACY) if row["status"] == "skipped"]
    assert skipped == [("realm", each, f"not done: the step has failed: attack {name}: it broke") for each in left]
    world.broken.clear()  # type: ignore[attr-defined]
    assert world.resume() == 0
    assert set(world.statuses().values()) == {"ok"}
    assert world.measured() == ["host", "realm"]
    found = [(row["world"], row["attack"], row["status"]) for row in world.table(PRIVACY)]
    assert sorted(found) == [
        ("host", "memory-scan", "ok"),
        *(("realm", each, "ok") for each in ("dma", "memory-scan", "plain-channel")),
    ]


def test_a_machine_that_dies_in_an_attack_leaves_the_samples_before_it(make: Callable[[str], World]) -> None:
    world = make(WORDS + ALL)
    world.broken["memory-scan"] = False  # type: ignore[attr-defined]
    assert world.run() == 3
    assert set(world.statuses().values()) == {"error"}
    assert world.measured() == ["realm"]
    assert world.machine.said[-1] == "down"
    assert sorted(map(str, world.notes().values())) == [
        "attack memory-scan: it broke",
        "the machine ended",
        "the machine ended",
    ]


@pytest.mark.parametrize("broken", ["no model", "no guest", "no machine", "twins"])
def test_what_a_failed_step_was_to_be_attacked_with_is_on_record(make: Callable[[str], World], broken: str) -> None:
    """In each world that failed, once; and no more when the step was repeated."""
    world = make(WORDS + ALL + "boots: 2\n")
    machine = world.machine
    if broken == "no machine":
        machine.no_boot = BootError("no machine")
    elif broken == "twins":
        machine.prints["vm"] = "other"
    else:
        (machine.no_model if broken == "no model" else machine.no_guest).add("realm")
    assert world.run() > 0
    failed = {key.rpartition("/")[0] for key, status in world.statuses().items() if status != "ok"}
    found = [(row["world"], row["attack"]) for row in world.table(PRIVACY) if row["status"] == "skipped"]
    realm = [("realm", each) for each in ("memory-scan", "dma", "plain-channel")]
    others = [(each, "memory-scan") for each in ("vm", "host") if each in failed]
    assert sorted(found) == sorted(realm + others)
    machine.no_boot = None
    for each in (machine.prints, machine.no_model, machine.no_guest):
        each.clear()
    assert world.resume() == 0
    rows = [(row["world"], row["attack"], row["status"]) for row in world.table(PRIVACY)]
    expected = [*realm, ("vm", "memory-scan"), ("host", "memory-scan")]
    assert sorted(rows) == sorted((*each, "ok") for each in expected)


def test_an_attack_from_elsewhere_is_done_in_its_turn(make: Callable[[str], World]) -> None:
    """A toy with a need that is not met in this run leaves a row, and does not fail its step."""

    def play(victim: Victim) -> list[PrivacyRow]:
        return [victim.about.row(name, "fun", value=3) for name in ["toy"]]

    fun = AttackMetric("fun", "how much", main=True)
    toy = LiveAttack(name="toy", summary="a toy", metrics=(fun,), worlds=(GuestWorld.REALM,), run=play)
    needy = LiveAttack(name="needy", summary="another", metrics=(fun,), needs=(Need.LABELS,), run=play)
    with ATTACKS.extended(toy, needy):
        world = make(WORDS + "attacks: [needy, plain-channel, toy]\n")
        assert world.run() == 0
        rows = [(row["attack"], row["world"], row["status"]) for row in world.table(PRIVACY)]
    assert rows == [
        ("toy", "realm", "ok"),
        ("needy", "realm", "skipped"),
        ("plain-channel", "realm", "ok"),
        ("needy", "vm", "skipped"),
        ("needy", "host", "skipped"),
    ]


def test_twins_that_differ_fail_both_and_not_the_host(make: Callable[[str], World]) -> None:
    world = make(WORDS)
    world.machine.prints["vm"] = "other"
    assert world.run() == 2
    assert world.statuses() == {"realm/0": "failed", "vm/0": "failed", "host/0": "ok"}
    assert world.measured() == ["host"]
    assert world.notes()["realm/0"] == "the twins differ: cmdline is 'other' in the vm, 'same' in the realm"
    world.machine.prints.clear()
    assert world.resume() == 0
    assert world.measured() == ["host", "realm", "vm"]


def test_under_a_foreign_monitor_a_difference_is_a_word_on_the_rows(make: Callable[[str], World]) -> None:
    """The first of the twins knows nothing of it yet, the host has no twin."""
    world = make(WORDS)
    world.foreign = True
    world.machine.prints["vm"] = "other"
    assert world.run() == 0
    assert world.measured() == ["host", "realm", "vm"]
    told = "under this monitor the twins differ: cmdline is 'other' in the vm, 'same' in the realm"
    notes = world.notes()
    assert sorted(note or "" for note in notes.values()) == ["", "", told]
    (second,) = (key.partition("/")[0] for key, note in notes.items() if note)
    assert second in {"realm", "vm"}
    rows = {row["world"]: row["note"] for row in world.table(SAMPLES) if row["phase"] == "infer"}
    assert rows == {each: told if each == second else "-" for each in ("realm", "vm", "host")}


def test_a_twin_of_an_earlier_invocation_is_compared(make: Callable[[str], World]) -> None:
    world = make(WORDS)
    world.machine.no_guest.add("vm")
    assert world.run() == 1
    assert world.statuses() == {"realm/0": "ok", "vm/0": "error", "host/0": "ok"}
    world.machine.no_guest.clear()
    world.machine.prints["vm"] = "other"
    assert world.resume() == 2
    assert world.statuses() == {"realm/0": "failed", "vm/0": "failed", "host/0": "ok"}
    assert world.measured() == ["host"]
    # Now neither has results, and what each saw then is of no account.
    world.machine.prints["realm"] = "other"
    assert world.resume() == 0
    assert world.measured() == ["host", "realm", "vm"]


def test_only_the_twin_of_its_kind_is_compared(make: Callable[[str], World]) -> None:
    world = make(WORDS + "memory_mib: [128, 256]\nworlds: [vm, realm]\n")
    kinds = iter(["128", "256", "128", "256"])
    world.machine.fingerprint = lambda _world: {"memory": next(kinds)}  # type: ignore[method-assign]
    assert world.run() == 0


def test_a_full_disk_takes_the_machine_down(make: Callable[[str], World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(WORDS)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BootRun, "_keep_consoles", full)
    with pytest.raises(OSError, match="No space"):
        world.run()
    assert world.machine.said[-1] == "down"


@pytest.mark.parametrize("error", [UsageError("it is up with other options"), EnvError("another orch (pid 7)")])
def test_a_machine_that_is_not_ours_stays_up_and_ends_the_run(make: Callable[[str], World], error: OrchError) -> None:
    world = make(WORDS + "boots: 2\n")
    world.machine.no_boot = error
    with pytest.raises(type(error)):
        world.run()
    assert world.machine.said == []
    assert world.statuses() == {}


def test_a_machine_that_does_not_come_up_costs_its_boot_and_keeps_its_console(make: Callable[[str], World]) -> None:
    world = make(WORDS)
    world.machine.no_boot = BootError("state 'kernel': not reached")
    assert world.run() == 3
    assert world.machine.said == ["consoles"]
    world.machine.no_boot = None
    assert world.resume() == 0
    assert world.machine.said[-2:] == ["consoles", "down"]


def test_a_failure_of_many_words_is_no_end(make: Callable[[str], World]) -> None:
    world = make(WORDS + "worlds: [vm, host]\n")
    world.machine.deploy_model = lambda *_: (_ for _ in ()).throw(OrchError("ä" * 9000))  # type: ignore[method-assign]
    assert world.run() == 2
    notes = [row["note"] for row in world.table(SAMPLES) if row["status"] == "error"]
    assert notes == ["ä" * 4095 + "…"] * 2


def test_keep_leaves_a_guest_up_although_the_host_comes_last(make: Callable[[str], World]) -> None:
    world = make(WORDS)
    world.keep = True
    assert world.run() == 0
    assert world.machine.said[-3:] == ["measure fashion_cnn host", "start realm 256", "deploy realm"]


def test_keep_lets_the_last_guest_be_where_no_host_follows(make: Callable[[str], World]) -> None:
    world = make(WORDS + "worlds: vm\n")
    world.keep = True
    assert world.run() == 0
    assert world.machine.said[-1] == "measure fashion_cnn vm"


def test_what_arrives_while_counting_is_told_and_is_no_failure(make: Callable[[str], World]) -> None:
    world = make(WORDS + "worlds: vm\n")
    world.machine.packets = 2
    assert world.run() == 0
    (step,) = world.folder.steps().values()
    assert (step.status, step.note) == ("ok", "packets arrived")
    assert [each.text for each in world.events() if isinstance(each, Warned)] == ["packets arrived"]
    fast = make(WORDS + "worlds: vm\ntiming: {mode: fast}\n")
    fast.machine.packets = 2
    assert fast.run() == 0
    assert not any(isinstance(each, Warned) for each in fast.events())


def test_a_step_that_fails_costs_itself(make: Callable[[str], World]) -> None:
    world = make(WORDS)
    world.machine.no_model.add("realm")
    assert world.run() == 1
    assert world.statuses() == {"realm/0": "error", "vm/0": "ok", "host/0": "ok"}
    world.machine.no_model.clear()
    assert world.resume() == 0
    assert [each for each in world.machine.said if each.startswith("measure")] == ["measure fashion_cnn realm"]
    assert world.measured() == ["host", "realm", "vm"]
