# SPDX-License-Identifier: Apache-2.0
"""Saved machine states in the user cache, named by what the machine is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.build.cache import Cache, make_folder, remove_tree

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.machine.instance import Instance


class Snapshots:
    """States taken right after the first boot of a machine."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._root = cache.root / "snapshots"

    def find(self, key: str) -> Path | None:
        """The state file for `key`, if there is one; it appears by a rename and is never partial."""
        path = self._root / f"{key}.state"
        return path if path.is_file() else None

    def save(self, key: str, instance: Instance, timeout: float) -> Path:
        """Save the running machine under `key`; `timeout` in seconds."""
        make_folder(self._root)
        path = self._root / f"{key}.state"
        instance.save_state(path, timeout)
        return path

    def drop(self, path: Path) -> None:
        """Forget a state that cannot be restored."""
        path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all states."""
        remove_tree(self._root)
