# SPDX-License-Identifier: Apache-2.0
"""A shard that grows on one computer, and its mirror on another: whole at every moment, like the original.

A shard can be repaired since rows reach the disk before the event that tells of them, and since an event announces that
tables are rewritten before they are. So events are read before the tables and arrive after them; where a table was
replaced, its announcement arrives first.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.build.cache import make_folder
from orchestrator.errors import EnvError
from orchestrator.files import settle
from orchestrator.runs.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 20
"""Bytes of a file that travel at once."""
LOG = "worker.log"
CONSOLE = "console"
_REWRITE = b'"sizes": null'  # of the event `rows`, before a table is replaced
_TRIES = 100
_PAUSE = 0.02  # s; a table is rewritten in less

Change = dict[str, Any]
"""Of one file: `name`, and `data` at byte `at`; or with `fresh` in place of the file, as soon as no `more` comes."""


@dataclass(frozen=True)
class _Seen:
    """A file as it was sent: which, and how many bytes of it."""

    inode: int
    size: int


@dataclass
class Tail:
    """Tells what was added to a shard's folder since it was last asked."""

    folder: Path
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def adopt(self) -> None:
        """What is there now is known on the other side."""
        for name, path in _files(self.folder):
            status = path.stat()
            self._seen[name] = _Seen(status.st_ino, status.st_size)

    def changes(self) -> list[Change]:
        """What is to be done to the mirror, in this order."""
        for _ in range(_TRIES):
            events, seen = self._events()
            others, found = self._others()
            later, _ = self._events()
            if _REWRITE not in later[len(events) :]:  # else a table may be newer than what is told of it
                self._seen |= found | {EVENTS: seen}
                return self._in_order(events, others)
            time.sleep(_PAUSE)
        return []  # the next look will do

    def _in_order(self, events: bytes, others: list[Change]) -> list[Change]:
        start = self._seen[EVENTS].size - len(events)
        announced = 0
        if any(each.get("fresh") for each in others):
            place = events.rfind(_REWRITE)
            announced = events.index(b"\n", place) + 1 if place >= 0 else 0
        first, then = events[:announced], events[announced:]
        return [*_pieces(EVENTS, first, start), *others, *_pieces(EVENTS, then, start + announced)]

    def _events(self) -> tuple[bytes, _Seen]:
        """Whole lines that are new."""
        before = self._seen.get(EVENTS, _Seen(0, 0))
        data = _read(self.folder / EVENTS, before.size)
        data = data[: data.rfind(b"\n") + 1]
        return data, _Seen(before.inode, before.size + len(data))

    def _others(self) -> tuple[list[Change], dict[str, _Seen]]:
        changes: list[Change] = []
        found: dict[str, _Seen] = {}
        for name, path in _files(self.folder):
            if name == EVENTS:
                continue
            before = self._seen.get(name)
            try:
                inode = path.stat().st_ino
                fresh = before is not None and (before.inode != inode or before.size > path.stat().st_size)
                start = before.size if before is not None and not fresh else 0
                data = _read(path, start)
            except FileNotFoundError:  # replaced at this moment
                continue
            found[name] = _Seen(inode, start + len(data))
            changes += _pieces(name, data, start, fresh=fresh)
        return changes, found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All files but hidden ones, which are on their way to another name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path.relative_to(folder).as_posix(), path


def _read(path: Path, start: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read()


def _pieces(name: str, data: bytes, start: int, *, fresh: bool = False) -> list[Change]:
    parts = [data[at : at + PIECE] for at in range(0, len(data), PIECE)] or ([b""] if fresh else [])
    if not fresh:
        return [{"name": name, "at": start + k * PIECE, "data": part} for k, part in enumerate(parts)]
    return [{"name": name, "fresh": True, "data": part, "more": part is not parts[-1]} for part in parts]


class Mirror:
    """Does to a shard's folder here what a `Tail` tells of another; raises EnvError if that does not fit."""

    def __init__(self, folder: Path) -> None:
        """The folder holds what the other began with, and logs that the other has not."""
        self._folder = folder
        self._base = {name: path.stat().st_size for name, path in _files(folder) if _stays(name)}

    def apply(self, change: Change) -> None:
        """One change, on the disk when this returns."""
        path = self._path(change["name"])
        make_folder(path.parent)
        if change.get("fresh"):
            self._replace(path, change)
            return
        at = change["at"] + self._base.get(change["name"], 0)
        size = path.stat().st_size if path.exists() else 0
        if size != at:
            raise EnvError(f"{path}: has {size} bytes where the worker's had {at}")
        _append(path, change["data"])

    def _path(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise EnvError(f"{self._folder}: a worker names a file outside of it: {name}")
        return path

    def _replace(self, path: Path, change: Change) -> None:
        partial = path.with_name(f".{path.name}.mirrored")
        _append(partial, change["data"])
        if not change["more"]:
            settle(partial, path, durable=False)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _stays(name: str) -> bool:
    """Whether a file is not sent to the worker that goes on with a shard."""
    return name == LOG or name.startswith(f"{CONSOLE}/")


def sent(folder: Path) -> list[Path]:
    """The files of a shard that the worker needs which goes on with it."""
    return [path for name, path in _files(folder) if not _stays(name)]
