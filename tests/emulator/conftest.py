# SPDX-License-Identifier: Apache-2.0
"""Testbeds of the tests' own: a state folder each, the user's artifact cache shared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.build.progress import Silent
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed

ROOT = Path(__file__).resolve().parents[2]
ORCH = Path(sys.executable).parent / "orch"


@dataclass(frozen=True)
class Bed:
    """One testbed file in a folder of its own, driven by the real command or in-process."""

    file: Path

    def orch(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `orch --testbed FILE …`; never raises on a non-zero exit."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, **options)

    def command(self, *arguments: str) -> list[str]:
        return [str(ORCH), "--testbed", str(self.file), *arguments]

    def open(self) -> Testbed:
        return Testbed(Project.open(self.file), Silent())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.emulator)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def make_bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bed]]:
    """Make testbed files (with text replaced); every machine started from them is taken down again."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made: list[Bed] = []

    def make(*replacements: tuple[str, str], name: str = "testbed.yaml", extra: str = "") -> Bed:
        text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text + extra, encoding="utf-8")
        made.append(Bed(path))
        return made[-1]

    yield make
    for bed in made:
        bed.orch("down")


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """A testbed as shipped."""
    return make_bed()


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("ORCH_DEBUG", raising=False)
    assert os.environ.get("TERM") == "dumb"
