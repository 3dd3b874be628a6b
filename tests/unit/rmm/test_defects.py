# SPDX-License-Identifier: Apache-2.0
"""The table of seeded defects still fits the sources and the checks: `make conformance-mutants` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "images" / "rmm" / "src"
CHECKS = PROJECT / "tests" / "emulator" / "rmm-abi"
JUDGED = {"RIM", "REM", "token"}
DEFECTS = yaml.safe_load((PROJECT / "tests/conformance/defects.yaml").read_text(encoding="utf-8"))


def test_there_are_enough_and_no_two_alike() -> None:
    assert len(DEFECTS) >= 40
    for key in ("defect", "old"):
        values = [(each["file"] if key == "old" else "", each[key], each["new"]) for each in DEFECTS]
        assert len(set(values)) == len(values)


def test_each_is_in_its_place_once_and_changes_something() -> None:
    for each in DEFECTS:
        text = (SOURCES / each["file"]).read_text(encoding="utf-8")
        assert text.count(each["old"]) == 1, each["defect"]
        assert each["new"] != each["old"], each["defect"]


def test_each_names_a_check_that_there_is() -> None:
    texts = [path.read_text(encoding="utf-8") for path in CHECKS.glob("check_*.c")]
    names = {name for text in texts for name in re.findall(r'^\tCHECK\(\w+, "(.+)"\),$', text, re.MULTILINE)}
    assert {each["by"] for each in DEFECTS} <= names | JUDGED
