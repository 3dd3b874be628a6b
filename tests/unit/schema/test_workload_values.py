# SPDX-License-Identifier: Apache-2.0
"""Every key of a workload file, set to something wrong, is one line with its place; editors are told the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.models.litert import RECORD
from orchestrator.schema.workload import TOP_MAX, Workload
from orchestrator.schema.yamlfile import loads

ROOT = Path(__file__).resolve().parents[3]
SMALL = "name: w\nmodels: fashion_cnn\n"

# Wrong for an editor that only knows the schema as well.
WRONG: dict[str, list[str]] = {
    "name": ["12", "''", "W", "a_b", "yes", "null", f"{'a' * 33}", "[a]"],
    "summary": ["3", "[a]", "null"],
    "models": ["[]", "null", "12", "[12]", "{}", "{name: x}", "{name: x, path: y, quantization: int3}", "[a, a]"],
    "quantization": ["int3", "[]", "null", "[int8, int8]", "8"],
    "inputs": ["null", "3", "[]", "{cout: 1}"],
    "inputs.count": ["0", "4097", "1.5", "yes", "'8'", "null"],
    "inputs.files": ["x.npy", "[3]", "null"],
    "inputs.labels": ["3", "[-1]", "[a]", "[true]"],
    "inputs.mean": ["a", "yes", "null"],
    "inputs.tensors": ["[]", "{x: {}}", "{x: {files: []}}", "{x: {files: [a.npy], mean: 1}}"],
    "inputs.preprocess": ["3", "{resize: half}", "{crop: 0}", "{background: 256}", "{layout: chw}", "{channels: cmyk}"],
    "inputs.range": ["3", "[1]", "[1, 2, 3]", "[a, 1]"],
    "inputs.std": ["0", "-1", "yes"],
    "worlds": ["[]", "hypervisor", "[vm, vm]", "null"],
    "runtime": ["some", "[]", "null", "[litert, litert]", "3"],
    "protection": ["some", "[]"],
    "output": ["top2", "[]", "[label, label]", "{tensor: x}", "{read: top2}", "{read: topk, top: 0}"],
    "top": ["0", "101", "500", "-1", "2.5", "yes", "all"],
    "boots": ["0", "101", "-1", "1.5", "yes", "'2'", "null", "1e2"],
    "iterations": ["0", "100001", "-1", "yes", "many"],
    "warmups": ["-1", "1001", "no"],
    "threads": ["0", "9", "[]", "[1, 1]", "yes"],
    "memory_mib": ["63", "65", "2562", "-128", "[]", "128M", "yes", "[128, 128]"],
    "vcpus": ["0", "9", "yes", "1.5"],
    "pretouch": ["1", "maybe", "[]", "'yes'", "[true, true]"],
    "ticks": ["100", "[]", "{host_hz: 99}", "{hz: 100}", "[{}, {}]"],
    "timing": ["fast", "[]", "{mode: slow}", "{shift: 11}", "{shift: -1}", "{shift: yes}", "[{}, {}]"],
    "attacks": ["rowhammer", "[dma, dma]", "null"],
    "seed": ["-1", "4294967296", "1.5", "yes", "now"],
    "margin": ["0", "1", "-0.1", "yes", "2 %"],
    "timeouts": ["60", "{rum: 1}"],
    "timeouts.deploy": ["0", "3601", "-1", "yes"],
    "timeouts.run": ["0", "3601", "1h"],
    "timeouts.attack": ["0", "3601", "null"],
}
# What JSON Schema cannot say, or JSON cannot hold.
WRONG_BEYOND: dict[str, list[str]] = {
    "name": ["nan", "inf", "infinity", "'null'", "'true'"],
    "models": [
        *(f"{{name: '{name}', path: x, quantization: int8}}" for name in ("12", "nan", "1e5", "null", "true", "1_0")),
        "[a, {name: a, path: x, quantization: int8}]",
        "[{name: a, path: x, quantization: int8}, a]",
        "[{name: a, path: x, quantization: int8}, {name: a, path: y, quantization: int8}]",
    ],
    "inputs": ["{labels: [1]}"],
    "inputs.mean": [".nan", ".inf"],
    "inputs.std": [".nan", ".inf"],
    "boots": ["2.0", "2020-99-99", "!!int x"],
    "margin": [".nan", ".inf"],
    "timing": ["[{mode: fast, shift: 1}, {mode: fast, shift: 2}]"],
    "timeouts.run": [".nan", ".inf"],
    "threads": ["2"],
    "vcpus": ["2"],
}


def cases(wrong: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(key, value) for key, values in wrong.items() for value in values]


def document(key: str, value: str) -> str:
    """A workload file with this key, at any depth, set to this value."""
    head, _, tail = key.partition(".")
    line = f"{head}: {{{tail}: {value}}}" if tail else f"{head}: {value}"
    return "\n".join([*(each for each in SMALL.splitlines() if not each.startswith(f"{head}:")), line]) + "\n"


@pytest.mark.parametrize(("key", "value"), cases(WRONG) + cases(WRONG_BEYOND))
def test_a_wrong_value_is_one_line_with_its_place(key: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(document(key, value), "w.yaml", Workload)
    message, *others = caught.value.message.split("\n")
    assert len(others) == (value == "{}")  # two keys are missing there
    assert re.match(r"w\.yaml(:\d+:\d+)?: ", message)
    whole = value in ("2", "2020-99-99", "!!int x")  # of two keys together; of YAML itself
    assert whole or re.match(rf"w\.yaml:\d+:\d+: {re.escape(key)}\b", message), message


@pytest.mark.parametrize(("key", "value"), cases(WRONG) + cases(WRONG_BEYOND))
def test_and_so_is_a_wrong_change(key: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(SMALL, "w.yaml", Workload, [f"{key}={value}"])
    assert caught.value.message.count("\n") == (value == "{}")
    assert value == "2" or caught.value.message.startswith(f"--set {key}={value}: ")


def test_no_key_is_left_out() -> None:
    asked = {key.partition(".")[0] for key in WRONG}
    assert asked == set(Workload.model_fields)
    for inner in ("inputs", "timeouts"):
        keys = set(Workload.model_fields[inner].default.model_dump())
        assert {key.partition(".")[2] for key in WRONG if key.startswith(f"{inner}.")} == keys


# --- what editors see -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "workloads").glob("*.yaml")), ids=lambda path: path.name)
def test_editors_have_nothing_against_a_shipped_file(path: Path, underlined: Callable[[str], list[str]]) -> None:
    assert underlined(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("key", "value"), cases(WRONG))
def test_editors_see_the_same_mistakes(key: str, value: str, underlined: Callable[[str], list[str]]) -> None:
    assert underlined(document(key, value))


# --- numbers that are the runner's ------------------------------------------------------------------------------------


def test_limits_are_those_of_the_runner() -> None:
    header = (ROOT / "guest/world/runner/release.h").read_text(encoding="utf-8")
    assert re.findall(r"#define RELEASE_TOP_MAX (\d+)", header) == [str(TOP_MAX)]
    source = (ROOT / "guest/world/runner/record.c").read_text(encoding="utf-8")
    assert re.findall(r"#define RELEASED_MAX \(\(size_t\)(\d+) << 20\)", source) == [str(RECORD.held_bytes >> 20)]
