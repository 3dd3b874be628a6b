# SPDX-License-Identifier: Apache-2.0
"""Saved machine states of one testbed, named by what the machine is made of.

They belong to the testbed, not to the shared cache: each holds the testbed's keys in its memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.build.cache import make_folder

if TYPE_CHECKING:
    from orchestrator.machine.platform import Machine

KEPT = 4  # newest used; one is about 116 MB


class Snapshots:
    """States taken right after the first boot of a machine, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """The state file for `key`, if there is one; it appears by a rename and is never partial."""
        path = self._folder / f"{key}.state"
        if not path.is_file():
            return None
        os.utime(path)
        return path

    def save(self, key: str, machine: Machine, timeout: float) -> Path:
        """Save the running machine under `key`; `timeout` in seconds. The states unused for longest are dropped."""
        make_folder(self._folder)
        path = self._folder / f"{key}.state"
        machine.save_state(path, timeout)
        by_age = sorted(self._folder.glob("*.state"), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in by_age[KEPT:]:
            self.drop(old)
        return path

    def drop(self, path: Path) -> None:
        """Forget a state."""
        path.unlink(missing_ok=True)
