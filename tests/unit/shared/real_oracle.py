# SPDX-License-Identifier: Apache-2.0
"""The oracle as it is built, for tests that ask it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from orchestrator.build.progress import Silent
from orchestrator.models.oracle import Oracle
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed

ROOT = Path(__file__).resolve().parents[3]


@cache
def real_oracle() -> Oracle:
    """Built if need be (seconds); skips the test if its wheels were not fetched yet."""
    inputs = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orch" / "inputs"
    if not list(inputs.glob("*/ai_edge_litert-*_x86_64.whl")):
        pytest.skip("the oracle's wheels are fetched when node oracle is built")
    return Oracle.built(Testbed(Project.open(ROOT / "testbed.yaml"), Silent()).builder)
