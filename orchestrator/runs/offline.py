# SPDX-License-Identifier: Apache-2.0
"""Rows that were computed from a finished run: in a shard of their own, and in the run's privacy.csv."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from orchestrator.files import replace_file
from orchestrator.schema.samples import PRIVACY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from orchestrator.schema.samples import PrivacyRow

SHARDS, OFFLINE = "shards", "offline"
_ATTACK = PRIVACY.names.index("attack")


def keep(folder: Path, attacks: Collection[str], rows: Sequence[PrivacyRow]) -> None:
    """Put `rows` in the place of all rows of these attacks, in the shard of such; `merge` brings them into the table.

    A run without shards, as older ones are, has one table, whose other rows stay as they are, byte by byte. Raises
    UsageError for a table of other columns.
    """
    shards, new = folder / SHARDS, PRIVACY.text(rows, header=False).splitlines(keepends=True)
    own = shards / OFFLINE / PRIVACY.name if shards.is_dir() else folder / PRIVACY.name
    own.parent.mkdir(exist_ok=True)
    _replace(own, attacks, new)


def attacks_in(folder: Path) -> frozenset[str]:
    """The attacks of which a run has rows."""
    return frozenset(map(_attack_of, _lines(folder / PRIVACY.name)))


def _replace(path: Path, attacks: Collection[str], new: Sequence[bytes]) -> None:
    """New lines where the first line of these attacks was, or at the end."""
    before: list[bytes] = []
    after: list[bytes] = []
    found = False
    for line in _lines(path):
        if _attack_of(line) in attacks:
            found = True
        else:
            (after if found else before).append(line)
    replace_file(path, b"".join([PRIVACY.text([]), *before, *new, *after]))


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a table but its header; none of a file that is not there."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines:
        PRIVACY.check_header(path, lines[0].decode(errors="replace").rstrip("\r\n").split(","))
    yield from (line for line in lines[1:] if line.endswith(b"\n"))


def _attack_of(line: bytes) -> str:
    return next(csv.reader([line.decode()]))[_ATTACK]
