# SPDX-License-Identifier: Apache-2.0
"""The difference between two locks, in words."""

from __future__ import annotations

from orchestrator.schema.lock import Lock, LockedSet

PYPI = "pypi"
Contents = dict[str, tuple[str, frozenset[str]]]  # package: version, checksums of its files


def difference(old: Lock | None, new: Lock) -> list[str]:
    """What changed, for people: `OLD -> NEW` a package, + added, - removed, grouped by package set."""
    before = _contents(old) if old else {}
    after = _contents(new)
    lines: list[str] = []
    for group in sorted(before.keys() | after.keys()):
        inner = _group_difference(before.get(group, {}), after.get(group, {}))
        if inner:
            state = "" if group in before and group in after else " (new)" if group in after else " (removed)"
            lines += [f"{group}{state}:", *(f"  {line}" for line in inner)]
    return lines


def set_difference(old: LockedSet, new: LockedSet) -> list[str]:
    """What changed between two pins of a package set, a line a package."""
    return _group_difference(_set_contents(old), _set_contents(new))


def _contents(lock: Lock) -> dict[str, Contents]:
    """Version and checksums of each package, by package set."""
    found = {name: _set_contents(pin) for name, pin in lock.packages.items()}
    found[PYPI] = {package.name: (package.version, frozenset(package.sha256)) for package in lock.pypi.packages}
    return found


def _set_contents(pin: LockedSet) -> Contents:
    packages: Contents = {}
    for file in pin.files:
        _, known = packages.get(file.package, ("", frozenset()))
        packages[file.package] = (file.version, known | {file.sha256})
    return packages


def _group_difference(old: Contents, new: Contents) -> list[str]:
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
