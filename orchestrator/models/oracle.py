# SPDX-License-Identifier: Apache-2.0
"""Whether the answers of a world are right: near to those of the build computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.build.run import CommandError, run
from orchestrator.errors import WorkloadError
from orchestrator.models.record import RunnerRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a float32 score: XNNPACK sums in another order on x86."""
_TYPES = {"FLOAT32": "<f4", "INT8": "i1", "UINT8": "u1", "INT32": "<i4"}
_ORACLE_SECONDS = 600


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


def oracle(runner: Path, model: Path, inputs: Path, count: int, work: Path) -> tuple[dict[str, Any], ...]:
    """All scores of `count` inferences with the same program built for this computer; raises WorkloadError."""
    results = work / "oracle.jsonl"
    words = ["--iterations", str(count), "--warmups", "0", "--threads", "1", "--output", "scores", "--id", "0"]
    try:
        run(
            [runner, "run", "--model", model, "--inputs", inputs, *words, "--results", results],
            timeout=_ORACLE_SECONDS,
        )
    except CommandError as error:
        raise WorkloadError(f"the model does not run on this computer: {error.output.strip() or error}") from None
    return RunnerRecord.parse(results.read_text(encoding="utf-8")).outputs


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
