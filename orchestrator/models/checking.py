# SPDX-License-Identifier: Apache-2.0
"""Whether what a world released is what the oracle says, for every way of reading an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import WorkloadError
from orchestrator.models.dtypes import DTYPES, real
from orchestrator.models.expected import furthest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.models.dtypes import Reals
    from orchestrator.models.expected import Expected
    from orchestrator.models.record import RunnerRecord
    from orchestrator.schema.workload import OutputOf

    Output = Mapping[str, Any]
    Check = Callable[["Answer", Output], float]

_BOX = 4  # numbers of a box that leave: BOX in guest/world/runner/release.h


class Answer:
    """The oracle's answer to one inference, with the names of the outputs that are read."""

    def __init__(self, expected: Expected, reading: OutputOf | None, k: int, number: int) -> None:
        """Take the answer to inference `k`, which was of input `number`."""
        self._expected = expected
        self._names = dict(reading.named()) if reading else {}
        self.reading = reading
        self._k, self._number = k, number

    def place(self, role: str = "tensor") -> int | None:
        """Where the output of a role stands; the first if none is named; None for a role that no output has."""
        name = self._names.get(role)
        if name is None:
            return 0 if role == "tensor" else None
        return next(place for place, tensor in enumerate(self._expected.outputs) if tensor.name == name)

    def real(self, place: int) -> Reals:
        """The numbers of an output."""
        return self._expected.real(self._k, self._number, place)

    def rows(self, place: int) -> Reals:
        """The same by its last dimension."""
        return self.real(place).reshape(-1, self._expected.outputs[place].shape[-1])

    def allowed(self, place: int) -> float:
        """How far one of them may be off."""
        return self._expected.allowances[place].allowed

    def units(self, place: int, difference: float) -> float:
        """A difference in parts of the output's largest number; raises WorkloadError if it is more than allowed."""
        allowance = self._expected.allowances[place]
        if not difference <= allowance.allowed:
            raise WorkloadError(
                f"{self._named(place)} differs from the oracle's by {difference:.3g}, "
                f"more than {allowance.allowed:.3g} ({allowance.allowed / (allowance.scale or 1.0):.2g} of its scale)"
            )
        return difference / (allowance.scale or 1.0)

    def _named(self, place: int) -> str:
        return f"a number of {self._expected.outputs[place].name or 'the output'}"

    def raw(self, place: int, data: str) -> float:
        """Compare a whole tensor, in hex."""
        tensor, content = self._expected.outputs[place], bytes.fromhex(data)
        if len(content) != tensor.bytes:
            width = DTYPES[tensor.type].itemsize
            raise WorkloadError(f"{len(content) // width} numbers, the oracle has {tensor.bytes // width}")
        return self.units(place, furthest(real(content, tensor), self.real(place)))

    def every(self) -> range:
        """The places of all outputs."""
        return range(len(self._expected.outputs))


def check_answers(record: RunnerRecord, expected: Expected, reading: OutputOf | None = None) -> float:
    """The largest difference from the oracle, in parts of the output's scale; raises WorkloadError if one is too large.

    What is released of an answer is compared with what may be released of the oracle's: numbers within the allowance,
    classes and boxes that are the best ones but for rounding.
    """
    worst = 0.0
    for line in record.iterations:
        answer = Answer(expected, reading, int(line["k"]), int(line["input"]))
        output = line["output"]
        kind = next((kind for kind in _CHECKS if kind in output), None)
        try:
            if kind is None:
                raise WorkloadError(f"nothing that is known was released: {', '.join(output)}")
            worst = max(worst, _CHECKS[kind](answer, output))
        except WorkloadError as error:
            raise WorkloadError(f"iteration {line['k']} (input {line['input']}): {error.message}") from None
    return worst


def _scores(answer: Answer, output: Output) -> float:
    return answer.raw(answer.place() or 0, output["scores_hex"])


def _raw(answer: Answer, output: Output) -> float:
    if len(output["raw"]) != len(answer.every()):
        raise WorkloadError(f"{len(output['raw'])} outputs, the oracle has {len(answer.every())}")
    return max(answer.raw(place, data) for place, data in zip(answer.every(), output["raw"], strict=True))


def _label(answer: Answer, output: Output) -> float:
    _best(answer, [int(output["label"])])
    return 0.0


def _top1(answer: Answer, output: Output) -> float:
    return _ranked(answer, [output["top1"]])


def _topk(answer: Answer, output: Output) -> float:
    return _ranked(answer, output["topk"])


def _ranked(answer: Answer, pairs: list[Any]) -> float:
    """Classes with their scores, the best first."""
    if any(score is None for _, score in pairs):  # JSON has no other word for what the runner found
        raise WorkloadError("a score is not a finite number")
    place = answer.place() or 0
    scores = _best(answer, [int(index) for index, _ in pairs])
    return answer.units(place, max(_apart(score, scores[int(index)]) for index, score in pairs))


def _best(answer: Answer, classes: list[int]) -> Reals:
    """The oracle's scores; raises WorkloadError unless these are its best classes, in its order, but for rounding."""
    place = answer.place() or 0
    scores = answer.real(place)
    if len(set(classes)) != len(classes) or any(not 0 <= each < scores.size for each in classes):
        raise WorkloadError(f"classes {classes}: expected different ones of {scores.size}")
    order = np.argsort(-scores, kind="stable")
    near = 2 * answer.allowed(place)  # each of two scores may be off
    for found, right in zip(classes, order, strict=False):
        if found != right and not scores[right] - scores[found] <= near:
            raise WorkloadError(f"class {found}, the oracle says {right}")
    return scores


def _keypoints(answer: Answer, output: Output) -> float:
    place = answer.place() or 0
    points, right = output["keypoints"], answer.real(place)
    found = np.array([np.nan if each is None else each for point in points for each in point], np.float64)
    if found.size != right.size:
        raise WorkloadError(f"{found.size} numbers, the oracle has {right.size}")
    return answer.units(place, furthest(found, right.astype(np.float32).astype(np.float64)))


def _detections(answer: Answer, output: Output) -> float:
    boxes, scores = answer.place("boxes"), answer.place("scores")
    if answer.reading is None or boxes is None or scores is None:
        raise WorkloadError("detections were not asked for")
    rows = answer.rows(boxes)
    likely = answer.real(scores).reshape(len(rows), -1)
    best = likely.max(axis=1)
    worst, seen = 0.0, []
    for index, kind, score, box in output["detections"]:
        if not 0 <= index < len(rows) or score is None or any(each is None for each in box):
            raise WorkloadError(f"detection {index}: expected one of {len(rows)}, with numbers")
        worst = max(worst, answer.units(scores, _apart(score, best[index])))
        worst = max(worst, *(answer.units(boxes, _apart(*pair)) for pair in zip(box, rows[index, :_BOX], strict=True)))
        _check_class(answer, index, kind, likely[index], 2 * answer.allowed(scores))
        seen.append(index)
    _check_missed(answer, best, seen, 2 * answer.allowed(scores))
    return worst


def _apart(found: float, right: float) -> float:
    """What is released is a 32-bit float, the oracle's value may have been computed with more digits."""
    return abs(float(found) - float(np.float32(right)))


def _check_class(answer: Answer, index: int, kind: int, scores: Reals, near: float) -> None:
    classes = answer.place("classes")
    if classes is not None:
        said = answer.real(classes)[index]
        if abs(said - kind) > max(0.5, answer.allowed(classes)):
            raise WorkloadError(f"detection {index}: class {kind}, the oracle says {said:g}")
    elif not 0 <= kind < scores.size or scores.max() - scores[kind] > near:
        raise WorkloadError(f"detection {index}: class {kind}, the oracle says {int(scores.argmax())}")


def _check_missed(answer: Answer, best: Reals, seen: list[int], near: float) -> None:
    """What was not released has no better score than the worst that was, nor one that is to be released."""
    reading = answer.reading
    top = (reading.top if reading else None) or len(seen)
    floor = -np.inf if reading is None or reading.min_score is None else reading.min_score
    count = answer.place("count")
    meant = len(best) if count is None else int(max(0, min(len(best), answer.real(count)[0])))
    left = [float(best[index]) for index in range(meant) if index not in set(seen)]
    lowest = min((float(best[index]) for index in seen), default=np.inf) if len(seen) >= top else floor
    if left and max(left) - lowest > near:
        raise WorkloadError(f"a detection with a score of {max(left):.3g} is missing")
    if any(best[index] < floor - near for index in seen):
        raise WorkloadError(f"a detection has a score of less than {floor:g}")


_CHECKS: dict[str, Check] = {
    "scores_hex": _scores,
    "raw": _raw,
    "label": _label,
    "top1": _top1,
    "topk": _topk,
    "keypoints": _keypoints,
    "detections": _detections,
}
"""By the key that a record has for the way of reading."""
