# SPDX-License-Identifier: Apache-2.0
"""Every model of the matrix in host, normal VM and realm of one machine: equal bit for bit, and right by the oracle."""

from __future__ import annotations

import shlex
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from emulated import Bed, build
from matrix_models import Prepared, prepare
from models_matrix import CASES

from orchestrator.models.oracle import Oracle
from orchestrator.registry import DEFAULT_RUNTIME
from orchestrator.testbed.runtime_disk import MOUNT

WORLDS = ("host", "vm", "realm")
RUNNABLE = [name for name, case in CASES.items() if case.problem is None]
REFUSED = [name for name, case in CASES.items() if case.problem is not None]
THERE = "/tmp/give"


def prepare_all(oracle: Oracle, folder: Path) -> dict[str, Prepared]:
    """All models with inputs and right answers, two at a time: each asks a program."""
    folders = {name: folder / name for name in RUNNABLE}
    for each in folders.values():
        each.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda name: prepare(name, oracle, folders[name]), RUNNABLE)
    return dict(zip(RUNNABLE, made, strict=True))


def pack(made: dict[str, Prepared], folder: Path) -> Path:
    """An archive of all that goes to a world: models, inputs, and a script that executes them in turn."""
    give = folder / "give"
    give.mkdir()
    script = []
    for name, each in made.items():
        shutil.copy(folder / name / f"{name}.tflite", give / f"{name}.tflite")
        shutil.copy(each.subject.inputs, give / f"{name}.bin")
        words = each.words(f"{THERE}/{name}.tflite", f"{THERE}/{name}.bin", f"{THERE}/out/{name}.jsonl")
        script.append(f"$runner {shlex.join(words)} 2>out/{name}.err")
    for name in REFUSED:
        (give / f"{name}.tflite").write_bytes(CASES[name].make())
        script.append(f"$runner describe {THERE}/{name}.tflite >/dev/null 2>out/{name}.err")
    (give / "all.sh").write_text("\n".join(["mkdir -p out", *script, "rm -f out/*.out", "tar cf out.tar out", ""]))
    archive = folder / "give.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(give, "give")
    return archive


def execute(bed: Bed, world: str, archive: Path, bundle: Path, folder: Path) -> Path:
    """What one world's runner left, a file for each model; guests have it on their disk, the host is given a copy."""
    start = f"cd /tmp && tar xzf give.tar.gz && cd {THERE}"
    copies = [("cp", str(archive), f"{world}:/tmp/give.tar.gz")]
    if world == "host":
        copies.append(("cp", str(bundle / "bundle.tar.gz"), "host:/tmp/bundle.tar.gz"))
        start += " && tar xzf ../bundle.tar.gz"
    runner = f"{THERE}/bundle/runner" if world == "host" else f"{MOUNT}/runner"
    for words in (
        *copies,
        ("ssh", world, "--", f"{start} && runner={runner} sh all.sh"),
        ("cp", f"{world}:{THERE}/out.tar", str(folder / f"{world}.tar")),
    ):
        done = bed.orch(*words, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(folder / f"{world}.tar") as packed:
        packed.extractall(folder / world, filter="data")
    return folder / world / "out"


@pytest.mark.timeout(1800)
def test_all_models_in_host_vm_and_realm(bed: Bed, tmp_path: Path) -> None:
    oracle = Oracle(DEFAULT_RUNTIME, build(bed, "oracle") / "bundle" / "runner")
    bundle = build(bed, "runner")
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(bed.orch, "up", "--vm", "--realm", "--mem", "256")
        made = prepare_all(oracle, tmp_path)
        archive = pack(made, tmp_path)
        assert up.result().returncode == 0, up.result().stderr
    found = {world: execute(bed, world, archive, bundle, tmp_path) for world in WORLDS}
    wrong: list[str] = []
    for name, each in made.items():
        released = {}
        for world, folder in found.items():
            path = folder / f"{name}.jsonl"
            told = (folder / f"{name}.err").read_text()
            try:
                record, _ = each.check(path.read_text(encoding="utf-8") if path.exists() else "")
            except Exception as error:
                wrong.append(f"{name} in {world}: {error} {told}")
                continue
            released[world] = [line["output"] for line in record.iterations]
            known = each.subject.xnnpack is not None
            with_xnnpack = bool(each.subject.xnnpack) and not each.case.not_on_arm
            if (known and record.end["xnnpack"] is not with_xnnpack) or (
                record.without is None
            ) == each.without_is_said:
                wrong.append(f"{name} in {world}: XNNPACK {record.end['xnnpack']}: {record.without}")
        if any(other != released.get("host") for other in released.values()):
            wrong.append(f"{name}: the worlds differ")
    for name in REFUSED:
        for world, folder in found.items():
            told = (folder / f"{name}.err").read_text()
            if str(CASES[name].problem) not in told or told.count("\n") != 1:
                wrong.append(f"{name} in {world}: {told}")
    assert wrong == []
