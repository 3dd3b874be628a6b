# SPDX-License-Identifier: Apache-2.0
"""The artifact graph: nodes declared in `node.yaml` files, their parameters, manifests and keys; builds nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.cache import Manifest, key_of
from orchestrator.errors import BuildError, UsageError
from orchestrator.schema.node import NodeFile, NodeSpec
from orchestrator.schema.yamlfile import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECIPE_FOLDERS = ("images/*", "guest/*/*", "workloads/*", "tests/emulator/*")
FORMAT = 1  # raise when the environment that recipes see changes its meaning
_PACKAGES = "inputs"  # in manifests, of which keys are hashes: another word would build everything anew


@dataclass(frozen=True, eq=False)
class Declared:
    """A node as its `node.yaml` declares it."""

    name: str
    folder: Path
    spec: NodeSpec


@dataclass(frozen=True)
class Node:
    """A node with its parameters fixed; `label` names it to people and on the command line."""

    declared: Declared
    params: tuple[tuple[str, str], ...]
    upstream: tuple[Node, ...]

    @property
    def name(self) -> str:
        """The declared name."""
        return self.declared.name

    @property
    def spec(self) -> NodeSpec:
        """The declaration."""
        return self.declared.spec

    @property
    def label(self) -> str:
        """NAME, or NAME:key=value,… where parameters differ from their defaults."""
        changed = [f"{key}={value}" for key, value in self.params if self.spec.params[key] != value]
        return f"{self.name}:{','.join(changed)}" if changed else self.name

    @property
    def file_label(self) -> str:
        """The label with only characters that are safe in a file name."""
        return "".join(char if char.isalnum() or char in "-_.=:," else "_" for char in self.label)


@dataclass
class Graph:
    """All declared nodes of a project."""

    project: Path
    declared: dict[str, Declared] = field(default_factory=dict)

    @classmethod
    def load(cls, project: Path) -> Graph:
        """Read every `node.yaml` of the project; raises UsageError on a mistake in one."""
        graph = cls(project)
        for pattern in RECIPE_FOLDERS:
            for path in sorted(project.glob(f"{pattern}/node.yaml")):
                for name, spec in load(path, NodeFile).nodes.items():
                    if name in graph.declared:
                        other = graph.declared[name].folder / "node.yaml"
                        raise UsageError(f"{path}: node '{name}' is declared in {other} already")
                    graph.declared[name] = Declared(name, path.parent, spec)
        return graph

    def node(self, request: str, overrides: Mapping[str, Mapping[str, str]] | None = None) -> Node:
        """The node for `NAME` or `NAME:key=value,…`; `overrides` gives parameters by node name, upstream too."""
        return self._node(request, overrides or {}, ())

    def _node(self, request: str, overrides: Mapping[str, Mapping[str, str]], path: tuple[str, ...]) -> Node:
        name, _, text = request.partition(":")
        if name in path:
            raise BuildError(f"the build graph has a cycle: {' -> '.join((*path, name))}")
        declared = self.declared.get(name)
        if declared is None:
            raise UsageError(f"unknown node '{name}'", hint=f"nodes: {', '.join(sorted(self.declared))}")
        params = dict(declared.spec.params) | dict(overrides.get(name, {})) | _parse_params(request, text)
        unknown = sorted(set(params) - set(declared.spec.params))
        if unknown:
            known = ", ".join(declared.spec.params) or "none"
            raise UsageError(f"node '{name}' has no parameter '{unknown[0]}'", hint=f"its parameters: {known}")
        upstream = tuple(self._node(other, overrides, (*path, name)) for other in declared.spec.nodes)
        return Node(declared, tuple(sorted(params.items())), upstream)


def _parse_params(request: str, text: str) -> dict[str, str]:
    params = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"'{request}': expected NAME:key=value,…")
        params[key] = value
    return params


def in_order(targets: list[Node]) -> list[Node]:
    """Targets and everything below them, each once, upstream first."""
    ordered: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node not in ordered:
            for other in node.upstream:
                visit(other)
            ordered[node] = None

    for target in targets:
        visit(target)
    return list(ordered)


class Keys:
    """Computes manifests and keys, each once.

    `package_manifest` and `tool_version` supply what is not in the project.
    """

    def __init__(
        self, graph: Graph, package_manifest: Callable[[str], Manifest], tool_version: Callable[[str], str]
    ) -> None:
        self._graph = graph
        self._package_manifest = package_manifest
        self._tool_version = tool_version
        self._manifests: dict[Node, Manifest] = {}

    def key(self, node: Node) -> str:
        """SHA-256 of the node's manifest."""
        return key_of(self.manifest(node))

    def manifest(self, node: Node) -> Manifest:
        """Everything that may influence the artifact, as JSON-able data."""
        if node not in self._manifests:
            self._manifests[node] = self._compute(node)
        return self._manifests[node]

    def _compute(self, node: Node) -> Manifest:
        spec = node.spec
        params = {key: _param_content(node, key, value) for key, value in node.params}
        return {
            "format": FORMAT,
            "node": node.name,
            "files": self._files(node),
            "params": params,
            _PACKAGES: {name: self._package_manifest(name) for name in spec.packages},
            "tools": {name: self._tool_version(name) for name in spec.tools},
            "nodes": {other.label: self.key(other) for other in node.upstream},
        }

    def _files(self, node: Node) -> dict[str, str]:
        """Project-relative path to SHA-256 (and executable bit) of every declared file."""
        found: dict[str, str] = {}
        for pattern in (node.spec.script, *node.spec.files):
            base, glob = (
                (self._graph.project, pattern[2:]) if pattern.startswith("//") else (node.declared.folder, pattern)
            )
            paths = sorted(path for path in base.glob(glob) if path.is_file())
            if not paths:
                raise UsageError(
                    f"{node.declared.folder / 'node.yaml'}: nodes.{node.name}: no file matches '{pattern}'"
                )
            for path in paths:
                mode = "x" if path.stat().st_mode & 0o100 else "-"
                found[str(path.relative_to(self._graph.project))] = f"{mode}{file_digest(path)}"
        return found


def _param_content(node: Node, key: str, value: str) -> str:
    """A parameter as it enters the manifest: its value, or the content where it names a file."""
    if not key.endswith("_file") or not value:
        return value
    path = Path(value)
    if not path.is_file():
        raise UsageError(f"node '{node.name}': parameter '{key}': no such file: {value}")
    return f"sha256:{file_digest(path)}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def differences(old: Manifest | None, new: Manifest) -> list[str]:
    """What differs between two manifests of one node, one line each; a node never built has one line too."""
    if old is None:
        return ["not built here before"]
    found = [f"{path}: {text}" for path, text in _walk(old, new, "")] or ["the artifact is no longer in the cache"]
    return [f"packages{line.removeprefix(_PACKAGES)}" if line.startswith(f"{_PACKAGES} ") else line for line in found]


def _walk(old: object, new: object, path: str) -> list[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(set(old) | set(new)):
            here = f"{path} {key}".strip()
            if key not in old:
                found.append((here, "added"))
            elif key not in new:
                found.append((here, "removed"))
            else:
                found += _walk(old[key], new[key], here)
        return found
    if old == new:
        return []
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) < 64:
        return [(path, f"'{old}' -> '{new}'")]
    return [(path, "changed")]
