# SPDX-License-Identifier: Apache-2.0
"""Right answers pass and wrong ones do not, in each way of reading, by the allowance of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.errors import WorkloadError
from orchestrator.models.checking import check_answers
from orchestrator.models.expected import FLOORS, Expected, allowances, furthest
from orchestrator.models.record import RunnerRecord
from orchestrator.schema.workload import OutputOf
from orchestrator.schema.zoo import TensorDescription

WIDTHS = {"FLOAT32": "<f4", "INT8": "i1", "INT32": "<i4", "INT64": "<i8"}


def tensor(kind: str, *shape: int, name: str = "scores", scale: float = 0.0, zero: int = 0) -> TensorDescription:
    size = int(np.prod(shape)) * np.dtype(WIDTHS[kind]).itemsize
    return TensorDescription(name=name, type=kind, shape=shape, bytes=size, scale=scale, zero_point=zero)


def expected(*answers: tuple[TensorDescription, Any], spread: float = 0.0, kernels: int = 2) -> Expected:
    """One inference; another kernel's floats are all off by `spread`."""
    outputs = tuple(each for each, _ in answers)
    first = tuple(np.array(values, WIDTHS[each.type]).tobytes() for each, values in answers)
    other = tuple(
        (np.array(values, WIDTHS[each.type]) + (np.float32(spread) if each.type == "FLOAT32" else 0)).tobytes()
        for each, values in answers
    )
    return Expected(outputs, (first,), allowances(outputs, [(first,), (other,)][:kernels]))


def record(*outputs: dict[str, Any]) -> RunnerRecord:
    lines = [{"event": "iteration", "k": k, "input": k, "output": each} for k, each in enumerate(outputs)]
    return RunnerRecord(0, tuple(lines), {"status": "ok"})


def whole(values: Any, kind: str) -> dict[str, Any]:
    return {"scores_hex": np.array(values, WIDTHS[kind]).tobytes().hex()}


INT8 = expected((tensor("INT8", 1, 2, scale=1 / 256, zero=-128), [10, 100]))
FLOAT = expected((tensor("FLOAT32", 1, 3), [400.0, 2.0, 1.0]), spread=2.0**-6)


@pytest.mark.parametrize(
    "output", [whole([10, 100], "INT8"), whole([11, 99], "INT8"), {"label": 1}, {"top1": [1, 228 / 256]}]
)
def test_a_quantized_answer_may_be_off_by_one_step(output: dict[str, Any]) -> None:
    assert check_answers(record(output), INT8) <= 1 / 228 + 1e-9


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (whole([12, 100], "INT8"), "differs from the oracle's by 0.00781, more than 0.00391"),
        (whole([10, 100, 0], "INT8"), "3 numbers, the oracle has 2"),
        ({"label": 0}, "class 0, the oracle says 1"),
        ({"label": 2}, r"classes \[2\]: expected different ones of 2"),
        ({"top1": [1, 0.5]}, "differs from the oracle's"),
        ({"topk": [[1, 228 / 256], [0, 0.9]]}, "differs from the oracle's"),
        ({"topk": [[1, 228 / 256], [1, 228 / 256]]}, "expected different ones"),
        ({"top1": [1, None]}, "not a finite number"),
        ({"words": 3}, "nothing that is known was released: words"),
    ],
)
def test_more_is_too_much(output: dict[str, Any], words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        check_answers(record(output), INT8)


def test_pixels_have_the_allowance_of_pixels() -> None:
    """Values of hundreds that kernels round differently: an absolute 1e-4 would fail them."""
    assert check_answers(record(whole([400.05, 2.0, 1.0], "FLOAT32")), FLOAT) == pytest.approx(0.05 / 400, rel=1e-3)
    with pytest.raises(WorkloadError, match=r"by 0.1, more than 0.0625 \(0.00016 of its scale\)"):
        check_answers(record(whole([400.1, 2.0, 1.0], "FLOAT32")), FLOAT)
    exact = expected((tensor("FLOAT32", 1, 3), [400.0, 2.0, 1.0]))
    assert exact.allowances[0].allowed == FLOORS["FLOAT32"] * 400, "kernels that agree leave the last bits"
    with pytest.raises(WorkloadError):
        check_answers(record(whole([400.01, 2.0, 1.0], "FLOAT32")), exact)


def test_classes_that_differ_by_rounding_may_change_places() -> None:
    near = expected((tensor("FLOAT32", 1, 3), [1.0, 1.0 + 1e-6, 0.2]), spread=1e-6)
    for best in (0, 1):
        check_answers(record({"label": best}), near)
    check_answers(record({"topk": [[0, 1.0], [1, 1.000001]]}), near)
    with pytest.raises(WorkloadError, match="class 2, the oracle says 1"):
        check_answers(record({"label": 2}), near)
    with pytest.raises(WorkloadError, match="class 2, the oracle says 0"):
        check_answers(record({"topk": [[1, 1.000001], [2, 0.2]]}), near)


def test_whole_numbers_are_equal_or_wrong() -> None:
    counts = expected((tensor("INT32", 1, 2), [1, 256]))
    assert check_answers(record(whole([1, 256], "INT32")), counts) == 0
    with pytest.raises(WorkloadError):
        check_answers(record(whole([1, 257], "INT32")), counts)


def test_what_is_no_number_must_be_so_in_both() -> None:
    nan, inf = float("nan"), float("inf")
    odd = expected((tensor("FLOAT32", 1, 3), [nan, inf, 1.0]))
    check_answers(record(whole([nan, inf, 1.0], "FLOAT32")), odd)
    for wrong in ([0.0, inf, 1.0], [nan, -inf, 1.0], [nan, 3e38, 1.0], [nan, inf, nan]):
        with pytest.raises(WorkloadError):
            check_answers(record(whole(wrong, "FLOAT32")), odd)
    assert furthest(np.array([nan]), np.array([nan])) == 0


def test_all_outputs_by_their_order() -> None:
    both = expected((tensor("FLOAT32", 1, 2, name="a"), [1, 2]), (tensor("INT64", 1, name="b"), [7]))
    right = [np.array([1, 2], "<f4").tobytes().hex(), np.array([7], "<i8").tobytes().hex()]
    check_answers(record({"raw": right}), both)
    with pytest.raises(WorkloadError, match="1 outputs, the oracle has 2"):
        check_answers(record({"raw": right[:1]}), both)
    with pytest.raises(WorkloadError, match="a number of b differs"):
        check_answers(record({"raw": [right[0], np.array([8], "<i8").tobytes().hex()]}), both)
    second = OutputOf(read="scores", tensor="b")
    check_answers(record({"scores_hex": right[1]}), both, second)
    with pytest.raises(WorkloadError):
        check_answers(record({"scores_hex": right[0]}), both, second)


BOXES = tensor("FLOAT32", 1, 4, 5, name="boxes")
LIKELY = tensor("FLOAT32", 1, 4, 2, name="likely")
SEEN = expected((BOXES, np.arange(20)), (LIKELY, [[0.9, 0.1], [0.2, 0.3], [0.5, 0.8], [0.0, 0.1]]))
READING = OutputOf(read="detections", boxes="boxes", scores="likely", top=2)
FIRST, SECOND, THIRD = [0, 0, 0.9, [0, 1, 2, 3]], [2, 1, 0.8, [10, 11, 12, 13]], [1, 1, 0.3, [5, 6, 7, 8]]


def test_the_best_boxes() -> None:
    check_answers(record({"detections": [FIRST, SECOND]}), SEEN, READING)
    few = OutputOf(read="detections", boxes="boxes", scores="likely", top=4, min_score=0.25)
    check_answers(record({"detections": [FIRST, SECOND, THIRD]}), SEEN, few)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([FIRST, THIRD], "a detection with a score of 0.8 is missing"),
        ([FIRST], "a detection with a score of 0.8 is missing"),
        ([FIRST, [2, 0, 0.8, [10, 11, 12, 13]]], "detection 2: class 0, the oracle says 1"),
        ([FIRST, [2, 1, 0.7, [10, 11, 12, 13]]], "a number of likely differs"),
        ([FIRST, [2, 1, 0.8, [10, 11, 12, 14]]], "a number of boxes differs"),
        ([FIRST, [9, 1, 0.8, [10, 11, 12, 13]]], "detection 9: expected one of 4"),
    ],
)
def test_other_boxes(found: list[Any], words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        check_answers(record({"detections": found}), SEEN, READING)


def test_points() -> None:
    points = expected((tensor("FLOAT32", 1, 4, name="points"), [100, 200, 300, 400]), spread=0.01)
    reading = OutputOf(read="keypoints", tensor="points")
    check_answers(record({"keypoints": [[100.02, 200], [300, 400]]}), points, reading)
    with pytest.raises(WorkloadError, match=r"by 0\.1, more than 0\.04"):
        check_answers(record({"keypoints": [[100.1, 200], [300, 400]]}), points, reading)
    with pytest.raises(WorkloadError, match="2 numbers, the oracle has 4"):
        check_answers(record({"keypoints": [[100, 200]]}), points, reading)
    with pytest.raises(WorkloadError):
        check_answers(record({"keypoints": [[None, 200], [300, 400]]}), points, reading)


def test_a_sequence_is_compared_place_by_place() -> None:
    """What keeps state answers the same input differently: the oracle has seen it as often."""
    scores = tensor("FLOAT32", 1, 1)
    answers = tuple((np.array([value], "<f4").tobytes(),) for value in (1.0, 2.0, 3.0))
    kept = Expected((scores,), answers, allowances((scores,), [answers, answers]), in_sequence=True)
    lines = [{"k": k, "input": 0, "output": whole([value], "FLOAT32")} for k, value in enumerate((1.0, 2.0, 3.0))]
    check_answers(RunnerRecord(0, tuple(lines), {}), kept)
    with pytest.raises(WorkloadError, match="iteration 2"):
        check_answers(RunnerRecord(0, (*lines[:2], {**lines[0], "k": 2}), {}), kept)


def test_inputs_go_round() -> None:
    scores = tensor("FLOAT32", 1, 1)
    answers = tuple((np.array([value], "<f4").tobytes(),) for value in (1.0, 2.0))
    two = Expected((scores,), answers, allowances((scores,), [answers, answers]))
    lines = tuple({"k": k, "input": k % 2, "output": whole([1.0 + k % 2], "FLOAT32")} for k in range(5))
    check_answers(RunnerRecord(0, lines, {}), two)
