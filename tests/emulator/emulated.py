# SPDX-License-Identifier: Apache-2.0
"""One testbed for a test, driven by the real command or in-process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def build(bed: Bed, name: str) -> Path:
    """Build a node for the bed's machine; the artifact's folder."""
    testbed = bed.open()
    node = testbed.project.node(testbed.graph, name)
    testbed.builder.build([node])
    return testbed.builder.artifact(node)


def load_rmi_check(bed: Bed) -> None:
    """Build the RMI test module for the machine's kernel and load it there; loading runs its checks."""
    copied = bed.orch("cp", str(build(bed, "rmi-check") / "rmi_check.ko"), "host:/tmp/")
    assert copied.returncode == 0, copied.stderr
    loaded = bed.orch("ssh", "host", "--", "insmod /tmp/rmi_check.ko")
    assert loaded.returncode == 0, loaded.stderr


def tap_failures(tap: str) -> list[str]:
    """The failed lines of a TAP report, which must be complete and hold at least one check."""
    lines = [line for line in tap.splitlines() if line.startswith(("ok ", "not ok "))]
    assert lines, tap
    assert f"1..{len(lines)}" in tap
    return [line for line in lines if line.startswith("not ok")]


def make_realms_possible(bed: Bed, *nodes: str) -> None:
    """Bring the host up with VMM and driver in /tmp, the driver loaded, and the files of further nodes beside them."""
    done = bed.orch("up")
    assert done.returncode == 0, done.stderr
    for node in ("rvmm", "realm-driver", *nodes):
        for file in sorted(build(bed, node).iterdir()):
            if not file.name.endswith("-describe"):  # that one is for the build computer
                copied = bed.orch("cp", str(file), "host:/tmp/")
                assert copied.returncode == 0, copied.stderr
    host(bed, "insmod /tmp/realm.ko")


def host(bed: Bed, script: str, *, timeout: float = 120) -> str:
    """What a script prints that must succeed in the emulated host."""
    done = bed.orch("ssh", "host", "--", script, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
