# SPDX-License-Identifier: Apache-2.0
"""`orch lock --update`: resolve package sets anew, say what changed, and rewrite the lock file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build import pypi
from orchestrator.build.lockdiff import PYPI, difference
from orchestrator.build.packages import PACKAGES_FILE, load_requests
from orchestrator.build.resolve import Resolver
from orchestrator.errors import UsageError
from orchestrator.files import replace_file
from orchestrator.schema import lock as lockschema
from orchestrator.schema.lock import LOCK_NAME, Lock

Notify = Callable[[str], None]


@dataclass(frozen=True)
class LockUpdate:
    """A new lock and its difference to the old one, a line an item (empty: nothing changed)."""

    lock: Lock
    changes: list[str]


def update(project: Path, cache: Path, names: Sequence[str] = (), *, notify: Notify = lambda _text: None) -> LockUpdate:
    """Pin `names` (package sets, or 'pypi'; none means everything) to the newest acceptable versions.

    The lock file is replaced at the end, in one step. Raises UsageError, BuildError (nothing acceptable) or EnvError.
    """
    requests = load_requests(project).packages
    unknown = sorted(set(names) - set(requests) - {PYPI})
    if unknown:
        known = ", ".join([*sorted(requests), PYPI])
        raise UsageError(f"no package set '{unknown[0]}' in {PACKAGES_FILE}", hint=f"known: {known}")
    path = project / LOCK_NAME
    old = _old_lock(path, needed=bool(names), notify=notify)
    chosen = set(names) or {*requests, PYPI}
    resolver = Resolver(cache, notify)
    kept = {name: pin for name, pin in (old.packages if old else {}).items() if name in requests}
    fresh = {name: resolver.resolve(name, spec) for name, spec in sorted(requests.items()) if name in chosen}
    python = pypi.compile_lock(project, notify) if PYPI in chosen or old is None else old.pypi
    new = Lock(packages={**kept, **fresh}, pypi=python)
    changes = difference(old, new)
    if old != new:
        replace_file(path, lockschema.dumps(new))
    return LockUpdate(new, changes)


def _old_lock(path: Path, *, needed: bool, notify: Notify) -> Lock | None:
    """The lock as it is; a missing or damaged one only matters where a part of it is to be kept."""
    try:
        return lockschema.load(path)
    except UsageError as error:
        if needed:
            raise
        notify(f"{error.message}; making a new one")
        return None
