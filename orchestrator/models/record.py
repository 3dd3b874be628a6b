# SPDX-License-Identifier: Apache-2.0
"""The runner's own record of one execution, JSON lines: what it released, its clock, its memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import WorkloadError


class IncompleteRecordError(WorkloadError):
    """What an execution left does not say how it ended."""


@dataclass(frozen=True)
class RunnerRecord:
    """What the runner wrote of one execution; raises WorkloadError in `parse` if it does not tell a success."""

    load_ns: int
    iterations: tuple[dict[str, Any], ...]
    end: dict[str, Any]
    without: str | None = None
    """Why the runtime works without its delegate, if that could not prepare the model."""
    outputs_read: tuple[str, ...] = ()
    """Names of the outputs that the model has, in order, where the runtime says them."""

    @classmethod
    def parse(cls, text: str) -> RunnerRecord:
        """Understand the JSON lines; the runner's own words are the error's where it failed."""
        try:
            lines = [json.loads(line) for line in text.splitlines()]
            end = next(line for line in reversed(lines) if line["event"] == "end")
        except (json.JSONDecodeError, StopIteration, KeyError, TypeError):
            raise IncompleteRecordError("the runner left no complete record") from None
        if end["status"] != "ok":
            raise WorkloadError(f"the runner failed: {end.get('error') or 'it does not say why'}")
        load: dict[str, Any] = next((line for line in lines if line["event"] == "load"), {})
        iterations = tuple(line for line in lines if line["event"] == "iteration")
        return cls(int(load.get("ns", 0)), iterations, end, load.get("without"), tuple(load.get("outputs", ())))

    @property
    def disturbed(self) -> str | None:
        """What came from outside while instructions were counted, if anything did."""
        packets = self.end.get("rx_packets_during") or 0
        return f"{packets} packets arrived while instructions were counted" if packets else None

    @property
    def outputs(self) -> tuple[dict[str, Any], ...]:
        """What was released, of every iteration."""
        return tuple(line["output"] for line in self.iterations)
