# SPDX-License-Identifier: Apache-2.0
"""Whether the outputs that a workload reads are there, and are what it reads them as: known before anything boots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.models.dtypes import DTYPES

if TYPE_CHECKING:
    from orchestrator.runs.matrix import Cell
    from orchestrator.schema.workload import Workload
    from orchestrator.schema.zoo import ModelDescription, TensorDescription

CLASSES = ("topk", "top1", "label")
"""Ways of reading that rank the scores of one output."""
DIMS = 2
"""Numbers of a point unless a workload says otherwise: DEFAULT_DIMS in guest/world/runner/options.c."""
_BOX = 4


def check_output(cell: Cell, workload: Workload, description: ModelDescription, held: int) -> None:
    """Raise UsageError if a cell reads outputs that its model does not have, or more of them than `held` bytes."""
    read = read_outputs(cell, description)
    for tensor in read.values():
        if tensor.type not in DTYPES:
            raise UsageError(f"model {cell.model}: output {tensor.name} is of type {tensor.type}, which cannot be read")
    labelled = bool(cell.inputs(workload).labels)
    if cell.output in CLASSES or (cell.output == "scores" and labelled):
        _check_classes(cell, workload, read["tensor"])
    elif labelled:
        raise UsageError(f"inputs.labels: output {cell.output} of model {cell.model} names no class")
    if cell.output == "keypoints":
        dims = (cell.reading.dims if cell.reading else None) or DIMS
        if math.prod(read["tensor"].shape) % dims:
            raise UsageError(
                f"model {cell.model}: output {_told(read['tensor'])} has no whole number of points of {dims}"
            )
    if cell.output == "detections":
        _check_detections(cell, read)
    _check_size(cell, workload, read, held)


def read_outputs(cell: Cell, description: ModelDescription) -> dict[str, TensorDescription]:
    """The outputs that a cell reads, by their roles; raises UsageError, with the outputs that there are."""
    outputs = description.outputs
    if not outputs:
        raise UsageError(f"model {cell.model} has no output")
    if cell.output == "raw":
        return {tensor.name: tensor for tensor in outputs}
    named = dict(cell.reading.named()) if cell.reading else {}
    if not named and len(outputs) > 1:
        raise UsageError(
            f"output: {cell.output}: model {cell.model} has {len(outputs)}: {', '.join(map(_told, outputs))}",
            hint=f"say which: `output: {{read: {cell.output}, tensor: {outputs[0].name}}}`; or `raw` for all",
        )
    if not named:
        return {"tensor": outputs[0]}
    for name in named.values():
        if description.output(name) is None:
            there = ", ".join(map(_told, outputs))
            raise UsageError(f"output: model {cell.model} has no output '{name}'; it has {there}")
    return {role: tensor for role, name in named.items() if (tensor := description.output(name)) is not None}


def _told(tensor: TensorDescription) -> str:
    return f"{tensor.name} {list(tensor.shape)}"


def _check_classes(cell: Cell, workload: Workload, scores: TensorDescription) -> None:
    count = math.prod(scores.shape)
    if count != max(scores.shape, default=1):
        raise UsageError(
            f"output: {cell.output}: {_told(scores)} of model {cell.model} is no list of scores",
            hint="another `tensor`, or `read: scores`, `keypoints`, `detections` or `raw`",
        )
    top = cell.top(workload)
    if top is not None and top > count:
        raise UsageError(f"top: {top}: model {cell.model} has {count} classes", hint="`top` in the workload file")
    beyond = [label for label in cell.inputs(workload).labels if label >= count]
    if beyond:
        raise UsageError(f"inputs.labels: {beyond[0]}: model {cell.model} has {count} classes, counted from 0")


def _check_detections(cell: Cell, read: dict[str, TensorDescription]) -> None:
    boxes = read["boxes"]
    rows = math.prod(boxes.shape[:-1])
    if not boxes.shape or boxes.shape[-1] < _BOX:
        raise UsageError(f"output: {_told(boxes)} of model {cell.model} has no boxes of {_BOX} numbers")
    if math.prod(read["scores"].shape) % rows:
        raise UsageError(f"output: model {cell.model} has {rows} boxes, and scores {_told(read['scores'])}")
    if "classes" in read and math.prod(read["classes"].shape) != rows:
        raise UsageError(f"output: model {cell.model} has {rows} boxes, and classes {_told(read['classes'])}")


def _check_size(cell: Cell, workload: Workload, read: dict[str, TensorDescription], held: int) -> None:
    inferences = workload.iterations + workload.warmups
    whole = sum(tensor.bytes for tensor in read.values()) if cell.output in ("scores", "raw", "keypoints") else 0
    if inferences * whole > held:
        raise UsageError(
            f"iterations: {inferences} times the {cell.output} of model {cell.model} are more than {held >> 20} MiB",
            hint="fewer iterations, more boots, or another `output`",
        )
