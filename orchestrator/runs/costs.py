# SPDX-License-Identifier: Apache-2.0
"""Where the wall time of a run goes: building, the emulated machine, and orchestration, which is the rest."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.runs.events import RunBegun, RunEnded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.runs.events import Event
    from orchestrator.runs.folder import RunFolder


@dataclass
class Costs:
    """Seconds since its making, by what they were spent on; nested parts are not counted twice.

    `before` is the table of earlier ones of the same kind.
    """

    before: Mapping[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    parts: dict[str, float] = field(default_factory=dict)
    _inside: int = 0

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """The block waits for `part`: building, boots, or a stage of the emulated machine."""
        started, self._inside = time.monotonic(), self._inside + 1
        try:
            yield
        finally:
            self._inside -= 1
            if self._inside == 0:
                self.parts[part] = self.parts.get(part, 0.0) + time.monotonic() - started

    def as_table(self) -> dict[str, Any]:
        """JSON-able: wall seconds and all parts, with those before."""
        parts = Counter(self.before.get("parts", {}))
        parts.update(self.parts)
        wall = float(self.before.get("wall_s", 0.0)) + time.monotonic() - self.began
        return {"wall_s": round(wall, 3), "parts": {name: round(seconds, 3) for name, seconds in parts.items()}}

    def as_client(self) -> dict[str, float]:
        """Of an invocation, s: wall, what of it was building, and what was waiting for boots."""
        wall = time.monotonic() - self.began
        build, waited = self.parts.get("build", 0.0), self.parts.get("boots", 0.0)
        return {"wall_s": round(wall, 3), "build_s": round(build, 3), "waited_s": round(waited, 3)}


def cost_of(run: RunFolder) -> dict[str, Any]:
    """What a run has cost so far, s: all its invocations and all its boots, from their own words."""
    boots = [shard.cost() for shard in run.shards()]
    clients = _clients(run)
    parts: dict[str, float] = {}
    for each in boots:
        for name, seconds in each.get("parts", {}).items():
            parts[name] = parts.get(name, 0.0) + seconds
    emulation, build = sum(parts.values()), sum(each["build_s"] for each in clients)
    between = sum(each.get("wall_s", 0.0) for each in boots) - emulation
    own = sum(max(0.0, each["wall_s"] - each["build_s"] - each["waited_s"]) for each in clients)
    if build:
        parts["build"] = build
    return {
        "wall_s": round(sum(each["wall_s"] for each in clients), 3),
        "build_s": round(build, 3),
        "emulation_s": round(emulation, 3),
        "orchestration_s": round(own + between, 3),
        "parts": {name: round(seconds, 3) for name, seconds in sorted(parts.items())},
    }


def _clients(run: RunFolder) -> list[dict[str, float]]:
    """Each invocation's own account; of one that was killed, from its begin to the last that was heard of it."""
    others = [each for shard in run.shards() for each in shard.log.read()]
    found: list[dict[str, float]] = []
    begun: Event | None = None
    for each in run.log.read():
        if isinstance(each, RunBegun):
            if begun is not None:
                found.append(_killed(begun, others, each.utc))
            begun = each
        elif isinstance(each, RunEnded) and each.client is not None:
            found.append(each.client)
            begun = None
    if begun is not None:
        found.append(_killed(begun, others, None))
    return found


def _killed(begun: Event, others: list[Event], until: str | None) -> dict[str, float]:
    moments = [each.utc for each in others if each.utc >= begun.utc and (until is None or each.utc <= until)]
    last = max(moments, default=begun.utc)
    wall = (_moment(last) - _moment(begun.utc)).total_seconds()
    return {"wall_s": wall, "build_s": 0.0, "waited_s": wall}


def _moment(utc: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(utc)


def add_cost(run: RunFolder, name: str, seconds: float, sums: Sequence[str] = ()) -> None:
    """Write into run.yaml what something took after the measuring, s, and add it to the `sums` that are named.

    A run that has it is whole and was resumed all the same: its tables are made again, its costs stay.
    """
    with run.held():
        facts = run.read_run().facts()
        cost = facts.get("cost") or {}
        if name in cost:
            return
        added = {each: round(cost.get(each, 0.0) + seconds, 3) for each in sums}
        run.write_run(facts | {"cost": cost | added | {name: round(seconds, 3)}})
