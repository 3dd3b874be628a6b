# SPDX-License-Identifier: Apache-2.0
"""One value of samples.csv before it is a row; its unit follows from the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.words import Component, Method, Phase, unit_of


@dataclass(frozen=True)
class Observation:
    """What was seen of a phase; `iteration` is None where it happens once."""

    phase: Phase
    component: Component
    metric: str
    value: float
    method: Method
    iteration: int | None = None
    is_warmup: bool = False
    note: str | None = None

    @property
    def unit(self) -> str:
        """Of the value; raises ValueError if the metric is never observed so."""
        unit = unit_of(self.metric, self.method)
        if unit is None:
            raise ValueError(f"metric '{self.metric}' is not observed by {self.method}")
        return unit
