# SPDX-License-Identifier: Apache-2.0
"""What a worker lacks, sent once: artifacts as a stream of tar, files as they are, and kept by what they are."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.build.cache import Cache, make_folder, remove_tree
from orchestrator.build.graph import file_digest
from orchestrator.errors import EnvError
from orchestrator.experiment.cluster.tail import sent
from orchestrator.files import settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.experiment.cluster.parcel import Parcel

PIECE = 4 << 20
"""Bytes that travel at once."""
ARTIFACT, FILE, SHARD, JOB = "artifact", "file", "shard", "job"
Need = tuple[str, str]
"""A kind, and which of it: a key, a place in the store, or nothing."""
_TRUSTED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}


class _Pieces:
    """A stream for writing that gives pieces away."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._rest = bytearray()

    def write(self, data: bytes) -> int:
        """Give away what fills a piece."""
        self._rest += data
        while len(self._rest) >= PIECE:
            self._put(bytes(self._rest[:PIECE]))
            del self._rest[:PIECE]
        return len(data)

    def end(self) -> None:
        """Give away the rest, and an empty piece as the end."""
        if self._rest:
            self._put(bytes(self._rest))
        self._put(b"")


@dataclass(frozen=True)
class Supply:
    """The client's side: what it has for the job of one shard."""

    cache: Cache
    parcel: Parcel
    shard: Path

    def send(self, need: Need, put: Callable[[bytes], None]) -> None:
        """All pieces of one thing, and an empty one; raises EnvError for what is not here."""
        kind, which = need
        out: Any = _Pieces(put)
        if kind == JOB:
            out.write(self.parcel.data)
        elif kind == FILE:
            with self._known(self.parcel.files.get(which), need).open("rb") as stream:
                while data := stream.read(PIECE):
                    out.write(data)
        else:
            with tarfile.open(fileobj=out, mode="w|", bufsize=1 << 16) as tar:
                for path, name in self._members(need):
                    tar.add(path, name)
        out.end()

    def _members(self, need: Need) -> list[tuple[Path, str]]:
        kind, which = need
        if kind == SHARD:
            return [(path, path.relative_to(self.shard).as_posix()) for path in sent(self.shard)]
        there = self.cache.root / which if kind == ARTIFACT and self.cache.has(which) else None
        return [(self._known(there, need), ".")]

    @staticmethod
    def _known(path: Path | None, need: Need) -> Path:
        if path is None:
            raise EnvError(f"a worker asks for what the job does not need: {' '.join(need)}")
        return path


class _Stream:
    """A stream for reading that is made of pieces."""

    def __init__(self, get: Callable[[], bytes]) -> None:
        self._get = get
        self._rest = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        if not self._rest and not self._ended:
            self._rest = self._get()
            self._ended = not self._rest
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@dataclass(frozen=True)
class Intake:
    """A worker's side: asks with `ask` for what is not in the cache, and reads it piece by piece with `get`.

    `waiting` is called about once a second while another worker of this computer receives the same thing.
    """

    cache: Cache
    ask: Callable[[Need], None]
    get: Callable[[], bytes]
    waiting: Callable[[], None]

    @property
    def store(self) -> Path:
        """Where files are kept."""
        return self.cache.files

    def artifact(self, key: str) -> None:
        """Have an artifact in the cache, complete."""
        if self.cache.has(key):
            return
        with self.cache.lock(key, self.waiting):
            if self.cache.has(key):
                return
            received = self.cache.root / "tmp" / f"{key}.received"
            remove_tree(received)
            make_folder(received)
            self.unpack((ARTIFACT, key), received)
            remove_tree(self.cache.root / key)
            received.rename(self.cache.root / key)

    def file(self, place: str) -> None:
        """Have a file in the store; raises EnvError if another one came."""
        path = self.store / place
        if path.exists():
            os.utime(path)
            return
        with self.cache.lock(place, self.waiting):
            if path.exists():
                return
            make_folder(self.store)
            partial = self.store / f".{place}.received"
            self.ask((FILE, place))
            with partial.open("wb") as out:
                while data := self.get():
                    out.write(data)
            digest, _, executable = place.partition(".")
            if file_digest(partial) != digest:
                raise EnvError(f"a file came that is not {digest[:12]}", hint="it was changed while the run began")
            partial.chmod(0o555 if executable else 0o444)
            settle(partial, path, durable=False)

    def job(self) -> bytes:
        """The packed job."""
        self.ask((JOB, ""))
        return b"".join(iter(self.get, b""))

    def unpack(self, need: Need, folder: Path) -> None:
        """The files of a stream of tar, in a folder."""
        self.ask(need)
        stream: Any = _Stream(self.get)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            tar.extractall(folder, **_TRUSTED)  # noqa: S202 - of our own client
        while stream.read(1 << 16):  # tar's padding
            pass
