# SPDX-License-Identifier: Apache-2.0
"""What is brought to a world: mounted or copied, checked there; a copy that stands still is told by its limit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.build.graph import file_digest
from orchestrator.errors import BootError
from orchestrator.experiment import gate
from orchestrator.experiment.stage import Stage, fingerprint_script, read_fingerprint
from orchestrator.protect.deployable import Deployable, Opening, Sought
from orchestrator.schema.disk import DiskTree
from orchestrator.shell import ssh
from orchestrator.testbed.guest import GuestName
from orchestrator.testbed.links import Links
from orchestrator.testbed.worlds import GuestWorld
from orchestrator.words import World


def test_copying_has_the_limit_of_the_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    link = SimpleNamespace(is_connected=True, close=lambda: None)

    @contextmanager
    def host(_timeout: float | None = None) -> Iterator[object]:
        yield object()

    def put(_link: object, _source: object, _target: str, still: float) -> None:
        link.is_connected = False
        raise ssh.StalledError(f"copying stood still for {still:g} s")

    monkeypatch.setattr(ssh, "connect", lambda *_: link)
    monkeypatch.setattr(ssh, "closed_after", lambda *_: nullcontext(lambda: False))
    monkeypatch.setattr(ssh, "capture", lambda *_: "")
    monkeypatch.setattr(ssh, "put", put)
    guests = SimpleNamespace(need_running=lambda *_: None, server=lambda *_: None)
    project = SimpleNamespace(config=SimpleNamespace(timeouts=SimpleNamespace(ssh=1.0)))
    bed: Any = SimpleNamespace(host=host, guests=guests, project=project)
    bed.world = lambda _: GuestWorld(bed, GuestName(World.VM))
    stage = Stage(bed, SimpleNamespace(), deploy_seconds=7, run_seconds=1)  # type: ignore[arg-type]
    plain = Deployable({"model.tflite": Path("m")}, Opening("model.tflite"), (Sought("model", Path("m"), ""),))
    with pytest.raises(ssh.StalledError) as caught:
        stage.deploy_model(World.VM, plain, Path("i"))
    assert caught.value.message == "model.tflite to the vm: copying stood still for 7 s (`timeouts.deploy`)"


class Place:
    """A world whose files are in a folder of this computer; scripts really run, mounts do not."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.scripts, self.copied, self.fails = folder, [""], [""], ""
        monkeypatch.setattr(gate, "FOLDER", str(folder))
        monkeypatch.setattr(ssh, "attempt", self.attempt)
        monkeypatch.setattr(
            ssh, "capture", lambda link, script, _limit=0: self.attempt(link, script, really=True).stdout
        )
        monkeypatch.setattr(ssh, "put", self.put)
        monkeypatch.setattr(Links, "to", lambda *_: nullcontext())

    def attempt(self, _link: object, script: str, _limit: float = 0, *, really: bool = False) -> ssh.Finished:
        self.scripts.append(script)
        if self.fails and self.fails in script:
            return ssh.Finished(1, "", "mount: no such device")
        if not really:
            return ssh.Finished(0, "", "")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)
        return ssh.Finished(0, done.stdout, "")

    def put(self, _link: object, source: Path, target: str, _still: float) -> None:
        self.copied.append(Path(target).name)
        Path(target).write_bytes(source.read_bytes())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "orch").mkdir()
    return Place(tmp_path / "orch", monkeypatch)


def a_stage(image: Path | None = None) -> Stage:
    guests = SimpleNamespace(has_disk=lambda file: file == image, source=lambda _: image)
    return Stage(SimpleNamespace(guests=guests), SimpleNamespace(), deploy_seconds=7, run_seconds=1)  # type: ignore[arg-type]


def delivered(folder: Path) -> tuple[Deployable, Path]:
    for name in ("given model", "given inputs"):
        (folder / name).write_text(name)
    files = {"model.tflite": folder / "given model"}
    return Deployable(
        files, Opening("model.tflite"), (Sought("model", folder / "given model", ""),)
    ), folder / "given inputs"


def test_a_world_says_itself_what_has_arrived(place: Place, tmp_path: Path) -> None:
    model, inputs = delivered(tmp_path)
    arrived = a_stage().deploy_model(World.VM, model, inputs)
    assert arrived == {"model.tflite": file_digest(tmp_path / "given model"), "inputs.bin": file_digest(inputs)}


def test_what_arrives_as_something_else_is_an_error(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = delivered(tmp_path)
    monkeypatch.setattr(ssh, "put", lambda _l, _s, target, _t: Path(target).write_text("other"))
    with pytest.raises(BootError, match=r"model\.tflite is not in the vm what was sent: its SHA-256 there is d9298a10"):
        a_stage().deploy_model(World.VM, model, inputs)


def with_tree(image: Path) -> Path:
    image.write_bytes(bytes(4096))
    tree = DiskTree(block_bytes=4096, data_blocks=3, root_hash="ab" * 32)
    image.with_name(f"{image.name}.json").write_text(tree.model_dump_json())
    return image


def test_a_runtime_that_is_a_disk_is_read_where_it_is_mounted_and_not_copied(place: Place, tmp_path: Path) -> None:
    image = with_tree(tmp_path / "runtime.img")
    stage = a_stage(image)
    for world in World:
        stage.deploy_runner(world, image)
        script = place.scripts[-1]
        assert ("losetup" in script, "/proc/cmdline" in script) == (world is World.HOST, world is not World.HOST)
        assert script.endswith(f"cat /usr/lib/runtime/* >/dev/null && ln -s /usr/lib/runtime {place.folder}/bundle")
    assert place.copied == [""]
    assert stage.runtime_of(image) == {"runtime_root": "ab" * 32}


def test_a_world_that_does_not_have_the_disk_is_told(place: Place, tmp_path: Path) -> None:
    image = with_tree(tmp_path / "runtime.img")
    place.fails = "/proc/cmdline"
    with pytest.raises(BootError, match="the realm cannot use the runtime's disk: mount: no such device"):
        a_stage(image).deploy_runner(World.REALM, image)


def test_a_runtime_that_is_no_disk_of_the_worlds_is_copied(place: Place, tmp_path: Path) -> None:
    folder, bundle = tmp_path / "bundle", tmp_path / "bundle.tar.gz"
    folder.mkdir()
    (folder / "program").write_text("p")
    subprocess.run(["tar", "czf", bundle, "-C", tmp_path, "bundle"], check=True)
    stage = a_stage()
    stage.deploy_runner(World.HOST, bundle)
    assert place.copied == ["", "bundle.tar.gz"]
    assert [path.name for path in place.folder.iterdir()] == ["bundle"]
    assert (place.folder / "bundle/program").read_text() == "p"
    assert stage.runtime_of(bundle) == {"bundle.tar.gz": file_digest(bundle)}


def test_a_command_line_is_told_as_it_is(tmp_path: Path) -> None:
    """A shell takes blanks together and makes names of asterisks where nothing is quoted."""
    line = """quiet x="a   *  'b'" path=\\n -- /*"""
    (tmp_path / "cmdline").write_text(line + "\n")
    first = "; ".join(fingerprint_script().split("; ")[:2]).replace("/proc/cmdline", str(tmp_path / "cmdline"))
    for shell in (["bash"], ["dash"], ["busybox", "sh"]):
        if shutil.which(shell[0]) is not None:
            told = subprocess.run([*shell, "-c", first], capture_output=True, text=True, check=True).stdout
            assert read_fingerprint(told) == {"cmdline": line}, shell


def test_what_a_guest_sees_is_understood() -> None:
    said = """cmdline quiet dm-mod.create="runtime,,0,ro,0 8 verity 1 /dev/vda" key=a:b
kernel 7.3.4-cca #1 SMP Thu Jan 1 00:00:00 UTC 2026 aarch64
psci smc
cpus 2
memory 110000 kB
runtime /dev/dm-0 /usr/lib/runtime erofs ro,relatime 0 0
runtime_disk runtime 1 23848
Features	: fp asimd
CPU implementer	: 0x00
CPU part	: 0xd0f
Features	: fp asimd
CPU implementer	: 0x00
CPU part	: 0xd10
midr_el1:0x00000000000f0510
"""
    assert read_fingerprint(said) == {
        "cmdline": 'quiet dm-mod.create="runtime,,0,ro,0 8 verity 1 /dev/vda" key=a:b',
        "kernel": "7.3.4-cca #1 SMP Thu Jan 1 00:00:00 UTC 2026 aarch64",
        "psci": "smc",
        "cpus": "2",
        "memory": "110000 kB",
        "runtime": "/dev/dm-0 /usr/lib/runtime erofs ro,relatime 0 0",
        "runtime_disk": "runtime 1 23848",
        "Features": "fp asimd",
        "cpu_implementer": "0x00",
        "cpu_part": "0xd0f, 0xd10",
        "midr_el1": "0x00000000000f0510",
    }
