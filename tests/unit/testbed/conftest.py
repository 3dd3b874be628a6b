# SPDX-License-Identifier: Apache-2.0
"""Testbeds whose machines are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_platform import FakeMachine, FakePlatform

from orchestrator.build.progress import Silent
from orchestrator.errors import BootError
from orchestrator.registry import PLATFORMS
from orchestrator.shell import ssh
from orchestrator.testbed.project import Project
from orchestrator.testbed.testbed import Testbed as Bed

ROOT = Path(__file__).resolve().parents[3]


class Notices(Silent):
    """Keeps what would be said to the user."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


class Up:
    """A testbed on a played platform; `machine` is its one machine."""

    def __init__(self, file: Path, platform: FakePlatform) -> None:
        self.file, self.platform, self.progress = file, platform, Notices()
        self.bed = Bed(Project.open(file), self.progress)
        self.machine: FakeMachine = platform.machine(self.bed.state / "run")

    def said(self) -> list[str]:
        """What was asked of the machine since the last time."""
        said, self.machine.said = self.machine.said, []
        return said


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Up]]:
    """Makes a testbed of a platform whose host answers over SSH, unless `silent` is told."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Bed, "build", lambda *_: {})
    monkeypatch.setattr(ssh, "capture", lambda *_: "")

    @contextmanager
    def opened(server: ssh.Server, timeout: float) -> Iterator[object]:
        if (tmp_path / "silent").exists():
            raise BootError(f"state 'ssh': no answer on port {server.port} within {timeout:g} s")
        yield object()

    monkeypatch.setattr(ssh, "opened", opened)
    with PLATFORMS.extended():

        def made(platform: FakePlatform | None = None, section: str = "") -> Up:
            played = platform or FakePlatform()
            PLATFORMS.add(played)
            text = (ROOT / "testbed.yaml").read_text(encoding="utf-8")
            text = text.replace("  platform: qemu\n", f"  platform: {played.name}\n{section}")
            (tmp_path / "testbed.yaml").write_text(text, encoding="utf-8")
            return Up(tmp_path / "testbed.yaml", played)

        yield made
