# SPDX-License-Identifier: Apache-2.0
"""Runs on a real Dask cluster on loopback, with a program that stands in for the emulator; whatever is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.build.cache import Cache
from orchestrator.experiment.board import read_board
from orchestrator.experiment.cluster.task import do
from orchestrator.machine.process import ProcessId
from orchestrator.runs.events import JobLost
from orchestrator.runs.folder import RunFolder

pytest.importorskip("distributed")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
STEPS = 16  # fake_client.py
GONE = 10.0  # s until nothing of a run may be left
LIMIT = 60.0  # s for anything else
KEY = "0b" * 32


@dataclass
class Scene:
    """A run, a cluster that holds the scheduler, and clients, each a process of its own."""

    folder: Path
    pace: float = 0.3
    cluster: subprocess.Popen[str] = field(init=False)
    clients: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pids = self.folder / "pids"
        self.pids.mkdir(parents=True)
        self.run = RunFolder(self.folder / "run")
        self.file = self.folder / "cluster.yaml"
        self.cluster = self.spawn("fake_cluster.py", self.folder / "dask", cache="workers")
        assert self.cluster.stdout is not None
        self.file.write_text(f"kind: address\naddress: {self.cluster.stdout.readline().strip()}\nwait: 30\n")

    def spawn(self, program: str, *arguments: Path, cache: str = "client") -> subprocess.Popen[str]:
        paths = os.pathsep.join(map(str, (ROOT, HERE, HERE.parent, HERE.parents[1] / "shared")))
        environment = os.environ | {
            "PYTHONPATH": paths,
            "XDG_CACHE_HOME": str(self.folder / f"cache-{cache}"),
            "FAKE_PIDS": str(self.pids),
            "FAKE_PACE": str(self.pace),
            "ORCH_EXTENSIONS": str(self.extension()) if cache == "client" else "",
        }
        return subprocess.Popen(
            [sys.executable, str(HERE / program), *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{program}.log").open("a"),
            text=True,
        )

    def extension(self) -> Path:
        """A file of the client's that registers something."""
        path = self.folder / "mine.py"
        path.write_text("# registers something\n", encoding="utf-8")
        return path

    def client(self, *model: Path) -> subprocess.Popen[str]:
        self.clients.append(self.spawn("fake_client.py", self.run.folder, self.file, *model))
        return self.clients[-1]

    def finish(self, client: subprocess.Popen[str]) -> str:
        said, _ = client.communicate(timeout=LIMIT)
        return said

    def steps(self) -> int:
        return sum(len(shard.done()) for shard in self.run.shards())

    def until(self, what: Callable[[], bool], limit: float = LIMIT) -> None:
        deadline = time.monotonic() + limit
        while not what():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def alive(self, kind: str = "") -> list[ProcessId]:
        found = [ProcessId.of(int(path.name.rpartition("-")[2])) for path in self.pids.glob(f"{kind}*")]
        return [each for each in found if each is not None and each.alive()]

    def shown(self) -> list[str]:
        """The workers of which `orch status` would say what step they do."""
        board = read_board(self.folder / "workers.json")
        return [each["worker"] for each in board["workers"] if " on " in each["doing"]] if board else []

    def in_the_middle(self, client: subprocess.Popen[str]) -> None:
        """A machine is up, and a step is on record here that was not before."""
        before = self.steps()
        self.until(lambda: client.poll() is not None or (bool(self.alive("machine")) and self.steps() > before))
        assert client.poll() is None, self.said()

    def said(self) -> str:
        """The end of what clients said."""
        return (self.folder / "fake_client.py.log").read_text()[-2000:]

    def check_whole(self) -> None:
        rows = list(csv.DictReader((self.run.folder / "samples.csv").open()))
        keys = {(row["cell_id"], row["world"], row["seed"], row["host_hz"], row["boot_id"]) for row in rows}
        assert {row["status"] for row in rows} == {"ok"}
        assert len(rows) == len(keys) == STEPS
        assert len({(row["cell_id"], row["world"], int(row["boot_id"]) % 4) for row in rows}) == STEPS
        assert self.run.failures() == 0

    def close(self) -> None:
        for process in (*self.clients, self.cluster):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.until(lambda: not self.alive(), GONE)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "scene")
    yield made
    made.close()


def an_artifact(scene: Scene) -> Path:
    """A file of an artifact that the client has and workers do not."""
    cache = Cache(scene.folder / "cache-client/orch")
    with cache.lock(KEY):
        scratch = cache.scratch(KEY)
        (scratch.out / "model").write_bytes(os.urandom(9 << 20))
        cache.commit(KEY, scratch, {"label": "model"})
    return cache.artifact(KEY) / "model"


def test_all_comes_home_and_a_lost_worker_costs_what_it_had_not_told(scene: Scene) -> None:
    model = an_artifact(scene)
    client = scene.client(model)
    scene.in_the_middle(client)
    scene.until(lambda: bool(set(scene.shown()) & {"worker 1", "worker 2"}))
    scene.until(lambda: bool(scene.alive("worker")))
    victim = scene.alive("worker")[-1]
    done = scene.run.done()
    os.kill(int((scene.pids / f"worker-{victim.pid}").read_text()), signal.SIGKILL)  # Dask's worker, its parent
    scene.until(lambda: not victim.alive(), GONE)
    assert "exit 0" in scene.finish(client)
    scene.check_whole()
    assert done <= scene.run.done()
    lost = scene.run.log.of(JobLost)
    assert [each.losses for each in lost] == [1], lost
    assert "gone" in lost[0].reason or "lost" in lost[0].reason
    consoles = sorted((scene.run.folder / "console").glob("boot*-uart0.log"))
    assert [path.read_text() for path in consoles] == ["# registers something\n"] * 4
    assert len(list((scene.run.folder / "outputs").glob("*.jsonl"))) == 4
    received = scene.folder / "cache-workers/orch" / KEY / "out/model"
    assert received.read_bytes() == model.read_bytes()
    assert not scene.alive()
    assert not (scene.folder / "workers.json").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_client_that_ends_leaves_nothing_and_can_be_resumed(scene: Scene, number: signal.Signals) -> None:
    client = scene.client()
    scene.in_the_middle(client)
    done = scene.run.done()
    client.send_signal(number)
    scene.until(lambda: not scene.alive(), GONE)
    client.wait(LIMIT)
    assert done <= scene.run.done()
    assert "exit 0" in scene.finish(scene.client())
    scene.check_whole()
    assert not scene.run.log.of(JobLost)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
def test_without_a_scheduler_nothing_goes_on(scene: Scene, number: signal.Signals) -> None:
    client = scene.client()
    scene.in_the_middle(client)
    scene.cluster.send_signal(number)
    scene.until(lambda: not scene.alive(), GONE)
    if number == signal.SIGKILL:  # one that stands still may go on
        said = scene.finish(client)
        assert "the Dask scheduler is gone" in said
        assert "exit 6" in said


@pytest.mark.long
def test_a_job_that_always_fails_is_an_error_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILS", "1")
    monkeypatch.setenv("FAKE_BOOTS", "1")
    scene = Scene(tmp_path / "scene")
    try:
        assert "exit 0" in scene.finish(scene.client())
        (note, _) = sorted({str(facts.note) for facts in scene.run.steps().values()})
        log = scene.run.shard(0).folder / "worker.log"
        assert note == f"its worker was lost 3 times; the last time: exit code 3: the fake worker fails; {log}"
        assert scene.run.failures() == STEPS // 2
        assert log.read_text() == "the fake worker fails\n" * 3
    finally:
        scene.close()


def test_another_orch_is_refused_with_one_line() -> None:
    refused = do({"sources": "of another one"})
    assert refused["refused"] == "EnvError"
    assert "has another orch than the client" in refused["message"]
    assert json.dumps(refused)
