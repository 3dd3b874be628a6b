# SPDX-License-Identifier: Apache-2.0
"""`make reproducible`: build all artifacts twice, in different folders with cold compiler caches, and compare."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from orchestrator.build.builder import Builder
from orchestrator.build.cache import Cache
from orchestrator.build.graph import file_digest, in_order
from orchestrator.build.packages import PackageStore
from orchestrator.cli.progress import make_progress
from orchestrator.testbed.project import Project


def build_in(root: Path, project: Project, names: list[str]) -> dict[str, str]:
    """Build nodes into a cache at `root`; returns SHA-256 by 'node/file'. Downloads come from the user's cache."""
    graph = project.graph()
    builder = Builder(graph, Cache(root), PackageStore(project.root, project.cache().root), make_progress())
    targets = [project.node(graph, name) for name in names or sorted(graph.declared)]
    builder.build(targets)
    found = {}
    for node in in_order(targets):
        folder = builder.artifact(node)
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            found[f"{node.label}/{path.relative_to(folder)}"] = file_digest(path)
    return found


def main() -> int:
    """Exit code 0 if every file of every artifact is the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="*", help="nodes to build [all]")
    names = parser.parse_args().nodes
    project = Project.open()
    first = build_in(project.cache().root, project, names)
    with tempfile.TemporaryDirectory(prefix="orch-elsewhere-") as folder:
        second = build_in(Path(folder) / "deeper" / "down", project, names)
    differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(first) - len(differing)} of {len(first)} files are the same")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
