# SPDX-License-Identifier: Apache-2.0
"""What a protection is: a name, and how a model becomes what is deployed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.models.runtime import Runtime
    from orchestrator.models.zoo import Model
    from orchestrator.protect.deployable import Deployable


@dataclass(frozen=True)
class Given:
    """What a protection works with: a model that is built, the runtime that will open it, the workload's seed.

    `artifacts` has the folders of the nodes that it asked for, by what it called them. What it makes goes to `work`,
    which is an empty folder of its own.
    """

    model: Model
    runtime: Runtime
    seed: int
    work: Path
    artifacts: Mapping[str, Path] = field(default_factory=dict)


def _no_nodes(_model: Model) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Protection:
    """A record of PROTECTIONS. `prepare` raises WorkloadError or UsageError where a model cannot be protected so.

    The same given must give the same bytes, but for keys: what is secret and what of it depends on that.
    """

    name: str
    summary: str
    prepare: Callable[[Given], Deployable]
    nodes: Callable[[Model], tuple[str, ...]] = _no_nodes
    """Nodes of the artifact graph that it needs of a model: what takes long is made there, and once."""
    needs: frozenset[str] = frozenset()
    """Options that the runtime must know to open what is delivered."""
