# SPDX-License-Identifier: Apache-2.0
"""A model as it is deployed: bytes to deliver, how a world opens them, what is secret, what an attacker looks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.models.runtime import UNPACKED

if TYPE_CHECKING:
    from collections.abc import Iterator

INPUTS, RESULTS = "inputs.bin", "results.jsonl"
"""In the folder of a world beside what a deployable has: what the model is given, and the record of an execution."""
SECRETS = "secrets"
"""Where a world's own client of the key service puts secrets, in its folder; never part of what is delivered."""


class Source(StrEnum):
    """What the value of an option is: text; or a delivered file or a secret, for which its path is said."""

    TEXT = "text"
    FILE = "file"
    SECRET = "secret"  # noqa: S105 - the word for one


@dataclass(frozen=True)
class Option:
    """A word that the runtime is told beyond the usual ones: `--name value`."""

    name: str
    value: str
    source: Source = Source.TEXT

    def said(self, folder: str) -> tuple[str, str]:
        """Name and value where the world's files are in `folder`."""
        inside = {Source.FILE: f"{folder}/{self.value}", Source.SECRET: f"{folder}/{SECRETS}/{self.value}"}
        return self.name, inside.get(self.source, self.value)


@dataclass(frozen=True)
class Opening:
    """How a world opens what was delivered: which file its runtime is given as the model, and what it is told beyond.

    A file that is opened inside (sealed, in two parts, for edited inputs) has options, which the runtime must know.
    """

    model: str
    options: tuple[Option, ...] = ()

    def words(self, folder: str) -> tuple[tuple[str, str], ...]:
        """The options where the world's files are in `folder`."""
        return tuple(option.said(folder) for option in self.options)


@dataclass(frozen=True)
class Sought:
    """A file that an attacker would be glad to have, and what it is: the plain model, the secret part, a key."""

    name: str
    path: Path
    meaning: str


@dataclass(frozen=True)
class Deployable:
    """One model under one protection. All paths are of the build computer.

    `files` are delivered, by their name in the world's folder; `secrets` are not, by the name under which the world
    asks for them. The first of `sought` is the plain model. Raises ValueError where these do not fit together.
    """

    files: Mapping[str, Path]
    opening: Opening
    sought: tuple[Sought, ...]
    secrets: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(f"not to be deployed: {problem}")

    def _problems(self) -> Iterator[str]:
        for name in (*self.files, *self.secrets):
            if PurePosixPath(name).name != name or name.startswith("."):
                yield f"'{name}' is no plain name of a file"
            if name in (INPUTS, SECRETS, UNPACKED) or name.startswith(RESULTS):
                yield f"'{name}' is the name of something else in a world"
        if self.opening.model not in self.files:
            yield f"'{self.opening.model}' is to be opened, and not among its files"
        for option in self.opening.options:
            there = {Source.FILE: self.files, Source.SECRET: self.secrets}.get(option.source)
            if there is not None and option.value not in there:
                yield f"--{option.name} names {option.source} '{option.value}', which is not there"
        if not self.sought:
            yield "nothing is said of what an attacker looks for"

    @property
    def plain(self) -> Path:
        """The plain model: what an attacker looks for first."""
        return self.sought[0].path

    @property
    def bytes(self) -> int:
        """Size of what is delivered."""
        return sum(path.stat().st_size for path in self.files.values())

    def lay_out(self, folder: Path) -> None:
        """Make `folder` what a world's is when it has its secrets too, for the oracle on this computer."""
        (folder / SECRETS).mkdir(parents=True, mode=0o700)
        for name, path in self.files.items():
            (folder / name).symlink_to(path.resolve())
        for name, path in self.secrets.items():
            (folder / SECRETS / name).symlink_to(path.resolve())
