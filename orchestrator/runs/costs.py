# SPDX-License-Identifier: Apache-2.0
"""Where the wall time of a run goes: building, the emulated machine, and orchestration, which is the rest."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.runs.journal import Journal


@dataclass
class Costs:
    """Seconds since its making, by what they were spent on; nested parts are not counted twice.

    `before` is the table of a run's earlier invocations.
    """

    before: Mapping[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    parts: dict[str, float] = field(default_factory=dict)
    _inside: int = 0

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """The block waits for `part`: build, or a stage of the emulated machine."""
        started, self._inside = time.monotonic(), self._inside + 1
        try:
            yield
        finally:
            self._inside -= 1
            if self._inside == 0:
                self.parts[part] = self.parts.get(part, 0.0) + time.monotonic() - started

    def as_table(self) -> dict[str, Any]:
        """JSON-able: wall, build, emulation and orchestration seconds, and all parts."""
        wall = time.monotonic() - self.began
        build = self.parts.get("build", 0.0)
        emulation = sum(seconds for part, seconds in self.parts.items() if part != "build")
        now = {"wall_s": wall, "build_s": build, "emulation_s": emulation, "orchestration_s": wall - build - emulation}
        parts = self.before.get("parts", {})
        return {
            **{name: round(self.before.get(name, 0.0) + seconds, 3) for name, seconds in now.items()},
            "parts": {
                part: round(parts.get(part, 0.0) + self.parts.get(part, 0.0), 3)
                for part in sorted(parts.keys() | self.parts.keys())
            },
        }


def add_cost(journal: Journal, name: str, seconds: float, sums: Sequence[str] = ()) -> None:
    """Write into run.yaml what something took after the measuring, s, and add it to the `sums` that are named.

    A run that has it is whole and was resumed all the same: its tables are made again, its costs stay.
    """
    with journal.held():
        facts = journal.read_run()
        cost = facts.get("cost") or {}
        if name in cost:
            return
        added = {each: round(cost.get(each, 0.0) + seconds, 3) for each in sums}
        journal.write_run(facts | {"cost": cost | added | {name: round(seconds, 3)}})
