# SPDX-License-Identifier: Apache-2.0
"""What `orch status` says of the workers of a run that goes on, and that it says nothing when that is over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import orch
from orchestrator.experiment.board import BOARD, Board, Post, read_board
from orchestrator.machine.process import ProcessId
from orchestrator.testbed.project import Project

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Project.open(ROOT / "testbed.yaml").state_folder() / BOARD


def status(*options: str) -> str:
    done = CliRunner().invoke(orch, ["--testbed", str(ROOT / "testbed.yaml"), "status", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_status_shows_what_each_worker_does(path: Path) -> None:
    near = Post("worker 1", "boot 1: deterministic", str(path.parent / "workers/1"), "[1/8] a int8 in vm: counting")
    far = Post("worker 2", "boot 2: deterministic", "worker at node7", "guest start", "host-ready since 12:00:00")
    Board(path, "w-1").show([near, far])
    lines = [line for line in status().splitlines() if line.startswith("worker")]
    assert "workers/1; stopped; boot 1: deterministic; [1/8] a int8 in vm: counting" in lines[0]
    assert "worker at node7; host-ready since 12:00:00; boot 2: deterministic; guest start" in lines[1]
    told = json.loads(status("--json"))["workers"]
    assert [(each["run"], each["worker"], each["machine"]) for each in told] == [
        ("w-1", "worker 1", "stopped"),
        ("w-1", "worker 2", "host-ready since 12:00:00"),
    ]


def test_a_client_that_is_gone_shows_nothing(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as client:
        there = ProcessId.of(client.pid)
        assert there is not None
        path.parent.mkdir(parents=True)
        table = {"run": "w-1", "client": {"pid": there.pid, "start": there.start}, "workers": []}
        path.write_text(json.dumps(table), encoding="utf-8")
        assert read_board(path) is not None
    assert read_board(path) is None
    assert json.loads(status("--json"))["workers"] == []


def test_a_board_is_not_written_more_often_than_people_look(path: Path) -> None:
    board, post = Board(path, "w-1"), Post("worker 1", "boot 1", "", "first")
    board.show([post])
    post.doing = "second"
    board.show([post])
    assert "first" in path.read_text(encoding="utf-8")
    board.show([post], at_once=True)
    assert "second" in path.read_text(encoding="utf-8")
    board.clear()
    assert not path.exists()
