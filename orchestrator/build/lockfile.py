# SPDX-License-Identifier: Apache-2.0
"""`orch lock --update`: resolve outside inputs anew, say what changed, and rewrite the lock file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build import pypi
from orchestrator.build.cache import write_atomic
from orchestrator.build.inputs import INPUTS_FILE, load_requests
from orchestrator.build.resolve import Resolver
from orchestrator.errors import UsageError
from orchestrator.schema import lock as lockschema
from orchestrator.schema.lock import LOCK_NAME, Lock, LockedInput

PYPI = "pypi"
Notify = Callable[[str], None]


@dataclass(frozen=True)
class LockUpdate:
    """A new lock and its difference to the old one, a line an item (empty: nothing changed)."""

    lock: Lock
    changes: list[str]


def update(project: Path, cache: Path, names: Sequence[str] = (), *, notify: Notify = lambda _text: None) -> LockUpdate:
    """Pin `names` (inputs, or 'pypi'; none means everything) to the newest acceptable versions.

    The lock file is replaced at the end, in one step. Raises UsageError, BuildError (nothing acceptable) or EnvError.
    """
    requests = load_requests(project).inputs
    unknown = sorted(set(names) - set(requests) - {PYPI})
    if unknown:
        known = ", ".join([*sorted(requests), PYPI])
        raise UsageError(f"no input '{unknown[0]}' in {INPUTS_FILE}", hint=f"known: {known}")
    path = project / LOCK_NAME
    old = lockschema.load(path) if path.exists() else None
    chosen = set(names) if names and old else {*requests, PYPI}
    resolver = Resolver(cache, notify)
    kept = {name: pin for name, pin in (old.inputs if old else {}).items() if name in requests}
    fresh = {name: resolver.resolve(name, spec) for name, spec in sorted(requests.items()) if name in chosen}
    python = pypi.compile_lock(project, notify) if PYPI in chosen or old is None else old.pypi
    new = Lock(inputs={**kept, **fresh}, pypi=python)
    changes = difference(old, new)
    if old != new:
        write_atomic(path, lockschema.dumps(new))
    return LockUpdate(new, changes)


def difference(old: Lock | None, new: Lock) -> list[str]:
    """What changed, for people: `OLD -> NEW` a package, + added, - removed, grouped by input."""
    before = _contents(old) if old else {}
    after = _contents(new)
    lines: list[str] = []
    for group in sorted(before.keys() | after.keys()):
        inner = _group_difference(before.get(group, {}), after.get(group, {}))
        if inner:
            state = "" if group in before and group in after else " (new)" if group in after else " (removed)"
            lines += [f"{group}{state}:", *(f"  {line}" for line in inner)]
    return lines


def _contents(lock: Lock) -> dict[str, dict[str, tuple[str, frozenset[str]]]]:
    """Version and checksums of each package, by input."""
    found = {name: _input_contents(pin) for name, pin in lock.inputs.items()}
    found[PYPI] = {package.name: (package.version, frozenset(package.sha256)) for package in lock.pypi.packages}
    return found


def _input_contents(pin: LockedInput) -> dict[str, tuple[str, frozenset[str]]]:
    packages: dict[str, tuple[str, frozenset[str]]] = {}
    for file in pin.files:
        _, known = packages.get(file.package, ("", frozenset()))
        packages[file.package] = (file.version, known | {file.sha256})
    return packages


def _group_difference(
    old: dict[str, tuple[str, frozenset[str]]], new: dict[str, tuple[str, frozenset[str]]]
) -> list[str]:
    lines = []
    for package in sorted(old.keys() | new.keys()):
        if package not in old:
            lines.append(f"+ {package} {new[package][0]}")
        elif package not in new:
            lines.append(f"- {package} {old[package][0]}")
        elif old[package][0] != new[package][0]:
            lines.append(f"{package} {old[package][0]} -> {new[package][0]}")
        elif old[package] != new[package]:
            lines.append(f"{package} {new[package][0]}: same version, other files")
    return lines
