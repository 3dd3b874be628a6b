# SPDX-License-Identifier: Apache-2.0
"""What the programs of guest/attack answer: JSON lines, read strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Region:
    """A search of one region, in pages of 4 KiB; `blocks` as in orchestrator.privacy.blocks.union."""

    name: str
    pages: int
    zero: int
    faulted: int
    seconds: float
    found: int
    blocks: str


@dataclass(frozen=True)
class Faults:
    """What faulted in physical memory, against what the driver lists as delegated before and after."""

    faulted: int
    delegated_before: int
    delegated_after: int
    stable: int  # delegated before and after
    delegated_but_read: int  # of those
    faulted_but_normal: int  # neither before nor after

    @property
    def differing(self) -> int:
        """Pages in which the two sets differ."""
        return self.delegated_but_read + self.faulted_but_normal


@dataclass(frozen=True)
class Touches:
    """Random pages, each read by a process of its own; `moved` of them changed sides meanwhile and do not count."""

    kind: str
    attempted: int
    faulted: int
    moved: int
    delegated: int


@dataclass(frozen=True)
class Carved:
    """A model file of the host (`files`), or rebuilt from a guest's page cache; its path in the host and its pages."""

    source: str
    path: str
    pages: int


@dataclass(frozen=True)
class Scan:
    """The answer to `scan` or `stream`."""

    regions: Mapping[str, Region]
    faults: Faults | None
    whole: tuple[int, ...] = ()  # addresses of listed pages that have everything that was looked for


def read_scan(text: str) -> Scan:
    """Raises OrchError if it is not complete."""
    regions: dict[str, Region] = {}
    faults: Faults | None = None
    whole: list[int] = []
    for event, values in _events(text):
        if event == "region":
            regions[values["name"]] = Region(**values)
        elif event == "faults":
            faults = Faults(**values)
        elif event == "whole":
            whole.append(values["address"])
    return Scan(regions, faults, tuple(whole))


def read_touches(text: str) -> Touches:
    """Raises OrchError if it is not complete."""
    return Touches(**_only(text, "touch"))


def read_carved(text: str) -> list[Carved]:
    """The files in the order in which they were found."""
    return [
        Carved(values["from"], values["path"], values["pages"]) for event, values in _events(text) if event == "carved"
    ]


def read_dma(text: str) -> bool:
    """Whether the device did what it was told."""
    return bool(_only(text, "dma")["done"])


def _only(text: str, event: str) -> dict[str, Any]:
    found = [values for name, values in _events(text) if name == event]
    if len(found) != 1:
        raise OrchError(f"the attack did not answer: no line '{event}'")
    return found[0]


def _events(text: str) -> list[tuple[str, dict[str, Any]]]:
    events = []
    for line in text.splitlines():
        try:
            values = json.loads(line)
            events.append((values.pop("event"), values))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise OrchError(f"the attack answered what is no event: {line[:80]!r}") from None
    return events
