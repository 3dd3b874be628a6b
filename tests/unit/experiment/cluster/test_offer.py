# SPDX-License-Identifier: Apache-2.0
"""What a cluster offers, what its file may say, and what the command line says of both."""

from __future__ import annotations

import builtins
import importlib
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import orch
from orchestrator.errors import EnvError, UsageError
from orchestrator.experiment.cluster import connect
from orchestrator.experiment.cluster.offer import Worker, lowest_free, numbered, slots_of, told, workers_of
from orchestrator.machine.needs import Needs
from orchestrator.schema.cluster import ClusterConfig
from orchestrator.schema.yamlfile import load, loads

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("threads", "memory", "cores", "room"), [(1, 0, 1, 1), (1, 0, 2, 0), (5, 0, 2, 2), (8, 8000, 1, 2), (8, 100, 1, 0)]
)
def test_a_worker_has_room_for_what_its_threads_and_memory_allow(
    threads: int, memory: int, cores: int, room: int
) -> None:
    assert Worker("tcp://a:1", "a", threads, memory).room(Needs(cores, 4000)) == room


def test_the_schedulers_account_is_read() -> None:
    info = {
        "workers": {
            "tcp://a:1": {"host": "a", "nthreads": 2, "memory_limit": 8 << 30, "status": "running"},
            "tcp://b:1": {"host": "b", "nthreads": 1, "memory_limit": 0, "status": "running"},
            "tcp://c:1": {"host": "c", "nthreads": 9, "memory_limit": 0, "status": "closing"},
        }
    }
    workers = workers_of(info)
    assert [each.address for each in workers] == ["tcp://a:1", "tcp://b:1"]
    assert slots_of(workers, Needs(1, 4000)) == 3
    assert told(workers, Needs(1, 4000)).startswith("3 boots at once: 2 workers with 3 threads")


def test_cores_are_given_from_below() -> None:
    assert [lowest_free([]), lowest_free([0, 2]), lowest_free([1, 0])] == [0, 1, 2]


def test_a_worker_keeps_its_number() -> None:
    a, b, c = (Worker(f"tcp://{name}:1", name, 1, 0) for name in "abc")
    first = numbered([a, b], {})
    assert first == {a.address: 0, b.address: 1}
    assert numbered([b, c], first) == {b.address: 1, c.address: 0}


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("cluster-*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_right(path: Path) -> None:
    load(path, ClusterConfig)


def test_there_is_an_example_of_each_kind() -> None:
    kinds = {load(path, ClusterConfig).kind for path in (ROOT / "docs").glob("cluster-*.yaml")}
    assert kinds == {"local", "slurm", "address"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: local\nworker: 2\n", r"c\.yaml:2:1: worker: unknown key; did you mean 'workers'\?"),
        ("kind: slurm\n", "needs the section 'slurm'"),
        ("kind: address\n", "needs the key 'address'"),
        ("kind: local\naddress: tcp://a:1\n", "'address' is for kind 'address'"),
        ("kind: address\naddress: http://a\n", r"c\.yaml:2:1: address: "),
        ("kind: slurm\nslurm: {walltime: 1h}\n", r"c\.yaml:2:9: slurm\.walltime: "),
        ("kind: cloud\n", r"c\.yaml:1:1: kind: "),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loads(text, "c.yaml", ClusterConfig)


def test_slurm_is_asked_for_what_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    connect.need_dask("dask_jobqueue")
    assert signal.getsignal(signal.SIGINT) is before, "Ctrl-C is ours"
    slurm = importlib.import_module("dask_jobqueue").SLURMCluster
    asked: list[int] = []
    monkeypatch.setattr(slurm, "scale", lambda _self, jobs=0: asked.append(jobs))
    section = "{queue: main, directives: [--exclude=x], prologue: [export A=1], host: 127.0.0.1}"
    text = f"kind: slurm\nworkers: 3\nslurm: {section}"
    cluster = connect._slurm(loads(text, "c", ClusterConfig), tmp_path / "logs")
    try:
        script = cluster.job_script()
    finally:
        cluster.close(timeout=5)
    assert asked[0] == 3
    for line in ("#SBATCH -p main", "#SBATCH --exclude=x", "#SBATCH -t 04:00:00", "export A=1", "--memory-limit 0"):
        assert line in script
    assert "tcp://127.0.0.1:" in script


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(EnvError) as failure:
        connect.need_dask()
    assert "distributed" in failure.value.message
    assert failure.value.hint is not None
    assert "orchestrator[cluster]" in failure.value.hint
    assert builtins.len(failure.value.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scheduler", "localhost"], "expected tcp://HOST:PORT"),
        (["--scheduler", "tcp://a:1", "--workers", "2"], "one says who does the boots"),
        (["--scheduler", "tcp://a:1", "--keep"], "workers have others"),
        (["--cluster", "no.yaml"], "no such file"),
    ],
)
def test_what_the_command_line_refuses(options: list[str], words: str) -> None:
    done = CliRunner().invoke(orch, ["run", str(ROOT / "workloads/smoke.yaml"), "--dry-run", *options])
    assert done.exit_code != 0
    assert words in f"{done.output}{done.exception}"


def test_the_plan_says_what_a_cluster_offers(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("kind: slurm\nworkers: 3\nslurm: {}\n", encoding="utf-8")
    done = CliRunner().invoke(orch, ["run", str(ROOT / "workloads/smoke.yaml"), "--dry-run", "--cluster", str(file)])
    assert done.exit_code == 0, done.output
    assert "slurm cluster: 3 boots at once: 3 workers with 3 threads" in done.output
