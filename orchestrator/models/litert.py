# SPDX-License-Identifier: Apache-2.0
"""Runtime `litert`: TensorFlow Lite models in guest/runner, by its command line (docs/runner.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.models.anatomy import read_anatomy
from orchestrator.models.record import RunnerRecord
from orchestrator.models.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.runtime import Execution

TOPPED = ("topk", "detections")
"""Outputs of which there are `top`."""
_TFLITE_MAGIC = b"TFL3"  # at byte 4: the file identifier of the flatbuffer schema


def argv(what: Execution) -> list[str]:
    """The words of `runner run`."""
    words = [
        "run",
        *("--model", what.model),
        *("--inputs", what.inputs),
        *("--iterations", str(what.iterations)),
        *("--warmups", str(what.warmups)),
        *("--threads", str(what.threads)),
        *("--output", what.output),
        *(("--top", str(what.top)) if what.output in TOPPED else ()),
        *("--id", str(what.base)),
        *("--results", what.results),
    ]
    for name, value in (*what.tensors, *what.options):
        words += [f"--{name}", value]
    for name, number in (("dims", what.dims), ("min-score", what.min_score), ("signature", what.signature)):
        words += [f"--{name}", str(number)] if number is not None else []
    words += ["--kernels", ",".join(what.kernels)] if what.kernels else []
    if what.armed is not None:
        words += ["--arm", str(what.armed.port), "--align-us", str(what.armed.align_us)]
        words += ["--phase-us", str(what.armed.phase_us)]
        words += ["--say", what.armed.say, what.armed.word]
    return words


def check_tflite(path: Path) -> None:
    """Raise UsageError unless the file begins like a TensorFlow Lite model; what comes after that the runner checks."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if head[4:] != _TFLITE_MAGIC:
        raise UsageError(f"{path}: no TensorFlow Lite model", hint="expected is a .tflite file (flatbuffer TFL3)")


RECORD = Runtime(
    name="litert",
    summary="TensorFlow Lite (LiteRT) with XNNPACK, by the C program guest/runner",
    node="runner",
    oracle_node="oracle",
    second_node="runner:arch=amd64",
    kernels=("xnnpack", "builtin", "reference"),
    anatomy=read_anatomy,
    disk="runner-disk",
    argv=argv,
    describe=lambda model: ["describe", model],
    go=lambda address, port: ["go", address, str(port)],
    parse=RunnerRecord.parse,
    check=check_tflite,
    mib=12,
    copies=4,
    held_bytes=256 << 20,  # RELEASED_MAX in guest/runner/record.c
)
