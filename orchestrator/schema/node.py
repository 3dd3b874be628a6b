# SPDX-License-Identifier: Apache-2.0
"""`node.yaml`: the build-graph nodes that a recipe folder declares."""

from __future__ import annotations

from pydantic import Field

from orchestrator.schema.yamlfile import Strict


class NodeSpec(Strict):
    """One artifact: the recipe script and everything that may influence what it makes."""

    summary: str = Field(description="one line for people")
    script: str = Field(default="build.sh", description="bash recipe, relative to the folder of node.yaml")
    files: list[str] = Field(
        default_factory=list,
        description="globs relative to the folder of node.yaml ('//x' is relative to the project); contents count",
    )
    packages: list[str] = Field(default_factory=list, description="names of pinned package sets (images/packages.yaml)")
    nodes: list[str] = Field(default_factory=list, description="upstream nodes, as NAME or NAME:key=value,…")
    params: dict[str, str] = Field(default_factory=dict, description="parameters and their default values")
    tools: list[str] = Field(default_factory=list, description="programs whose version line counts")
    seconds: int = Field(description="CPU time of a build without a compiler cache, s of the reference computer")
    parallel: float = Field(default=0.0, ge=0, le=1, description="share of `seconds` that spreads over all cores")
    mib: int = Field(description="estimated size of the artifact and its scratch space, MiB")


class NodeFile(Strict):
    """The whole of a `node.yaml`."""

    nodes: dict[str, NodeSpec]
