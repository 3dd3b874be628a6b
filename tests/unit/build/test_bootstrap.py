# SPDX-License-Identifier: Apache-2.0
"""What `make testbed` says and does about missing system packages."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.build import bootstrap

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been run; all succeed and print nothing."""
    seen: list[list[str]] = []

    def record(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(bootstrap.subprocess, "run", record)
    monkeypatch.setattr(bootstrap, "missing_packages", lambda: ["flex"])
    monkeypatch.delenv("ORCH_NO_APT", raising=False)
    monkeypatch.delenv("YES", raising=False)
    return seen


def test_no_apt_prints_what_is_missing_and_stops(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCH_NO_APT", "1")
    assert bootstrap.main(ROOT) == 6
    assert "missing system packages: flex" in capsys.readouterr().err
    assert not any("install" in command and "--print-uris" not in command for command in commands)


def test_root_installs_after_printing_the_plan(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    assert bootstrap.main(ROOT) == 0
    assert "1. system packages by apt: flex" in capsys.readouterr().out
    assert commands[-1][-1] == "flex"
    assert "sudo" not in commands[-1]


@pytest.mark.parametrize(("terminal", "yes", "allowed"), [(False, None, False), (False, "1", True), (True, None, True)])
def test_user_needs_a_terminal_or_yes(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, *, terminal: bool, yes: str | None, allowed: bool
) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(bootstrap.sys.stdin, "isatty", lambda: terminal, raising=False)
    if yes:
        monkeypatch.setenv("YES", yes)
    assert bootstrap.main(ROOT) == (0 if allowed else 6)
    assert any(command[0] == "sudo" for command in commands) is allowed


def test_every_tool_of_every_node_has_a_package() -> None:
    from orchestrator.build.graph import Graph

    named = {tool for declared in Graph.load(ROOT).declared.values() for tool in declared.spec.tools}
    assert named <= set(bootstrap.TOOLS)
