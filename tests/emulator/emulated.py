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
