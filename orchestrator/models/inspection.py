# SPDX-License-Identifier: Apache-2.0
"""What is to be known of a model file before it is run, as lines for people, with the workload that runs it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from orchestrator.models.dtypes import is_quantized
from orchestrator.models.tensors import picture_shape
from orchestrator.schema.zoo import Preparation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.models.anatomy import Anatomy
    from orchestrator.schema.zoo import ModelDescription, TensorDescription

_NAME_MAX = 48
_TOP = 5
_GUEST_STEP = 64  # MiB


@dataclass(frozen=True)
class Inspection:
    """A model file: what it and the guests' release say of it; `base_mib` is a guest without it."""

    path: Path
    anatomy: Anatomy
    description: ModelDescription
    base_mib: int

    def lines(self) -> Iterator[str]:
        """For people; the snippet comes last, and is a whole workload file."""
        about = self.description
        yield f"{self.path}: {self.anatomy.quantization}, {self.path.stat().st_size:,} bytes"
        yield from self._signatures()
        for tensor in about.inputs:
            takes = picture_shape(tensor, Preparation())
            order = "NCHW" if takes is not None and takes.nchw else "NHWC"
            yield f"  input       {told(tensor)}{f'; takes pictures ({order})' if takes else ''}"
        for tensor in about.outputs:
            yield f"  output      {told(tensor)}"
        for operator in about.operators:
            where = "XNNPACK" if operator.xnnpack else "the runtime's own kernels"
            yield f"  operator    {operator.count} x {operator.name}, by {where}"
        left = Counter(self.anatomy.operators)
        left.subtract({operator.name: operator.count for operator in about.operators})
        for name, count in sorted(left.items()):
            if count > 0:
                yield f"  operator    {count} x {name}, in another part of the model"
        if about.without is not None:
            yield f"  XNNPACK     is not used: {about.without}"
        if self.anatomy.stateful:
            yield "  state       is kept from one inference to the next, warm-ups included"
        yield f"  memory      {self._memory()}"
        yield "a workload that runs it:"
        yield from (f"    {line}" for line in self.snippet().splitlines())

    def _signatures(self) -> Iterator[str]:
        about = self.description
        if not about.signatures:
            yield "  signature   none: tensors have their own names"
            return
        others = [key for key in about.signatures if key != about.signature]
        yield f"  signature   {about.signature}{'; there are also: ' + ', '.join(others) if others else ''}"

    def _memory(self) -> str:
        kib = self.description.memory_kib
        if kib is None:
            return "not known: an inference on zeros failed on this computer"
        return f"{kib / 1024:.0f} MiB for loading and an inference on this computer; `memory_mib: {self.memory_mib}` do"

    @property
    def memory_mib(self) -> int:
        """A guest's memory in which it runs, in steps."""
        needed = self.base_mib + (self.description.memory_kib or 0) // 1024
        return max(128, math.ceil(needed / _GUEST_STEP) * _GUEST_STEP)

    def snippet(self) -> str:
        """A workload file for it: random inputs, unless somebody writes better ones there."""
        model: dict[str, object] = {"name": self._name(), "path": str(self.path)}
        if len(self.description.signatures) > 1:
            model["signature"] = self.description.signature
        table = {
            "name": "mine",
            "models": [model],
            "inputs": {"count": 8},
            "output": self._output(),
            "memory_mib": self.memory_mib,
        }
        return str(yaml.safe_dump(table, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None))

    def _name(self) -> str:
        kept = "".join(char if char.isalnum() or char in "_.-" else "-" for char in self.path.stem.lower())
        return kept.lstrip("_.-")[:_NAME_MAX] or "mine"

    def _output(self) -> object:
        outputs = self.description.outputs
        if len(outputs) == 1 and math.prod(outputs[0].shape) == max(outputs[0].shape, default=1) > 1:
            return "topk" if outputs[0].shape[-1] >= _TOP else "scores"
        return "scores" if len(outputs) == 1 else "raw"


def told(tensor: TensorDescription) -> str:
    """Name, type, shape, and how its numbers are meant."""
    free = [place for place, size in enumerate(tensor.open_shape) if size == -1]
    parts = [f"{tensor.name}: {tensor.type} {list(tensor.shape)}"]
    if free:
        parts.append(f"dimension{'s' if len(free) > 1 else ''} {', '.join(map(str, free))} open, run as 1")
    if is_quantized(tensor):
        parts.append(f"quantized, (q {-tensor.zero_point:+d}) * {tensor.scale:g}")
    elif tensor.channels > 1:
        parts.append(f"quantized, {tensor.channels} scales")
    return "; ".join(parts)
