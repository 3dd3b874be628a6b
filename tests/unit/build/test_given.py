# SPDX-License-Identifier: Apache-2.0
"""Artifacts by keys that another computer worked out."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.build.given import GivenBuilder
from orchestrator.build.progress import Silent
from orchestrator.errors import EnvError
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Bed(Project.open(ROOT / "testbed.yaml"), Silent())


def add(bed: Bed, key: str) -> None:
    with bed.cache.lock(key):
        bed.cache.commit(key, bed.cache.scratch(key), {"label": key})


def test_a_machine_is_made_of_what_was_given(bed: Bed) -> None:
    nodes = bed.project.machine_nodes(bed.graph)
    keys = {node.label: f"{number:064x}" for number, node in enumerate(nodes.values())}
    bed.builder = GivenBuilder(bed.builder, keys)
    with pytest.raises(EnvError, match="is not in"):
        bed.build()
    for key in keys.values():
        add(bed, key)
    assert bed.build() == {name: bed.cache.artifact(keys[node.label]) for name, node in nodes.items()}


def test_what_was_not_given_is_not_built(bed: Bed) -> None:
    bed.builder = GivenBuilder(bed.builder, {})
    with pytest.raises(EnvError, match="no artifact of that name came with the job"):
        bed.build()
