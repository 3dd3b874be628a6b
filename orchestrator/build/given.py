# SPDX-License-Identifier: Apache-2.0
"""Artifacts by keys that somebody else worked out: they are there, or it is an error; nothing is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.build.builder import Builder
from orchestrator.errors import EnvError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.build.graph import Node
    from orchestrator.build.schedule import Planned


class GivenBuilder(Builder):
    """Stands in for another computer's builder, whose tools give artifacts other keys than they would have here."""

    def __init__(self, other: Builder, given: Mapping[str, str]) -> None:
        """`given` are keys by a node's label; cache and graph are those of `other`."""
        super().__init__(other.graph, other.cache, other.packages, other.progress)
        self._given = given

    def artifact(self, node: Node) -> Path:
        """The folder of a node's artifact; raises EnvError if its key was not given."""
        return self.cache.artifact(self._key(node))

    def plan(self, targets: list[Node]) -> list[Planned]:
        """Nothing; raises EnvError for a target that is not in the cache."""
        for node in targets:
            if not self.cache.has(self._key(node)):
                raise EnvError(f"{node.label}: artifact {self._key(node)[:12]} is not in {self.cache.root}")
        return []

    def build(self, targets: list[Node]) -> list[Planned]:
        """As `plan`."""
        return self.plan(targets)

    def _key(self, node: Node) -> str:
        try:
            return self._given[node.label]
        except KeyError:
            raise EnvError(f"{node.label}: no artifact of that name came with the job") from None
