# SPDX-License-Identifier: Apache-2.0
"""The oracle answers for each input or fails; right answers pass, wrong ones do not; worlds are equal bit for bit."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models.oracle import Oracle, check_oracle, scores_of, top1_of
from orchestrator.models.record import RunnerRecord
from orchestrator.models.runtime import Execution
from orchestrator.registry import DEFAULT_RUNTIME
from orchestrator.runs.outputs import check_equal


def int8(*values: int) -> dict[str, Any]:
    raw = np.array(values, dtype="i1").tobytes().hex()
    return {"scores_hex": raw, "dtype": "INT8", "scale": 1 / 256, "zero_point": -128}


def floats(*values: float) -> dict[str, Any]:
    return {
        "scores_hex": np.array(values, dtype="<f4").tobytes().hex(),
        "dtype": "FLOAT32",
        "scale": 0,
        "zero_point": 0,
    }


def record(*outputs: dict[str, Any]) -> RunnerRecord:
    lines = [{"event": "iteration", "k": k, "input": k, "output": each} for k, each in enumerate(outputs)]
    return RunnerRecord(0, tuple(lines), {"status": "ok"})


def test_scores_are_real_numbers() -> None:
    scores, lsb = scores_of(int8(-128, 0, 127))
    assert scores.tolist() == [0.0, 0.5, 255 / 256]
    assert lsb == 1 / 256
    assert scores_of(floats(0.5, -1))[0].tolist() == [0.5, -1.0]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (int8(1, 5, 5), 1),
        (floats(0.1, 0.2, 0.3), 2),
        ({"label": 3}, 3),
        ({"top1": [4, 0.5]}, 4),
        ({"topk": [[5, 0.5], [1, 0.2]]}, 5),
    ],
)
def test_top1_of_every_kind_of_output(output: dict[str, Any], expected: int) -> None:
    assert top1_of(output) == expected


@pytest.mark.parametrize("output", [int8(10, 100), int8(11, 99), {"label": 1}, {"top1": [1, 228 / 256]}])
def test_one_bit_is_within_the_oracles_tolerance(output: dict[str, Any]) -> None:
    check_oracle(record(output), [int8(10, 100)])


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (int8(12, 100), "a score differs"),
        (int8(100, 10), "class 0, the oracle says 1"),
        (int8(10, 100, 0), "3 scores, the oracle has 2"),
        ({"label": 0}, "class 0, the oracle says 1"),
        ({"top1": [1, 0.5]}, "a score differs"),
        ({"topk": [[1, 228 / 256], [0, 0.9]]}, "a score differs"),
    ],
)
def test_more_is_not(output: dict[str, Any], words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        check_oracle(record(output), [int8(10, 100)])


def test_floats_have_a_tolerance_of_their_own() -> None:
    check_oracle(record(floats(0.1, 0.90005)), [floats(0.1, 0.9)])
    with pytest.raises(WorkloadError, match="a score differs"):
        check_oracle(record(floats(0.1, 0.9002)), [floats(0.1, 0.9)])
    with pytest.raises(WorkloadError):
        check_oracle(record(floats(float("nan"), 0.9)), [floats(0.1, 0.9)])


@pytest.mark.parametrize("output", [{"topk": [[1, None], [0, 0.9]]}, {"top1": [1, None]}])
def test_a_score_that_is_no_number_is_a_wrong_answer(output: dict[str, Any]) -> None:
    with pytest.raises(WorkloadError, match="not a finite number"):
        check_oracle(record(output), [floats(0.1, 0.9)])


def test_scores_of_whole_numbers() -> None:
    counts = {"scores_hex": "0100000000010000", "dtype": "INT32", "scale": 0, "zero_point": 0}
    assert scores_of(counts)[0].tolist() == [1.0, 256.0]
    check_oracle(record(counts), [counts])
    with pytest.raises(WorkloadError, match="the model's output is INT64"):
        scores_of(counts | {"dtype": "INT64"})


def test_inputs_go_round() -> None:
    outputs = [int8(0, 9), int8(9, 0)]
    lines = tuple({"event": "iteration", "k": k, "input": k % 2, "output": outputs[k % 2]} for k in range(5))
    check_oracle(RunnerRecord(0, lines, {}), outputs)


def test_worlds_agree_bit_for_bit(tmp_path: Path) -> None:
    reference = tmp_path / "outputs" / "cell.jsonl"
    check_equal([int8(1, 2), int8(3, 4)], reference)
    check_equal([int8(1, 2), int8(3, 4)], reference)
    with pytest.raises(WorkloadError, match="iteration 1"):
        check_equal([int8(1, 2), int8(3, 5)], reference)
    with pytest.raises(WorkloadError, match="1 outputs"):
        check_equal([int8(1, 2)], reference)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no complete record"),
        ('{"event":"start"}\n', "no complete record"),
        ('{"event":"end","status":"error","error":"no memory"}\n', "the runner failed: no memory"),
        ('{"event":"end"\n', "no complete record"),
    ],
)
def test_a_record_that_tells_no_success(text: str, words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        RunnerRecord.parse(text)


# --- the runtime on this computer -------------------------------------------------------------------------------------


def program(path: Path, body: str) -> Oracle:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Oracle(DEFAULT_RUNTIME, path)


def test_what_the_runner_says_of_a_model(tmp_path: Path) -> None:
    said = '{"inputs":[{"name":"i","type":"INT8","shape":[1,2,2,1],"bytes":4,"scale":0.5,"zero_point":3}],"outputs":[]}'
    found = program(tmp_path / "runner", f"echo '{said}'").describe(tmp_path / "m")
    assert found.inputs[0].zero_point == 3
    with pytest.raises(UsageError, match="no model that the runner can load: not a flatbuffer"):
        program(tmp_path / "bad", "echo not a flatbuffer >&2; exit 1").describe(tmp_path / "m")
    with pytest.raises(UsageError, match="its description is not understood"):
        program(tmp_path / "odd", "echo '{}'").describe(tmp_path / "m")


def answering(folder: Path, count: int, *, end: str = '{"event":"end","status":"ok"}') -> tuple[Oracle, Execution]:
    """A runner that leaves so many answers and `end`, and what it is asked for: two."""
    results = folder / "results.jsonl"
    lines = [f'{{"event":"iteration","k":{k},"input":{k},"output":{{"label":{k}}}}}' for k in range(count)]
    (folder / "said").write_text("".join(f"{line}\n" for line in [*lines, end]))
    oracle = program(folder / "runner", f'[ ! -e "{results}" ] || exit 9; cp "{folder}/said" "{results}"')
    return oracle, Execution("m", "i", str(results), 2, "label")


def test_the_oracle_answers_each_input(tmp_path: Path) -> None:
    oracle, what = answering(tmp_path, 2)
    for _ in range(2):  # what an earlier execution left is no answer
        assert [top1_of(output) for output in oracle.run(what).outputs] == [0, 1]


@pytest.mark.parametrize(
    ("count", "end", "words"),
    [
        (1, '{"event":"end","status":"ok"}', "the runner answered 1 of 2 inputs"),
        (2, '{"event":"end","status":"error","error":"no memory"}', "the runner failed: no memory"),
        (2, "{", "no complete record"),
    ],
)
def test_an_oracle_without_all_answers_has_none(tmp_path: Path, count: int, end: str, words: str) -> None:
    oracle, what = answering(tmp_path, count, end=end)
    with pytest.raises(WorkloadError, match=words):
        oracle.run(what)


def test_an_oracle_that_cannot_run(tmp_path: Path) -> None:
    what = Execution("m", "i", str(tmp_path / "results"), 1, "label")
    with pytest.raises(WorkloadError, match="does not run on this computer: no memory"):
        program(tmp_path / "fails", "echo no memory >&2; exit 1").run(what)
    with pytest.raises(WorkloadError, match="left no record: No such file"):
        program(tmp_path / "silent", "exit 0").run(what)
