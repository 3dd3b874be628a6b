# SPDX-License-Identifier: Apache-2.0
"""The project's own graph: what a touched file rebuilds, and nothing more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.build.graph import Graph, Keys, in_order

ROOT = Path(__file__).resolve().parents[3]
MACHINE = ("qemu", "qemu-plugin", "firmware", "kernel", "host-image", "guest-image", "rmi-check", "trp")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("images", "guest", "tests/emulator"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def keys(root: Path) -> dict[str, str]:
    graph = Graph.load(root)
    made = Keys(graph, lambda name: {"pin": name}, lambda tool: f"{tool} 1")
    return {node.label: made.key(node) for node in in_order([graph.node(name) for name in MACHINE])}


@pytest.mark.parametrize(
    ("touched", "rebuilt"),
    [
        ("images/firmware/patches/0001-manifest-console-checksum.patch", {"firmware"}),
        ("images/firmware/build.sh", {"firmware"}),
        ("images/rmm/build.sh", {"rmm", "firmware"}),
        ("images/rmm/src/granule.c", {"rmm", "firmware"}),
        ("images/rmm/build-trp.sh", {"trp"}),
        ("images/kernel/kernel.fragment", {"kernel", "rmi-check"}),
        ("images/host/root/init", {"host-image"}),
        ("images/guest/root/init", {"guest-image"}),
        ("images/qemu/plugin/counter.c", {"qemu-plugin"}),
        ("guest/host/tools/resume.c", {"guest-tools", "host-image", "guest-image"}),
        (
            "guest/abi/orch_marker.h",
            {"guest-tools", "host-image", "guest-image", "qemu-plugin", "rmi-check", "attestd"},
        ),
        ("tests/emulator/rmi-check/rmi_check.c", {"rmi-check"}),
    ],
)
def test_a_touched_file_rebuilds_what_stands_on_it(copy: Path, touched: str, rebuilt: set[str]) -> None:
    before = keys(copy)
    with (copy / touched).open("a", encoding="utf-8") as stream:
        stream.write("\n")
    after = keys(copy)
    assert {label for label in after if after[label] != before[label]} == rebuilt
