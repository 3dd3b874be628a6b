# SPDX-License-Identifier: Apache-2.0
"""Sweeps of real machines on Dask clusters: one of this computer, and one that a real Slurm starts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from emulated import ROOT, Bed, alive
from slurm import Slurm, missing

from orchestrator.build.cache import Cache, default_cache

SMOKE = ROOT / "workloads/smoke.yaml"
GONE = 10.0  # s
LIMIT = 280.0  # s
KEY = ["cell_id", "world", "boot_id", "phase", "component", "metric", "method", "iteration"]
BOOTS = 2


def sweep(bed: Bed, results: Path, *options: str) -> list[str]:
    changes = [f"boots={BOOTS}", "worlds=[vm]", "iterations=2", "warmups=1"]
    sets = [part for change in changes for part in ("--set", change)]
    return bed.command("run", str(SMOKE), *sets, "--results", str(results), *options)


def marked(folder: Path) -> str:
    """A PATH by which `emulators` knows those of a test: of the environment it is what they are given."""
    return f"{folder / 'dask'}:{os.environ['PATH']}"


def emulators(folder: Path) -> list[int]:
    """Those whose environment names the folder in which the cluster's workers work."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if b"/qemu-system" in line and str(folder).encode() in environment:
            found.append(int(path.name))
    return found


def until(what: Callable[[], bool], limit: float) -> None:
    deadline = time.monotonic() + limit
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def check(results: Path, shards: int = BOOTS) -> pd.DataFrame:
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    rows = pd.read_csv(folder / "samples.csv")
    assert set(rows["status"]) == {"ok"}
    assert not rows.duplicated(KEY).any()
    infer = rows.query("phase == 'infer' and metric == 'instructions' and component == 'all'")
    assert len(infer) == BOOTS * 3
    assert len(list((folder / "console").glob("*-vm*.log"))) >= shards
    return rows


@pytest.mark.long
def test_a_local_cluster_whose_client_is_killed_and_resumed(bed: Bed, tmp_path: Path) -> None:
    results, file = tmp_path / "results", tmp_path / "cluster.yaml"
    file.write_text("kind: local\nworkers: 2\n", encoding="utf-8")
    dask = {"DASK_TEMPORARY_DIRECTORY": str(tmp_path / "dask"), "PATH": marked(tmp_path)}
    command = sweep(bed, results, "--cluster", str(file))
    with subprocess.Popen(command, env=os.environ | dask, start_new_session=True) as client:
        until(lambda: len(emulators(tmp_path / "dask")) == 2, LIMIT / 2)
        seen = emulators(tmp_path / "dask")
        shown = bed.orch("status").stdout
        assert "worker 1       worker at" in shown
        assert "worker 2       worker at" in shown
        os.kill(client.pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in seen) and not emulators(tmp_path / "dask"), GONE)
    resume = bed.command("run", "--resume", "latest", "--results", str(results), "--cluster", str(file))
    done = subprocess.run(resume, env=os.environ | dask, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    check(results)
    assert not emulators(tmp_path / "dask")


@pytest.mark.long
def test_workers_that_slurm_starts_and_that_have_nothing_yet(bed: Bed, tmp_path: Path) -> None:
    """Their cache is empty: all artifacts are sent, once, as both are on one computer."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    results, file, cache = tmp_path / "results", tmp_path / "cluster.yaml", tmp_path / "cache"
    with Slurm(tmp_path / "slurm") as slurm:
        file.write_text(
            "kind: slurm\nworkers: 2\nwait: 120\nslurm:\n  host: 127.0.0.1\n  memory_mib: 4096\n"
            f"  prologue: ['export XDG_CACHE_HOME={cache}', 'export DASK_TEMPORARY_DIRECTORY={tmp_path / 'dask'}']\n",
            encoding="utf-8",
        )
        command = sweep(bed, results, "--cluster", str(file))
        environment = os.environ | slurm.environment | {"PATH": marked(tmp_path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as client:
            until(lambda: len(emulators(tmp_path / "dask")) == 2 or client.poll() is not None, LIMIT / 2)
            _, said = client.communicate(timeout=LIMIT)
        assert client.returncode == 0, said
        until(lambda: slurm.queue() == "", GONE)
    check(results)
    keys = Cache(cache / "orch").all_keys()
    assert len(keys) >= 8
    assert set(keys) <= set(Cache(default_cache()).all_keys())
    assert not emulators(tmp_path / "dask")
