# SPDX-License-Identifier: Apache-2.0
"""The oracle answers for each input or fails; worlds are equal bit for bit."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models.expected import MARGIN, UNKNOWN
from orchestrator.models.oracle import Oracle, top1_of
from orchestrator.models.record import RunnerRecord
from orchestrator.models.runtime import Execution
from orchestrator.registry import DEFAULT_RUNTIME
from orchestrator.runs.outputs import check_equal
from orchestrator.schema.zoo import ModelDescription, TensorDescription


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


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (int8(1, 5, 5), 1),
        (floats(0.1, 0.2, 0.3), 2),
        ({"label": 3}, 3),
        ({"top1": [4, 0.5]}, 4),
        ({"topk": [[5, 0.5], [1, 0.2]]}, 5),
        ({"raw": ["00"]}, None),
        ({"keypoints": [[1, 2]]}, None),
    ],
)
def test_top1_of_every_kind_of_output(output: dict[str, Any], expected: int | None) -> None:
    assert top1_of(output) == expected


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
    with pytest.raises(UsageError, match="no model that the runtime can execute: not a flatbuffer"):
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
        (1, '{"event":"end","status":"ok"}', "the oracle answered 1 of 2 inputs"),
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


# --- several kernels --------------------------------------------------------------------------------------------------

SCORES = TensorDescription(name="scores", type="FLOAT32", shape=(1, 2), bytes=8)
DESCRIPTION = ModelDescription(inputs=(), outputs=(SCORES,))


def kernels(folder: Path, **answers: tuple[float, float] | str) -> Oracle:
    """An oracle of which each kernel has this answer to both inputs, or fails with these words."""
    for name, answer in answers.items():
        end = {"event": "end", "status": "ok", "runtime": "1.4.0"}
        lines: list[dict[str, Any]] = []
        if isinstance(answer, str):
            end |= {"status": "error", "error": answer}
        else:
            raw = np.array(answer, "<f4").tobytes().hex()
            lines = [{"event": "iteration", "k": k, "input": k, "output": {"raw": [raw]}} for k in range(2)]
        (folder / f"said.{name}").write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, end]))
    copies = "; ".join(f'cp "{folder}/said.{name}" "{folder}/results.{name}"' for name in answers)
    return program(folder / "runner", copies)


def test_the_allowance_is_the_spread_of_the_kernels(tmp_path: Path) -> None:
    oracle = kernels(tmp_path, xnnpack=(100.0, 2.0), builtin=(100.25, 2.0), reference=(100.0, 1.5))
    found = oracle.expect(Execution("m", "i", str(tmp_path / "results"), 2, "label"), DESCRIPTION)
    assert found.real(1, 1, 0).tolist() == [100.0, 2.0], "the guests' kernel says what is right"
    (allowance,) = found.allowances
    assert (allowance.scale, allowance.spread, allowance.allowed) == (100.0, 0.5, MARGIN * 0.5)
    facts = found.facts()
    assert (facts["release"], facts["outputs"][0]["spread"]) == ("1.4.0", 0.005)


def test_a_kernel_that_cannot_is_left_out_and_said(tmp_path: Path) -> None:
    oracle = kernels(tmp_path, xnnpack="m: cannot be delegated", builtin=(1.0, 2.0), reference=(1.0, 2.0))
    found = oracle.expect(Execution("m", "i", str(tmp_path / "results"), 2, "label"), DESCRIPTION)
    assert found.kernels == {"xnnpack": "cannot be delegated", "builtin": "ok", "reference": "ok"}
    none = kernels(tmp_path, xnnpack="m: no", builtin="m: nor this", reference="m: nor that")
    with pytest.raises(WorkloadError, match=r"does not run on this computer: no$"):
        none.expect(Execution("m", "i", str(tmp_path / "results"), 2, "label"), DESCRIPTION)


def test_a_kernel_alone_has_no_spread(tmp_path: Path) -> None:
    oracle = kernels(tmp_path, xnnpack=(100.0, 2.0), builtin="m: no", reference="m: no")
    (allowance,) = oracle.expect(Execution("m", "i", str(tmp_path / "results"), 2, "x"), DESCRIPTION).allowances
    assert (allowance.spread, allowance.allowed) == (None, pytest.approx(UNKNOWN * 100))
