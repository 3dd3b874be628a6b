# SPDX-License-Identifier: Apache-2.0
"""The content-addressed store: one folder an artifact, complete or absent, never half written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from filelock import FileLock, Timeout

from orchestrator.errors import EnvError
from orchestrator.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Manifest = dict[str, Any]


def default_cache() -> Path:
    """The user's cache folder for orch: $XDG_CACHE_HOME/orch. Raises EnvError if there is nowhere to have one."""
    return users_own(platformdirs.user_cache_dir, "XDG_CACHE_HOME")


def users_own(place: Callable[[str], str], variable: str) -> Path:
    """The folder of orch that platformdirs says, and `variable` can name; EnvError for a user who has no home folder.

    Other versions of platformdirs leave `~` as it is.
    """
    try:
        folder = place("orch")
    except RuntimeError:
        folder = "~"
    if folder.startswith("~"):
        raise EnvError("this user has no home folder", hint=f"set HOME, or {variable}, to a folder you can write to")
    return Path(folder).absolute()


def key_of(manifest: Manifest) -> str:
    """SHA-256 over the canonical JSON of a manifest, as hex."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Scratch:
    """Folders of a build under way: `out` becomes the artifact, `work` is thrown away, `log` is kept."""

    root: Path

    @property
    def out(self) -> Path:
        """What will be the artifact."""
        return self.root / "out"

    @property
    def work(self) -> Path:
        """Scratch space; the working folder of the recipe."""
        return self.root / "work"

    @property
    def project(self) -> Path:
        """What the recipe sees of the project."""
        return self.root / "project"

    @property
    def log(self) -> Path:
        """All the recipe prints."""
        return self.root / "build.log"


class Cache:
    """Artifacts by key under `root`; safe against concurrent builders and against being killed at any moment."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def files(self) -> Path:
        """Files by what is in them, which came from another computer."""
        return self.root / "files"

    def artifact(self, key: str) -> Path:
        """The folder of a finished artifact (it may not exist)."""
        return self.root / key / "out"

    def has(self, key: str) -> bool:
        """Whether the artifact is complete: its folder appears by one rename, manifest included."""
        return (self.root / key / "manifest.json").is_file()

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Exclusive right to build `key`, across processes; released by the kernel if the holder dies.

        `waiting` is called once a second until then.
        """
        folder = self.root / "locks"
        make_folder(folder)
        lock = FileLock(folder / f"{key}.lock")
        while not lock.is_locked:
            try:
                lock.acquire(timeout=-1 if waiting is None else 1)
            except Timeout:
                assert waiting is not None  # noqa: S101 - without it there is no time-out
                waiting()
        try:
            yield
        finally:
            lock.release()

    def scratch(self, key: str) -> Scratch:
        """Fresh build folders; leftovers of a killed build of the same key are removed. Call with the lock held."""
        root = self.root / "tmp" / key
        remove_tree(root)
        scratch = Scratch(root)
        make_folder(scratch.out)
        make_folder(scratch.work)
        return scratch

    def commit(self, key: str, scratch: Scratch, manifest: Manifest) -> None:
        """Turn finished build folders into the artifact."""
        remove_tree(scratch.work)
        remove_tree(scratch.project)
        replace_file(scratch.root / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        remove_tree(self.root / key)
        scratch.root.rename(self.root / key)

    def abandon(self, key: str, scratch: Scratch, label: str) -> Path:
        """Drop a failed build but keep its log; returns where the log lies now."""
        kept = self.root / "failed" / f"{label}-{key[:12]}.log"
        make_folder(kept.parent)
        if scratch.log.exists():
            scratch.log.replace(kept)
        remove_tree(scratch.root)
        return kept

    def last_manifest(self, project: Path, label: str) -> Manifest | None:
        """The manifest of the newest build of a node in this checkout, to say what changed since."""
        path = self._last(project, label)
        try:
            loaded: Manifest = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return loaded

    def remember(self, project: Path, label: str, manifest: Manifest) -> None:
        """Record `manifest` as the newest of this node in this checkout."""
        text = json.dumps(manifest, sort_keys=True)
        path = self._last(project, label)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            make_folder(path.parent)
            replace_file(path, text)

    def _last(self, project: Path, label: str) -> Path:
        checkout = hashlib.sha256(os.fsencode(project.resolve())).hexdigest()[:16]
        return self.root / "last" / checkout / f"{label}.json"

    def all_keys(self) -> list[str]:
        """Keys of all complete artifacts."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if (path / "manifest.json").is_file())

    def remove(self, key: str) -> None:
        """Delete an artifact; it is out of the way by one rename, so that it is never there in part."""
        with self.lock(key):
            doomed = self.root / "tmp" / f"{key}.removed"
            make_folder(doomed.parent)
            remove_tree(doomed)
            if (self.root / key).exists():
                (self.root / key).rename(doomed)
            remove_tree(doomed)

    def free_mib(self) -> int:
        """Space left for the cache, MiB."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free >> 20


def make_folder(path: Path) -> None:
    """mkdir -p with one clear line on failure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvError(
            f"cannot create {path}: {error.strerror}",
            hint="set XDG_CACHE_HOME (artifacts) and XDG_STATE_HOME (machines) to folders you can write to",
        ) from None


def remove_tree(path: Path) -> None:
    """rm -rf that copes with read-only folders."""
    if not path.exists():
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    shutil.rmtree(path)
