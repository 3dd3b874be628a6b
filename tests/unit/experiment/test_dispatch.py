# SPDX-License-Identifier: Apache-2.0
"""Boots done by any number of workers in any order, and by workers that are lost: the same tables, nothing doubled."""

from __future__ import annotations

import csv
import io
import itertools
import random
from pathlib import Path

import pytest
from jobs import a_job

from orchestrator.build.progress import Silent
from orchestrator.errors import EnvError
from orchestrator.experiment.dispatch import LOSSES_MAX, Dispatcher
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import plan
from orchestrator.experiment.scheduler import Outcome
from orchestrator.runs.events import JobLost
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.merge import is_stale, merge
from orchestrator.runs.observation import Observation
from orchestrator.runs.outputs import OUTPUTS, check_equal, compare_boots
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import PRIVACY, SAMPLES, Shard
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.words import INFER, Component, Method

TEXT = "name: w\nmodels: [a, b]\nboots: 4\nticks: [{host_hz: 100}, {host_hz: 1000}]\n"
MOMENT = "2026-01-01T00:00:00Z"


class Pool:
    """Workers that write what a machine would give, a step a turn, in an order that chance decides.

    `lose` says after how many steps of its life a job's worker is lost, by the job's index, once for each entry.
    """

    def __init__(self, slots: int, seed: int, lose: dict[int, list[int]] | None = None) -> None:
        self.slots = slots
        self.rng = random.Random(seed)
        self.lose = lose or {}
        self.running: list[tuple[BootJob, Shard, list[int]]] = []
        self.closed = False

    def start(self, job: BootJob, shard: Shard) -> None:
        assert len(self.running) < self.slots
        assert shard not in [each for _, each, _ in self.running]
        shard.log.add("boot-begin", boot=job.boot.number, boot_id=job.facts.boot_id, machine=job.boot.machine.label)
        self.running.append((job, shard, self.lose.get(job.index, [])))

    def wait(self) -> Outcome:
        while True:
            entry = job, shard, lose = self.rng.choice(self.running)
            left = [step for step in job.boot.steps if step.key not in shard.done()]
            rows = RowMaker(shard, job.facts, began=MOMENT)
            if lose and lose[0] <= len(job.boot.steps) - len(left):
                lose.pop(0)
                if left:  # killed within its next step
                    rows.step(left[0], [Observation(INFER, Component.ALL, "instructions", 99, Method.TCG_PLUGIN, 0)])
                self.running.remove(entry)
                return Outcome(job, lost="SIGKILL")
            if not left:
                self.running.remove(entry)
                return Outcome(job)
            step = left[0]
            count = hash_of(step.key)
            rows.step(step, [Observation(INFER, Component.ALL, "instructions", count, Method.TCG_PLUGIN, 0)])
            check_equal([{"label": 1}], shard.folder / OUTPUTS / f"{step.cell.cell_id}.jsonl")
            shard.step_done(step.key, status="ok", boot_id=job.facts.boot_id, world=step.world)

    def close(self) -> None:
        self.closed = True


def hash_of(text: str) -> int:
    return sum(text.encode()) * 1000


def make_run(tmp_path: Path, pool: Pool, name: str = "w") -> RunFolder:
    workload = loads(TEXT, "w.yaml", Workload)
    run = RunFolder.create(tmp_path / f"results-{name}", name)
    boots = plan(workload)
    jobs = [a_job(workload, boot, index) for index, boot in boots.items()]
    Dispatcher(run, pool, Silent(), len(boots)).work(jobs)
    merge(run.folder)
    return run


def table(run: RunFolder) -> bytes:
    return (run.folder / SAMPLES).read_bytes()


def test_tables_are_the_same_whatever_the_workers_and_their_order(tmp_path: Path) -> None:
    one = table(make_run(tmp_path, Pool(1, 0), "one"))
    assert one.count(b"\n") == 1 + 8 * 2 * 3  # boots, models, worlds
    for slots, seed in itertools.product((2, 3, 8), range(5)):
        run = make_run(tmp_path, Pool(slots, seed), f"{slots}-{seed}")
        assert table(run) == one
        assert sorted(path.name for path in (run.folder / OUTPUTS).iterdir()) == sorted(
            {f"{key.partition('/')[0]}.jsonl" for key in run.steps()}
        )


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_workers_steps_are_done_again_and_no_others(tmp_path: Path, seed: int) -> None:
    lose = {0: [2], 3: [0, 1], 7: [5]}
    pool = Pool(2, seed, lose)
    run = make_run(tmp_path, pool)
    assert not run.failures()
    assert len(run.done()) == 8 * 2 * 3
    rows = list(csv.DictReader(io.StringIO(table(run).decode())))
    assert len(rows) == len({(row["cell_id"], row["world"], row["seed"]) for row in rows}) == 48
    assert not any(row["value"] == "99" for row in rows)
    # What was finished before the loss keeps its boot; what came after has one that no other boot has.
    of_first = [row["boot_id"] for row in rows if row["boot_id"] in {"0", "8"}]
    assert of_first == ["0"] * 2 + ["8"] * 4
    assert [each.losses for each in run.log.of(JobLost) if each.shard == "boot-003"] == [1, 2]


def test_a_job_whose_workers_are_always_lost_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    run = make_run(tmp_path, Pool(2, 1, {2: [1, 1, 1, 1, 1, 1]}))
    failed = {key: facts for key, facts in run.steps().items() if facts.status == "error"}
    assert len(failed) == 3  # of six: one was done before each loss
    assert {facts.note for facts in failed.values()} == {
        f"its worker was lost {LOSSES_MAX} times; the last time: SIGKILL"
    }
    assert run.failures() == 3
    assert table(run).count(b",error,") == 3
    run.repair()
    merge(run.folder)
    assert b",error," not in table(run)


def test_what_is_refused_ends_the_run_and_its_workers(tmp_path: Path) -> None:
    class Refusing(Pool):
        def wait(self) -> Outcome:
            return Outcome(self.running.pop()[0], refused=EnvError("another orch"))

    pool = Refusing(2, 0)
    with pytest.raises(EnvError, match="another orch"):
        make_run(tmp_path, pool)
    assert pool.closed


def test_boots_whose_outputs_differ_are_retracted(tmp_path: Path) -> None:
    run = make_run(tmp_path, Pool(2, 0))
    shard = run.shards()[2]
    path = sorted((shard.folder / OUTPUTS).iterdir())[0]
    path.write_text('{"label": 2}\n', encoding="utf-8")
    retracted = compare_boots(run)
    assert retracted == sorted(key for key in shard.steps() if key.startswith(f"{path.stem}/"))
    assert run.failures() == 3
    assert compare_boots(run) == []


def test_a_table_is_stale_when_a_shard_has_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, Pool(1, 0))
    assert not is_stale(run.folder)
    run.shard(0).log.add("warning", step="x", text="y")
    assert is_stale(run.folder)
    merge(run.folder)
    assert not is_stale(run.folder)
    assert b'"text": "y"' in (run.folder / "events.jsonl").read_bytes()


def test_a_run_without_shards_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / SAMPLES).write_text("old\n", encoding="utf-8")
    merge(tmp_path)
    assert (tmp_path / SAMPLES).read_text(encoding="utf-8") == "old\n"


def test_a_shard_that_is_being_written_counts_as_far_as_it_is_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path, Pool(1, 0))
    before = table(run)
    with (run.shard(7).folder / SAMPLES).open("ab") as stream:
        stream.write(b"torn,li")
    merge(run.folder)
    assert table(run) == before
    assert not (run.folder / PRIVACY).exists()
