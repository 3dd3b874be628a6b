# SPDX-License-Identifier: Apache-2.0
"""`orch models inspect`: what a file takes and gives, and the workload that runs it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from models_matrix import CASES
from real_oracle import real_oracle

from orchestrator.cli.context import Context
from orchestrator.cli.models import models
from orchestrator.errors import UsageError
from orchestrator.experiment.plan import cells_of
from orchestrator.models.oracle import Oracle
from orchestrator.schema.workload import Workload
from orchestrator.schema.yamlfile import loads


def inspected(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    oracle = real_oracle()
    monkeypatch.setattr(Oracle, "built", lambda _builder: oracle)
    done = CliRunner().invoke(models, ("inspect", *words), obj=Context(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_inspect_shows_what_a_file_takes_and_a_workload_that_runs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "Two Ways.tflite"
    path.write_bytes(CASES["two_signatures"].make())
    shown = inspected(monkeypatch, str(path))
    assert "  signature   decode; there are also: encode" in shown
    assert "  input       x: FLOAT32 [1, 4]" in shown
    assert "1 x SUB, in another part of the model" in shown
    snippet = textwrap.dedent(shown.partition("a workload that runs it:\n")[2])
    workload = loads(snippet, "w.yaml", Workload)
    (cell,) = cells_of(workload)
    assert (cell.model, str(cell.quantization), cell.own and cell.own.signature) == ("two-ways", "float32", "decode")
    other = inspected(monkeypatch, str(path), "--signature", "encode")
    assert "  signature   encode; there are also: decode" in other
    assert "1 x ADD, by XNNPACK" in other


def test_inspect_tells_what_xnnpack_cannot_prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(CASES["dense_rank7"].make())
    shown = inspected(monkeypatch, str(path))
    assert "by the runtime's own kernels" in shown
    assert "XNNPACK     is not used: its tensors cannot be allocated: failed to delegate FULLY_CONNECTED" in shown
    path.write_bytes(CASES["dense_int8"].make())
    assert "quantized, (q +0) * 0.05" in inspected(monkeypatch, str(path))
    path.write_bytes(CASES["recurrent"].make())
    assert "state       is kept from one inference to the next" in inspected(monkeypatch, str(path))


def test_inspect_refuses_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"nothing of a model")
    with pytest.raises(UsageError, match="no TensorFlow Lite model"):
        inspected(monkeypatch, str(path))
    path.write_bytes(CASES["text_input"].make())
    with pytest.raises(UsageError, match="input 'text' is of type STRING") as caught:
        inspected(monkeypatch, str(path))
    assert "\n" not in caught.value.message
