# SPDX-License-Identifier: Apache-2.0
"""Every model of the matrix is described, fed, answered by the oracle, run by the runner here, read and checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from matrix_models import ITERATIONS, WARMUPS, Prepared, prepare
from models_matrix import CASES
from real_oracle import real_oracle

from orchestrator.errors import UsageError, WorkloadError
from orchestrator.models.anatomy import read_anatomy
from orchestrator.models.oracle import Oracle
from orchestrator.models.record import RunnerRecord

RUNNABLE = [name for name, case in CASES.items() if case.problem is None]
# The library that the runner has here is of another release, which is older than these.
NEWER_THAN_HERE = {"weights_int4", "blockwise_int4"}


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 40
    assert len({case.quantization for case in CASES.values()}) >= 11
    assert sum(case.stateful for case in CASES.values()) >= 3


def run_here(plain_runner: Path, made: Prepared, folder: Path) -> str:
    """The record of the runner, on this computer; skips if its library is not there."""
    model, results = folder / f"{made.cell.model.replace('-', '_')}.tflite", folder / "results"
    words = made.words(str(model), str(made.subject.inputs), str(results))
    done = subprocess.run([plain_runner, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return results.read_text()


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_model_runs_and_is_right(name: str, plain_runner: Path, tmp_path: Path) -> None:
    made = prepare(name, real_oracle(), tmp_path)
    anatomy = read_anatomy(tmp_path / f"{name}.tflite")
    assert (str(anatomy.quantization), anatomy.stateful) == (made.case.quantization, made.case.stateful)
    assert made.subject.model.quantization == made.case.quantization
    expected = made.subject.expected
    assert len(expected.answers) == (ITERATIONS + WARMUPS if made.case.stateful else made.subject.tensors.count)
    assert list(expected.kernels.values()).count("ok") >= 2, "without two kernels there is no spread"
    assert all(np.isfinite(each.allowed) for each in expected.allowances)
    if made.case.xnnpack is not None:
        assert made.subject.xnnpack == made.case.xnnpack
    if name not in NEWER_THAN_HERE:
        made.check(run_here(plain_runner, made, tmp_path))


@pytest.mark.parametrize("name", [name for name in CASES if name not in RUNNABLE])
def test_a_model_that_cannot_run_is_one_line(name: str, plain_runner: Path, tmp_path: Path) -> None:
    problem = CASES[name].problem
    with pytest.raises(UsageError) as caught:
        prepare(name, real_oracle(), tmp_path)
    told = caught.value.message
    assert problem is not None
    assert problem in told
    assert told.count(f"{name}.tflite") == 1
    assert "\n" not in told
    done = subprocess.run(
        [plain_runner, "describe", tmp_path / f"{name}.tflite"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, problem in done.stderr) == (1, True), done.stderr


def record_of(plain_runner: Path, made: Prepared, folder: Path) -> RunnerRecord:
    record, _ = made.check(run_here(plain_runner, made, folder))
    return record


def floats(data: bytes, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.frombuffer(data, "<f4").reshape(-1, columns)


def test_tensors_are_those_of_their_names(tmp_path: Path) -> None:
    """By hand: `first` is mid times alpha, `second` is zeta less mid, in whatever order the file has them."""
    made = prepare("signature_in_other_order", real_oracle(), tmp_path)
    rows = floats(made.subject.tensors.data, 12)
    alpha, mid, zeta = rows[:, :4], rows[:, 4:8], rows[:, 8:]
    assert [tensor.name for tensor in made.subject.expected.outputs] == ["first", "second"]
    for k in range(len(rows)):
        assert np.allclose(made.subject.expected.real(k, k, 0), mid[k] * alpha[k], atol=1e-6)
        assert np.allclose(made.subject.expected.real(k, k, 1), zeta[k] - mid[k], atol=1e-6)


def test_state_is_kept_from_one_inference_to_the_next(plain_runner: Path, tmp_path: Path) -> None:
    """By hand: a total of all inputs so far, a warm-up and a second round of the inputs included."""
    made = prepare("total_of_all", real_oracle(), tmp_path)
    rows = floats(made.subject.tensors.data, 4)
    seen = [rows[0], *(rows[k % len(rows)] for k in range(ITERATIONS))]
    totals = np.cumsum(seen, axis=0)
    record = record_of(plain_runner, made, tmp_path)
    for k, line in enumerate(record.iterations):
        assert np.allclose(made.subject.expected.real(k, int(line["input"]), 0), totals[k], atol=1e-5)
        assert np.allclose(floats(bytes.fromhex(line["output"]["raw"][0]), 4)[0], totals[k], atol=1e-5)


def test_an_independent_build_says_the_same_where_it_can(plain_runner: Path, tmp_path: Path) -> None:
    second = Oracle("litert", plain_runner)
    for name in ("signature_in_other_order", "recurrent", "conv_int8_per_channel"):
        folder = tmp_path / name
        folder.mkdir()
        told = prepare(name, real_oracle(), folder, second).subject.expected.second
        assert (told["release"], told["within"]) == ("2.17.1", True), told
    told = prepare("weights_int4", real_oracle(), tmp_path, second).subject.expected.second
    assert set(told) == {"cannot"}, "another release cannot execute what the guests' can"


def test_what_xnnpack_cannot_prepare_runs_without_it_and_says_so(plain_runner: Path, tmp_path: Path) -> None:
    made = prepare("dense_rank7", real_oracle(), tmp_path)
    assert "failed to delegate FULLY_CONNECTED" in made.subject.expected.kernels["xnnpack"]
    record = record_of(plain_runner, made, tmp_path)
    assert record.end["xnnpack"] is False
    assert "XNNPACK" in str(record.without)


def test_a_wrong_answer_is_seen_in_each_kind_of_reading(plain_runner: Path, tmp_path: Path) -> None:
    """A check that lets everything pass would be none: one number of each kind is changed."""
    changes = {
        "landmarks": ("keypoints", lambda found: found[0].__setitem__(0, found[0][0] * 1.001)),
        "detector": ("detections", lambda found: found[0].__setitem__(2, found[0][2] * 1.001)),
        "detector_with_classes": ("detections", lambda found: found[1].__setitem__(1, 7)),
        "open_batch": ("label", None),
        "best_three": ("top1", lambda found: found.__setitem__(1, found[1] + 0.001)),
        "dense_rank2": ("topk", lambda found: found.reverse()),
    }
    for name, (kind, change) in changes.items():
        folder = tmp_path / name
        folder.mkdir()
        made = prepare(name, real_oracle(), folder)
        record = record_of(plain_runner, made, folder)
        output = record.iterations[-1]["output"]
        if change is None:
            output[kind] = (output[kind] + 1) % 8
        else:
            change(output[kind])
        with pytest.raises(WorkloadError, match=f"iteration {len(record.iterations) - 1} "):
            made.check("\n".join(_lines(record)))


def _lines(record: RunnerRecord) -> list[str]:
    import json

    return [json.dumps({"event": "iteration", **line}) for line in record.iterations] + [
        json.dumps({"event": "end", **record.end})
    ]
