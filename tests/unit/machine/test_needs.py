# SPDX-License-Identifier: Apache-2.0
"""What machines take of the computer."""

from __future__ import annotations

from pathlib import Path

from orchestrator.machine.needs import needs_of
from orchestrator.schema.testbed import TestbedConfig as Config
from orchestrator.schema.yamlfile import load

ROOT = Path(__file__).resolve().parents[3]


def test_cores_follow_the_cpus_unless_one_thread_runs_them_all() -> None:
    config = load(ROOT / "testbed.yaml", Config, ["machine.cpus=4", "machine.deterministic.cpus=2"])
    assert needs_of(config, deterministic=False).cores == 4
    assert needs_of(config, deterministic=True).cores == 1


def test_memory_holds_all_that_the_guests_may_touch() -> None:
    config = load(ROOT / "testbed.yaml", Config)
    assert needs_of(config, deterministic=True).memory_mib > 3072 + 256
