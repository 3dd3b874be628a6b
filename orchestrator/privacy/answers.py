# SPDX-License-Identifier: Apache-2.0
"""What the programs of guest/host/attack answer: JSON lines, read strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.errors import OrchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Answer = TypeVar("_Answer")


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


def read_scan(text: str, *, vmm: bool) -> Scan:
    """The answer to `scan`, with a VMM's memory if there is a `vmm`; raises OrchError if it is not complete."""
    scan = _scan(text, ("ram", "vmm", "files"), searched=("ram", "vmm") if vmm else ("ram",))
    if scan.faults is None:
        raise OrchError("the search did not say which pages faulted")
    return scan


def read_stream(text: str) -> Scan:
    """The answer to `stream`; raises OrchError if it is not complete."""
    return _scan(text, ("god", "god-listed"), searched=("god",))


def _scan(text: str, expected: tuple[str, ...], searched: tuple[str, ...]) -> Scan:
    """A search of all `expected` regions, of which the `searched` ones had something to search."""
    regions: dict[str, Region] = {}
    faults: Faults | None = None
    whole: list[int] = []
    for event, values in _events(text):
        if event == "region":
            region = _whole(Region, values)
            regions[region.name] = region
        elif event == "faults":
            faults = _whole(Faults, values)
        elif event == "whole":
            whole.append(values["address"])
    missing = [name for name in expected if name not in regions]
    missing += [name for name in searched if name in regions and regions[name].pages == 0]
    if missing:
        raise OrchError(f"the search is not complete, nothing of: {', '.join(missing)}")
    return Scan(regions, faults, tuple(whole))


def read_touches(text: str) -> Touches:
    """Raises OrchError if it is not complete."""
    return _whole(Touches, _only(text, "touch"))


def read_carved(text: str) -> list[Carved]:
    """The files in the order in which they were found."""
    return [
        Carved(values["from"], values["path"], values["pages"]) for event, values in _events(text) if event == "carved"
    ]


def read_dma(text: str) -> bool:
    """Whether the device did what it was told."""
    return bool(_only(text, "dma")["done"])


def _whole(kind: Callable[..., _Answer], values: dict[str, Any]) -> _Answer:
    """An answer with all that its line is to have, and nothing else."""
    try:
        return kind(**values)
    except TypeError as error:
        raise OrchError(f"the attack's answer is not complete: {error}") from None


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
