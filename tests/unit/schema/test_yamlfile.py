# SPDX-License-Identifier: Apache-2.0
"""Mistakes in a testbed file: one line with file, line, column, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.schema.testbed import TestbedConfig as Config
from orchestrator.schema.yamlfile import load, loads

ROOT = Path(__file__).resolve().parents[3]
GOOD = (ROOT / "testbed.yaml").read_text()


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        loads(text, "t.yaml", Config)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message


def test_the_shipped_file_is_valid() -> None:
    config = load(ROOT / "testbed.yaml", Config)
    assert config.machine.cpu.features["x-rme"].value is True


def test_unknown_key_has_place_and_suggestion() -> None:
    message = refused(GOOD.replace("  host_hz: 100", "  host_hx: 100"))
    line = GOOD.splitlines().index("  host_hz: 100") + 1
    assert message == f"t.yaml:{line}:3: kernel.host_hx: unknown key; did you mean 'host_hz'?"


def test_a_document_that_is_too_deep_is_told() -> None:
    assert "not valid YAML" in refused("{a: " * 200_000 + "1")  # libyaml would end the process


def test_unknown_top_level_key() -> None:
    assert ": colour: unknown key" in refused(GOOD + "colour: red\n")


def test_wrong_value_names_what_is_accepted() -> None:
    message = refused(GOOD.replace("  host_hz: 100", "  host_hz: 123"))
    assert "kernel.host_hz: Input should be 100, 250, 300 or 1000" in message


def test_feature_without_a_reason() -> None:
    message = refused(GOOD.replace("\n        why: the Realm", "\n        # why: the Realm", 1))
    assert "machine.cpu.features.x-rme.why: Field required" in message


def test_missing_key_points_to_its_parent() -> None:
    assert refused("name: a\n").startswith("t.yaml:1:1: machine: Field required")


def test_key_given_twice() -> None:
    assert "t.yaml:2:1: key 'name' is given twice" in refused("name: a\nname: b\n")


def test_broken_yaml_has_a_place() -> None:
    assert refused("name: [a\nmachine: {}\n").startswith("t.yaml:2:")


def test_not_a_mapping() -> None:
    assert "t.yaml:1:1: document" in refused("- a\n")


def test_missing_file() -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(Path("/nowhere/testbed.yaml"), Config)
