# SPDX-License-Identifier: Apache-2.0
"""From shards to the tables of a run: the same bytes whatever the number of workers and the order of their work."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.files import settle
from orchestrator.runs.events import EVENTS
from orchestrator.runs.folder import RunFolder
from orchestrator.runs.offline import OFFLINE
from orchestrator.runs.shard import ATTESTED
from orchestrator.schema.samples import PRIVACY, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.schema.csvtable import Table


ATTESTATION = "attestation.json"
"""What the realms of a run have proved: `format`, and `realms` with an object for each start of one."""
PROOFS_FORMAT = 1


def merge(folder: Path) -> None:
    """Make the tables, events, proofs, consoles and outputs of a run anew from its shards; nothing without them.

    A shard that is being written, or was when its writer was killed, counts as far as its lines are whole.
    """
    run = RunFolder(folder)
    if not (folder / "shards").is_dir():
        return
    shards = [shard.folder for shard in run.shards()]
    _join(SAMPLES, shards, folder)
    _join(PRIVACY, [*shards, folder / "shards" / OFFLINE], folder)
    _join_events([run.log.path, *(shard / EVENTS for shard in shards)], folder / EVENTS)
    _join_proofs([shard / ATTESTED for shard in shards], folder / ATTESTATION)
    for name in ("console", "outputs"):
        _link_files([shard / name for shard in shards], folder / name)


def is_stale(folder: Path) -> bool:
    """Whether something has happened since the tables were merged: whatever changes a shard adds an event to it."""
    if not (folder / "shards").is_dir():
        return False
    merged, run = folder / EVENTS, RunFolder(folder)
    logs = [run.log.path, *(shard.log.path for shard in run.shards())]
    told = sum(path.stat().st_size for path in logs if path.exists())
    return not merged.exists() or merged.stat().st_size != told


def _join(table: Table[Any], folders: Iterable[Path], target: Path) -> None:
    """One table behind the other, with one header; no file where no shard has one."""
    headers = {path: header for folder in folders if (header := _header(path := folder / table.name))}
    if not headers:
        (target / table.name).unlink(missing_ok=True)
        return
    with _Replaced(target / table.name) as partial, partial.open("wb") as out:
        out.write(table.text([]))
        for path, header in headers.items():
            table.check_header(path, header)
            for line in _whole_lines(path, skip=1):
                out.write(line)


def _header(path: Path) -> list[str]:
    """The columns of a table; none where there is no table, or not yet one whole line."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        line = stream.readline()
    return line.decode(errors="replace").rstrip("\r\n").split(",") if line.endswith(b"\n") else []


def _join_events(paths: Iterable[Path], target: Path) -> None:
    """What no boot did, then boot after boot: so each boot's own order is kept, whoever else worked meanwhile."""
    with _Replaced(target) as partial, partial.open("wb") as out:
        for path in paths:
            if path.exists():
                out.writelines(_whole_lines(path))


def _join_proofs(paths: Iterable[Path], target: Path) -> None:
    """What all realms of a run have proved, in the order of the boots; no file where none was asked."""
    realms = [json.loads(line) for path in paths if path.exists() for line in _whole_lines(path)]
    if realms:
        with _Replaced(target) as partial:
            partial.write_text(
                json.dumps({"format": PROOFS_FORMAT, "realms": realms}, indent=1) + "\n", encoding="utf-8"
            )


def _whole_lines(path: Path, skip: int = 0) -> Iterator[bytes]:
    """Without the first `skip`, and without a torn last one."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream):
            if number >= skip and line.endswith(b"\n"):
                yield line


def _link_files(folders: Iterable[Path], target: Path) -> None:
    """The files of all folders in one, the first of each name; they share their content with the shards'."""
    target.mkdir(exist_ok=True)
    wanted: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            wanted.setdefault(path.name, path)
    for old in target.glob("*"):
        if old.name not in wanted:
            old.unlink()
    for name, path in wanted.items():
        link = target / name
        if link.exists() and link.samefile(path):
            continue
        link.unlink(missing_ok=True)
        try:
            link.hardlink_to(path)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, link)


@dataclass
class _Replaced:
    """A file beside `path` that takes its place when the block ends well."""

    path: Path

    def __enter__(self) -> Path:
        self.partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        return self.partial

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            settle(self.partial, self.path, durable=False)
        self.partial.unlink(missing_ok=True)
