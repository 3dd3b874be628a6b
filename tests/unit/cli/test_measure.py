# SPDX-License-Identifier: Apache-2.0
"""`orch measure` on the command line: verdicts and exit codes, mistakes; the measurement itself is played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.attest.rim import Algorithm, Measurements
from orchestrator.cli.main import orch
from orchestrator.errors import AttestationError, BootError, UsageError
from orchestrator.schema.testbed import Guest
from orchestrator.testbed import measurement
from orchestrator.testbed.testbed import Testbed as Bed
from orchestrator.testbed.worlds import GuestWorld

RIM, OTHER = b"\x11" * 32, b"\x22" * 32
REMS = (bytes(32),) * 4


def measurements(rim: bytes, rems: tuple[bytes, ...] = REMS) -> Measurements:
    return Measurements(Algorithm.SHA_256, rim, rems)


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Guest]:
    """Which guests were asked for; folders of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: list[Guest] = []

    def predict(_bed: Bed, config: Guest) -> measurement.Expected:
        seen.append(config)
        return measurement.Expected(measurements(RIM), config, "a=b", {}, {"kernel": "cafe"}, [{"step": "x"}])

    monkeypatch.setattr(measurement, "predict", predict)
    return seen


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A realm that was started with 128 MiB and 2 vCPUs; "found" is what it reads."""
    facts: dict[str, Any] = {"found": measurements(RIM)}

    @contextmanager
    def link(_world: GuestWorld, _timeout: float | None = None) -> Iterator[object]:
        yield object()

    monkeypatch.setattr(GuestWorld, "link", link)
    monkeypatch.setattr(measurement, "started_config", lambda _bed, _name: Guest(memory_mib=128, vcpus=2))
    monkeypatch.setattr(measurement, "module_for", lambda _bed: Path("module.ko"))
    monkeypatch.setattr(measurement, "read", lambda _link, _module: facts["found"])
    return facts


def run(*arguments: str) -> None:
    orch.main(["measure", *arguments], standalone_mode=False)


def test_prediction_needs_no_machine(asked: list[Guest], capsys: pytest.CaptureFixture[str]) -> None:
    run("--mem", "512", "--vcpus", "4")
    assert asked == [Guest(memory_mib=512, vcpus=4)]
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) == 2)
    assert (lines["RIM"], lines["algorithm"], lines["vCPUs"]) == (RIM.hex(), "sha-256", "4")


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    run("--json")
    table = json.loads(capsys.readouterr().out)
    assert (table["rim"], table["rems"], table["memory_mib"]) == (RIM.hex(), ["00" * 32] * 4, 256)
    assert (table["command_line"], table["sha256"], table["steps"]) == ("a=b", {"kernel": "cafe"}, [{"step": "x"}])
    assert "equal" not in table


def test_equal(running: dict[str, Any], asked: list[Guest], capsys: pytest.CaptureFixture[str]) -> None:
    run("--read", "realm2")
    assert f"realm2 reads   {RIM.hex()} (sha-256): equal\n" in capsys.readouterr().out
    assert asked == [Guest(memory_mib=128, vcpus=2)]
    running["found"] = measurements(RIM, (bytes(32), OTHER, bytes(32), bytes(32)))
    run("--read", "realm")  # a realm may extend its REMs: shown, no difference
    out = capsys.readouterr().out
    assert "equal" in out
    assert f"REM 1          {OTHER.hex()}" in out
    assert "REM 0" not in out


def test_different(running: dict[str, Any], asked: list[Guest], capsys: pytest.CaptureFixture[str]) -> None:
    running["found"] = measurements(OTHER)
    with pytest.raises(AttestationError, match="does not have the measurement") as caught:
        run("--read", "realm", "--mem", "64", "--json")
    assert caught.value.exit_code == 5
    table = json.loads(capsys.readouterr().out)
    assert (table["rim"], table["read"]["rim"], table["equal"]) == (RIM.hex(), OTHER.hex(), False)
    assert asked == [Guest(memory_mib=64, vcpus=2)]
    running["found"] = Measurements(Algorithm.SHA_512, RIM, REMS)
    with pytest.raises(AttestationError):
        run("--read", "realm")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--mem", "3"], UsageError, "memory_mib"),
        (["--vcpus", "9"], UsageError, "vcpus"),
        (["--read", "vm"], UsageError, "the vm is no realm"),
        (["--read", "realm"], UsageError, "the realm was not started"),
    ],
)
def test_refusals(arguments: list[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(*arguments)


def test_machine_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "started_config", lambda _bed, _name: Guest())
    monkeypatch.setattr(measurement, "module_for", lambda _bed: Path("module.ko"))
    with pytest.raises(BootError, match="is not up"):
        run("--read", "realm")
