# SPDX-License-Identifier: Apache-2.0
"""The store of downloaded files, by SHA-256: complete and verified, or absent."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.build import apt, mirror, wheels
from orchestrator.build.cache import make_folder, remove_tree
from orchestrator.errors import EnvError
from orchestrator.schema.lock import LockedFile

LOCK_TIMEOUT = 3600.0
_SPARE_BYTES = 64 << 20  # room for what else is written meanwhile
Notify = Callable[[str], None]


class Downloads:
    """Files under ROOT/ab/abcd…/NAME; one process downloads at a time, the others find its files when it is done."""

    def __init__(self, root: Path, notify: Notify, cancel: threading.Event | None = None) -> None:
        """Setting `cancel` from another thread ends a download, which then raises EnvError."""
        self.root = root
        self._cancel = cancel
        self._notify = notify
        self._partial = root / "partial"

    def path(self, file: LockedFile) -> Path:
        """Where a file is or will be."""
        return self.root / file.sha256[:2] / file.sha256 / file.name

    def has(self, file: LockedFile) -> bool:
        """Whether the file is there in its right size; its content is checked by `sound`."""
        try:
            return self.path(file).stat().st_size == file.size
        except OSError:
            return False

    def sound(self, file: LockedFile) -> bool:
        """Whether the file is there with the right content; a damaged one is removed, so that it is fetched anew."""
        path = self.path(file)
        if self.has(file) and apt.sha256_of(path) == file.sha256:
            return True
        path.unlink(missing_ok=True)
        return False

    def fetch(self, files: Iterable[LockedFile]) -> list[LockedFile]:
        """Download what is missing; returns the files that mirror or index no longer have.

        Raises EnvError (mirror, space, lock) or BuildError (corrupt download).
        """
        wanted = {file.sha256: file for file in files if not self.has(file)}
        if not wanted:
            return []
        make_folder(self.root)
        try:
            with FileLock(self.root / "lock").acquire(timeout=LOCK_TIMEOUT, cancel_check=self._cancelled):
                missing = [file for file in wanted.values() if not self.has(file)]
                return self._fetch(missing) if missing else []
        except Timeout:
            if self._cancelled():
                raise EnvError("the download was cancelled") from None
            raise EnvError(f"another orch has been downloading for {LOCK_TIMEOUT:g} s: {self.root}/lock") from None

    def _cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_set()

    def progress(self) -> str:
        """What the download under way has brought so far, or ''."""
        try:
            sizes = [entry.stat().st_size for entry in os.scandir(self._partial)]
        except OSError:
            return ""
        return f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"

    def _fetch(self, files: Sequence[LockedFile]) -> list[LockedFile]:
        total = sum(file.size for file in files)
        self._check_space(total)
        self._notify(f"downloading {len(files)} files, {total / 1e6:.1f} MB")
        try:
            apt.clear(self._partial)
            debian = [file for file in files if not file.is_wheel]
            gone = self._from_mirrors(debian) if debian else []
            return gone + self._from_index([file for file in files if file.is_wheel])
        except OSError as error:
            raise EnvError(f"{self.root}: {error.strerror}", hint="free some space or set XDG_CACHE_HOME") from None
        finally:
            remove_tree(self._partial)

    def _from_mirrors(self, missing: list[LockedFile]) -> list[LockedFile]:
        """Ask each mirror for what the ones before it did not have."""
        failure: EnvError | None = None
        for base in mirror.mirrors():
            wanted = [apt.Wanted(file.path, file.sha256) for file in missing]
            try:
                apt.download(base, wanted, self._partial, self._cancel)
            except EnvError as error:
                failure = error
            finally:  # what came through before a failure need not be fetched again
                self._store(missing)
            missing = [file for file in missing if not self.has(file)]
            if not missing:
                return []
        if failure:
            raise failure
        return missing

    def _from_index(self, files: Sequence[LockedFile]) -> list[LockedFile]:
        """Let pip fetch wheels; returns those that its index does not have."""
        gone = []
        for file in files:
            arrived = wheels.download(wheels.Wanted.of(file), self._partial / "pip", self._cancel)
            if arrived is None:
                gone.append(file)
                continue
            arrived.replace(self._partial / file.sha256)
            self._store([file])
        return gone

    def _store(self, files: Sequence[LockedFile]) -> None:
        """Move verified files into place; a rename makes each appear whole."""
        for file in files:
            arrived = self._partial / file.sha256
            if not arrived.is_file():
                continue
            digest = apt.sha256_of(arrived)
            if digest != file.sha256 or arrived.stat().st_size != file.size:
                raise apt.corrupt(file.path, f"{file.sha256} ({file.size} B)", f"{digest} ({arrived.stat().st_size} B)")
            target = self.path(file)
            make_folder(target.parent)
            arrived.chmod(0o444)
            arrived.replace(target)

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free < needed + _SPARE_BYTES:
            raise EnvError(
                f"not enough space to download {needed >> 20} MiB: {self.root} has {free >> 20} MiB free",
                hint="free some, or set XDG_CACHE_HOME to a larger disk",
            )
