# SPDX-License-Identifier: Apache-2.0
"""SSH keys and saved machines that the beds of one test session share: what was booted once is restored from then on.

A saved machine is named by all that it is made of, keys included (testbed.snapshot_key), so testbeds with equal keys
and equal parts have the same ones. A test that is about booting, keys or saving has a bed of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.shell.keys import SshKeys

KEYS, SAVED = "keys", "snapshots"  # folders of a testbed's state


@dataclass(frozen=True)
class Store:
    """A folder that all workers of a session use at once; files in it appear whole and never change."""

    folder: Path

    def lend(self, state: Path) -> None:
        """What is here is in the state folder of a testbed as well, as if it had made it."""
        keys = SshKeys(self.folder / KEYS)
        keys.ensure()
        _link((keys.user, keys.host), state / KEYS)
        _link(self._saved(self.folder), state / SAVED)

    def keep(self, state: Path) -> None:
        """Machines that this testbed has saved are here for the others."""
        _link(self._saved(state), self.folder / SAVED)

    @staticmethod
    def _saved(folder: Path) -> list[Path]:
        return list((folder / SAVED).glob("*.state"))


def _link(files: Iterable[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in files:
        # It may be there; and a testbed forgets those of its saved machines that it has not used for longest.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            (target / path.name).hardlink_to(path)
