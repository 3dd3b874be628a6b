# SPDX-License-Identifier: Apache-2.0
"""Package sets as the build graph sees them: effective pins, verified files, and stand-ins for dropped pins."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from orchestrator.build.cache import make_folder
from orchestrator.build.downloads import Downloads
from orchestrator.build.lockdiff import set_difference
from orchestrator.build.resolve import Resolver
from orchestrator.errors import BuildError, UsageError
from orchestrator.files import replace_file
from orchestrator.schema import lock as lockschema
from orchestrator.schema import yamlfile
from orchestrator.schema.lock import LOCK_NAME, Lock, LockedFile, LockedSet, Replacement, Replacements
from orchestrator.schema.packages import PackagesFile

PACKAGES_FILE = "images/packages.yaml"
_LOCK_TIMEOUT = 600.0
_ROUNDS = 2  # a mirror that changes between resolution and download gets one more try
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Substitution:
    """A package set whose pinned files the mirror dropped, and what is taken instead, a line a changed package."""

    name: str
    pinned: str
    used: str
    accepted: bool
    dropped: tuple[str, ...]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        state = "passed the boot check" if self.accepted else "provisional until the boot check passes"
        return f"package set '{self.name}' is not as locked, the mirror dropped it ({state}): {'; '.join(self.changes)}"


def load_requests(project: Path) -> PackagesFile:
    """What the project asks for; raises UsageError."""
    return yamlfile.load(project / PACKAGES_FILE, PackagesFile)


class PackageStore:
    """The pinned package sets of a project, kept in a cache; reading it touches no network.

    With `frozen`, only the lock counts: earlier substitutions are ignored and new ones refused.
    """

    def __init__(
        self, project: Path, cache: Path, *, frozen: bool = False, notify: Notify = lambda _text: None
    ) -> None:
        self._requests = load_requests(project).packages
        self._lock_file = project / LOCK_NAME
        self._cache = cache
        self._frozen = frozen
        self._notify = notify
        self._cancel = threading.Event()
        self._downloads = Downloads(cache / "downloads", notify, self._cancel)
        self._known: Replacements | None = Replacements() if frozen else None
        self._guard = threading.Lock()

    def names(self) -> list[str]:
        """Names of all package sets of the project."""
        return sorted(self._requests)

    def manifest(self, name: str) -> dict[str, object]:
        """The effective pin of a package set: exactly what can influence what is built from it."""
        keep = {"package", "version", "architecture", "sha256"}
        return {"files": {file.name: file.model_dump(include=keep) for file in self._pin(name).files}}

    def version(self, name: str) -> str:
        """The version in force, for people."""
        return self._pin(name).version

    def download_bytes(self, name: str) -> int:
        """Bytes that `prepare` would download for this package set."""
        return sum(file.size for file in self._pin(name).files if not self._downloads.has(file))

    def prepare(self, names: Iterable[str]) -> None:
        """Download what is not in the cache; where the mirror dropped a pin, substitute (manifests then change).

        Raises BuildError (dropped and frozen, nothing acceptable, corrupt download) or EnvError (mirror, space).
        """
        wanted = sorted(set(names))
        for _ in range(_ROUNDS):
            gone = self._download(wanted)
            if not gone:
                return
            self._substitute(gone)
        gone = self._download(wanted)
        if gone:
            raise _dropped(next(iter(gone.values()))[0], "the mirror's index names files that it does not have")

    def fetch(self, name: str) -> Path:
        """A folder with exactly the files of a package set, each checked against its SHA-256; to be read only.

        Raises as `prepare`, except that nothing is substituted: keys were computed from the present manifest.
        """
        pin = self._pin(name)
        damaged = [file for file in pin.files if self._downloads.has(file) and not self._downloads.sound(file)]
        for file in damaged:
            self._notify(f"{self._downloads.path(file)} is damaged, fetching it again")
        gone = self._downloads.fetch(pin.files)
        if gone:
            raise _dropped(gone[0], "run it again, a newer version is then taken" if not self._frozen else None)
        for file in damaged:
            if not self._downloads.sound(file):
                raise BuildError(f"{self._downloads.path(file)} does not keep its content", hint="check this disk")
        return self._link_folder(pin)

    def cancel(self) -> None:
        """End the download under way in another thread; no other one starts."""
        self._cancel.set()

    def progress(self) -> str:
        """What the download under way has brought so far, or ''."""
        return self._downloads.progress()

    def substitutions(self) -> list[Substitution]:
        """Package sets that are not what the lock says."""
        return [
            Substitution(
                name=name,
                pinned=self._lock.packages[name].version,
                used=entry.pin.version,
                accepted=entry.accepted,
                dropped=tuple(entry.dropped),
                changes=tuple(set_difference(self._lock.packages[name], entry.pin)),
            )
            for name, entry in sorted(self._replaced.packages.items())
        ]

    def accept_substitutions(self) -> None:
        """The machine built with them passed its check: keep them."""

        def accept(entries: dict[str, Replacement]) -> dict[str, Replacement]:
            return {name: entry.model_copy(update={"accepted": True}) for name, entry in entries.items()}

        self._rewrite(accept)

    def reject_substitutions(self) -> None:
        """The machine built with the provisional ones failed its check: drop those."""
        self._rewrite(lambda entries: {name: entry for name, entry in entries.items() if entry.accepted})

    @cached_property
    def _lock(self) -> Lock:
        """Read late: `orch lock --update` must work where the lock is missing or damaged."""
        return lockschema.load(self._lock_file)

    @property
    def _record(self) -> Path:
        """Where substitutions for this lock are kept."""
        return self._cache / "substitutions" / f"{self._lock.packages_digest()}.json"

    @property
    def _replaced(self) -> Replacements:
        """Substitutions in force."""
        if self._known is None:
            self._known = self._read_record()
        return self._known

    def _pin(self, name: str) -> LockedSet:
        """The pin in force; raises if the lock does not belong to the request."""
        request = self._requests.get(name)
        if request is None:
            raise UsageError(f"no package set '{name}' in {PACKAGES_FILE}", hint=f"known: {', '.join(self.names())}")
        pinned = self._lock.packages.get(name)
        if pinned is None or pinned.request != request.digest():
            state = "is not pinned" if pinned is None else f"was changed in {PACKAGES_FILE} since it was pinned"
            raise BuildError(f"package set '{name}' {state}", hint=f"run `orch lock --update {name}`")
        replaced = self._replaced.packages.get(name)
        return replaced.pin if replaced else pinned

    def _download(self, names: Iterable[str]) -> dict[str, list[LockedFile]]:
        """Fetch everything in one go; returns the dropped files by package set."""
        pins = {name: self._pin(name) for name in names}
        gone = {file.sha256 for file in self._downloads.fetch(file for pin in pins.values() for file in pin.files)}
        lost = {name: [file for file in pin.files if file.sha256 in gone] for name, pin in pins.items()}
        return {name: files for name, files in lost.items() if files}

    def _substitute(self, gone: dict[str, list[LockedFile]]) -> None:
        """Resolve package sets with dropped files anew, within their limits, and record the result as provisional."""
        if self._frozen:
            raise _dropped(next(iter(gone.values()))[0], "run without --frozen or `orch lock --update`")
        resolver = Resolver(self._cache, self._notify)
        for name, files in gone.items():
            for file in files:
                self._notify(f"the mirror dropped {file.package}={file.version} ({file.path})")
            pin = resolver.resolve(name, self._requests[name])
            entry = {name: Replacement(dropped=sorted(file.path for file in files), pin=pin)}
            self._rewrite(partial(_with, entry))
            changes = "; ".join(set_difference(self._lock.packages[name], pin)) or "the same packages elsewhere"
            self._notify(
                f"package set '{name}': SUBSTITUTED from {pin.suite}: {changes} (kept only if the boot check passes; "
                f"`orch lock --update {name}` makes it permanent)"
            )

    def _read_record(self) -> Replacements:
        """Earlier substitutions for this lock; those of a package set asked for differently now do not count."""
        try:
            found = Replacements.model_validate_json(self._record.read_bytes())
        except FileNotFoundError:
            return Replacements()
        except (OSError, ValidationError):
            self._notify(f"{self._record} is not readable, ignored")
            return Replacements()
        asked = {name: spec.digest() for name, spec in self._requests.items()}
        live = {n: e for n, e in found.packages.items() if n in self._lock.packages and asked.get(n) == e.pin.request}
        return Replacements(packages=live)

    def _rewrite(self, change: Callable[[dict[str, Replacement]], dict[str, Replacement]]) -> None:
        """Change the record, with other processes kept out."""
        if self._frozen:
            return
        make_folder(self._record.parent)
        with self._guard, FileLock(self._record.with_suffix(".lock"), timeout=_LOCK_TIMEOUT):
            before = self._read_record()
            self._known = Replacements(packages=change(dict(before.packages)))
            if self._known != before:
                replace_file(self._record, lockschema.dumps(self._known))

    def _link_folder(self, pin: LockedSet) -> Path:
        """Hard links to the files of a pin, in a folder of their own."""
        names = sorted(file.name for file in pin.files)
        digest = lockschema.digest_of([(file.name, file.sha256) for file in pin.files])
        folder = self._cache / "inputs" / digest  # as other checkouts that share the cache call it
        make_folder(folder)
        with FileLock(folder.with_name(f"{digest}.lock"), timeout=_LOCK_TIMEOUT):
            for file in pin.files:
                _link(self._downloads.path(file), folder / file.name)
            for entry in folder.iterdir():
                if entry.name not in names:
                    entry.unlink()
        return folder


def _with(entry: dict[str, Replacement], others: dict[str, Replacement]) -> dict[str, Replacement]:
    return {**others, **entry}


def _link(source: Path, target: Path) -> None:
    """Make `target` another name of `source`."""
    if target.exists() and target.samefile(source):
        return
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    os.link(source, scratch)
    scratch.replace(target)


def _dropped(file: LockedFile, hint: str | None) -> BuildError:
    return BuildError(f"mirror dropped {file.package}={file.version} ({file.path})", hint=hint)
