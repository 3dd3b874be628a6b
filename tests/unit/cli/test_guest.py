# SPDX-License-Identifier: Apache-2.0
"""Commands about guests without a machine."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from orchestrator.cli.guest import GUESTS_OF_A_WORLD, in_one_line
from orchestrator.cli.main import orch
from orchestrator.errors import BootError, UsageError
from orchestrator.testbed.guest import GUESTS_OF_A_WORLD as LIMIT


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_as_many_guests_as_a_world_has() -> None:
    assert LIMIT == GUESTS_OF_A_WORLD


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("up --mem 512", UsageError, "add --realm or --vm"),
        ("up --vm --mem 3", UsageError, "memory_mib"),
        ("up --vm --mem 32", UsageError, "guest: memory_mib: Input should be greater than or equal to 64"),
        ("up --vm --vcpus 9", UsageError, "guest: vcpus: Input should be less than or equal to 8"),
        ("up --realm 9", click.BadParameter, "is not in the range"),
        ("ssh realm", BootError, "is not up"),
        ("ssh realm1", click.BadParameter, "is none of host, realm, vm, or a further guest"),
        ("down host", click.BadParameter, "'host' is none of realm, vm"),
        ("cp realm3:/tmp/x /tmp", BootError, "is not up"),
        ("cp realm:/tmp/x vm:/tmp", UsageError, "exactly one of"),
        ("console vm", BootError, "is not up"),
        ("logs vm", UsageError, "no log of the vm yet"),
        ("logs vm uart0", UsageError, "shown alone"),
    ],
)
def test_refusals(command: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        orch.main(command.split(), standalone_mode=False)


def test_down_without_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    orch.main(["down", "realm"], standalone_mode=False)
    assert capsys.readouterr().out == "realm: was not up\n"


def test_status_line() -> None:
    facts = {"state": "running", "detail": None, "pid": 7, "stats": {"irq": 3, "fiq": 0}}
    assert in_one_line(facts) == "running, pid 7, stats [irq 3]"
    assert in_one_line({"granules": 0, "leaked": 0}) == "granules 0, leaked 0"
