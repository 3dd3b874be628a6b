# SPDX-License-Identifier: Apache-2.0
"""Connections are kept while all goes well on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.errors import BootError, OrchError, WorkloadError
from orchestrator.experiment.links import Links


class Worlds:
    """A testbed whose worlds note what becomes of connections.

    `down` are not up, `gone` explain every failure, `broken` cannot even be left.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.down: set[str] = set()
        self.gone: set[str] = set()
        self.broken: set[str] = set()

    def world(self, name: str) -> Any:
        return SimpleNamespace(link=lambda: self.link(name))

    @contextmanager
    def link(self, name: str) -> Iterator[str]:
        if name in self.down:
            raise BootError(f"{name} is not up")
        self.said.append(f"open {name}")
        try:
            yield f"link {self.said.count(f'open {name}')} to {name}"
        except OrchError:
            if name in self.gone:
                raise BootError(f"the {name} ended") from None
            raise
        finally:
            self.said.append(f"close {name}")
            if name in self.broken:
                raise EOFError


@pytest.fixture
def bed() -> Worlds:
    return Worlds()


@pytest.fixture
def links(bed: Any) -> Links:
    return Links(bed)


def test_one_connection_to_each_world(bed: Worlds, links: Links) -> None:
    for world in ("realm", "host", "realm"):
        with links.to(world) as link:
            assert link == f"link 1 to {world}"
    assert bed.said == ["open realm", "open host"]
    links.hang_up()
    assert sorted(bed.said[2:]) == ["close host", "close realm"]
    links.hang_up()
    with links.to("realm") as link:
        assert link == "link 2 to realm"


def test_one_of_several_is_closed(bed: Worlds, links: Links) -> None:
    for world in ("realm", "host"):
        with links.to(world):
            pass
    links.hang_up("realm")
    links.hang_up("vm")
    assert bed.said == ["open realm", "open host", "close realm"]


def test_all_are_closed_whatever_happens(bed: Worlds, links: Links) -> None:
    bed.broken.add("host")
    for world in ("realm", "host", "vm"):
        with links.to(world):
            pass
    links.hang_up()
    assert bed.said[3:] == ["close realm", "close host", "close vm"]


def test_after_a_failure_there_is_a_new_one(bed: Worlds, links: Links) -> None:
    with pytest.raises(WorkloadError, match="no answer"), links.to("vm"):
        raise WorkloadError("no answer")
    assert bed.said == ["open vm", "close vm"]
    with links.to("vm") as link:
        assert link == "link 2 to vm"


def test_the_world_says_why_it_failed(bed: Worlds, links: Links) -> None:
    with links.to("realm"):
        pass
    bed.gone.add("realm")
    with pytest.raises(BootError, match="the realm ended"), links.to("realm"):
        raise BootError("no longer answers")
    links.hang_up()
    assert bed.said == ["open realm", "close realm"]


def test_a_world_that_is_not_up(bed: Worlds, links: Links) -> None:
    bed.down.add("vm")
    with pytest.raises(BootError, match="vm is not up"), links.to("vm"):
        raise AssertionError("never here")
    bed.down.clear()
    with links.to("vm") as link:
        assert link == "link 1 to vm"
