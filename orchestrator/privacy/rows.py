# SPDX-License-Identifier: Apache-2.0
"""Rows of privacy.csv: what they say of their cell, and of an attack that came to nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.privacy.attack import Role, find_attack
from orchestrator.privacy.interval import wilson
from orchestrator.registry import DEFAULT_PROTECTION, DEFAULT_RUNTIME
from orchestrator.schema.samples import PrivacyRow
from orchestrator.words import Access, Quantization, Status, World

ENOUGH = 0.99  # fraction of blocks from which on the model counts as recovered

# What the owner lets out of an inference gives by itself.
_RELEASED = {
    "scores": Access.LOGITS,
    "raw": Access.LOGITS,
    "keypoints": Access.LOGITS,
    "detections": Access.CONFIDENCE,
    "topk": Access.CONFIDENCE,
    "top1": Access.CONFIDENCE,
    "label": Access.LABEL,
}


@dataclass(frozen=True)
class About:
    """What rows say of the cell they belong to; `output` is what the runner releases, None if nobody asks."""

    world: str
    model: str
    quantization: str
    run_id: str = "none"
    cell_id: str = "none"
    protection: str = DEFAULT_PROTECTION
    runtime: str = DEFAULT_RUNTIME
    output: str | None = None

    def row(self, attack: str, metric: str, **values: Any) -> PrivacyRow:
        """One row of this cell; what its metric is to the verdict follows from the attack's record.

        Raises UsageError for an attack, ValueError for a metric that is not registered.
        """
        known = find_attack(attack).by_name.get(metric)
        if known is None:
            raise ValueError(f"attack {attack} has no metric '{metric}'")
        shared: dict[str, Any] = {
            "unit": known.unit,
            "control": known.role is Role.CONTROL,
            "in_verdict": known.role is Role.VERDICT,
        }
        return PrivacyRow(
            run_id=self.run_id,
            cell_id=self.cell_id,
            attack=attack,
            world=World(self.world.rstrip("0123456789")),
            protection=self.protection,
            model=self.model,
            quantization=Quantization(self.quantization),
            runtime=self.runtime,
            metric=metric,
            **shared | values,
        )

    def fraction(self, attack: str, metric: str, successes: int, tries: int, **values: Any) -> PrivacyRow:
        """A row about `successes` of `tries`, with its interval; without a value if there was no try."""
        if tries == 0:
            return self.row(attack, metric, attempted=0, status=Status.SKIPPED, **values)
        low, high = wilson(successes, tries)
        return self.row(attack, metric, value=successes / tries, attempted=tries, ci_low=low, ci_high=high, **values)


def released(about: About) -> Access | None:
    """What the service lets out to those who may ask it."""
    return _RELEASED.get(about.output or "")


def access(about: About, recovered: float) -> Access | None:
    """What the host ends up with: the weights, or what the service releases to those who may ask it."""
    return Access.WEIGHTS if recovered >= ENOUGH else released(about)


def failed_row(about: About, attack: str, why: str) -> PrivacyRow:
    """What is on record of an attack that came to no result, in the place where its result would be."""
    return about.row(attack, find_attack(attack).main.name, status=Status.ERROR, note=why)


def skipped_row(about: About, attack: str, why: str) -> PrivacyRow:
    """What is on record of an attack that was not done, in the place where its result would be."""
    return about.row(attack, find_attack(attack).main.name, status=Status.SKIPPED, note=f"not done: {why}")
