# SPDX-License-Identifier: Apache-2.0
"""Declaring nodes, computing their keys, and saying what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.build.graph import Graph, Keys, differences, in_order
from orchestrator.errors import BuildError, UsageError

TWO = """
nodes:
  low:
    summary: below
    files: [data.txt]
    params: {hz: "100", extra_file: ""}
    seconds: 1
    mib: 1
  high:
    summary: above
    packages: [src]
    tools: [gcc]
    nodes: ["low"]
    seconds: 1
    mib: 1
"""


def project(tmp_path: Path, text: str = TWO) -> Path:
    folder = tmp_path / "images/thing"
    folder.mkdir(parents=True)
    (folder / "node.yaml").write_text(text)
    (folder / "build.sh").write_text("true\n")
    (folder / "data.txt").write_text("one\n")
    return tmp_path


def keys(root: Path, version: str = "1", tool: str = "gcc 12") -> tuple[Graph, Keys]:
    graph = Graph.load(root)
    pins: dict[str, Any] = {"src": {"version": version}}
    return graph, Keys(graph, pins.__getitem__, lambda _name: tool)


def test_order_is_upstream_first(tmp_path: Path) -> None:
    graph, _ = keys(project(tmp_path))
    assert [node.label for node in in_order([graph.node("high")])] == ["low", "high"]


def test_key_is_stable_and_location_independent(tmp_path: Path) -> None:
    one, two = project(tmp_path / "a"), project(tmp_path / "b")
    (graph_a, keys_a), (graph_b, keys_b) = keys(one), keys(two)
    assert keys_a.key(graph_a.node("high")) == keys_b.key(graph_b.node("high"))


@pytest.mark.parametrize("change", ["file", "mode", "script", "package", "tool", "param"])
def test_everything_that_counts_changes_the_key(tmp_path: Path, change: str) -> None:
    root = project(tmp_path)
    graph, before = keys(root)
    old = before.manifest(graph.node("high"))
    request, version, tool = "high", "1", "gcc 12"
    overrides: dict[str, dict[str, str]] = {}
    if change == "file":
        (root / "images/thing/data.txt").write_text("two\n")
    elif change == "mode":
        (root / "images/thing/data.txt").chmod(0o755)
    elif change == "script":
        (root / "images/thing/build.sh").write_text("false\n")
    elif change == "package":
        version = "2"
    elif change == "tool":
        tool = "gcc 14"
    else:
        overrides = {"low": {"hz": "250"}}
    graph, after = keys(root, version, tool)
    new = after.manifest(graph.node(request, overrides))
    assert new != old
    assert differences(old, new)


def test_the_words_that_keys_are_hashes_of_stay(tmp_path: Path) -> None:
    """Another word for packages there would build every kernel anew."""
    graph, made = keys(project(tmp_path))
    manifest = made.manifest(graph.node("high"))
    assert list(manifest) == ["format", "node", "files", "params", "inputs", "tools", "nodes"]
    assert manifest["inputs"] == {"src": {"version": "1"}}


def test_differences_name_what_changed(tmp_path: Path) -> None:
    root = project(tmp_path)
    graph, before = keys(root)
    old = before.manifest(graph.node("high"))
    graph, after = keys(root, version="2")
    assert differences(old, after.manifest(graph.node("high"))) == ["packages src version: '1' -> '2'"]
    assert differences(None, old) == ["not built here before"]


def test_a_touched_file_of_one_node_leaves_the_other(tmp_path: Path) -> None:
    root = project(tmp_path)
    graph, before = keys(root)
    low = before.key(graph.node("low"))
    graph, after = keys(root, version="2")
    assert after.key(graph.node("low")) == low


def test_file_parameter_counts_by_content(tmp_path: Path) -> None:
    root = project(tmp_path)
    graph, made = keys(root)
    for name in ("x", "y"):
        (tmp_path / name).write_text("same\n")
    one = made.key(graph.node(f"low:extra_file={tmp_path / 'x'}"))
    two = made.key(graph.node(f"low:extra_file={tmp_path / 'y'}"))
    assert one == two != made.key(graph.node("low"))
    with pytest.raises(UsageError, match="no such file"):
        made.key(graph.node("low:extra_file=/nowhere"))


def test_unknown_names_are_explained(tmp_path: Path) -> None:
    graph = Graph.load(project(tmp_path))
    with pytest.raises(UsageError, match="unknown node 'hihg'"):
        graph.node("hihg")
    with pytest.raises(UsageError, match="no parameter 'hx'"):
        graph.node("low:hx=1")
    with pytest.raises(UsageError, match="expected NAME:key=value"):
        graph.node("low:hz")


def test_cycle_is_an_error(tmp_path: Path) -> None:
    text = TWO.replace('nodes: ["low"]', 'nodes: ["high"]')
    with pytest.raises(BuildError, match="high -> high"):
        Graph.load(project(tmp_path, text)).node("high")


def test_mistake_in_node_yaml_has_a_place(tmp_path: Path) -> None:
    text = TWO.replace("packages: [src]", "package: [src]")
    with pytest.raises(UsageError, match=r"node\.yaml:11:5: nodes\.high\.package: unknown key"):
        Graph.load(project(tmp_path, text))


def test_glob_without_a_file_is_an_error(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "images/thing/data.txt").unlink()
    graph, made = keys(root)
    with pytest.raises(UsageError, match=r"no file matches 'data\.txt'"):
        made.key(graph.node("low"))
