# SPDX-License-Identifier: Apache-2.0
"""From a testbed file to a machine: what its saved state is named by, and what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.build.progress import Silent
from orchestrator.errors import EnvError, UsageError
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.testbed.testbed import UpOptions

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
    return made.snapshot_key(made.spec(artifacts(tmp_path), options or UpOptions(), port))


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
    spec = bed(tmp_path).spec(artifacts(tmp_path), UpOptions(deterministic=True), 1)
    assert spec.cpus == 1
    assert spec.icount_shift == 0
    assert "orch.deterministic" in spec.kernel_args


def test_counting_several_cpus_deterministically_is_refused(tmp_path: Path) -> None:
    made = bed(tmp_path, "testbed.yaml", ("    cpus: 1  ", "    cpus: 2  "))
    with pytest.raises(UsageError, match=r"machine\.deterministic\.cpus"):
        made.spec(artifacts(tmp_path), UpOptions(deterministic=True, count=True), 1)


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
    assert made.spec(artifacts(tmp_path), UpOptions(), 1).kernel == str(tmp_path / "Image")


def test_ticks_reach_the_kernel_node(tmp_path: Path) -> None:
    made = bed(tmp_path, "testbed.yaml", ("  host_hz: 100", "  host_hz: 250"))
    assert made.project.machine_nodes(made.graph)["kernel"].label == "kernel:hz=250"
