# SPDX-License-Identifier: Apache-2.0
"""In which order nodes are built and packages fetched, and how long that will take; builds and fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.build.graph import Node, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PARALLEL = 2  # nodes at a time; a recipe that can use more cores does so itself


@dataclass(frozen=True)
class Planned:
    """A node that has to be built, and why."""

    node: Node
    key: str
    reasons: list[str]


def urgencies(nodes: Iterable[Node]) -> dict[Node, float]:
    """Seconds of work from the start of each node to the end of the last one that stands on it, itself included."""
    behind: dict[Node, float] = {}
    found: dict[Node, float] = {}
    for node in reversed(in_order(list(nodes))):
        found[node] = node.spec.seconds + behind.get(node, 0.0)
        for other in node.upstream:
            behind[other] = max(behind.get(other, 0.0), found[node])
    return found


def packages_below(node: Node) -> set[str]:
    """Names of the package sets of a node and of all that is below it: those its key hangs on."""
    return {name for each in in_order([node]) for name in each.spec.packages}


class Schedule:
    """What is left of a build: the nodes and package sets that the longest way to its end begins with come first.

    A node starts when its upstream nodes are built and no package set that its key hangs on is still to come: such a
    set may be substituted while it is fetched, which changes keys.
    """

    def __init__(self, planned: Iterable[Planned], to_fetch: Callable[[str], bool]) -> None:
        """`to_fetch` says whether a package set is not in the cache yet."""
        self._to_fetch = to_fetch
        self._started: set[Node] = set()
        self._building: set[Node] = set()
        self._fetching: set[str] = set()
        self._fetched: set[str] = set()
        self.replan(planned)

    def replan(self, planned: Iterable[Planned]) -> None:
        """The plan as it is now, after keys have changed; what was started stays out of it."""
        self._waiting = {item.node: item for item in planned if item.node not in self._started}
        self._urgency = urgencies(self._waiting)
        names = {name for node in self._waiting for name in node.spec.packages}
        self._pending = {name for name in names - self._fetched if name in self._fetching or self._to_fetch(name)}

    @property
    def over(self) -> bool:
        """Whether all has been handed out."""
        return not self._waiting

    def next_fetch(self) -> list[str]:
        """Package sets to fetch now, in one go: those of the most urgent node that lacks some; [] if none is to."""
        if self._fetching:
            return []
        for node in self._by_urgency():
            names = packages_below(node) & self._pending
            if names:
                self._fetching = names
                return sorted(names)
        return []

    def fetched(self) -> None:
        """What `next_fetch` gave is there."""
        self._fetched |= self._fetching
        self._pending -= self._fetching
        self._fetching = set()

    def next_node(self) -> Planned | None:
        """A node to build now, or None: too many are under way, or all wait for something."""
        if len(self._building) >= PARALLEL:
            return None
        for node in self._by_urgency():
            blocked = any(other in self._waiting or other in self._building for other in node.upstream)
            if not blocked and not packages_below(node) & self._pending:
                self._started.add(node)
                self._building.add(node)
                return self._waiting.pop(node)
        return None

    def built(self, node: Node) -> None:
        """A node that `next_node` gave is there."""
        self._building.discard(node)

    def _by_urgency(self) -> list[Node]:
        return sorted(self._waiting, key=lambda node: (-self._urgency[node], node.label))


def alone(node: Node, cores: int) -> float:
    """Seconds that a node takes on so many cores of the reference computer with nothing beside it (Amdahl's law)."""
    return node.spec.seconds * ((1 - node.spec.parallel) + node.spec.parallel / cores)


def estimate(planned: Iterable[Planned], cores: int) -> float:
    """Seconds that building takes on so many cores of the reference computer, downloads and compiler cache aside.

    Plays the schedule: a recipe that is `parallel` gets the cores that the others leave, any other one core.
    """
    schedule = Schedule(planned, lambda _name: False)
    left: dict[Node, float] = {}
    clock = 0.0
    while not schedule.over or left:
        while (item := schedule.next_node()) is not None:
            left[item.node] = float(item.node.spec.seconds)
        rates = _shares(left, cores)
        step = min(left[node] / rates[node] for node in left)
        clock += step
        for node in list(left):
            left[node] -= step * rates[node]
            if left[node] < 1e-6:
                del left[node]
                schedule.built(node)
    return clock


def _shares(nodes: Iterable[Node], cores: int) -> dict[Node, float]:
    """How much faster than on one core each of the running recipes is (Amdahl's law for those that use several)."""
    wide = {node: node.spec.parallel for node in nodes if node.spec.parallel}
    narrow = [node for node in nodes if not node.spec.parallel]
    each = min(1.0, cores / (len(narrow) + len(wide)))
    share = max(1.0, (cores - len(narrow)) / len(wide)) if wide else 1.0
    return dict.fromkeys(narrow, each) | {node: each / ((1 - part) + part / share) for node, part in wide.items()}
