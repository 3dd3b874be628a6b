# SPDX-License-Identifier: Apache-2.0
"""Where the wall time of a run goes: building, the emulated machine, and orchestration, which is the rest."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Costs:
    """Seconds since its making, by what they were spent on; nested parts are not counted twice."""

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

    def as_table(self, steps: int) -> dict[str, Any]:
        """JSON-able: wall, build, emulation and orchestration seconds, and the last one per step."""
        wall = time.monotonic() - self.began
        build = self.parts.get("build", 0.0)
        emulation = sum(seconds for part, seconds in self.parts.items() if part != "build")
        rest = wall - build - emulation
        return {
            "wall_s": round(wall, 3),
            "build_s": round(build, 3),
            "emulation_s": round(emulation, 3),
            "orchestration_s": round(rest, 3),
            "steps": steps,
            "parts": {part: round(seconds, 3) for part, seconds in sorted(self.parts.items())},
        }
