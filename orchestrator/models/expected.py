# SPDX-License-Identifier: Apache-2.0
"""What is right: the oracle's answers, and how far another computer's may be from them.

The allowance is not a constant. One release has several kernels for the same operators: XNNPACK's, its own quick ones
and plain loops. All are right, and their answers to the same inputs differ by rounding. So much a world may differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.models.dtypes import is_float, is_quantized, real
from orchestrator.schema.zoo import TensorDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.models.dtypes import Reals

    Answers = tuple[tuple[bytes, ...], ...]

MARGIN = 4.0
"""Times the spread that a world may be off: it is one more way of rounding, and the inputs are few."""
FLOORS = {"FLOAT16": 2.0**-9, "FLOAT32": 2.0**-19, "FLOAT64": 2.0**-19}
"""The least allowance, in parts of an output's largest number: a few units in the last place."""
UNKNOWN = 1e-4
"""The same where there is one kernel only, and so no spread."""
STEP = 1.001
"""Of a quantized output at least one step; a thousandth for the rounding of scale times integer."""


@dataclass(frozen=True)
class Allowance:
    """How far an output may be from the oracle's, in its own unit.

    `scale` is its largest number in all answers, `spread` the largest difference between kernels; None if only one
    could execute the model. `step` is a quantized output's, else 0.
    """

    name: str
    scale: float
    spread: float | None
    step: float
    allowed: float

    def facts(self) -> dict[str, Any]:
        """JSON-able; what is in units of the scale says so."""
        unit = self.scale or 1.0
        return {
            "output": self.name,
            "scale": self.scale,
            "spread": None if self.spread is None else self.spread / unit,
            "allowed": self.allowed / unit,
            "step": self.step / unit,
        }


@dataclass(frozen=True)
class Expected:
    """The right answers: raw outputs, in the order of `outputs`, of each input.

    `in_sequence`: a model that keeps state; there is one for each inference of a run, warm-ups first. `kernels` says
    of each kernel of the release that it answered ("ok"), or why not; `release` names the release. `second` is what an
    independent build says (`Second.facts`).
    """

    outputs: tuple[TensorDescription, ...]
    answers: Answers
    allowances: tuple[Allowance, ...]
    in_sequence: bool = False
    release: str | None = None
    kernels: Mapping[str, str] = field(default_factory=dict)
    second: Mapping[str, Any] = field(default_factory=dict)

    def of(self, k: int, number: int) -> tuple[bytes, ...]:
        """The answer to inference `k`, which was of input `number`."""
        return self.answers[k if self.in_sequence else number % len(self.answers)]

    def real(self, k: int, number: int, place: int) -> Reals:
        """The numbers of the output at `place` in that answer."""
        return real(self.of(k, number)[place], self.outputs[place])

    def facts(self) -> dict[str, Any]:
        """JSON-able, for run.yaml."""
        return {
            "release": self.release,
            "kernels": dict(self.kernels),
            "outputs": [allowance.facts() for allowance in self.allowances],
            **({"second": dict(self.second)} if self.second else {}),
        }

    def beside(self, answers: Answers) -> tuple[float, bool]:
        """The largest difference from other answers, in parts of the output's scale, and whether that is allowed."""
        worst, allowed = 0.0, True
        for place, (tensor, allowance) in enumerate(zip(self.outputs, self.allowances, strict=True)):
            pairs = zip(self.answers, answers, strict=True)
            apart = max(
                (furthest(real(one[place], tensor), real(two[place], tensor)) for one, two in pairs), default=0.0
            )
            worst, allowed = max(worst, apart / (allowance.scale or 1.0)), allowed and apart <= allowance.allowed
        return worst, allowed


def allowances(outputs: Sequence[TensorDescription], opinions: Sequence[Answers]) -> tuple[Allowance, ...]:
    """One for each output; `opinions` are the answers of each kernel to the same inputs, the oracle's first."""
    return tuple(_allowance(place, tensor, opinions) for place, tensor in enumerate(outputs))


def _allowance(place: int, tensor: TensorDescription, opinions: Sequence[Answers]) -> Allowance:
    step = float(tensor.scale) if is_quantized(tensor) else 0.0
    columns = [[real(answer[place], tensor) for answer in answers] for answers in opinions]
    scale = max((_largest(values) for values in columns[0]), default=0.0)
    spread = None
    if len(columns) > 1:
        pairs = ((one, two) for other in columns[1:] for one, two in zip(columns[0], other, strict=True))
        spread = max((furthest(one, two) for one, two in pairs), default=0.0)
    return Allowance(tensor.name, scale, spread, step, _allowed(tensor, scale, spread, step))


def _allowed(tensor: TensorDescription, scale: float, spread: float | None, step: float) -> float:
    wide = UNKNOWN * scale if spread is None and is_float(tensor) else MARGIN * (spread or 0.0)
    if is_float(tensor):
        return max(wide, FLOORS[tensor.type] * scale)
    return max(wide, step * STEP)


def _largest(values: Reals) -> float:
    finite = values[np.isfinite(values)]
    return float(np.max(np.abs(finite))) if finite.size else 0.0


def furthest(one: Reals, two: Reals) -> float:
    """The largest difference of numbers at the same place; infinite if what is no number is not so in both."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - two)
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    apart = np.where(same, 0.0, np.where(np.isfinite(one) & np.isfinite(two), apart, np.inf))
    return float(np.max(apart)) if apart.size else 0.0
