# SPDX-License-Identifier: Apache-2.0
"""The mirror of a shard can be repaired at every moment, like the shard itself."""

from __future__ import annotations

import csv
import shutil
import threading
from pathlib import Path

import pytest
from jobs import a_job

from orchestrator.errors import EnvError
from orchestrator.experiment.cluster.tail import PIECE, Mirror, Tail, sent
from orchestrator.experiment.plan import plan
from orchestrator.runs.events import EVENTS
from orchestrator.runs.observation import Observation
from orchestrator.runs.rows import RowMaker
from orchestrator.runs.shard import SAMPLES, Shard
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads
from orchestrator.words import INFER, Component, Method

WORKLOAD = loads("name: w\nmodels: [a, b]\nworlds: [vm, realm]\n", "w.yaml", Workload)


class Pair:
    """A shard on a worker and its mirror, each with a copy of the other's beginnings."""

    def __init__(self, tmp_path: Path) -> None:
        self.far, self.near = Shard(tmp_path / "far"), Shard(tmp_path / "near")
        self.far.make()
        self.near.make()
        self.tail, self.mirror = Tail(self.far.folder), Mirror(self.near.folder)
        job = a_job(WORKLOAD, plan(WORKLOAD)[0], 0)
        self.steps, self.rows = list(job.boot.steps), RowMaker(self.far, job.facts)

    def do(self, number: int, count: int = 1) -> None:
        step = self.steps[number]
        self.rows.step(step, [Observation(INFER, Component.ALL, "instructions", count, Method.TCG_PLUGIN, 0)])
        self.far.step_done(step.key, status="ok", boot_id=0, world=step.world)

    def tell(self) -> None:
        for change in self.tail.changes():
            self.mirror.apply(change)

    def same(self) -> bool:
        names = [path.relative_to(self.far.folder) for path in self.far.folder.rglob("*") if path.is_file()]
        return all((self.near.folder / name).read_bytes() == (self.far.folder / name).read_bytes() for name in names)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_what_is_appended_arrives_once(pair: Pair) -> None:
    pair.do(0)
    pair.tell()
    pair.do(1)
    (pair.far.console / "uart0.log").write_bytes(b"x" * (2 * PIECE + 5))
    pair.tell()
    pair.tell()
    assert pair.same()
    assert len(pair.near.done()) == 2


def test_every_prefix_of_what_is_told_can_be_repaired(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    changes = []
    for number in range(4):
        pair.do(number, count=number)
        changes += pair.tail.changes()
    pair.far.retract(pair.steps[1].key, "worth nothing")
    changes += pair.tail.changes()
    assert any(change.get("fresh") for change in changes)
    for length in range(len(changes) + 1):
        near = Shard(tmp_path / f"near-{length}")
        near.make()
        mirror = Mirror(near.folder)
        for change in changes[:length]:
            mirror.apply(change)
        near.repair()
        found = list(csv.DictReader((near.folder / SAMPLES).open())) if (near.folder / SAMPLES).exists() else []
        assert len(found) == len(near.done())
        assert len({(row["cell_id"], row["world"]) for row in found}) == len(found)


def test_a_table_that_is_rewritten_while_it_is_told_of_is_announced_first(pair: Pair) -> None:
    pair.do(0)
    over = threading.Event()

    def write() -> None:
        for _ in range(60):
            pair.do(1)
            pair.far.retract(pair.steps[1].key, "again")
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    told = 0
    while not over.is_set():
        pair.tell()
        told += 1
        copy = Shard(pair.near.folder.with_name("copy"))
        shutil.rmtree(copy.folder, ignore_errors=True)
        shutil.copytree(pair.near.folder, copy.folder)
        if (copy.folder / EVENTS).exists():
            copy.repair()
            assert pair.steps[0].key in copy.done()
    writer.join()
    pair.tell()
    assert pair.same()
    assert told > 3


def test_a_mirror_goes_on_with_what_was_there(pair: Pair, tmp_path: Path) -> None:
    pair.do(0)
    pair.tell()
    (pair.near.folder / "worker.log").write_text("of the first\n", encoding="utf-8")
    (pair.near.console / "boot0.log").write_text("said\n", encoding="utf-8")
    assert sorted(path.name for path in sent(pair.near.folder)) == [EVENTS, SAMPLES]
    other = Pair.__new__(Pair)
    other.far, other.near = Shard(tmp_path / "third"), pair.near
    other.far.make()
    for path in sent(pair.near.folder):
        shutil.copyfile(path, other.far.folder / path.name)
    other.tail, other.mirror = Tail(other.far.folder), Mirror(pair.near.folder)
    other.tail.adopt()
    other.steps, other.rows = pair.steps, RowMaker(other.far, pair.rows.facts)
    (other.far.folder / "worker.log").write_text("of the second\n", encoding="utf-8")
    other.do(1)
    other.tell()
    assert len(pair.near.done()) == 2
    assert (pair.near.folder / "worker.log").read_text(encoding="utf-8") == "of the first\nof the second\n"


@pytest.mark.parametrize("change", [{"name": EVENTS, "at": 5, "data": b"x"}, {"name": "../x", "at": 0, "data": b""}])
def test_what_does_not_fit_is_refused(pair: Pair, change: dict[str, object]) -> None:
    with pytest.raises(EnvError):
        pair.mirror.apply(change)
