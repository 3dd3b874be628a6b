# SPDX-License-Identifier: Apache-2.0
"""Versions of the build tools, which are part of what keys are made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from orchestrator.build.bootstrap import TOOLS
from orchestrator.build.cache import make_folder
from orchestrator.build.run import run
from orchestrator.errors import EnvError
from orchestrator.files import replace_file


class ToolVersions:
    """First line of `TOOL --version`, remembered in `memory` as long as the program file is unchanged."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, str] | None = None

    def __call__(self, tool: str) -> str:
        """The version line of `tool`; raises EnvError naming the package where it is missing."""
        path = shutil.which(tool)
        if path is None:
            package = TOOLS.get(tool, tool)
            raise EnvError(f"missing tool: {tool}", hint=f"apt-get install {package} (or `make testbed`)")
        status = Path(path).resolve().stat()
        stamp = f"{path} {status.st_mtime_ns} {status.st_size}"
        known = self._load()
        if stamp not in known:
            known[stamp] = run([path, "--version"], timeout=30).stdout.split("\n", 1)[0].strip()
            make_folder(self._memory.parent)
            replace_file(self._memory, json.dumps(known, indent=1, sort_keys=True))
        return known[stamp]

    def _load(self) -> dict[str, str]:
        if self._known is None:
            try:
                self._known = json.loads(self._memory.read_text(encoding="utf-8"))
            except (FileNotFoundError, json.JSONDecodeError):
                self._known = {}
        return self._known
