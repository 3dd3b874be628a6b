# SPDX-License-Identifier: Apache-2.0
"""Jobs whose paths mean the same on another computer, and what is sent for them."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from jobs import a_job

from orchestrator.build.cache import Cache
from orchestrator.errors import EnvError
from orchestrator.experiment.cluster.parcel import Arrived, Parcel, pack, sources_digest
from orchestrator.experiment.cluster.transfer import Intake, Need, Supply
from orchestrator.experiment.job import BootJob
from orchestrator.experiment.plan import plan
from orchestrator.runs.shard import Shard
from orchestrator.schema import testbed
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import load, loads

ROOT = Path(__file__).resolve().parents[4]
KEY = "0c" * 32


class Two:
    """Two computers: a cache each, and a line between them."""

    def __init__(self, tmp_path: Path) -> None:
        self.here, self.there = Cache(tmp_path / "here"), Cache(tmp_path / "there")
        self.folder = tmp_path / "job"
        self.asked: list[Need] = []
        self.pieces: queue.Queue[bytes] = queue.Queue(4)
        with self.here.lock(KEY):
            scratch = self.here.scratch(KEY)
            (scratch.out / "bin").mkdir()
            (scratch.out / "bin/run").write_bytes(os.urandom(5 << 20))
            (scratch.out / "bin/run").chmod(0o755)
            (scratch.out / "link").symlink_to("bin/run")
            self.here.commit(KEY, scratch, {"label": "x"})

    def intake(self, supply: Supply, change: Callable[[Need], None] = lambda _: None) -> Intake:
        def ask(need: Need) -> None:
            self.asked.append(need)
            change(need)
            threading.Thread(target=supply.send, args=(need, self.pieces.put), daemon=True).start()

        return Intake(self.there, ask, lambda: self.pieces.get(timeout=10), lambda: None)


def a_real_job(tmp_path: Path, two: Two) -> BootJob:
    workload = loads("name: w\nmodels: a\n", "w.yaml", Workload)
    bed = tmp_path / "bed"
    (bed / "vmm").mkdir(parents=True)
    (bed / "Image").write_bytes(b"kernel")
    (bed / "vmm/start.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (bed / "vmm/start.sh").chmod(0o755)
    changes = ["stack.host_kernel=Image", "stack.vmm={command: start, files: [vmm]}"]
    config = load(ROOT / "testbed.yaml", testbed.TestbedConfig, changes)
    scratch = tmp_path / "run/.scratch"
    scratch.mkdir(parents=True)
    (scratch / "inputs.bin").write_bytes(b"pictures")
    artifact = two.here.artifact(KEY)
    subject = SimpleNamespace(
        path=artifact / "bin/run", inputs=scratch / "inputs.bin", link=artifact / "link", same=Path("relative")
    )
    job = a_job(workload, plan(workload)[0], 0, scratch=scratch / "boot-000")
    return replace(
        job,
        subjects=dict.fromkeys(job.subjects, subject),
        config=config,
        testbed_file=bed / "testbed.yaml",
    )


def test_a_job_arrives_with_all_that_it_names(tmp_path: Path) -> None:
    two = Two(tmp_path)
    job = a_real_job(tmp_path, two)
    parcel = pack(job, two.here.root)
    assert parcel.keys == {KEY}
    assert len(parcel.files) == 3
    intake = two.intake(Supply(two.here, parcel, tmp_path))
    for _ in range(2):  # the second time nothing is sent
        intake.artifact(KEY)
        for place in parcel.files:
            intake.file(place)
    assert len(two.asked) == 4
    got = Arrived(intake.job(), two.there.root, intake.store, two.folder).job()
    (subject,) = got.subjects.values()
    assert subject.link == two.there.artifact(KEY) / "link"
    assert subject.path.read_bytes() == (two.here.artifact(KEY) / "bin/run").read_bytes()
    assert os.access(subject.path, os.X_OK)
    assert subject.inputs.read_bytes() == b"pictures"
    assert subject.same == Path("relative")
    assert got.scratch == two.folder / "scratch"
    kernel, vmm = got.config.stack.host_kernel, got.config.stack.vmm
    assert kernel is not None
    assert vmm is not None
    assert kernel.read_bytes() == b"kernel"
    assert os.access(vmm.files[0] / "start.sh", os.X_OK)
    assert str(tmp_path / "bed") not in str([kernel, *vmm.files])
    assert two.there.has(KEY)


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    two = Two(tmp_path)
    parcel = pack(a_real_job(tmp_path, two), two.here.root)
    place = next(place for place, path in parcel.files.items() if path.name == "inputs.bin")

    def change(_need: Need) -> None:
        (tmp_path / "run/.scratch/inputs.bin").write_bytes(b"others")

    intake = two.intake(Supply(two.here, parcel, tmp_path), change)
    with pytest.raises(EnvError, match="a file came that is not"):
        intake.file(place)
    assert not (intake.store / place).exists()


def test_only_what_the_job_needs_is_given(tmp_path: Path) -> None:
    two = Two(tmp_path)
    supply = Supply(two.here, Parcel(), tmp_path)
    for need in (("artifact", "0d" * 32), ("file", "../../etc/passwd"), ("artifact", "..")):
        with pytest.raises(EnvError, match="what the job does not need"):
            supply.send(need, lambda _piece: None)


def test_a_shard_is_sent_without_what_nobody_reads_there(tmp_path: Path) -> None:
    two, near = Two(tmp_path), Shard(tmp_path / "near")
    near.make()
    near.log.add("boot-begin", boot=0, boot_id=0, machine="m")
    (near.console / "boot0-uart0.log").write_text("said", encoding="utf-8")
    far = Shard(tmp_path / "far")
    far.make()
    two.intake(Supply(two.here, Parcel(), near.folder)).unpack(("shard", ""), far.folder)
    assert far.attempts() == 1
    assert not list(far.console.iterdir())


def test_the_digest_is_that_of_the_sources() -> None:
    assert sources_digest() == sources_digest()
    assert len(sources_digest()) == 64
