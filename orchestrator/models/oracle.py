# SPDX-License-Identifier: Apache-2.0
"""The oracle: a runtime on the build computer, and whether the answers of a world are near to its."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from orchestrator.build.run import CommandError, run
from orchestrator.errors import UsageError, WorkloadError
from orchestrator.registry import DEFAULT_RUNTIME, RUNTIMES
from orchestrator.schema.zoo import ModelDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from orchestrator.build.builder import Builder
    from orchestrator.models.record import RunnerRecord
    from orchestrator.models.runtime import Execution, Runtime

    Scores = NDArray[np.float64]

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a float32 score: XNNPACK sums in another order on x86."""
_TYPES = {"FLOAT32": "<f4", "INT8": "i1", "UINT8": "u1", "INT32": "<i4"}
_RUN_SECONDS = 600
_DESCRIBE_SECONDS = 60


@dataclass(frozen=True)
class Oracle:
    """A runtime on the build computer: its `program` of the same source, which says what is right.

    It is known by its `name`, so that a subject can be handed to another process.
    """

    name: str
    program: Path

    @property
    def runtime(self) -> Runtime:
        """The record."""
        found: Runtime = RUNTIMES[self.name]
        return found

    @classmethod
    def built(cls, builder: Builder, name: str = DEFAULT_RUNTIME) -> Oracle:
        """That of the runtime called `name`, built if need be."""
        runtime: Runtime = RUNTIMES[name]
        node = builder.graph.node(runtime.oracle_node)
        builder.build([node])
        return cls(name, builder.artifact(node) / runtime.program)

    def describe(self, model: Path) -> ModelDescription:
        """Inputs and outputs of a model; raises UsageError if it is none."""
        try:
            printed = run([self.program, *self.runtime.describe(str(model))], timeout=_DESCRIBE_SECONDS).stdout
        except CommandError as error:
            told = next((line for line in reversed(error.output.splitlines()) if line.strip()), error.message)
            raise UsageError(f"{model}: no model that the runner can load: {told.strip()}") from None
        try:
            return ModelDescription.model_validate_json(printed)
        except ValidationError as error:
            raise UsageError(f"{model}: its description is not understood: {error.errors()[0]['msg']}") from None

    def run(self, what: Execution, *, seconds: float = _RUN_SECONDS, nice: int = 0) -> RunnerRecord:
        """Execute on this computer; raises WorkloadError, also if answers are missing. `nice` leaves it to others."""
        before = ["nice", "-n", str(nice)] if nice else []
        results = Path(what.results)
        results.unlink(missing_ok=True)
        try:
            run([*before, self.program, *self.runtime.argv(what)], timeout=seconds)
        except CommandError as error:
            raise WorkloadError(f"the model does not run on this computer: {error.output.strip() or error}") from None
        try:
            record = self.runtime.parse(results.read_text(encoding="utf-8"))
        except OSError as error:
            raise WorkloadError(f"the runner left no record: {error.strerror}") from None
        asked = what.iterations + what.warmups
        if len(record.iterations) != asked:
            raise WorkloadError(f"the runner answered {len(record.iterations)} of {asked} inputs")
        return record


def scores_of(output: Mapping[str, Any]) -> tuple[Scores, float]:
    """The real numbers behind an output of kind `scores`, and the size of the last bit (0 for float32).

    Raises WorkloadError for a type of tensor that has no scores.
    """
    if output["dtype"] not in _TYPES:
        raise WorkloadError(f"the model's output is {output['dtype']}: expected one of {', '.join(_TYPES)}")
    raw = np.frombuffer(bytes.fromhex(output["scores_hex"]), dtype=_TYPES[output["dtype"]]).astype(np.float64)
    scale = float(output["scale"]) if output["dtype"] != "FLOAT32" else 0.0
    return ((raw - float(output["zero_point"])) * scale if scale else raw), scale


def top1_of(output: Mapping[str, Any]) -> int:
    """The class that an output of any kind names first; the lowest where scores are equal."""
    if "label" in output:
        return int(output["label"])
    if "top1" in output:
        return int(output["top1"][0])
    if "topk" in output:
        return int(output["topk"][0][0])
    return int(np.argmax(scores_of(output)[0]))


def check_oracle(record: RunnerRecord, expected: Sequence[Mapping[str, Any]]) -> None:
    """Raises WorkloadError unless every answer is the oracle's: 1 LSB (int8), 1e-4 (float32), the same top-1."""
    for line in record.iterations:
        want = expected[int(line["input"]) % len(expected)]
        where = f"iteration {line['k']} (input {line['input']})"
        if top1_of(line["output"]) != top1_of(want):
            raise WorkloadError(f"{where}: class {top1_of(line['output'])}, the oracle says {top1_of(want)}")
        _check_scores(line["output"], want, where)


def _check_scores(output: Mapping[str, Any], want: Mapping[str, Any], where: str) -> None:
    scores, lsb = scores_of(want)
    tolerance = lsb * 1.001 if lsb else FLOAT_TOLERANCE  # a thousandth for the rounding of scale times integer
    if "scores_hex" in output:
        found = scores_of(output)[0]
        if found.shape != scores.shape:
            raise WorkloadError(f"{where}: {found.size} scores, the oracle has {scores.size}")
        worst = float(np.max(np.abs(found - scores)))
    else:
        pairs = output.get("topk") or ([output["top1"]] if "top1" in output else [])
        if any(score is None for _, score in pairs):  # JSON has no other word for what the runner found
            raise WorkloadError(f"{where}: a score is not a finite number")
        worst = max((abs(float(score) - float(scores[int(index)])) for index, score in pairs), default=0.0)
    if not worst <= tolerance:
        raise WorkloadError(f"{where}: a score differs from the oracle's by {worst:.3g}, more than {tolerance:.3g}")
