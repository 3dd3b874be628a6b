# SPDX-License-Identifier: Apache-2.0
"""What is fetched and built first, what waits for what, and how long that is said to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.build.graph import Graph, Node, in_order
from orchestrator.build.schedule import Planned, Schedule, estimate, urgencies

NODES = """
nodes:
  kernel: {summary: k, packages: [source], seconds: 400, parallel: 0.9, mib: 1}
  module: {summary: m, nodes: [kernel], seconds: 5, mib: 1}
  tools:  {summary: t, seconds: 3, mib: 1}
  image:  {summary: i, packages: [root], nodes: [tools], seconds: 8, mib: 1}
  qemu:   {summary: q, packages: [qemu, root], seconds: 10, mib: 1}
"""


@pytest.fixture
def nodes(tmp_path: Path) -> dict[str, Node]:
    folder = tmp_path / "images/x"
    folder.mkdir(parents=True)
    (folder / "node.yaml").write_text(NODES)
    graph = Graph.load(tmp_path)
    return {node.name: node for node in in_order([graph.node(name) for name in ("module", "image", "qemu")])}


def planned(nodes: dict[str, Node], *names: str) -> list[Planned]:
    return [Planned(nodes[name], name, []) for name in names or nodes]


def test_urgency_is_the_way_to_the_end(nodes: dict[str, Node]) -> None:
    found = {node.name: seconds for node, seconds in urgencies(nodes.values()).items()}
    assert found == {"kernel": 405, "module": 5, "tools": 11, "image": 8, "qemu": 10}


def test_the_longest_way_is_fetched_and_built_first(nodes: dict[str, Node]) -> None:
    schedule = Schedule(planned(nodes), lambda _name: True)
    assert schedule.next_fetch() == ["source"]
    assert schedule.next_fetch() == []  # one download at a time
    tools = schedule.next_node()
    assert tools is not None
    assert tools.node.name == "tools"  # it needs no packages
    assert schedule.next_node() is None
    schedule.fetched()
    assert schedule.next_fetch() == ["qemu", "root"]
    kernel = schedule.next_node()
    assert kernel is not None
    assert kernel.node.name == "kernel"  # while the other packages are fetched
    schedule.built(tools.node)
    assert schedule.next_node() is None
    schedule.fetched()
    names = []
    while (item := schedule.next_node()) is not None:
        names.append(item.node.name)
        schedule.built(item.node)
    assert names == ["qemu", "image"]
    assert not schedule.over
    schedule.built(kernel.node)
    module = schedule.next_node()
    assert module is not None
    assert (module.node.name, schedule.over) == ("module", True)


def test_no_more_than_two_at_a_time(nodes: dict[str, Node]) -> None:
    schedule = Schedule(planned(nodes), lambda _name: False)
    first, second = schedule.next_node(), schedule.next_node()
    assert first is not None
    assert second is not None
    assert [first.node.name, second.node.name] == ["kernel", "tools"]
    assert schedule.next_node() is None


def test_a_node_waits_for_packages_of_what_is_below_it(nodes: dict[str, Node]) -> None:
    """The package set of an artifact that is there may be substituted, which changes the key of what stands on it."""
    schedule = Schedule(planned(nodes, "image", "qemu"), lambda name: name == "root")
    assert schedule.next_fetch() == ["root"]
    assert schedule.next_node() is None
    schedule.fetched()
    assert schedule.next_node() is not None


def test_a_new_plan_leaves_out_what_was_started(nodes: dict[str, Node]) -> None:
    schedule = Schedule(planned(nodes, "kernel", "module", "qemu"), lambda _name: False)
    kernel = schedule.next_node()
    assert kernel is not None
    schedule.replan([Planned(nodes[name], f"{name}-2", []) for name in ("kernel", "module", "tools", "qemu")])
    found = []
    while (item := schedule.next_node()) is not None:
        found.append((item.node.name, item.key))
        schedule.built(item.node)
    assert found == [("qemu", "qemu-2"), ("tools", "tools-2")]
    schedule.built(kernel.node)
    module = schedule.next_node()
    assert module is not None
    assert module.key == "module-2"


def test_an_estimate_plays_the_schedule(nodes: dict[str, Node]) -> None:
    assert estimate(planned(nodes, "module"), 2) == 5
    assert estimate(planned(nodes, "kernel"), 1) == pytest.approx(400)
    assert estimate(planned(nodes, "kernel"), 2) == pytest.approx(400 * (0.1 + 0.9 / 2))
    # One core each until the other nodes are over (21 s), then both for what is left of the kernel, then the module.
    assert estimate(planned(nodes), 2) == pytest.approx(21 + 379 * (0.1 + 0.9 / 2) + 5)
    assert estimate(planned(nodes), 1) == pytest.approx(sum(node.spec.seconds for node in nodes.values()))
    assert estimate([], 2) == 0
