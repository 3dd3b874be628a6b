# SPDX-License-Identifier: Apache-2.0
"""From a testbed file to a machine: what its saved state is named by, and what it is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator.build.progress import Silent
from orchestrator.errors import EnvError, UsageError
from orchestrator.machine.cmdline import command_line
from orchestrator.machine.qemu import machine_spec
from orchestrator.machine.spec import MachineSpec
from orchestrator.testbed.guest import KERNEL, GuestName
from orchestrator.testbed.guests import GuestOptions
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.testbed.testbed import UpOptions
from orchestrator.words import World

ROOT = Path(__file__).resolve().parents[3]
NODES = {"qemu": "bin/qemu-system-aarch64", "qemu-plugin": "libcounter.so", "firmware": "flash.bin"}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bed(tmp_path: Path, name: str = "testbed.yaml", *replacements: tuple[str, str]) -> Bed:
    text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return Bed(Project.open(path), Silent())


def artifacts(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for name in ("qemu", "qemu-plugin", "firmware", "kernel", "host-image"):
        made[name] = tmp_path / "cache/orch" / name
        made[name].mkdir(parents=True, exist_ok=True)
    (made["host-image"] / "base.cpio").write_bytes(b"x" * 4096)
    return made


def key(made: Bed, tmp_path: Path, options: UpOptions | None = None, port: int = 1) -> str:
    return made.snapshot_key(made.blueprint(artifacts(tmp_path), options or UpOptions(), port))


def test_port_folder_and_plugin_do_not_name_a_snapshot(tmp_path: Path) -> None:
    one = bed(tmp_path)
    plain = key(one, tmp_path)
    assert key(one, tmp_path, port=2) == plain
    assert key(one, tmp_path, UpOptions(count=True, fresh=True)) == plain


def test_what_the_guest_can_see_does(tmp_path: Path) -> None:
    one = bed(tmp_path)
    plain = key(one, tmp_path)
    assert key(one, tmp_path, UpOptions(deterministic=True)) != plain
    assert key(bed(tmp_path, "testbed.yaml", ("  cpus: 2", "  cpus: 4")), tmp_path) != plain
    other_keys = bed(tmp_path, "other.yaml")  # a testbed of its own has SSH keys of its own
    assert key(other_keys, tmp_path) != plain


def test_deterministic_machine_has_one_cpu_and_says_so_to_the_guest(tmp_path: Path) -> None:
    spec = machine_spec(bed(tmp_path).blueprint(artifacts(tmp_path), UpOptions(deterministic=True), 1))
    assert spec.cpus == 1
    assert spec.icount_shift == 0
    assert "orch.deterministic" in spec.kernel_args


def test_a_deterministic_machine_has_the_seed_asked_for(tmp_path: Path) -> None:
    """Its saved state would be another one too; a machine that is not deterministic has none."""
    one = bed(tmp_path)
    for seed in (42, 107):
        spec = machine_spec(one.blueprint(artifacts(tmp_path), UpOptions(deterministic=True, seed=seed), 1))
        words = command_line(spec)
        assert words[words.index("-seed") + 1] == str(seed)
        assert MachineSpec.from_json(spec.to_json()) == spec
    deterministic = [key(one, tmp_path, UpOptions(deterministic=True, seed=seed)) for seed in (42, 107)]
    assert deterministic[0] != deterministic[1]
    assert key(one, tmp_path, UpOptions(seed=107)) == key(one, tmp_path)


def test_a_machine_that_is_up_with_another_seed_will_not_do(tmp_path: Path) -> None:
    one = bed(tmp_path)
    has = {"ssh_port": 1, "options": dataclasses.asdict(UpOptions(deterministic=True, seed=107))}
    assert one._already_up(has, UpOptions()).how == "already up"
    assert one._already_up(has, UpOptions(deterministic=True, seed=107)).how == "already up"
    with pytest.raises(UsageError, match="up with other options"):
        one._already_up(has, UpOptions(deterministic=True))


def test_counting_several_cpus_deterministically_is_refused(tmp_path: Path) -> None:
    made = bed(tmp_path, "testbed.yaml", ("    cpus: 1  ", "    cpus: 2  "))
    with pytest.raises(UsageError, match=r"machine\.deterministic\.cpus"):
        made.blueprint(artifacts(tmp_path), UpOptions(deterministic=True, count=True), 1)


def test_second_orch_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    one, other = bed(tmp_path), bed(tmp_path)
    with (
        one.exclusive(),
        pytest.raises(EnvError, match=r"another orch \(pid \d+\) is working on testbed 'cca'"),
        other.exclusive(),
    ):
        pass
    with other.exclusive():
        pass


def test_stack_parts_replace_nodes_and_are_named_untested(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(b"kernel")
    made = bed(tmp_path, "testbed.yaml", ("kernel:\n", "stack:\n  host_kernel: Image\nkernel:\n"))
    assert "kernel" not in made.project.machine_nodes(made.graph)
    assert made.project.untested() == ["stack.host_kernel = Image: not tested with this testbed"]
    assert machine_spec(made.blueprint(artifacts(tmp_path), UpOptions(), 1)).kernel == str(tmp_path / "Image")


def stack(tmp_path: Path, lines: str) -> Bed:
    return bed(tmp_path, "testbed.yaml", ("kernel:\n", f"stack:\n{lines}kernel:\n"))


def test_files_of_another_vmm_come_with_the_host(tmp_path: Path) -> None:
    """A file under its name, a folder whole; modes are kept, and a changed file makes another machine."""
    (tmp_path / "other").write_bytes(b"program")
    (tmp_path / "other").chmod(0o755)
    (tmp_path / "share/deep").mkdir(parents=True)
    (tmp_path / "share/deep/rom").write_bytes(b"rom")
    (tmp_path / "share/deep/rom").chmod(0o640)
    made = stack(tmp_path, "  vmm:\n    command: /usr/lib/vmm/other\n    files: [other, share]\n    worlds: [vm]\n")
    files = {file.path: file for file in made.overlay_files({}) if "/vmm/" in file.path}
    assert {path: (file.content, file.mode) for path, file in files.items()} == {
        "/usr/lib/vmm/other": (b"program", 0o755),
        "/usr/lib/vmm/share/deep/rom": (b"rom", 0o640),
    }
    assert made.project.untested() == ["stack.vmm (vm) = /usr/lib/vmm/other: not tested with this testbed"]
    before = key(made, tmp_path)
    (tmp_path / "other").write_bytes(b"newer")
    assert key(made, tmp_path) != before


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("  vmm: {command: x, files: [none]}\n", r"stack\.vmm\.files: no such file: none"),
        ("  vmm: {command: x, files: [a/one, b/one]}\n", r"stack\.vmm\.files: more than one is called 'one'"),
        ("  guest_kernel: a/one\n", r"stack\.guest_kernel: a/one is no arm64 kernel Image"),
        ("  guest_kernel: a\n", r"stack\.guest_kernel: no such file: a"),
    ],
)
def test_wrong_files_are_refused_before_anything_is_booted(tmp_path: Path, lines: str, message: str) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one").write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(UsageError, match=message):
        stack(tmp_path, lines)


def test_pretouch_is_not_asked_of_another_vmm(tmp_path: Path) -> None:
    made = stack(tmp_path, "  vmm: {command: x, worlds: [vm]}\n")
    wanted = GuestOptions(pretouch=True)
    assert made.guests.plan(GuestName(World.REALM), wanted, seed=None).foreign is None
    with pytest.raises(UsageError, match=r"--pretouch: the vm is run by stack\.vmm"):
        made.guests.plan(GuestName(World.VM), wanted, seed=None)


def test_a_guest_kernel_replaces_its_node(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(bytes(56) + b"ARM\x64" + bytes(4))
    made = stack(tmp_path, "  guest_kernel: Image\n")
    assert "guest-kernel" not in made.project.machine_nodes(made.graph)
    assert made.guests.source(KERNEL) == tmp_path / "Image"


def test_ticks_reach_the_kernel_node(tmp_path: Path) -> None:
    made = bed(tmp_path, "testbed.yaml", ("  host_hz: 100", "  host_hz: 250"))
    assert made.project.machine_nodes(made.graph)["kernel"].label == "kernel:hz=250"
