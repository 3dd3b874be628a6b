# SPDX-License-Identifier: Apache-2.0
"""What a file says of itself; a damaged one is refused in one line and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from models_matrix import CASES

from orchestrator.errors import UsageError
from orchestrator.models.anatomy import read_anatomy

ROOT = Path(__file__).resolve().parents[3]
FASHION = ROOT / "workloads/models/fashion_cnn"


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_shipped_models(quantization: str) -> None:
    found = read_anatomy(FASHION / f"fashion_cnn_{quantization}.tflite")
    assert (str(found.quantization), found.stateful) == (quantization, False)
    assert found.operators["CONV_2D"] == 4


def test_operators_of_all_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(CASES["a_choice"].make())
    assert read_anatomy(path).operators == {"EXP": 1, "IF": 1, "NEG": 1}
    path.write_bytes(CASES["unknown_operator"].make())
    assert read_anatomy(path).operators == {"NobodyKnowsThis": 1}


def test_damaged_files(tmp_path: Path) -> None:
    good, source = (FASHION / "fashion_cnn_int8.tflite").read_bytes(), random.Random(4)
    path = tmp_path / "m.tflite"
    refused: list[str] = []
    for n in range(150):
        data = bytearray(good[: source.randrange(8, len(good))] if n % 3 == 0 else good)
        for _ in range(source.randrange(1, 30)):
            data[source.randrange(8, min(len(data), 4000) + 1) - 1] = source.randrange(256)
        path.write_bytes(data)
        try:
            read_anatomy(path)
        except UsageError as error:
            refused.append(error.message)
    assert len(refused) > 20
    assert not any("\n" in message for message in refused)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_anatomy(tmp_path / "none.tflite")
