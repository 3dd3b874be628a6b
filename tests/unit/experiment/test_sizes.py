# SPDX-License-Identifier: Apache-2.0
"""Whether a model fits into its guest: with its inputs, and with the half of the memory that holds files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.experiment.prepare import Subject
from orchestrator.protect.deployable import Deployable, Opening, Sought
from orchestrator.runs.matrix import SubjectKey

MIB = 1 << 20


def needed(folder: Path, model: int, inputs: int) -> int:
    with (folder / "m").open("wb") as stream:
        stream.truncate(model)
    deployable = Deployable({"m": folder / "m"}, Opening("m"), (Sought("model", folder / "m", ""),))
    other: Any = SimpleNamespace(runtime=SimpleNamespace(mib=12, copies=4))
    data: Any = SimpleNamespace(data=range(inputs))
    key = SubjectKey("model", "int8", "none", "litert")
    return Subject(key, other, "", deployable, folder / "i", data, (), other).needed_mib


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [(0, 0, 56), (10 * MIB, 0, 96), (10 * MIB, 8 * MIB, 104), (10 * MIB, 100 * MIB, 264)],
    ids=["the runtime alone", "copies of the model", "its inputs beside it", "more files than half of the memory"],
)
def test_what_a_guest_needs(tmp_path: Path, model: int, inputs: int, expected: int) -> None:
    assert needed(tmp_path, model, inputs) == expected
