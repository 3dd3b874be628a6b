# SPDX-License-Identifier: Apache-2.0
"""The plan that is printed before there is anything to compute it with, against the graph and the lock."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from orchestrator.build import bootstrap
from orchestrator.build.graph import Node, in_order
from orchestrator.build.packages import PackageStore
from orchestrator.build.schedule import Planned, estimate
from orchestrator.cli.care import RUN_NODES
from orchestrator.testbed.guest import files_for
from orchestrator.testbed.project import Project
from orchestrator.words import GUEST_WORLDS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def nodes() -> list[Node]:
    """All that `make testbed` builds."""
    project = Project.open(ROOT / "testbed.yaml")
    graph = project.graph()
    guests = project.guest_nodes(graph, [file for world in GUEST_WORLDS for file in files_for(world)])
    machine = project.machine_nodes(graph)
    return in_order([*machine.values(), *guests.values(), *(graph.node(name) for name in RUN_NODES)])


@pytest.mark.parametrize("cores", [1, 2, 4, 16])
def test_time(nodes: list[Node], cores: int) -> None:
    planned = [Planned(node, node.label, []) for node in nodes]
    assert bootstrap.build_seconds(cores) == pytest.approx(estimate(planned, cores), rel=0.15)


def test_download(nodes: list[Node], tmp_path: Path) -> None:
    store = PackageStore(ROOT, tmp_path)
    names = {name for node in nodes for name in node.spec.packages}
    assert round(sum(map(store.download_bytes, names)) / 1e6) == bootstrap.BUILD_DOWNLOAD_MB


def test_space(nodes: list[Node]) -> None:
    assert sum(node.spec.mib for node in nodes) == pytest.approx(bootstrap.BUILD_MIB, rel=0.1)


def test_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as slow a computer, with four cores."""
    monkeypatch.setattr(bootstrap, "pace", lambda: 2.0)
    monkeypatch.setattr(bootstrap.os, "cpu_count", lambda: 4)
    told = "\n".join(bootstrap.plan([]))
    assert "1. system packages by apt: none missing" in told
    minutes = math.ceil(2 * bootstrap.build_seconds(4) / 60 - 0.25)
    assert f"about {minutes} min on the 4 cores of this computer" in told


@pytest.mark.parametrize(("seconds", "said"), [(3, "10 s"), (44, "40 s"), (50, "1 min"), (75, "1 min"), (76, "2 min")])
def test_durations_as_people_say_them(seconds: float, said: str) -> None:
    assert bootstrap.spoken(seconds) == said


def test_pace_is_of_this_computer() -> None:
    assert 0.05 < bootstrap.pace() < 20
