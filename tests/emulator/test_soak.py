# SPDX-License-Identifier: Apache-2.0
"""Seconds of `make soak` and a few kills of `make soak-kill`, as make runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from emulated import ROOT

SOAK = ROOT / "tests/soak"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SOAK / script, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.timeout(600)
def test_two_realms_and_a_vm_under_load() -> None:
    done = run("soak.py", "--seconds", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("there and back") == 3
    assert "afterwards: 0 granules delegated, 0 leaked" in done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_kills(tmp_path: Path) -> None:
    folder = tmp_path / "kill"
    # The first part stands for a run that was interrupted: the second goes on from its progress.
    first = run("soak_kill.py", "--vmm", "1", "--qemu", "0", "--seed", "1", "--folder", str(folder))
    assert first.returncode == 0, first.stdout + first.stderr
    progress = {"seed": 1, "vmm": 1, "qemu": 0, "held": 0, "wrong": []}
    (folder / "progress.json").write_text(json.dumps(progress))
    second = run("soak_kill.py", "--vmm", "3", "--qemu", "1", "--seed", "1", "--folder", str(folder))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "3 kills of the VMM, 1 of the emulator" in second.stdout
    assert "; 0 things wrong" in second.stdout
    assert int(second.stdout.splitlines()[-1].split(", ")[2].split()[0]) > 0, second.stdout  # some have hit
    assert not (folder / "progress.json").exists()
