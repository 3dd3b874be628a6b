# SPDX-License-Identifier: Apache-2.0
"""A job as bytes that mean the same on another computer: its paths are named by what is there, not by where that is.

What lies in the artifact cache is named by its key, a file by its content, and the scratch folder by its role.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator
from orchestrator import extensions
from orchestrator.build.graph import file_digest
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.experiment.job import BootJob

_KEY_LENGTH = 64
_ARTIFACT, _FILE, _FOLDER, _SCRATCH = "artifact", "file", "folder", "scratch"


@dataclass(frozen=True)
class File:
    """A file by its content; `name` is its own, `executable` as it was."""

    sha256: str
    name: str
    executable: bool

    @property
    def place(self) -> str:
        """Its name in a store, where a mode is that of all who share the file."""
        return f"{self.sha256}.x" if self.executable else self.sha256


@dataclass
class Parcel:
    """A packed job, the artifacts it needs by key, and the files by their places in a store."""

    data: bytes = b""
    keys: set[str] = field(default_factory=set)
    files: dict[str, Path] = field(default_factory=dict)
    extensions: list[tuple[str, bytes]] = field(default_factory=list)
    """Names and contents."""


class _Packer(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, cache: Path, scratch: Path, parcel: Parcel) -> None:
        super().__init__(stream)
        self._cache = cache
        self._scratch = scratch
        self._parcel = parcel

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        """What a path stands for; None leaves it as it is, like all that is no path."""
        if not isinstance(obj, Path) or not obj.is_absolute():
            return None
        if obj.is_relative_to(self._scratch):
            return _SCRATCH, obj.relative_to(self._scratch).as_posix()
        if obj.is_relative_to(self._cache):
            key, *rest = obj.relative_to(self._cache).parts
            if len(key) == _KEY_LENGTH:
                self._parcel.keys.add(key)
                return _ARTIFACT, key, "/".join(rest)
        if obj.is_file():
            return _FILE, self._file(obj)
        if obj.is_dir():
            parts = sorted(path for path in obj.rglob("*") if path.is_file())
            files = [(path.relative_to(obj).as_posix(), self._file(path)) for path in parts]
            return _FOLDER, obj.name, files
        return None

    def _file(self, path: Path) -> File:
        file = File(file_digest(path), path.name, bool(path.stat().st_mode & 0o100))
        self._parcel.files[file.place] = path
        return file


def pack(job: BootJob, cache: Path) -> Parcel:
    """Pack a job whose artifacts are in the folder `cache`; raises UsageError if a file of it is not there."""
    parcel, stream = Parcel(), io.BytesIO()
    settled = replace(job, config=_settled(job.config, job.testbed_file))
    try:
        _Packer(stream, cache, job.scratch, parcel).dump(settled)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    parcel.data = stream.getvalue()
    parcel.extensions = [(path.name, path.read_bytes()) for path in extension_files()]
    return parcel


def extension_files() -> list[Path]:
    """The extensions of this process, in order."""
    return extensions.paths()


def _settled(value: Any, testbed_file: Path) -> Any:
    """A configuration in which paths that are relative to the testbed file are absolute."""
    if isinstance(value, Path):
        return value if value.is_absolute() else testbed_file.parent / value
    if isinstance(value, list | tuple):
        return type(value)(_settled(each, testbed_file) for each in value)
    fields = getattr(type(value), "model_fields", None)
    if fields is None:
        return value
    changes = {name: _settled(getattr(value, name), testbed_file) for name in fields}
    return value.model_copy(update=changes)


class _Unpacker(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, place: Callable[[tuple[Any, ...]], Path]) -> None:
        super().__init__(stream)
        self._place = place

    def persistent_load(self, pid: Any) -> Path:
        """The path of what a packed one stood for."""
        return self._place(pid)


@dataclass(frozen=True)
class Arrived:
    """A packed job, and where its paths lead here: the artifact `cache`, the `store` of files, a `folder` of its own.

    The process that does the job opens it: it may be made of records that only extensions know.
    """

    data: bytes
    cache: Path
    store: Path
    folder: Path

    def job(self) -> BootJob:
        """The job; whatever it names must be there."""
        job: BootJob = _Unpacker(io.BytesIO(self.data), self._place).load()
        return job

    def _place(self, pid: tuple[Any, ...]) -> Path:
        kind: str = pid[0]
        rest: tuple[Any, ...] = pid[1:]
        if kind == _ARTIFACT:
            return self.cache.joinpath(*map(str, rest))
        if kind == _SCRATCH:
            return self.folder / "scratch" / str(rest[0])
        if kind == _FILE:
            return self._file(self.folder / "files" / rest[0].sha256[:16] / rest[0].name, rest[0])
        name, files = rest
        top: Path = self.folder / "files" / hashlib.sha256(repr(files).encode()).hexdigest()[:16] / name
        for relative, file in files:
            self._file(top / relative, file)
        return top

    def _file(self, path: Path, file: File) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.symlink_to(self.store / file.place)
        return path


@functools.cache
def sources_digest() -> str:
    """SHA-256 of the package's own files when it was first asked for, hex: client and workers must be the same orch."""
    root = Path(orchestrator.__path__[0])
    total = hashlib.sha256()
    for path in sorted(path for pattern in ("*.py", "*.j2") for path in root.rglob(pattern)):
        total.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\n".encode())
    return total.hexdigest()
