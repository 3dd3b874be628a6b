# SPDX-License-Identifier: Apache-2.0
"""Mistakes in a testbed file: each a line with file, line, column, key and what was expected; and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.schema.testbed import TestbedConfig as Config
from orchestrator.schema.testbed import Timeouts
from orchestrator.schema.yamlfile import Strict, load, loads
from orchestrator.schema.yamltext import dump, parse

ROOT = Path(__file__).resolve().parents[3]
GOOD = (ROOT / "testbed.yaml").read_text()


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        loads(text, "t.yaml", Config)
    assert caught.value.exit_code == 2
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


def test_a_key_that_is_no_text() -> None:
    assert refused("name: a\n? [b]\n: 1\n") == "t.yaml:2:3: a key that is a list or has keys of its own"
    assert refused("? {b: c}\n: 1\n").startswith("t.yaml:1:3: a key that is a list")


def test_a_character_that_no_yaml_has() -> None:
    assert "t.yaml: not valid YAML: " in refused("name: \x11\n")


def test_not_a_mapping() -> None:
    assert "t.yaml:1:1: document" in refused("- a\n")


def test_missing_file() -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(Path("/nowhere/testbed.yaml"), Config)


# --- all of them at once ---


def test_all_mistakes_are_told_in_the_order_of_the_file() -> None:
    text = GOOD.replace("  host_hz: 100", "  host_hz: 123").replace("  cpus: 2", "  cpus: two\n  colour: red", 1)
    lines = refused(text + "timeouts: {ssh: 0, down: -1}\n").split("\n")
    assert [line.split(": ")[1] for line in lines] == [
        *("machine.cpus", "machine.colour", "kernel.host_hz", "timeouts.ssh", "timeouts.down")
    ]
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)
    assert numbers[0] == text.splitlines().index("  cpus: two") + 1


def test_a_key_that_is_spelled_wrong_is_not_missing_as_well() -> None:
    assert refused(GOOD.replace("name: ", "nam: ", 1)).endswith(": nam: unknown key; did you mean 'name'?")


def test_a_missing_key_has_the_line_of_its_parent() -> None:
    text = "name: a\n\nmachine:\n  platform: qemu\n"
    assert refused(text) == "t.yaml:3:1: machine.cpu: Field required"


# --- what YAML is to everybody else ---


@pytest.mark.parametrize(
    ("number", "value"), [("1e-2", 0.01), ("2E1", 20.0), ("1.5e1", 15.0), (".5e1", 5.0), ("5.e-1", 0.5), ("+1e0", 1.0)]
)
def test_numbers_with_an_exponent(number: str, value: float) -> None:
    assert loads(f"{GOOD}timeouts: {{ssh: {number}}}\n", "t.yaml", Config).timeouts.ssh == value
    assert loads(GOOD, "t.yaml", Config, [f"timeouts.ssh={number}"]).timeouts.ssh == value


@pytest.mark.parametrize("text", ["1e5", "1e-2", "x1e5", "e5", "1e", "0x1e5", "1.0e+5", "12:30", "no"])
def test_what_is_written_is_read_as_the_same(text: str) -> None:
    """A name may look like a number."""
    data = {"name": text, "number": 1e-7, "list": [text]}
    assert parse(dump(data), "t.yaml")[0] == data


MERGED = """
base: &base {ssh: 5, down: 6}
other: &other {down: 7, restore: 8}
name: a
timeouts:
  <<: %s
  down: 9
"""


class Merging(Strict):
    """Of MERGED."""

    name: str
    base: Timeouts
    other: Timeouts
    timeouts: Timeouts


@pytest.mark.parametrize(("merge", "ssh", "restore"), [("*base", 5, 30), ("[*base, *other]", 5, 8)])
def test_a_merge_may_be_overridden(merge: str, ssh: float, restore: float) -> None:
    found = loads(MERGED % merge, "t.yaml", Merging).timeouts
    assert (found.ssh, found.down, found.restore) == (ssh, 9, restore)


def test_a_mistake_in_a_merge_has_the_place_of_its_text() -> None:
    with pytest.raises(UsageError) as caught:
        loads((MERGED % "*base").replace("ssh: 5", "ssh: x"), "t.yaml", Merging)
    assert [line.split(": ")[:2] for line in caught.value.message.split("\n")] == [
        ["t.yaml:2:14", "base.ssh"],
        ["t.yaml:2:14", "timeouts.ssh"],
    ]


def test_a_key_beside_a_merge_is_given_once() -> None:
    with pytest.raises(UsageError, match=r"t\.yaml:8:3: key 'down' is given twice"):
        loads(f"{MERGED % '*base'}  down: 10\n", "t.yaml", Merging)
